"""Sparse matrices that torch can multiply with, on nearhop's kernels: forward by rows, backward by the transpose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...graphlib.checks import kind_of, unmasked
from ...graphlib.errors import InvalidInput, InvalidType
from ...graphlib.sparse.csr import CSR, as_adjacency, transposed
from ...graphlib.sparse.spmm import multiply_into
from ..threads import kernel_threads

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LARGEST = float(np.finfo(np.float32).max)


class SparseTensor:
    """A constant sparse matrix; `matrix @ X` is differentiable in the dense X of floats, summed in float32.

    Parameters
    ----------
    matrix : CSR
        Values are taken as float32; a pattern counts ones.
    transpose : CSR, optional
        Where it is known, such as for a symmetric matrix; made when a gradient is first asked for.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from nearhop.graphlib.sparse import CSR
    >>> half = SparseTensor(CSR(np.array([0, 2]), np.array([0, 1], np.int32), np.array([0.5, 0.5]), 2))
    >>> (half @ torch.tensor([[1.0], [3.0]])).item()
    2.0
    """

    def __init__(self, matrix: CSR, transpose: CSR | None = None) -> None:
        self.matrix = matrix
        self._transpose = transpose

    @property
    def transpose(self) -> CSR:
        if self._transpose is None:
            self._transpose = transposed(self.matrix)
        return self._transpose

    def __matmul__(self, X: Tensor) -> Tensor:
        if not isinstance(X, Tensor) or not X.is_floating_point():
            what = X.dtype if isinstance(X, Tensor) else kind_of(X)
            raise InvalidType(f"a sparse matrix is multiplied with a tensor of floats; got {what}")
        if X.ndim != 2 or X.shape[0] != self.matrix.num_cols:
            raise InvalidInput(
                f"a matrix of {self.matrix.num_rows} rows and {self.matrix.num_cols} columns cannot be multiplied "
                f"with one of shape {tuple(X.shape)}"
            )
        result: Tensor = _Product.apply(self, X)
        return result


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, matrix: SparseTensor, X: Tensor) -> Tensor:
        context.matrix = matrix
        return _multiply(matrix.matrix, X)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        return None, _multiply(context.matrix.transpose, gradients[0])


def float_values(m: CSR) -> NDArray[np.float32]:
    """The values as kernels take them; ones of a pattern."""
    return np.ones(m.num_entries, np.float32) if m.values is None else np.asarray(m.values, np.float32)


def _multiply(m: CSR, X: Tensor) -> Tensor:
    if X.device.type != "cpu":
        return _on_device(m, X)
    given = X.float() if X.dtype == torch.bfloat16 else X  # which NumPy lacks
    dense = np.ascontiguousarray(given.detach().numpy(), np.float32)
    out = np.empty((m.num_rows, dense.shape[1]), np.float32)
    multiply_into(as_adjacency(m), dense, out, threads=kernel_threads())
    return torch.from_numpy(out).to(X.dtype)


def _on_device(m: CSR, X: Tensor) -> Tensor:
    values = np.ones(m.num_entries, np.float32) if m.values is None else m.values.astype(np.float32)
    offsets, columns, entries = (
        torch.from_numpy(np.array(a)).to(X.device) for a in (m.indptr, m.indices.astype(np.int64), values)
    )
    return torch.sparse_csr_tensor(offsets, columns, entries, size=(m.num_rows, m.num_cols)) @ X


def real_matrix(given: Any, what: str = "features") -> Any:
    """A matrix of finite real numbers: a SciPy CSR array where it is sparse, else a NumPy array; a Tensor is taken too.

    Raises
    ------
    InvalidType, InvalidInput
        Text, complex numbers or objects, another number of axes, no columns, masked entries, NaN or infinity.
    """
    is_sparse = hasattr(given, "tocsr")
    made: Any = given.tocsr() if is_sparse else unmasked(what, given)
    if made.ndim != 2 or made.dtype.kind not in "iufb" or not made.shape[1]:
        raise InvalidType(f"{what} must be real numbers (n, F), F at least 1; got {made.dtype} {made.shape}")
    entries = made.data if is_sparse else made
    if entries.dtype.kind == "f" and not (np.abs(entries) <= _LARGEST).all():
        raise InvalidInput(f"{what} must be finite in float32; some are NaN, infinite or too large")
    return made


def features_of(given: Any) -> CSR:
    """A dense (n, F) array of few non-zeros as CSR, float32, for a first layer that reads only those.

    Rows are sorted, entries of one place added up. What `real_matrix` refuses is refused.

    >>> import numpy as np
    >>> features_of(np.eye(2, dtype=np.uint8)).num_entries
    2
    """
    import scipy.sparse as sp

    matrix = sp.csr_array(real_matrix(given), dtype=np.float32)
    if not matrix.has_canonical_format:  # its arrays may be those that were given
        matrix = matrix.copy()
        matrix.sum_duplicates()
    return CSR(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data, int(matrix.shape[1]))


def dropped(matrix: SparseTensor, share: float, generator: torch.Generator | None) -> SparseTensor:
    """The matrix with every entry set to 0 with probability `share`, the others scaled up.

    Without a generator, torch's own is drawn from.
    """
    m, t = matrix.matrix, matrix.transpose
    keep = torch.rand(m.num_entries, generator=generator).numpy() >= share
    values: NDArray[np.float32] = np.ones(m.num_entries, np.float32) if m.values is None else m.values
    masked = (values * keep / (1.0 - share)).astype(np.float32)
    if not hasattr(matrix, "order"):  # where every entry of the transpose stands in the matrix
        numbered = CSR(m.indptr, m.indices, np.arange(m.num_entries), m.num_cols)
        matrix.order = transposed(numbered).values  # type: ignore[attr-defined]
    order = matrix.order  # type: ignore[attr-defined]
    return SparseTensor(
        CSR(m.indptr, m.indices, masked, m.num_cols), CSR(t.indptr, t.indices, masked[order], t.num_cols)
    )
