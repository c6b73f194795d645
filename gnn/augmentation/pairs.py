"""What a generator reads: a feature column by rows, and edges as pairs of rows; neither is copied out."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...graphlib.errors import InvalidInput
from ..nodes.features import Features, as_features, shape_of
from ..sparse.sparse_tensor import SparseTensor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ...graphlib.sparse.csr import CSR
    from ...graphlib.store.store import GraphStore


def column_of(store: GraphStore, column: str, decoder: str) -> Features:
    """A node column (n, F) as it is, sparse where it has few entries, fit for the decoder."""
    if column not in store.nodes:
        raise InvalidInput(
            f"the store has no node column {column!r}; it has {', '.join(sorted(store.nodes)) or 'none'}"
        )
    x = as_features(store.nodes[column], normalize=None)
    values: Any = x.matrix.values if isinstance(x, SparseTensor) else x.numpy()
    low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
    if decoder == "bernoulli" and (low < 0 or high > 1):
        raise InvalidInput(
            f'decoder="bernoulli" generates features in [0, 1]; those of column {column!r} are in [{low:g}, {high:g}]. '
            'Take decoder="gaussian", or scale the column'
        )
    return x


def fingerprint(x: Features) -> str:
    """Of shape and content: another column has another."""
    digest = hashlib.blake2b(repr(shape_of(x)).encode(), digest_size=16)
    if isinstance(x, SparseTensor):
        m = x.matrix
        values = np.ones(m.num_entries, np.float32) if m.values is None else m.values
        parts: Mapping[str, Any] = {"indptr": m.indptr, "indices": m.indices.astype(np.int64), "values": values}
    else:
        parts = {"dense": x.numpy()}
    for name, part in parts.items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(part).data.cast("B") if part.size else b"")
    return digest.hexdigest()


class Pairs:
    """Directed edges (v, u) without repeats and loops: u's features are the target, v's the condition.

    Parameters
    ----------
    x : SparseTensor or Tensor (n, F)
    neighbors : CSR
    """

    def __init__(self, x: Features, neighbors: CSR) -> None:
        self.x = x
        self._rows = x.matrix.to_scipy() if isinstance(x, SparseTensor) else None
        self.condition = np.repeat(np.arange(neighbors.num_rows), np.diff(neighbors.indptr))
        self.target = neighbors.indices
        if not self.target.shape[0]:
            raise InvalidInput("the graph has no edges between different nodes; there is nothing to learn from")

    def __len__(self) -> int:
        return int(self.target.shape[0])

    def rows(self, nodes: NDArray[Any]) -> Tensor:
        """Dense rows (k, F) of some nodes."""
        if self._rows is None:
            dense: Tensor = self.x[torch.from_numpy(nodes.astype(np.int64))]  # type: ignore[index]
            return dense
        return torch.from_numpy(self._rows[nodes].toarray())
