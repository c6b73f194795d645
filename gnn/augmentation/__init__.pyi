from .augmented import Augmented as Augmented
from .augmented import SplitFirst as SplitFirst
from .augmenter import LocalAugmenter as LocalAugmenter
from .cvae import ConditionalVAE as ConditionalVAE
from .uncertainty import RULES as RULES
from .uncertainty import DropoutEnsemble as DropoutEnsemble
