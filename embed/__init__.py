"""Node embeddings: graphs in, one float32 vector per node out, and the protocol that judges them.

`FastRP` embeds without training, `tune` searches its two parameters, and `evaluate` classifies nodes from their
vectors. Nothing here samples neighbours or searches vectors.
"""

from .evaluation import Evaluation, evaluate
from .fastrp import FastRP
from .tuning import Trial, TuneResult, tune

__all__ = ["Evaluation", "FastRP", "Trial", "TuneResult", "evaluate", "tune"]
