"""What happens to one row of a product once it is accumulated: threshold, the best k, the order of columns.

The row's entries stand at first:last of a worker's buffers; an empty `values` stands for a pattern. Offsets are
unsigned, so that no index can be negative and none is checked for it.
"""

from __future__ import annotations

import numpy as np

from ...compute.instructions import trailing_zeros
from ...compute.jit import kernel
from ...compute.moves_cpu import reorder
from ...compute.sorting_cpu import stable_order

U = np.uint64
_FEW = U(48)  # entries up to which a shell sort beats bitmaps
_MANY = U(4096)  # and from which it loses to a merge sort


@kernel
def sort_few(indices, values, first, last):
    """Shell sort by column, values along."""
    length = last - first
    gap = U(1)
    while gap < length // U(3):
        gap = gap * U(3) + U(1)
    while gap > U(0):
        for at in range(first + gap, last):
            column = indices[at]
            value = values[at] if values.shape[0] else values.dtype.type(0)
            to = U(at)
            while to >= first + gap and indices[to - gap] > column:
                indices[to] = indices[to - gap]
                if values.shape[0]:
                    values[to] = values[to - gap]
                to -= gap
            indices[to] = column
            if values.shape[0]:
                values[to] = value
        gap //= U(3)


@kernel(forceinline=True)
def is_rising(indices, first, last):
    """Whether the columns are in order."""
    at = first + U(1)
    while at < last and indices[at] >= indices[at - U(1)]:
        at += U(1)
    return at >= last


@kernel
def sort_alone(indices, values, first, last):
    """Sort by column without knowing where columns stand."""
    if last - first <= _MANY:
        sort_few(indices, values, first, last)
        return
    order = stable_order(indices[first:last])
    reorder(indices[first:last], order)
    if values.shape[0]:
        reorder(values[first:last], order)


@kernel
def sort_placed(indices, values, first, last, where, bits, summary, row_indices, row_values):
    """Sort by column through a bit per column and a summary bit per word of those.

    `where` is (appended, place, before, cells): the value of column j stands at `place[j] - before - 1`, or else is
    `cells[j, 0]`.

    Costs a few nanoseconds per entry, whatever their number. `row_indices` and `row_values` hold the sorted row
    for a moment; both bitmaps are zero before and after.
    """
    if last - first <= _FEW or (last - first) * U(32) < U(summary.shape[0]):
        sort_few(indices, values, first, last)
        return
    appended, place, before, cells = where
    for at in range(first, last):
        j = U(indices[at])
        word = j >> U(6)
        bits[word] |= U(1) << (j & U(63))
        summary[word >> U(6)] |= U(1) << (word & U(63))
    count = U(0)
    for s in range(U(summary.shape[0])):
        top = summary[s]
        summary[s] = U(0)
        while top != U(0):
            word = (s << U(6)) + trailing_zeros(top)
            top &= top - U(1)
            low = bits[word]
            bits[word] = U(0)
            while low != U(0):
                j = (word << U(6)) + trailing_zeros(low)
                low &= low - U(1)
                row_indices[count] = j
                if values.shape[0]:
                    row_values[count] = values[U(place[j]) - before - U(1)] if appended else cells[j, 0]
                count += U(1)
    for at in range(count):
        indices[first + at] = row_indices[at]
        if values.shape[0]:
            values[first + at] = row_values[at]


@kernel(forceinline=True)
def _worse(value, column, than_value, than_column):
    return value < than_value or (value == than_value and column > than_column)


@kernel
def _sift(indices, values, first, count, at):
    """Restore the heap, worst entry on top, below position `at`."""
    while True:
        child = U(2) * at + U(1)
        if child >= count:
            return
        if child + U(1) < count and _worse(
            values[first + child + U(1)], indices[first + child + U(1)], values[first + child], indices[first + child]
        ):
            child += U(1)
        a, b = first + at, first + child
        if not _worse(values[b], indices[b], values[a], indices[a]):
            return
        values[a], values[b] = values[b], values[a]
        indices[a], indices[b] = indices[b], indices[a]
        at = child


@kernel
def keep_best(indices, values, first, last, top_k):
    """Move the `top_k` entries of highest value (of lowest column among equals) to the front; return the new end."""
    count = U(top_k)
    if last - first <= count:
        return last
    for back in range(count // U(2)):
        _sift(indices, values, first, count, count // U(2) - U(1) - back)
    for at in range(first + count, last):
        if _worse(values[first], indices[first], values[at], indices[at]):
            values[first], indices[first] = values[at], indices[at]
            _sift(indices, values, first, count, U(0))
    return first + count


@kernel
def keep_above(indices, values, first, last, threshold):
    """Keep the entries of value at least `threshold`, in order; return the new end."""
    to = first
    for at in range(first, last):
        if values[at] >= threshold:
            indices[to] = indices[at]
            values[to] = values[at]
            to += U(1)
    return to
