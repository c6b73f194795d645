"""Numbers by which one tells whether edges or a column are still those that something was computed from."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..store.adjacency import Adjacency

_PART = 1 << 28  # bytes of a column that is not contiguous, copied at a time


def of_rows(rows: Adjacency, *, threads: int | None = None) -> str:
    """A fingerprint of an adjacency: its offsets, neighbours and weights; 16 hexadecimal digits.

    Examples
    --------
    >>> import nearhop
    >>> from nearhop.graphlib.compute.fingerprint import of_rows
    >>> one, other = (nearhop.GraphStore.from_edges(ends, [2, 2]) for ends in ([0, 1], [1, 0]))
    >>> of_rows(one.csr()) == of_rows(other.csr())  # the order of edges does not count
    True
    """
    parts = [of_array(a, threads=threads) for a in (rows.indptr, rows.indices, rows.weight) if a is not None]
    return hashlib.blake2b(" ".join(parts).encode(), digest_size=8).hexdigest()


def of_array(array: NDArray[Any], *, threads: int | None = None) -> str:
    """A fingerprint of the values, dtype and shape of an array of numbers, read once and at the speed of memory."""
    sums = [str(array.dtype), str(array.shape)]
    if array.flags.c_contiguous:
        parts = [array]
    else:
        step = max(1, _PART // max(1, array[:1].nbytes))
        parts = [np.ascontiguousarray(array[at : at + step]) for at in range(0, array.shape[0], step)]
    sums += [_sum(part, threads) for part in parts]
    return hashlib.blake2b(" ".join(sums).encode(), digest_size=8).hexdigest()


def _sum(array: NDArray[Any], threads: int | None) -> str:
    from . import fingerprint_cpu as kernels
    from .jit import plain_view, threads_in_use

    flat = plain_view(array).reshape(-1).view(np.uint8)
    whole = flat.shape[0] // 8 * 8
    words = flat[:whole].view(np.uint64)
    if not words.flags.aligned:
        words = words.copy()
    sums = np.zeros(-(-words.shape[0] // kernels.BLOCK), np.uint64)
    with threads_in_use(threads):
        kernels.mixed_sums(words, sums)
    tail = flat[whole:].tobytes().hex()
    return hashlib.blake2b(sums.tobytes(), digest_size=16).hexdigest() + tail
