"""Constrained approximate nearest neighbours: which group of points is near most of a set of queries."""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
