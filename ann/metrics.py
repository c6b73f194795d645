"""Metrics by name, and the checks every index makes on the vectors it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.checks import unmasked
from ..graphlib.compute.jit import plain_view
from ..graphlib.errors import IndexMismatch, InvalidInput, InvalidType
from ..graphlib.scalars import integer
from .distances.numbers import ABSENT as ABSENT
from .distances.numbers import COSINE as COSINE
from .distances.numbers import HAMMING as HAMMING
from .distances.numbers import IP as IP
from .distances.numbers import L2 as L2
from .distances.numbers import NAMES as NAMES

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_FEW_VALUES = 1 << 18
_WORD = 8
WIDEST = 2.0**40  # for cosine, longer rows, and those shorter than its inverse, are brought near length 1
_NO_SCALE = np.ones(1, np.float32)


def metric_code(metric: str, *, bits: bool = False) -> int:
    """The kernels' number of "l2" (squared), "ip" (1 - dot), "cosine" (1 - cos); with `bits`, also of "hamming".

    >>> metric_code("cosine")
    2
    """
    names = NAMES if bits else NAMES[:HAMMING]
    if not isinstance(metric, str) or metric not in names:
        raise InvalidInput(f"metric must be one of {', '.join(map(repr, names))}; got {metric!r}")
    return NAMES.index(metric)


def check_vectors(where: str, given: ArrayLike, *, dim: int | None, what: str = "vectors") -> NDArray[np.float32]:
    """`given` as a finite, row-contiguous float32 matrix of width `dim`; copied only where it is not one already."""
    array: NDArray[Any] = unmasked(f"{where}: {what}", given)
    if array.dtype.kind not in "biuf":
        raise InvalidType(f"{where}: {what} must hold real numbers; got dtype {array.dtype}")
    if array.ndim != 2:
        raise InvalidInput(f"{where}: {what} must have shape (rows, dim); got {array.shape}")
    if dim is not None and array.shape[1] != dim:
        raise IndexMismatch(
            f"{where}: {what} have width {array.shape[1]} but the index has dim {dim}; was it built on other vectors?"
        )
    if array.shape[1] == 0:
        raise InvalidInput(f"{where}: {what} must have at least one column; got shape {array.shape}")
    if array.dtype == np.float32:
        rows = np.ascontiguousarray(array)
    else:
        with np.errstate(over="ignore"):  # a float64 too large for float32 becomes inf, which is refused below
            rows = np.ascontiguousarray(array, dtype=np.float32)
    check_finite(where, rows, what)
    return rows


def check_rows(where: str, given: ArrayLike, metric: int, *, dim: int | None, what: str = "vectors") -> NDArray[Any]:
    """Rows as an index of that metric takes them: float32, or for "hamming" bits packed in bytes."""
    if metric != HAMMING:
        return check_vectors(where, given, dim=dim, what=what)
    array: NDArray[Any] = unmasked(f"{where}: {what}", given)
    if array.dtype != np.uint8 or array.ndim != 2:
        raise InvalidType(
            f"{where}: metric 'hamming' takes {what} of packed bits, uint8 (rows, bytes): see numpy.packbits; "
            f"got {array.dtype} {array.shape}"
        )
    if dim is not None and array.shape[1] != dim:
        raise IndexMismatch(
            f"{where}: {what} have {array.shape[1]} bytes a row but the index has {dim}; was it built on other vectors?"
        )
    if array.shape[1] == 0:
        raise InvalidInput(f"{where}: {what} must have at least one column; got shape {array.shape}")
    return np.ascontiguousarray(array)


def check_queries(queries: ArrayLike, k: Any, dim: int | None, metric: int = L2) -> tuple[NDArray[Any], int]:
    """Queries as a checked matrix (one query may be given flat; for cosine, `scaled`) and k as an int."""
    k = check_count("k", k)
    given: NDArray[Any] = unmasked("search: queries", queries)
    if given.ndim == 1 and given.size:
        given = given[None, :]
    elif given.ndim == 1:
        given = np.empty((0, dim or 1), np.uint8 if metric == HAMMING else np.float32)
    return plain_view(scaled(check_rows("search", given, metric, dim=dim, what="queries"), metric)), k


def query_scales(queries: NDArray[Any], metric: int) -> NDArray[np.float32]:
    """One factor per query: 1 / |query| for cosine, else 1."""
    return inverse_norms(queries, metric) if metric == COSINE else np.ones(len(queries), np.float32)


def check_finite(where: str, rows: NDArray[np.float32], what: str = "vectors") -> None:
    """Refuse NaN and inf, naming the first row; reads in blocks, so that no large temporary is made."""
    if rows.size < _FEW_VALUES and np.isfinite(rows).all():
        return
    step = max(1, (1 << 20) // max(1, rows.shape[1]))
    for start in range(0, rows.shape[0], step):
        bad = ~np.isfinite(rows[start : start + step])
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise InvalidInput(
                f"{where}: {what}[{start + row}, {column}] is {rows[start + row, column]}; values must be finite "
                "float32; remove or replace such rows first"
            )


def as_words(rows: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Rows of bytes as rows of 64-bit words, with zero bits behind; copied."""
    words = np.zeros((len(rows), -(-rows.shape[1] // _WORD)), np.uint64)
    words.view(np.uint8)[:, : rows.shape[1]] = rows
    return words


def inverse_norms(rows: NDArray[Any], metric: int) -> NDArray[np.float32]:
    """1 / |row| for cosine (0 for a zero row, whose cosine distance is then 1 to everything); a dummy otherwise.

    Rows should be `scaled`: 1 / |row| may be infinite, and products with the row too small or too large for float32.
    """
    if metric != COSINE:
        return _NO_SCALE
    from .distances import distances_cpu as kernels

    scale = np.empty(rows.shape[0], np.float32)
    few = rows.size < _FEW_VALUES
    (kernels.inverse_norms_of_few if few else kernels.inverse_norms)(rows, scale)
    return scale


def scaled(rows: NDArray[Any], metric: int, most: float = WIDEST) -> NDArray[Any]:
    """The rows, and for cosine those longer than `most` or shorter than its inverse times a power of two, in a copy.

    Neither products of the rows nor 1 / |row| then leave the range of float32, and no cosine changes.

    >>> scaled(np.array([[3, 4], [3 * 2.0**-132, 2.0**-130]], np.float32), COSINE).tolist()
    [[3.0, 4.0], [0.375, 0.5]]
    """
    if metric != COSINE:
        return rows
    scale = inverse_norms(rows, COSINE)
    beyond = np.flatnonzero((scale > most) | ((scale < 1 / most) & (scale > 0)))
    if len(beyond):
        rows = rows.copy()
        _, exponents = np.frexp(np.abs(rows[beyond]).max(axis=1))
        rows[beyond] = np.ldexp(rows[beyond], -exponents[:, None])
    return rows


def unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """A copy in which rows have length 1, or 0."""
    rows = scaled(rows, COSINE)
    return rows * inverse_norms(rows, COSINE)[:, None]


def check_count(name: str, value: Any, *, low: int = 1, high: int | None = None) -> int:
    """An integer parameter within its range."""
    return integer(name, value, low, high)
