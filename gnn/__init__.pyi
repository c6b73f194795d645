from .augmentation.augmenter import LocalAugmenter as LocalAugmenter
from .large_gt.config import LargeGTConfig as LargeGTConfig
from .large_gt.model import LargeGT as LargeGT
from .nat.config import NATConfig as NATConfig
from .nat.nat import NAT as NAT
from .spen.spen import SPEN as SPEN
