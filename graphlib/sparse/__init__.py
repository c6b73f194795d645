"""Products of sparse matrices, and topological levels of directed graphs."""

from ..faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
