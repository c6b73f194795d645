"""Models of features that were propagated once, before training: SGC and SIGN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ....graphlib.errors import InvalidInput
from ....graphlib.scalars import integer
from ...sparse.sparse_tensor import SparseTensor
from ..dropout import dropout
from ..features import Features
from .checks import check_shares, check_sizes

if TYPE_CHECKING:
    from ...sparse.sparse_tensor import SparseTensor as Matrix


def powers(x: Features, adjacency: Matrix, count: int) -> list[Tensor]:
    """X, P X, ..., P^count X, dense.

    X is what `as_features` gives, or a tensor of floats.

    >>> import numpy as np, nearhop
    >>> from nearhop.gnn.nodes import as_features, normalized_adjacency
    >>> from nearhop.gnn.nodes.models import powers
    >>> pair = nearhop.GraphStore.from_edges([0], [1])
    >>> [p.tolist() for p in powers(as_features(np.eye(2)), normalized_adjacency(pair), 1)]
    [[[1.0, 0.0], [0.0, 1.0]], [[0.5, 0.5], [0.5, 0.5]]]
    """
    integer("count", count, 0)
    start = torch.from_numpy(x.matrix.to_scipy().toarray()) if isinstance(x, SparseTensor) else x
    found = [start]
    for _ in range(count):
        found.append(adjacency @ found[-1])
    return found


class SGC(nn.Linear):
    """One linear map of P^K X.

    References
    ----------
    F. Wu et al., "Simplifying Graph Convolutional Networks", arXiv:1902.07153.

    Examples
    --------
    >>> import torch
    >>> from nearhop.gnn.nodes.models import SGC
    >>> tuple(SGC(4, 3)(torch.ones(5, 4)).shape)
    (5, 3)
    """


class SIGN(nn.Module):
    """A linear map of every power of its own, side by side, then an MLP.

    Parameters
    ----------
    num_features, hidden, num_classes : int
    num_powers : int >= 1
        Matrices that it is called with: X, P X, ...
    dropout : float in [0, 1), default 0.5

    References
    ----------
    F. Frasca et al., "SIGN: Scalable Inception Graph Neural Networks", arXiv:2004.11198, equation 3.

    Examples
    --------
    >>> import torch
    >>> from nearhop.gnn.nodes.models import SIGN
    >>> tuple(SIGN(4, 8, 3, num_powers=2)(torch.ones(5, 4), torch.ones(5, 4)).shape)
    (5, 3)
    """

    def __init__(
        self, num_features: int, hidden: int, num_classes: int, *, num_powers: int, dropout: float = 0.5
    ) -> None:
        super().__init__()
        check_sizes(num_features=num_features, hidden=hidden, num_classes=num_classes, num_powers=num_powers)
        check_shares(dropout=dropout)
        self.first = nn.ModuleList(nn.Linear(num_features, hidden) for _ in range(num_powers))
        self.slopes = nn.ModuleList(nn.PReLU() for _ in range(num_powers + 1))
        self.mix = nn.Linear(num_powers * hidden, hidden)
        self.last = nn.Linear(hidden, num_classes)
        self.dropout = dropout

    def forward(self, *x: Any) -> Tensor:
        """Scores (n, num_classes) of the powers of some nodes, or of a list of them."""
        given: Sequence[Tensor] = x[0] if len(x) == 1 and isinstance(x[0], (list, tuple)) else x
        if len(given) != len(self.first):
            raise InvalidInput(
                f"this SIGN reads num_powers={len(self.first)} matrices: X, P X, ...; got {len(given)}. `powers` makes "
                "one more than its count"
            )
        parts = [slope(layer(part)) for layer, slope, part in zip(self.first, self.slopes, given, strict=False)]
        h = dropout(torch.cat(parts, 1), self.dropout, self.training)
        h = dropout(self.slopes[-1](self.mix(h)), self.dropout, self.training)
        found: Tensor = self.last(h)
        return found
