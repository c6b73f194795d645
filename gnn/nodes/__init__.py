"""Node classification: data with its split, one trainer for full graphs and mini-batches, and the usual baselines.

A model says how the batch of some nodes is made and scores it; the trainer neither samples nor prepares features.
"""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="torch")
