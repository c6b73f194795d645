"""Signals that travel along directed acyclic graphs: level by level, in parts, and over circuits.

A `LevelPlan` says when each edge fires, `LevelPropagation` carries states along it in either of two modes.
"""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="torch")
