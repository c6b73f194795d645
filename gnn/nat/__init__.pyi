from .config import NATConfig as NATConfig
from .nat import NAT as NAT
