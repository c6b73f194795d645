"""The graph store: edges, adjacency, columns, ids and filters, in memory or mapped from disk."""

from ..faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
