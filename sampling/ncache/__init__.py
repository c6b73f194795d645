"""Dictionaries of recent neighbours per node (NAT's N-cache), on the processor and on CUDA."""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
