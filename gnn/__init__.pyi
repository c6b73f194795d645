from .nat.nat import NAT as NAT
from .nat.nat import NATConfig as NATConfig
from .spen.spen import SPEN as SPEN
