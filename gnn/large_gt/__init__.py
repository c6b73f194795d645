"""LargeGT: a transformer over sampled tokens, for node classification on graphs that do not fit beside the model.

From a store with hop contexts and node sets to token batches, and from these to scores; the harness of `gnn.nodes`
trains it. Nothing here reads edges while it trains.
"""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="torch")
