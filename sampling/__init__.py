"""Near in hops: neighbour samples, walks, negatives, subgraphs, features and mini-batches over a graph store.

A sample is a pure function of the store, the seed, the epoch and the node it starts from, so nothing changes with the
number of threads or the order of the nodes asked for. Nothing here trains or embeds.
"""

from ..graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
