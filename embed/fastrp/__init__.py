"""FastRP: embeddings by a very sparse random projection and powers of the adjacency; no training."""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
