"""Which neighbours two nodes share: lists for pairs, as rows of a sparse matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidInput
from .csr import CSR, as_csr
from .pairs import as_sets
from .products.run import unsigned
from .products.spgemm import as_pairs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def shared_neighbors(A: Any, src: ArrayLike, dst: ArrayLike, *, B: Any = None, threads: int | None = None) -> CSR:
    """For every pair the columns that row `src` of A and row `dst` of B have in common.

    Parameters
    ----------
    A : Adjacency, CSR or SciPy CSR matrix
    src, dst : int array (m,)
    B : Adjacency, CSR or SciPy CSR matrix, optional
        Default A.
    threads : int, optional

    Returns
    -------
    CSR (m, columns)
        A pattern; row p belongs to pair p. Its product with a matrix of node states pools them over common neighbours.

    Notes
    -----
    O(shorter row * log of the longer) per pair, twice: to count and to fill. Repeated columns of a row count once.

    Examples
    --------
    >>> import nearhop
    >>> square = nearhop.GraphStore.from_edges([0, 1, 2, 3], [1, 2, 3, 0]).csr()
    >>> shared_neighbors(square, [0, 0], [2, 1]).row(0)[0].tolist()
    [1, 3]
    """
    from ..compute.jit import threads_in_use
    from . import intersect_cpu as kernels

    left = as_sets(as_csr("shared_neighbors: A", A), False)
    right = left if B is None or B is A else as_sets(as_csr("shared_neighbors: B", B), False)
    if left.num_cols != right.num_cols:
        raise InvalidInput(f"shared_neighbors: A has {left.num_cols} columns and B {right.num_cols}; they must agree")
    u, v = as_pairs("shared_neighbors", src, dst, (left.num_rows, right.num_rows))
    offsets = np.zeros(u.shape[0] + 1, np.int64)
    sides = (left.indptr, unsigned(left.indices), right.indptr, unsigned(right.indices), u, v)
    with threads_in_use(threads):
        kernels.shared(*sides, offsets, np.empty(0, left.indices.dtype))
        np.cumsum(offsets, out=offsets)
        found = np.empty(int(offsets[-1]), left.indices.dtype)
        if found.shape[0]:
            kernels.shared(*sides, offsets, found)
    return CSR(offsets, found, None, left.num_cols)
