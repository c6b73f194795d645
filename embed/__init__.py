"""Node embeddings: graphs in, one float32 vector per node out, and the protocols that judge them.

`FastRP` embeds without training, `SkipGram` and `GraphVite` train on random walks; `tune` searches FastRP's parameters.
`evaluate` classifies nodes from their vectors, `split_links` and `evaluate_links` predict links. Nothing here samples
neighbours or searches vectors.
"""

from .evaluate import Evaluation, evaluate
from .fastrp import FastRP
from .graphvite import GraphVite
from .links import LinkScores, LinkSplit, evaluate_links, split_links
from .progress import TrainingDiverged, TrainingProgress
from .skipgram import SkipGram
from .tuning import Trial, TuneResult, tune

__all__ = [
    "Evaluation",
    "FastRP",
    "GraphVite",
    "LinkScores",
    "LinkSplit",
    "SkipGram",
    "TrainingDiverged",
    "TrainingProgress",
    "Trial",
    "TuneResult",
    "evaluate",
    "evaluate_links",
    "split_links",
    "tune",
]
