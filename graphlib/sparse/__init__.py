"""Products of sparse matrices: adjacency times dense columns."""

from ..faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
