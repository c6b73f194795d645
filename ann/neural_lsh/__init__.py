"""Lists learned from the rows and chosen by a network."""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
