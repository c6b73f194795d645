"""Skip-gram on random walks: DeepWalk and node2vec with fresh negatives."""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
