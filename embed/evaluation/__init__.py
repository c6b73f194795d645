"""What an embedding is worth: classification of nodes, prediction of links."""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
