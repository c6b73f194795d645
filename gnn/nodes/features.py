"""Features as models read them: sparse or dense, constant in training, dropped and multiplied without a dense copy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ...graphlib.errors import InvalidInput
from ...graphlib.sparse.csr import CSR
from ..sparse.sparse_tensor import SparseTensor, dropped, features_of, real_matrix
from .dropout import dropout

if TYPE_CHECKING:
    from numpy.typing import NDArray

Features = SparseTensor | Tensor
DENSE = 0.25  # share of entries that are not zero above which a matrix is kept dense


def as_features(given: Any, *, normalize: str | None = "rows") -> Features:
    """Features for the models of this room.

    Parameters
    ----------
    given : array (n, F), SciPy sparse matrix, Tensor or SparseTensor
        Such as the node column `store.nodes["x"]`; read, not changed.
    normalize : {"rows", None}, default "rows"
        Divide every row by its sum; rows that sum to zero stay.

    Returns
    -------
    SparseTensor where less than a quarter of the entries is not zero, else a float32 Tensor.

    Raises
    ------
    InvalidType, InvalidInput
        Not a matrix of real numbers, or an entry that is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> x = as_features(np.diag([2.0, 4.0, 0.0, 8.0, 1.0]))
    >>> type(x).__name__, x.matrix.values.tolist()
    ('SparseTensor', [1.0, 1.0, 1.0, 1.0])
    """
    if normalize not in ("rows", None):
        raise InvalidInput(f'normalize must be "rows" or None; got {normalize!r}')
    made = _read(given)
    if isinstance(made, CSR):
        values = made.values if made.values is not None else np.ones(made.num_entries, np.float32)
        _check_finite(values)
        rows = np.repeat(np.arange(made.num_rows), np.diff(made.indptr))
        if normalize:
            sums = np.bincount(rows, weights=values, minlength=made.num_rows)
            values = (values * _inverse(sums)[rows]).astype(np.float32)
        found = CSR(made.indptr, made.indices, values, made.num_cols)
        if made.num_entries < DENSE * made.num_rows * made.num_cols:
            return SparseTensor(found)
        return torch.from_numpy(found.to_scipy().toarray().astype(np.float32, copy=False))
    _check_finite(made)
    if normalize:
        made = (made * _inverse(made.sum(1, dtype=np.float64))[:, None]).astype(np.float32)
    return torch.from_numpy(made)


def _read(given: Any) -> CSR | NDArray[Any]:
    if isinstance(given, SparseTensor):
        return given.matrix
    array = real_matrix(given)
    if hasattr(array, "tocsr") or np.count_nonzero(array) < DENSE * array.size:
        return features_of(array)
    return np.array(array, np.float32, order="C")


def _check_finite(values: NDArray[Any]) -> None:
    if not np.isfinite(values).all():
        raise InvalidInput("features must be finite; some are NaN or infinite")


def _inverse(sums: NDArray[Any]) -> NDArray[Any]:
    return np.divide(1.0, sums, out=np.zeros_like(sums, dtype=np.float64), where=sums != 0)


def shape_of(x: Features) -> tuple[int, int]:
    """(n, F)."""
    if isinstance(x, SparseTensor):
        return x.matrix.num_rows, x.matrix.num_cols
    return int(x.shape[0]), int(x.shape[1])


def drop_features(x: Features, p: float, training: bool) -> Features:
    """Dropout of the entries, drawn from torch's generator.

    Of a dense matrix it is `gnn.nodes.dropout.dropout`.

    >>> import torch
    >>> x = drop_features(torch.ones(100, 100), 0.5, True)
    >>> sorted(set(x.flatten().tolist())), 0.4 < x.mean().item() / 2 < 0.6
    ([0.0, 2.0], True)
    """
    if not training or p == 0:
        return x
    if isinstance(x, SparseTensor):
        return dropped(x, p, None)
    if hasattr(x, "dropped"):
        found: Features = x.dropped(p)
        return found
    return dropout(x, p, True)


class FeatureLinear(nn.Module):
    """x W + b of sparse or dense features, W uniform after Glorot and Bengio.

    Parameters
    ----------
    num_features, width : int
    bias : bool, default True

    Examples
    --------
    >>> import numpy as np
    >>> tuple(FeatureLinear(5, 3)(as_features(np.eye(5))).shape)
    (5, 3)
    """

    def __init__(self, num_features: int, width: int, *, bias: bool = True) -> None:
        super().__init__()
        bound = math.sqrt(6.0 / (num_features + width))
        self.weight = nn.Parameter(torch.empty(num_features, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None

    def forward(self, x: Features) -> Tensor:
        found: Tensor = x @ self.weight
        return found if self.bias is None else found + self.bias
