"""Inverted-file indexes: k-means lists of vectors, of which a search scans the nearest."""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
