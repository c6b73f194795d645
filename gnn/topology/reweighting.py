"""Edge re-weighting during training: messages flow along links that the model itself finds likely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...graphlib.errors import InvalidInput
from ...graphlib.scalars import integer, is_finite
from ...graphlib.sparse.csr import CSR

if TYPE_CHECKING:
    from ..links.trainer import TrainedLinks
    from ..sparse.sparse_tensor import SparseTensor

_BATCH = 1 << 14


@dataclass(frozen=True)
class Reweighting:
    """Raise the weight of a node's edges by the model's scores of them, so that concentration grows.

    Every `interval` epochs after `warm_up`, with h the node states and n = Ã h: s_ij is the head's score of (n_i, h_j)
    for every edge of Ã, self-loops included, as a probability; w_ij its softmax over i's edges; and the matrix that
    messages travel along becomes Ã_ij + alpha * w_ij * (sum of row i of Ã).

    Attributes
    ----------
    alpha : float
        Strength.
    interval, warm_up : int
        Epochs.

    Notes
    -----
    The weights are always added to Ã, not to the last ones, and no gradient flows through them, as in the authors'
    code; the paper's formula accumulates them. Links that are scored stay in the matrix, as there;
    `LinkTraining.hide_targets` hides them from the head alone.

    References
    ----------
    Y. Wang et al., arXiv:2310.04612, section 4.

    Examples
    --------
    >>> Reweighting(alpha=2.0, interval=1, warm_up=1).alpha
    2.0
    """

    alpha: float = 1.0
    interval: int = 10
    warm_up: int = 10

    def __post_init__(self) -> None:
        integer("interval", self.interval, 1)
        integer("warm_up", self.warm_up, 0)
        if not is_finite(self.alpha):
            raise InvalidInput(f"alpha must be a finite number; got {self.alpha!r}")

    def matrix(self, epoch: int, trained: TrainedLinks, base: SparseTensor) -> SparseTensor | None:
        """The matrix from this epoch on, or None where it stays as it is."""
        import torch

        from ..sparse.sparse_tensor import SparseTensor as Matrix

        if epoch <= self.warm_up or (epoch - self.warm_up - 1) % self.interval:
            return None
        m = base.matrix
        rows = np.repeat(np.arange(m.num_rows), np.diff(m.indptr))
        trained.encoder.eval()
        trained.head.eval()
        with torch.no_grad():
            h = trained.encoder(trained.features, base)
            both = torch.cat([base @ h, h])  # the head takes pairs of rows of one table
            cols = m.indices.astype(np.int64) + m.num_rows
            none = CSR(np.zeros(both.shape[0] + 1, np.int64), np.empty(0, np.int32), None, both.shape[0])
            scores = [
                trained.head(both, rows[at : at + _BATCH], cols[at : at + _BATCH], none)
                for at in range(0, rows.shape[0], _BATCH)
            ]
            likely = np.exp(torch.sigmoid(torch.cat(scores)).numpy().astype(np.float64))  # in [1, e]: needs no shift
        values = np.ones(m.num_entries, np.float32) if m.values is None else m.values
        share = likely / np.bincount(rows, likely, minlength=m.num_rows)[rows]
        whole = np.bincount(rows, values, minlength=m.num_rows)[rows]
        return Matrix(CSR(m.indptr, m.indices, (values + self.alpha * share * whole).astype(np.float32), m.num_cols))
