"""GraphVite: LINE, DeepWalk and node2vec from pools of samples over a grid of blocks, on processor and GPU."""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
