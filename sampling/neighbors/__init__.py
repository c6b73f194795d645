"""Samples of neighbours, hop by hop: uniform, weighted, LABOR, temporal and typed; on the processor and on CUDA."""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
