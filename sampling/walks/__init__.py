"""Random walks: uniform, weighted, node2vec, along metapaths and forward in time."""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
