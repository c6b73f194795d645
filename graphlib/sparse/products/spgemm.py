"""Sparse times sparse: products of adjacency matrices over semirings, masked, with the best k of every row."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...checks import unmasked
from ...errors import InvalidInput, InvalidType
from ...scalars import is_finite, is_integer
from ...store.adjacency import id_dtype
from ..csr import CSR, as_csr, rows_sorted, transposed, with_sorted_rows
from .plan import ProductEstimate, make_plan, row_products
from .semirings import PLUS_TIMES, check_range, result_dtype, semiring_code

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

    from ...store.adjacency import Adjacency

    Matrix = Adjacency | CSR | Any

_OWNER = "spgemm"
_WIDE = 1 << 20


def spgemm(
    A: Matrix,
    B: Matrix,
    *,
    semiring: str = "plus_times",
    mask: Matrix | tuple[Any, Any] | None = None,
    complement: bool = False,
    top_k: int | None = None,
    threshold: float | None = None,
    sorted: bool = True,
    symmetric: bool = False,
    dtype: DTypeLike | None = None,
    out: str | Path | None = None,
    threads: int | None = None,
) -> CSR:
    """`A @ B` of two sparse matrices.

    Parameters
    ----------
    A, B : Adjacency, CSR or SciPy CSR matrix
        Parallel entries add up. Matrices without values count every entry 1.
    semiring : str, default "plus_times"
        How products are made and merged: "plus_times", "plus_pair" (the number of products: common neighbours),
        "any_pair" (where there is any: a pattern), "max_times", "min_plus" (shortest two-step paths).
    mask : Adjacency, CSR, SciPy CSR matrix, or (rows, columns), optional
        Only entries at its places are computed; its values do not matter. Pairs may repeat and come in any order.
    complement : bool, default False
        Compute the entries outside the mask instead.
    top_k : int >= 1, optional
        Keep the entries of highest value of every row, of lowest value for "min_plus"; the lower column wins a tie.
        They are chosen while the row is in the cache, and no other entry is written.
    threshold : float, optional
        Keep entries of at least this value; for "min_plus", of at most this value.
    sorted : bool, default True
        Order every row by column. Without it rows come in the order of their products, which saves up to half the time.
    symmetric : bool, default False
        You know the product to be symmetric (A A of an undirected graph, A A^T): the upper triangle alone is computed,
        and mirrored. Rows come sorted. Not with a mask, `top_k` or `out`.
    dtype : float32, float64, int32 or int64, optional
        Of sums and result. By default int32 for "plus_pair", int64 for integers, float64 where a value is float64 or a
        wide integer, else float32.
    out : path, optional
        A new folder for the result: rows are written there block by block, and the CSR that comes back is mapped from
        it. `open_product` opens it again. The result may be larger than memory.
    threads : int, optional
        All cores by default.

    Returns
    -------
    CSR
        Entries are stored where there is a product, also when their value is 0.

    Raises
    ------
    InvalidInput, InvalidType
        Shapes that do not fit, a mask of another shape, pairs outside the matrix, a semiring that does not fit the
        dtype, integer sums that could overflow.

    Notes
    -----
    Time is proportional to the number of products, `estimate(A, B).products`. Every row is summed by one thread in the
    order of A's row, so the result has the same bits at any thread count. Beside the result, which
    one thread writes in place, each thread has at most three times 4 MiB of output in work (or three rows, where these
    are longer), 12 to 20 bytes per column, and space for its longest row. With a mask that keeps, the products of a
    row are read but only its places are written; where that is cheaper, rows of A are intersected with columns of B.

    References
    ----------
    F. Gustavson, "Two fast algorithms for sparse matrices", ACM TOMS 4(3), 1978, doi:10.1145/355791.355796;
    K. Shivdikar, "SMASH: sparse matrix atomic scratchpad hashing", arXiv:2105.14156 (the hash accumulator and tokens
    for work; here hash tables serve only where they win, rows are not shared between threads).

    Examples
    --------
    >>> import nearhop
    >>> path = nearhop.GraphStore.from_edges([0, 1, 2], [1, 2, 3]).csr()
    >>> spgemm(path, path, semiring="plus_pair").to_scipy().toarray().tolist()
    [[1, 0, 1, 0], [0, 2, 0, 1], [1, 0, 2, 0], [0, 1, 0, 1]]
    >>> spgemm(path, path, mask=([0, 3], [2, 0])).to_scipy().nnz  # one path from 0 to 2, none from 3 to 0
    1
    """
    job = _prepare(A, B, semiring, mask, complement, top_k, threshold, dtype, symmetric)
    if symmetric and out is not None:
        raise InvalidInput(f"{_OWNER}: symmetric products are mirrored in memory; leave out= or symmetric= out")
    from ...compute.jit import threads_in_use
    from ..intersect import masked_by_intersection
    from . import run

    with threads_in_use(threads) as count:
        if job.top_k == 0 and job.threshold is None and out is None:
            at_mask = masked_by_intersection(job, count)
            if at_mask is not None:
                return job.finished(at_mask)
        found = run.multiply(job, sorted or symmetric, symmetric, count, out)
        if out is not None:
            return found
        return run.mirrored(found, count) if symmetric else job.finished(found)


def estimate(
    A: Matrix,
    B: Matrix,
    *,
    semiring: str = "plus_times",
    mask: Matrix | tuple[Any, Any] | None = None,
    complement: bool = False,
    top_k: int | None = None,
    dtype: DTypeLike | None = None,
    threads: int | None = None,
) -> ProductEstimate:
    """Upper bounds of what `spgemm` with the same arguments takes; O(entries of A) time.

    Examples
    --------
    >>> import nearhop
    >>> path = nearhop.GraphStore.from_edges([0, 1, 2], [1, 2, 3]).csr()
    >>> estimate(path, path).products
    10
    """
    from ...compute.jit import threads_in_use

    job = _prepare(A, B, semiring, mask, complement, top_k, None, dtype, False)
    with threads_in_use(threads) as count:
        return make_plan(job, count).estimate()


@dataclass(frozen=True, eq=False)
class Job:
    """A product whose arguments were checked."""

    A: CSR
    B: CSR
    mask: CSR | None
    complement: bool
    semiring: int
    dtype: np.dtype[Any] | None
    top_k: int
    threshold: float | None
    columns: NDArray[Any] | None = None  # where B's columns were renumbered: their own numbers, rising
    num_cols: int = 0

    @functools.cached_property
    def products(self) -> NDArray[np.int64]:
        """How many products each row is the sum of; first asked for inside `threads_in_use`."""
        return row_products(self.A, self.B)

    def finished(self, found: CSR) -> CSR:
        """With the columns that the user knows."""
        if self.columns is None:
            return found
        indices = self.columns[found.indices].astype(id_dtype(self.num_cols), copy=False)
        return CSR(found.indptr, indices, found.values, self.num_cols)


def _prepare(
    A: Matrix,
    B: Matrix,
    semiring: str,
    mask: Any,
    complement: bool,
    top_k: int | None,
    threshold: float | None,
    dtype: DTypeLike | None,
    symmetric: bool,
) -> Job:
    same = A is B
    left = as_csr(f"{_OWNER}: A", A)
    right = left if same else as_csr(f"{_OWNER}: B", B)
    if left.num_cols != right.num_rows:
        raise InvalidInput(
            f"{_OWNER}: A is {left.num_rows} x {left.num_cols} and B is {right.num_rows} x {right.num_cols}; "
            "A needs as many columns as B has rows"
        )
    code = semiring_code(_OWNER, semiring)
    if code == PLUS_TIMES and left.values is None and right.values is None and dtype is None:
        dtype = np.float32
    kind = result_dtype(_OWNER, code, left, right, dtype)
    check_range(_OWNER, code, left, right, kind)
    if complement and mask is None:
        raise InvalidInput(f"{_OWNER}: complement=True needs a mask to stay outside of")
    if top_k is not None and (not is_integer(top_k) or top_k < 1):
        raise InvalidInput(f"{_OWNER}: top_k must be an integer >= 1 or None; got {top_k!r}")
    if threshold is not None and not is_finite(threshold):
        raise InvalidInput(f"{_OWNER}: threshold must be a finite number or None; got {threshold!r}")
    if kind is None and (top_k is not None or threshold is not None):
        raise InvalidInput(
            f"{_OWNER}: any_pair gives no values to choose by; top_k and threshold need another semiring"
        )
    shape = (left.num_rows, right.num_cols)
    if symmetric:
        if shape[0] != shape[1]:
            raise InvalidInput(f"{_OWNER}: a symmetric product is square; this one is {shape[0]} x {shape[1]}")
        if mask is not None or top_k is not None:
            raise InvalidInput(f"{_OWNER}: symmetric=True goes neither with a mask nor with top_k")
        if not rows_sorted(right):
            right = with_sorted_rows(right)
    allowed = None
    if mask is A and left.num_cols == shape[1]:  # is checked already
        allowed = CSR(left.indptr, left.indices, None, left.num_cols)
    elif mask is not None:
        allowed = _as_mask(mask, shape)
    job = Job(left, right, allowed, complement, code, kind, int(top_k or 0), threshold)
    return _narrowed(job) if right.num_cols > _WIDE + 4 * right.num_entries and not symmetric else job


def _narrowed(job: Job) -> Job:
    """The same product with the columns of B renumbered: working memory grows with columns, and most are empty."""
    columns, numbers = np.unique(job.B.indices, return_inverse=True)
    kind = id_dtype(columns.shape[0])
    B = CSR(job.B.indptr, numbers.astype(kind), job.B.values, columns.shape[0])
    mask = job.mask
    if mask is not None:
        at = np.searchsorted(columns, mask.indices)
        known = np.zeros(at.shape[0], bool)
        known[at < columns.shape[0]] = columns[at[at < columns.shape[0]]] == mask.indices[at < columns.shape[0]]
        kept = np.concatenate([[0], np.cumsum(known)])
        mask = CSR(kept[mask.indptr], at[known].astype(kind), None, columns.shape[0])
    return replace(job, B=B, mask=mask, columns=columns, num_cols=job.B.num_cols)


def _as_mask(mask: Any, shape: tuple[int, int]) -> CSR:
    if isinstance(mask, tuple):
        if len(mask) != 2:
            raise InvalidType(f"{_OWNER}: a mask of pairs is (rows, columns); got a tuple of {len(mask)}")
        src, dst = as_pairs(_OWNER, *mask, shape)
        keys = np.unique(src * shape[1] + dst) if shape[0] * shape[1] < 1 << 63 else None
        if keys is None:
            order = np.lexsort((dst, src))
            src, dst = src[order], dst[order]
        else:
            src, dst = keys // max(shape[1], 1), keys % max(shape[1], 1)
        indptr = np.searchsorted(src, np.arange(shape[0] + 1)).astype(np.int64)
        return CSR(indptr, dst.astype(id_dtype(shape[1])), None, shape[1])
    found = as_csr(f"{_OWNER}: mask", mask)
    if (found.num_rows, found.num_cols) != shape:
        raise InvalidInput(
            f"{_OWNER}: the mask is {found.num_rows} x {found.num_cols}, but the product is {shape[0]} x {shape[1]}"
        )
    return CSR(found.indptr, found.indices, None, found.num_cols)


def as_pairs(owner: str, src: Any, dst: Any, shape: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of a matrix as int64 arrays of one length, or an error that names the first one outside."""
    pair: list[NDArray[Any]] = [unmasked(f"{owner}: pairs", ends) for ends in (src, dst)]
    for name, ids, limit in zip(("rows", "columns"), pair, shape, strict=True):
        if ids.size and ids.dtype.kind not in "iu":
            raise InvalidType(f"{owner}: {name} of pairs must be integers; got {ids.dtype}")
        if ids.ndim != 1:
            raise InvalidInput(f"{owner}: {name} of pairs must have one dimension; got shape {ids.shape}")
        outside = (ids < 0) | (ids >= limit)
        if outside.any():
            at = int(np.argmax(outside))
            raise InvalidInput(f"{owner}: pair {at} has {name.removesuffix('s')} {ids[at]}, outside 0..{limit - 1}")
    if pair[0].shape != pair[1].shape:
        raise InvalidInput(f"{owner}: {pair[0].shape[0]} rows and {pair[1].shape[0]} columns do not make pairs")
    return pair[0].astype(np.int64, copy=False), pair[1].astype(np.int64, copy=False)


def transpose(A: Matrix) -> CSR:
    """The transpose of a sparse matrix, rows sorted. O(entries) time.

    Examples
    --------
    >>> import nearhop
    >>> arc = nearhop.GraphStore.from_edges([0], [1], directed=True).csr()
    >>> transpose(arc).indptr.tolist()
    [0, 0, 1]
    """
    return transposed(as_csr("transpose: A", A))
