"""nearhop behind other libraries' interfaces: PyG's feature store, graph store and sampler; scikit-learn's transformer.

Each needs the library whose interface it has.
"""

from ..graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
