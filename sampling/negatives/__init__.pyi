from .negatives import NegativeSampler as NegativeSampler
from .negatives import historical_negatives as historical_negatives
from .negatives import in_batch_negatives as in_batch_negatives
