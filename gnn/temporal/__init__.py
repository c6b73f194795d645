"""Temporal link prediction without leaks: splits, negatives, metrics, baselines, and a trainer that resumes."""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
