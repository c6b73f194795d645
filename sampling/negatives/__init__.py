"""Negatives: pairs of nodes that are not linked."""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
