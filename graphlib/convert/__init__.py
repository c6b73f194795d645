"""To and from the graphs of other libraries: SciPy, NetworkX, PyG, DGL."""

from ..faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
