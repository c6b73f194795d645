"""Link prediction: encoders of nodes, heads that score pairs, and one trainer that judges what it trains."""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="torch")
