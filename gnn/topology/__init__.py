"""For whom does link prediction work? Topological concentration of nodes, its shift between splits, and what to do."""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
