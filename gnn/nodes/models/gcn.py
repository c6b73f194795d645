"""Graph convolutional network of Kipf and Welling."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ....graphlib.scalars import integer
from ..dropout import dropout
from ..features import FeatureLinear, Features
from .branches import dropped_branches
from .checks import check_shares, check_sizes

if TYPE_CHECKING:
    from ...sparse.sparse_tensor import SparseTensor


class GCN(nn.Module):
    """Layers P X W + b with P = D^-1/2 (A + I) D^-1/2.

    Parameters
    ----------
    num_features, hidden, num_classes : int
        `hidden` is the width of each branch.
    num_layers : int >= 2, default 2
    dropout : float in [0, 1), default 0.5
        Of what every layer reads.
    branches : int >= 1, default 1
        Feature matrices that the first layer reads side by side.

    Notes
    -----
    The product with the features comes first, so that sparse features cost their entries only.

    References
    ----------
    T. Kipf and M. Welling, "Semi-Supervised Classification with Graph Convolutional Networks", arXiv:1609.02907,
    equation 8.

    Examples
    --------
    >>> import nearhop, numpy as np
    >>> from nearhop.gnn.nodes import as_features, normalized_adjacency
    >>> from nearhop.gnn.nodes.models import GCN
    >>> ring = nearhop.GraphStore.from_edges([0, 1, 2, 3], [1, 2, 3, 0])
    >>> tuple(GCN(4, 16, 3)(as_features(np.eye(4)), normalized_adjacency(ring)).shape)
    (4, 3)
    """

    multiplies_features = True

    def __init__(
        self,
        num_features: int,
        hidden: int,
        num_classes: int,
        *,
        num_layers: int = 2,
        dropout: float = 0.5,
        branches: int = 1,
    ) -> None:
        super().__init__()
        check_sizes(num_features=num_features, hidden=hidden, num_classes=num_classes, branches=branches)
        integer("num_layers", num_layers, 2)
        check_shares(dropout=dropout)
        self.first = nn.ModuleList(FeatureLinear(num_features, hidden, bias=False) for _ in range(branches))
        self.first_bias = nn.Parameter(torch.zeros(branches * hidden))
        widths = [branches * hidden] + [hidden] * (num_layers - 2) + [num_classes]
        self.rest = nn.ModuleList(FeatureLinear(a, b, bias=False) for a, b in pairwise(widths))
        self.biases = nn.ParameterList(torch.zeros(width) for width in widths[1:])
        self.dropout = dropout

    def forward(self, x: Features | Sequence[Features], adjacency: SparseTensor) -> Tensor:
        """Scores (n, num_classes); `x` is a list where there are several branches."""
        given = dropped_branches(x, len(self.first), self.dropout, self.training)
        parts = [layer(part) for layer, part in zip(self.first, given, strict=True)]
        h = adjacency @ torch.cat(parts, 1) + self.first_bias
        for layer, bias in zip(self.rest, self.biases, strict=True):
            h = dropout(torch.relu(h), self.dropout, self.training)
            h = adjacency @ layer(h) + bias
        return h
