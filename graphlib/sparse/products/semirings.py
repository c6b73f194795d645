"""Semirings: how products of a sparse multiplication are made and merged, and which dtypes they allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...checks import as_dtype
from ...errors import InvalidInput, InvalidType

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from ..csr import CSR

PLUS_TIMES, PLUS_PAIR, ANY_PAIR, MAX_TIMES, MIN_PLUS = range(5)
CODES = {
    "plus_times": PLUS_TIMES,
    "plus_pair": PLUS_PAIR,
    "any_pair": ANY_PAIR,
    "max_times": MAX_TIMES,
    "min_plus": MIN_PLUS,
}
_SUMS = (PLUS_TIMES, PLUS_PAIR)
_DTYPES = tuple(np.dtype(t) for t in (np.float32, np.float64, np.int32, np.int64))


def semiring_code(owner: str, name: Any) -> int:
    """The kernels' number of a semiring, or an error that lists them."""
    if name not in CODES:
        raise InvalidInput(f"{owner}: semiring must be one of {', '.join(CODES)}; got {name!r}")
    return CODES[name]


def result_dtype(owner: str, semiring: int, A: CSR, B: CSR, asked: DTypeLike | None) -> np.dtype[Any] | None:
    """The dtype of a product's values: None for `any_pair`, int32 counts for `plus_pair`, else what the values need."""
    if semiring == ANY_PAIR:
        if asked is not None and as_dtype(owner, asked).kind != "b":
            raise InvalidType(f"{owner}: any_pair gives a pattern without values; dtype must be None, got {asked!r}")
        return None
    if asked is not None:
        dtype = as_dtype(owner, asked)
        if dtype not in _DTYPES:
            raise InvalidType(f"{owner}: dtype must be float32, float64, int32 or int64; got {dtype}")
        values = [m.values for m in (A, B) if m.values is not None]
        if semiring != PLUS_PAIR and dtype.kind == "i" and any(v.dtype.kind == "f" for v in values):
            raise InvalidType(
                f"{owner}: the values are floating point, which dtype {dtype} cannot hold; ask for float64"
            )
        return dtype
    if semiring == PLUS_PAIR:
        return np.dtype(np.int32)
    kinds = [m.values.dtype for m in (A, B) if m.values is not None]
    if not kinds:
        return np.dtype(np.float32)
    if all(k.kind in "iub" for k in kinds):
        return np.dtype(np.int64)
    wide = any(k == np.float64 or (k.kind in "iu" and k.itemsize > 2) for k in kinds)
    return np.dtype(np.float64 if wide else np.float32)


def check_range(owner: str, semiring: int, A: CSR, B: CSR, dtype: np.dtype[Any] | None) -> None:
    """Refuse integer products whose entries could leave the dtype's range.

    The bound is the largest sum of |a| over a row of A, times the largest |b|: no entry can pass it.
    """
    if dtype is None or dtype.kind != "i":
        return
    most = np.iinfo(dtype).max
    if semiring == PLUS_PAIR:
        bound = int(np.diff(A.indptr).max(initial=0))
    else:
        large = _largest(A), _largest(B)
        if semiring == MIN_PLUS:
            bound = large[0] + large[1]
        elif semiring in _SUMS:
            bound = _largest_row_sum(A) * large[1]
        else:
            bound = large[0] * large[1]
        bound = max(bound, *large)
    if bound > most:
        wider = "int64 or float64" if dtype == np.int32 else "float64"
        raise InvalidInput(f"{owner}: entries could reach {bound:,}, above {dtype}'s {most:,}; ask for dtype {wider}")


def _largest(m: CSR) -> int:
    if m.values is None:
        return 1
    return max(abs(int(m.values.max(initial=0))), abs(int(m.values.min(initial=0))))


def _largest_row_sum(m: CSR) -> int:
    longest = int(np.diff(m.indptr).max(initial=0))
    quick = longest * _largest(m)
    if m.values is None or quick < 1 << 31 or m.num_entries == 0:
        return quick
    sums = np.zeros(m.num_rows)
    rows = np.flatnonzero(np.diff(m.indptr))
    sums[rows] = np.add.reduceat(np.abs(m.values.astype(np.float64)), m.indptr[rows])
    return min(quick, int(sums.max() * (1 + 1e-9)) + 1)
