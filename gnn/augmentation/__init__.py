"""Local augmentation: features generated from what neighbours look like, beside those that are given.

A conditional variational autoencoder learns p(features of a neighbour | features of a node) from the edges; a model
reads its samples next to the features. No label is read by the generator, save by the rule that picks its epoch.
"""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="torch")
