from .nat import NAT as NAT
from .nat import NATConfig as NATConfig
