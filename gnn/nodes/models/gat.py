"""Graph attention network of Velickovic et al."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import elu, leaky_relu

from ....graphlib.errors import InvalidInput
from ....graphlib.scalars import is_finite
from ..dropout import dropout
from ..features import FeatureLinear, Features
from .branches import dropped_branches
from .checks import check_shares, check_sizes

if TYPE_CHECKING:
    from ...sparse.sparse_tensor import SparseTensor


class GAT(nn.Module):
    """Two layers of attention over neighbours and the node itself.

    Parameters
    ----------
    num_features, hidden, num_classes : int
        `hidden` is the width of a head of the first layer.
    heads, out_heads : int >= 1, default 8, 1
        `heads` is shared out among the branches.
    dropout : float in [0, 1), default 0.6
        Of what layers read and of attention.
    branches : int >= 1, default 1
        Feature matrices that the first layer reads, each with `heads / branches` heads.
    slope : float, default 0.2
        Of the leaky ReLU of the scores.
    alpha : float, default 1
        Of the ELU between the layers.

    References
    ----------
    P. Velickovic et al., "Graph Attention Networks", arXiv:1710.10903, equations 1 to 6.

    Examples
    --------
    >>> import nearhop, numpy as np
    >>> from nearhop.gnn.nodes import as_features, normalized_adjacency
    >>> from nearhop.gnn.nodes.models import GAT
    >>> ring = nearhop.GraphStore.from_edges([0, 1, 2, 3], [1, 2, 3, 0])
    >>> tuple(GAT(4, 8, 3)(as_features(np.eye(4)), normalized_adjacency(ring)).shape)
    (4, 3)
    """

    multiplies_features = True

    def __init__(
        self,
        num_features: int,
        hidden: int,
        num_classes: int,
        *,
        heads: int = 8,
        out_heads: int = 1,
        dropout: float = 0.6,
        branches: int = 1,
        slope: float = 0.2,
        alpha: float = 1.0,
    ) -> None:
        super().__init__()
        check_sizes(
            num_features=num_features, hidden=hidden, num_classes=num_classes, branches=branches, heads=heads,
            out_heads=out_heads,
        )  # fmt: skip
        check_shares(dropout=dropout)
        for name, value in (("slope", slope), ("alpha", alpha)):
            if not is_finite(value):
                raise InvalidInput(f"{name} must be a finite number; got {value!r:.50}")
        if heads % branches:
            raise InvalidInput(f"{heads} heads cannot be shared out evenly among {branches} branches")
        own = heads // branches
        self.first = nn.ModuleList(Attention(num_features, hidden, own, dropout, slope) for _ in range(branches))
        self.last = Attention(heads * hidden, num_classes, out_heads, dropout, slope)
        self.first_bias = nn.Parameter(torch.zeros(heads * hidden))
        self.bias = nn.Parameter(torch.zeros(num_classes))
        self.dropout, self.alpha = dropout, alpha

    def forward(self, x: Features | Sequence[Features], adjacency: SparseTensor) -> Tensor:
        """Scores (n, num_classes). Of the adjacency, which has the nodes themselves, only the pattern is read."""
        edges = Edges.of(adjacency)
        given = dropped_branches(x, len(self.first), self.dropout, self.training)
        parts = [layer(part, edges).flatten(1) for layer, part in zip(self.first, given, strict=True)]
        h = elu(torch.cat(parts, 1) + self.first_bias, self.alpha)
        return self.last(dropout(h, self.dropout, self.training), edges).mean(1) + self.bias


class Edges:
    """Ends of the entries of an adjacency, and where rows begin."""

    def __init__(self, adjacency: SparseTensor) -> None:
        m = adjacency.matrix
        degrees = np.diff(m.indptr)
        self.count = m.num_rows
        self.row = torch.from_numpy(np.repeat(np.arange(m.num_rows), degrees))
        self.column = torch.from_numpy(m.indices.astype(np.int64))

    @classmethod
    def of(cls, adjacency: SparseTensor) -> Edges:
        """Made once per adjacency."""
        if not hasattr(adjacency, "edges"):
            adjacency.edges = cls(adjacency)  # type: ignore[attr-defined]
        found: Edges = adjacency.edges  # type: ignore[attr-defined]
        return found


class Attention(nn.Module):
    """One layer (n, F) -> (n, heads, width), without bias."""

    def __init__(self, num_features: int, width: int, heads: int, dropout: float, slope: float) -> None:
        super().__init__()
        self.linear = FeatureLinear(num_features, heads * width, bias=False)
        bound = (6.0 / (1 + 2 * width)) ** 0.5
        self.toward = nn.Parameter(torch.empty(heads, width).uniform_(-bound, bound))
        self.source = nn.Parameter(torch.empty(heads, width).uniform_(-bound, bound))
        self.dropout, self.slope = dropout, slope

    def forward(self, x: Features, edges: Edges) -> Tensor:
        heads, width = self.toward.shape
        h = self.linear(x).view(-1, heads, width)
        scores = (h * self.toward).sum(2)[edges.row] + (h * self.source).sum(2)[edges.column]
        weights = softmax_of_rows(leaky_relu(scores, self.slope), edges)
        h, weights = dropout(h, self.dropout, self.training), dropout(weights, self.dropout, self.training)
        messages = h[edges.column] * weights.unsqueeze(2)
        return torch.zeros_like(h).index_add(0, edges.row, messages)


def softmax_of_rows(scores: Tensor, edges: Edges) -> Tensor:
    """Softmax of (E, heads) over the entries of each row."""
    heads = scores.shape[1]
    rows = edges.row.unsqueeze(1).expand(-1, heads)
    highest = scores.detach().new_full((edges.count, heads), -torch.inf)
    highest = highest.scatter_reduce(0, rows, scores.detach(), "amax")
    lifted = torch.exp(scores - highest[edges.row])
    totals = lifted.new_zeros((edges.count, heads)).index_add(0, edges.row, lifted)
    return lifted / totals[edges.row]
