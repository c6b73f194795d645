"""GCNII of Chen et al.: many layers, each with a residual to the first and a map close to the identity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ....graphlib.errors import InvalidInput
from ....graphlib.scalars import is_finite, is_probability
from ...precision import PRECISIONS, precision_of
from ..dropout import dropout
from ..features import FeatureLinear, Features
from .branches import dropped_branches
from .checks import check_shares, check_sizes
from .deep import residual_layers, share_of_map

if TYPE_CHECKING:
    from ...sparse.sparse_tensor import SparseTensor


class GCNII(nn.Module):
    """Layers relu(S ((1 - b) I + b W)) with S = (1 - alpha) P H + alpha H0 and b = log(lambda / l + 1).

    Parameters
    ----------
    num_features, hidden, num_classes : int
        `hidden` is the width of each branch; layers are as wide as all of them.
    num_layers : int >= 1, default 64
    alpha : float in [0, 1], default 0.1
        Of the first representation in every layer.
    lam : float > 0, default 0.5
        The larger, the further maps are from the identity.
    dropout : float in [0, 1), default 0.6
    branches : int >= 1, default 1
        Feature matrices that are projected side by side.
    precision : {"float32", "bfloat16", "auto"}, default "float32"
        Of the products with the layers' maps and of their gradients, which take most of the time of wide layers; sums,
        what is propagated and the maps themselves stay float32. "bfloat16" is several times faster on processors with
        instructions for it, and much slower on others; "auto" takes it where they have them.

    References
    ----------
    M. Chen et al., "Simple and Deep Graph Convolutional Networks", arXiv:2007.02133, equation 5.

    Examples
    --------
    >>> import nearhop, numpy as np
    >>> from nearhop.gnn.nodes import as_features, normalized_adjacency
    >>> from nearhop.gnn.nodes.models import GCNII
    >>> ring = nearhop.GraphStore.from_edges([0, 1, 2, 3], [1, 2, 3, 0])
    >>> tuple(GCNII(4, 16, 3, num_layers=8)(as_features(np.eye(4)), normalized_adjacency(ring)).shape)
    (4, 3)
    """

    multiplies_features = True

    def __init__(
        self,
        num_features: int,
        hidden: int,
        num_classes: int,
        *,
        num_layers: int = 64,
        alpha: float = 0.1,
        lam: float = 0.5,
        dropout: float = 0.6,
        branches: int = 1,
        precision: str = "float32",
    ) -> None:
        super().__init__()
        check_sizes(
            num_features=num_features, hidden=hidden, num_classes=num_classes, branches=branches, num_layers=num_layers
        )
        check_shares(dropout=dropout)
        if not is_probability(alpha):
            raise InvalidInput(f"alpha must be a number in [0, 1]; got {alpha!r:.50}")
        if not is_finite(lam) or lam <= 0:
            raise InvalidInput(f"lam must be a number > 0; got {lam!r:.50}")
        width = branches * hidden
        self.first = nn.ModuleList(FeatureLinear(num_features, hidden) for _ in range(branches))
        bound = 1 / math.sqrt(width)
        self.maps = nn.ParameterList(torch.empty(width, width).uniform_(-bound, bound) for _ in range(num_layers))
        self.last = FeatureLinear(width, num_classes)
        self.alpha, self.lam, self.dropout, self.precision = alpha, lam, dropout, precision_of(precision)

    def decayed(self, first: float, second: float) -> list[dict[str, Any]]:
        """Parameter groups: a weight decay for the layers and one for the projections before and behind them."""
        ends = [*self.first.parameters(), *self.last.parameters()]
        return [{"params": list(self.maps), "weight_decay": first}, {"params": ends, "weight_decay": second}]

    def forward(self, x: Features | Sequence[Features], adjacency: SparseTensor) -> Tensor:
        """Scores (n, num_classes); `x` is a list where there are several branches."""
        given = dropped_branches(x, len(self.first), self.dropout, self.training)
        parts = [layer(part) for layer, part in zip(self.first, given, strict=True)]
        start = torch.relu(torch.cat(parts, 1))
        if start.device.type == "cpu" and start.dtype == torch.float32:
            h = residual_layers(
                dropout(start, self.dropout, self.training), start, adjacency, list(self.maps),
                alpha=self.alpha, lam=self.lam, dropout=self.dropout if self.training else 0.0,
                dtype=PRECISIONS[self.precision],
            )  # fmt: skip
        else:
            h = self._layers(start, adjacency)
        found: Tensor = self.last(h)
        return found

    def _layers(self, start: Tensor, adjacency: SparseTensor) -> Tensor:
        """The same by torch's operations, for other devices."""
        h, dtype = dropout(start, self.dropout, self.training), PRECISIONS[self.precision]
        for number, weight in enumerate(self.maps, 1):
            near = share_of_map(self.lam, number)
            support = (1 - self.alpha) * (adjacency @ h) + self.alpha * start
            mapped = (support.to(dtype) @ weight.to(dtype)).to(start.dtype)
            h = dropout(torch.relu((1 - near) * support + near * mapped), self.dropout, self.training)
        return h
