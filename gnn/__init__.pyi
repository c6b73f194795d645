from .nat.nat import NAT as NAT
from .nat.nat import NATConfig as NATConfig
