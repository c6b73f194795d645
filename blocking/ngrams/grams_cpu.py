"""Kernels from texts to counted character n-grams: words, their grams, numbers of grams, one row per text."""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel
from ...graphlib.compute.moves_cpu import copy_to
from ...graphlib.compute.random_cpu import mix64

_SPACE = np.uint32(32)
_ASCII = np.uint32(128)
_BITS = np.uint64(21)  # of a code point


@kernel(forceinline=True)
def _is_text(c):
    """Whether a character belongs to a word: ASCII letters and digits, and everything beyond ASCII."""
    return c >= _ASCII or 48 <= c <= 57 or 97 <= c <= 122


@kernel
def _grams_of(codes, first, last, width, out, at):
    """Write the grams of a text's words, each with a space before and behind; returns the new end.

    With `at` < 0 nothing is written, and the count is returned.
    """
    count, i = 0, first
    while i < last:
        if not _is_text(codes[i]):
            i += 1
            continue
        end = i
        while end < last and _is_text(codes[end]):
            end += 1
        for start in range(i - 1, max(i, end + 2 - width)):  # a word shorter than a gram is one gram
            if at >= 0:
                key = np.uint64(0)
                for place in range(start, start + width):
                    inside = i <= place < end
                    key = (key << _BITS) | np.uint64(codes[place] if inside else _SPACE)
                out[at + count] = key
            count += 1
        i = end
    return count


@parallel_kernel
def count_grams(codes, offsets, width, counts):
    """`counts[i]` = n-grams of the text `codes[offsets[i]:offsets[i + 1]]`."""
    nothing = np.empty(0, np.uint64)
    for i in numba.prange(counts.shape[0]):
        counts[i] = _grams_of(codes, offsets[i], offsets[i + 1], width, nothing, np.int64(-1))


@parallel_kernel
def write_grams(codes, offsets, width, starts, keys):
    """The n-grams of every text as 64-bit keys, from `starts[i]` on."""
    for i in numba.prange(offsets.shape[0] - 1):
        _grams_of(codes, offsets[i], offsets[i + 1], width, keys, starts[i])


@kernel
def place_of(key, table):
    """Where a key is in an open table of a power of two, 0 for empty, or belongs."""
    mask = np.uint64(table.shape[0] - 1)
    at = np.uint64(mix64(key)) & mask
    while table[at] != 0 and table[at] != key:
        at = (at + np.uint64(1)) & mask
    return at


@kernel
def number_keys(keys, table, numbers, used, room):
    """Give keys that are new the next numbers until `room` are used; returns (keys done, numbers used)."""
    for i in range(keys.shape[0]):
        at = place_of(keys[i], table)
        if table[at] == 0:
            if used >= room:
                return i, used
            table[at] = keys[i]
            numbers[at] = used
            used += 1
    return keys.shape[0], used


@kernel
def move_table(table, numbers, new_table, new_numbers):
    """The same keys and numbers in a larger table."""
    for i in range(table.shape[0]):
        if table[i] != 0:
            at = place_of(table[i], new_table)
            new_table[at] = table[i]
            new_numbers[at] = numbers[i]


@parallel_kernel
def rows_of_keys(keys, starts, table, numbers, indices, counts, sizes):
    """Every text's distinct grams by rising number and how often each occurs; keys in no table are left out."""
    for i in numba.prange(sizes.shape[0]):
        first, size = starts[i], 0
        for e in range(first, starts[i + 1]):
            at = place_of(keys[e], table)
            if table[at] == 0:
                continue
            number = numbers[at]
            j = size
            while j > 0 and indices[first + j - 1] > number:
                j -= 1
            if j > 0 and indices[first + j - 1] == number:
                counts[first + j - 1] += 1
                continue
            for m in range(size, j, -1):
                indices[first + m] = indices[first + m - 1]
                counts[first + m] = counts[first + m - 1]
            indices[first + j] = number
            counts[first + j] = 1
            size += 1
        sizes[i] = size


@parallel_kernel
def close_rows(starts, indptr, indices, counts, new_indices, new_counts):
    """Move rows together."""
    for i in numba.prange(indptr.shape[0] - 1):
        size = indptr[i + 1] - indptr[i]
        copy_to(new_indices[indptr[i] : indptr[i + 1]], indices[starts[i] : starts[i] + size])
        copy_to(new_counts[indptr[i] : indptr[i + 1]], counts[starts[i] : starts[i] + size])
