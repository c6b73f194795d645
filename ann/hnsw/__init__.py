"""Hierarchical navigable small world graphs: build, search, filters, deletes, tuning."""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
