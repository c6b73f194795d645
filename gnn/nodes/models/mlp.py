"""A multilayer perceptron: what features say without the graph."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ..dropout import dropout
from ..features import FeatureLinear, Features, drop_features
from .checks import check_shares, check_sizes


class MLP(nn.Module):
    """Linear maps with ReLU and dropout between them.

    Parameters
    ----------
    num_features, hidden, num_classes : int
    num_layers : int >= 1, default 2
    dropout : float in [0, 1), default 0.5
        Of what every layer reads.

    Examples
    --------
    >>> import numpy as np
    >>> from nearhop.gnn.nodes import as_features
    >>> from nearhop.gnn.nodes.models import MLP
    >>> tuple(MLP(4, 8, 3)(as_features(np.eye(4))).shape)
    (4, 3)
    """

    multiplies_features = True

    def __init__(
        self, num_features: int, hidden: int, num_classes: int, *, num_layers: int = 2, dropout: float = 0.5
    ) -> None:
        super().__init__()
        check_sizes(num_features=num_features, hidden=hidden, num_classes=num_classes, num_layers=num_layers)
        check_shares(dropout=dropout)
        widths = [hidden] * (num_layers - 1) + [num_classes]
        self.first = FeatureLinear(num_features, widths[0])
        self.rest = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.dropout = dropout

    def forward(self, x: Features, adjacency: Any = None) -> Tensor:
        """Scores (n, num_classes); the adjacency is not read."""
        h: Tensor = self.first(drop_features(x, self.dropout, self.training))
        for layer in self.rest:
            h = layer(dropout(torch.relu(h), self.dropout, self.training))
        return h
