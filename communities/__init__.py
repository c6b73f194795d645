"""Groups of nodes: search from a few seeds, detection in a whole graph, local clusters, quality, pictures.

A store and seeds go in, nodes and scores come out. Signatures and their index come from `nearhop.ann`.
"""

from ..graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
