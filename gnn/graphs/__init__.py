"""Graph classification judged by cross-validation: folds, training, named rules of selection, and two baselines.

Models come with `batch(data, ids)` and give scores for it; the harness neither knows nor prepares features. What
models here read is a `nearhop.datasets.graphs.GraphSet`.
"""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="torch")
