"""Subgraphs as samples: ego networks, ShaDow, GraphSAINT, layer-wise samples, PPR neighbourhoods."""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
