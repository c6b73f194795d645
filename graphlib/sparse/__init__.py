"""Products of sparse matrices with dense columns and with each other, scores of pairs, levels of directed graphs."""

from ..faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
