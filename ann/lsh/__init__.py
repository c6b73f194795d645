"""Locality-sensitive hashing: banded signatures in sorted buckets, pairs of similar rows."""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
