from .codebook import Codebook as Codebook
from .config import LargeGTConfig as LargeGTConfig
from .local import LocalAttention as LocalAttention
from .model import GlobalAttention as GlobalAttention
from .model import LargeGT as LargeGT
from .tokens import TokenBatch as TokenBatch
from .tokens import TokenLoader as TokenLoader
