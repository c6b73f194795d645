from .augmentation.augmenter import LocalAugmenter as LocalAugmenter
from .nat.config import NATConfig as NATConfig
from .nat.nat import NAT as NAT
from .spen.spen import SPEN as SPEN
