"""Baselines that node classifiers are compared with, small, on sparse features and nearhop's sparse products.

All but SGC and SIGN are called with (features, adjacency). Where features are a list, such as the given ones and
generated ones, the first layer has a branch for each of them, and the branches stand side by side.
"""

from ....graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="torch")
