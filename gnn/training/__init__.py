"""Training that every model of `gnn/` can share: epochs, early stopping, a named rule of selection, exact resume.

A room's trainer says what a step is and how an epoch is judged; what is here knows neither nodes nor links.
"""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="torch")
