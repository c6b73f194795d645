"""Signatures of sets: MinHash in five schemes, b-bit signatures, shingles of text."""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
