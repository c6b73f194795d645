"""GRAND of Feng et al.: random propagation of features, then an MLP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ....graphlib.compute.threads import threads_in_use
from ....graphlib.errors import InvalidInput
from ....graphlib.scalars import integer
from ....graphlib.sparse.csr import CSR
from ...sparse.sparse_tensor import SparseTensor, float_values
from ...threads import kernel_threads
from ..dropout import dropout
from ..features import FeatureLinear, Features, drop_features, shape_of
from .checks import check_shares, check_sizes

if TYPE_CHECKING:
    from ...sparse.sparse_tensor import SparseTensor as Matrix


_MOST_ROWS = 1 << 13  # of which 128 columns fit a cache
_FEWEST_COLUMNS = 128


class GRAND(nn.Module):
    """MLP of the mean of X, P X, ..., P^K X; in training whole rows of X are dropped before (DropNode).

    What makes it GRAND is training on several such draws with a loss that keeps them consistent:
    `FullBatch(GRAND(...), x, adjacency, samples=4, consistency=1.0)`.

    Parameters
    ----------
    num_features, hidden, num_classes : int
    order : int >= 0, default 8
        K.
    drop_node : float in [0, 1), default 0.5
        Share of nodes without features in a draw; the others are scaled up.
    input_dropout, hidden_dropout : float in [0, 1), default 0.5
        Of what the two layers of the MLP read.
    batch_norm : bool, default False
        Of what the two layers read.
    compat : "released", optional
        Rows that are kept are not scaled up; where the model is judged, all are scaled down by 1 - drop_node instead,
        as in the authors' code. The same but for the size of what the layers read, which decay and steps feel.

    Notes
    -----
    Where nothing stands between propagation and the first layer (no input dropout in training, no batch norm), the
    layer comes first, and features stay sparse: K products with `hidden` columns instead of F. Without DropNode the
    mean of the powers of a feature matrix is the same in every step; those of the last two matrices are kept.

    References
    ----------
    W. Feng et al., "Graph Random Neural Network for Semi-Supervised Learning on Graphs", arXiv:2005.11079.

    Examples
    --------
    >>> import nearhop, numpy as np
    >>> from nearhop.gnn.nodes import as_features, normalized_adjacency
    >>> from nearhop.gnn.nodes.models import GRAND
    >>> ring = nearhop.GraphStore.from_edges([0, 1, 2, 3], [1, 2, 3, 0])
    >>> tuple(GRAND(4, 16, 3)(as_features(np.eye(4)), normalized_adjacency(ring)).shape)
    (4, 3)
    """

    def __init__(
        self,
        num_features: int,
        hidden: int,
        num_classes: int,
        *,
        order: int = 8,
        drop_node: float = 0.5,
        input_dropout: float = 0.5,
        hidden_dropout: float = 0.5,
        batch_norm: bool = False,
        compat: str | None = None,
    ) -> None:
        super().__init__()
        check_sizes(num_features=num_features, hidden=hidden, num_classes=num_classes)
        integer("order", order, 0)
        check_shares(drop_node=drop_node, input_dropout=input_dropout, hidden_dropout=hidden_dropout)
        if compat not in (None, "released"):
            raise InvalidInput(f'compat must be "released" or None; got {compat!r}')
        self.order, self.drop_node, self.compat = order, drop_node, compat
        self.input_dropout, self.hidden_dropout = input_dropout, hidden_dropout
        self.first, self.last = FeatureLinear(num_features, hidden), FeatureLinear(hidden, num_classes)
        self.norms = nn.ModuleList([nn.BatchNorm1d(num_features), nn.BatchNorm1d(hidden)] if batch_norm else [])
        self._spreads: list[tuple[Features, Matrix, int, Tensor]] = []

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_spreads": []}

    def forward(self, x: Features, adjacency: Matrix) -> Tensor:
        """Scores (n, num_classes)."""
        if self.norms or (self.training and self.input_dropout > 0):
            spread: Features = self._spread(x, adjacency)
            if self.norms:
                spread = self.norms[0](spread)
            h = self.first(drop_features(spread, self.input_dropout, self.training))
        else:
            h = mean_of_powers(self._dropped(x) @ self.first.weight, adjacency, self.order)
            h = h if self.first.bias is None else h + self.first.bias
        h = torch.relu(h)
        if self.norms:
            h = self.norms[1](h)
        found: Tensor = self.last(dropout(h, self.hidden_dropout, self.training))
        return found

    def _dropped(self, x: Features) -> Features:
        scale = 1 - self.drop_node if self.compat else 1.0
        return drop_rows(x, self.drop_node if self.training else 0.0, scale)

    def _spread(self, x: Features, adjacency: Matrix) -> Tensor:
        """The mean of powers of all columns; where no row is dropped, made once per matrix."""
        if self.training and self.drop_node > 0:
            return mean_of_powers(_dense(self._dropped(x)), adjacency, self.order)
        version = x._version if isinstance(x, Tensor) else 0
        for features, known, at, spread in self._spreads:
            if features is x and known is adjacency and at == version:
                return spread
        made = mean_of_powers(_dense(self._dropped(x)), adjacency, self.order)
        if not made.requires_grad:
            self._spreads = [*self._spreads[-1:], (x, adjacency, version, made)]
        return made


def mean_of_powers(h: Tensor, adjacency: Matrix, order: int) -> Tensor:
    """(H + P H + ... + P^order H) / (order + 1).

    Of wide matrices of few rows a few columns go through all powers at once, while they are in cache.
    """
    fits = h.shape[0] <= _MOST_ROWS and h.shape[1] >= _FEWEST_COLUMNS
    if fits and order > 1 and h.device.type == "cpu" and h.dtype == torch.float32:
        made: Tensor = _MeanOfPowers.apply(h, adjacency, order)
        return made
    total = h
    for _ in range(order):
        h = adjacency @ h
        total = total + h
    return total / (order + 1)


class _MeanOfPowers(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, h: Tensor, adjacency: Matrix, order: int) -> Tensor:
        context.options = adjacency, order
        return _by_columns(h, adjacency.matrix, order)

    @staticmethod
    @once_differentiable
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        adjacency, order = context.options
        return _by_columns(gradients[0], adjacency.transpose, order), None, None


def _by_columns(h: Tensor, m: CSR, order: int) -> Tensor:
    from . import grand_cpu as kernels

    given = h.detach().contiguous()
    out = torch.empty_like(given)
    with threads_in_use(kernel_threads()):
        kernels.mean_of_powers((m.indptr, m.indices), float_values(m), given.numpy(), order, out.numpy())
    return out


def drop_rows(x: Features, p: float, scale: float = 1.0) -> Features:
    """Whole rows set to zero with probability p, the others multiplied by scale / (1 - p)."""
    if p == 0 and scale == 1:
        return x
    rows = shape_of(x)[0]
    kept = torch.rand(rows) >= p if p else torch.ones(rows)
    factors = kept.float() * (scale / (1 - p))
    if not isinstance(x, SparseTensor):
        return x * factors.to(x.device).unsqueeze(1)
    m, t = x.matrix, x.transpose
    scales = factors.numpy()
    values = [np.ones(part.num_entries, np.float32) if part.values is None else part.values for part in (m, t)]
    by_row = values[0] * np.repeat(scales, np.diff(m.indptr))
    return SparseTensor(
        CSR(m.indptr, m.indices, by_row, m.num_cols),
        CSR(t.indptr, t.indices, values[1] * scales[t.indices], t.num_cols),
    )


def _dense(x: Features) -> Tensor:
    return torch.from_numpy(x.matrix.to_scipy().toarray()) if isinstance(x, SparseTensor) else x
