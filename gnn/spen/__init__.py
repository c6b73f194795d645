"""Equivariant maps on bags of ego networks, and SPEN, which classifies graphs with them.

Maps read features of nodes and of pairs of nodes and write them back averaged over copies; bags themselves come from
`nearhop.sampling.ego_bag`. Training and judging stand in `gnn.graphs`.
"""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="torch")
