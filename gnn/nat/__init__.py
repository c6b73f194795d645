"""NAT: links of a changing graph from caches of recent neighbours (arXiv:2209.01084)."""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="torch")
