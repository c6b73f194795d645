"""Mini-batches: samples with their features, as PyG's `Data` and `HeteroData`."""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
