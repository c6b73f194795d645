"""Rows of features wherever they lie: memory, memory maps, pinned memory read by the GPU, the GPU itself."""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
