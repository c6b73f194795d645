"""Training that every model of `gnn/` can share: epochs, early stopping, a named rule of selection, exact resume.

A room's trainer says what a step is and how an epoch is judged; what is here knows neither nodes nor links.

`gnn.links` and `gnn.graphs` have loops of their own. Graphs need the test accuracy of every epoch of every fold and
keep no state; their learning rate falls on a schedule. Links are judged by Hits@K and keep, besides weights, the
adjacency that reweighting made. Both draw from one sequence of torch's generator over a whole training, where
`EpochTrainer` names a stream per step: under it the same seeds would give other figures.
"""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="torch")
