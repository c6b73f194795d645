"""Layers with initial residual and identity mapping: what stands between their two products, in one pass each.

Products with the maps may come as halves of float32 (bfloat16, given as uint16); a row of them is widened in cache.
"""

from __future__ import annotations

import numba
import numpy as np

from ....graphlib.compute.jit import kernel, parallel_kernel
from ..dropout_cpu import word_of

_S32, _HALF = np.uint64(32), np.uint32(16)
_ROWS = 64  # of one turn


@parallel_kernel
def blend(adjacency, values, x, start, alpha, out):
    """`out = (1 - alpha) A x + alpha start`; adjacency is (indptr, indices)."""
    indptr, indices = adjacency
    rest = np.float32(1) - np.float32(alpha)
    for turn in numba.prange((out.shape[0] + _ROWS - 1) // _ROWS):
        for i in range(turn * _ROWS, min(out.shape[0], (turn + 1) * _ROWS)):
            to, first = out[i], start[i]
            for j in range(to.shape[0]):
                to[j] = np.float32(alpha) * first[j]
            for e in range(indptr[i], indptr[i + 1]):
                weight, other = rest * values[e], x[indices[e]]
                for j in range(to.shape[0]):
                    to[j] += weight * other[j]


@kernel(forceinline=True)
def _widen(part, words):
    for j in range(part.shape[0]):
        words[j] = np.uint32(part[j]) << _HALF


@kernel(forceinline=True)
def _activate(support, mapped, near, draws, scale, to, kept):
    """One row; `draws` is the row's key and the threshold below which an entry is dropped.

    What is not a number stays, so that it is seen.
    """
    rest, low = np.float32(1) - near, np.float32(0)
    for j in range(to.shape[0]):
        made = rest * support[j] + near * mapped[j]
        stays = not made <= low and (word_of(draws[0], j) >> _S32) >= draws[1]
        to[j] = scale * made if stays else low
        kept[j] = stays


@kernel(forceinline=True)
def _activate_all(support, mapped, near, to):
    rest = np.float32(1) - near
    for j in range(to.shape[0]):
        to[j] = max(rest * support[j] + near * mapped[j], np.float32(0))


@parallel_kernel
def activate_32(support, mapped, near, draws, scale, out, kept):
    """`out = scale * dropout(relu((1 - near) support + near mapped))`, and where it is not zero.

    `draws` is (key, threshold); with threshold 0 nothing is dropped, and `kept` is not written.
    """
    key, threshold = draws
    for turn in numba.prange((out.shape[0] + _ROWS - 1) // _ROWS):
        for i in range(turn * _ROWS, min(out.shape[0], (turn + 1) * _ROWS)):
            if threshold == 0:
                _activate_all(support[i], mapped[i], np.float32(near), out[i])
                continue
            row = word_of(key, i), threshold
            _activate(support[i], mapped[i], np.float32(near), row, np.float32(scale), out[i], kept[i])


@parallel_kernel
def activate_16(support, mapped, near, draws, scale, out, kept):
    """The same of `mapped` in halves."""
    key, threshold = draws
    for turn in numba.prange((out.shape[0] + _ROWS - 1) // _ROWS):
        words = np.empty(out.shape[1], np.uint32)
        wide = words.view(np.float32)
        for i in range(turn * _ROWS, min(out.shape[0], (turn + 1) * _ROWS)):
            _widen(mapped[i], words)
            if threshold == 0:
                _activate_all(support[i], wide, np.float32(near), out[i])
                continue
            row = word_of(key, i), threshold
            _activate(support[i], wide, np.float32(near), row, np.float32(scale), out[i], kept[i])


@parallel_kernel
def mask(gradient, kept, scale):
    """`gradient *= scale * kept`."""
    for i in numba.prange(gradient.shape[0]):
        row, stays = gradient[i], kept[i]
        for j in range(row.shape[0]):
            row[j] = np.float32(scale) * row[j] if stays[j] else np.float32(0)


@parallel_kernel
def merge_32(gradient, mapped, near, alpha, start):
    """`gradient = (1 - near) gradient + near mapped`, and alpha times that is added to `start`."""
    for i in numba.prange(gradient.shape[0]):
        _merge(gradient[i], mapped[i], np.float32(near), np.float32(alpha), start[i])


@parallel_kernel
def merge_16(gradient, mapped, near, alpha, start):
    """The same of `mapped` in halves."""
    for turn in numba.prange((gradient.shape[0] + _ROWS - 1) // _ROWS):
        words = np.empty(gradient.shape[1], np.uint32)
        wide = words.view(np.float32)
        for i in range(turn * _ROWS, min(gradient.shape[0], (turn + 1) * _ROWS)):
            _widen(mapped[i], words)
            _merge(gradient[i], wide, np.float32(near), np.float32(alpha), start[i])


@kernel(forceinline=True)
def _merge(gradient, mapped, near, alpha, start):
    rest = np.float32(1) - near
    for j in range(gradient.shape[0]):
        found = rest * gradient[j] + near * mapped[j]
        gradient[j] = found
        start[j] += alpha * found
