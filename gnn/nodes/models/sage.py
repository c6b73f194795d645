"""GraphSAGE with the mean over all neighbours."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ..dropout import dropout
from ..features import FeatureLinear, Features, drop_features
from .checks import check_shares, check_sizes

if TYPE_CHECKING:
    from ...sparse.sparse_tensor import SparseTensor


class GraphSAGE(nn.Module):
    """Layers X W1 + D^-1 A X W2 + b.

    Parameters
    ----------
    num_features, hidden, num_classes : int
    num_layers : int >= 1, default 2
    dropout : float in [0, 1), default 0.5
        Of what every layer reads.

    References
    ----------
    W. Hamilton, R. Ying and J. Leskovec, "Inductive Representation Learning on Large Graphs", arXiv:1706.02216.

    Examples
    --------
    >>> import nearhop, numpy as np
    >>> from nearhop.gnn.nodes import as_features, normalized_adjacency
    >>> from nearhop.gnn.nodes.models import GraphSAGE
    >>> ring = nearhop.GraphStore.from_edges([0, 1, 2, 3], [1, 2, 3, 0])
    >>> tuple(GraphSAGE(4, 16, 3)(as_features(np.eye(4)), normalized_adjacency(ring, "mean")).shape)
    (4, 3)
    """

    def __init__(
        self, num_features: int, hidden: int, num_classes: int, *, num_layers: int = 2, dropout: float = 0.5
    ) -> None:
        super().__init__()
        check_sizes(num_features=num_features, hidden=hidden, num_classes=num_classes, num_layers=num_layers)
        check_shares(dropout=dropout)
        widths = [num_features] + [hidden] * (num_layers - 1) + [num_classes]
        pairs = list(pairwise(widths))
        self.own = nn.ModuleList(FeatureLinear(a, b) for a, b in pairs)
        self.mixed = nn.ModuleList(FeatureLinear(a, b, bias=False) for a, b in pairs)
        self.dropout = dropout

    def forward(self, x: Features, adjacency: SparseTensor) -> Tensor:
        """Scores (n, num_classes); `adjacency` is the mean over neighbours."""
        h: Features = x
        for number, (own, mixed) in enumerate(zip(self.own, self.mixed, strict=True)):
            if number:
                h = torch.relu(h)  # type: ignore[arg-type]
                h = dropout(h, self.dropout, self.training)
            else:
                h = drop_features(h, self.dropout, self.training)
            h = own(h) + adjacency @ mixed(h)
        return h  # type: ignore[return-value]
