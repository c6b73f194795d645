"""Node embeddings: graphs in, one float32 vector per node out, and the protocols that judge them.

`FastRP` embeds without training, `SkipGram` and `GraphVite` train on random walks; `tune` searches FastRP's parameters.
`evaluate` classifies nodes from their vectors, `split_links` and `evaluate_links` predict links. Nothing here samples
neighbours or searches vectors.
"""

from ..graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
