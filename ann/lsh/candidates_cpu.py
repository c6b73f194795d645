"""Kernels of the banded index: keys of bands, candidates of a row, all pairs."""

from __future__ import annotations

import numba
import numpy as np
from numba import get_thread_id  # type: ignore[attr-defined, unused-ignore]

from ...graphlib.compute.jit import kernel, parallel_kernel, prefetch
from ...graphlib.compute.random_cpu import mix64
from ..minhash.affine_cpu import is_empty, matches
from .buckets_cpu import lookup

_S32 = np.uint64(32)
_ANY, _NONE = np.int64(-1), np.int64(0)


@kernel(inline="always")
def band_key(signature, band, width):
    """32 bits that two signatures share when their `width` slots of a band are equal."""
    h = np.uint64(band + 1)
    for slot in range(band * width, band * width + width):
        h = mix64(h ^ np.uint64(signature[slot])) + np.uint64(band)
    return np.uint32(h >> _S32)


@parallel_kernel
def band_keys(signatures, rows, width, keys):
    """The keys (bands, rows) of some rows."""
    for band in numba.prange(keys.shape[0]):
        for i in range(rows.shape[0]):
            keys[band, i] = band_key(signatures[rows[i]], band, width)


@parallel_kernel
def has_elements(signatures, out):
    """Whether each row belongs to a set that is not empty."""
    for row in numba.prange(signatures.shape[0]):
        out[row] = not is_empty(signatures[row])


@kernel
def part_of_bucket(members, begin, end, few, floor, band):
    """The range of `few` members of a large bucket: those behind row `floor`, or without one (-1) others per band."""
    if floor < 0:
        begin += (band * few) % (end - begin - few + 1)
    else:
        low, high = begin, end
        while low < high:
            middle = (low + high) >> 1
            if members[middle] <= floor:
                low = middle + 1
            else:
                high = middle
        begin = low
    return begin, min(begin + few, end)


@kernel
def gather(signature, buckets, floor, marks, mark, found, count):
    """Append to `found` the rows above `floor` that share a bucket, each once; returns the count and capped buckets.

    `marks[row] == mark` tells rows found before.
    """
    keys, order = buckets.keys, buckets.rows
    capped = 0
    first, last = np.empty(keys.shape[0], np.int64), np.empty(keys.shape[0], np.int64)
    wanted = np.empty(keys.shape[0], np.uint32)
    for band in range(keys.shape[0]):
        wanted[band] = band_key(signature, band, buckets.width)
    lookup(wanted, keys, order, buckets.starts, first, last)
    for band in range(keys.shape[0]):
        members, begin, end = order[band], first[band], last[band]
        if end - begin > buckets.most:
            capped += 1
            begin, end = part_of_bucket(members, begin, end, buckets.few, floor, band)
        for i in range(begin, end):
            row = members[i]
            if row > floor and marks[row] != mark:
                marks[row] = mark
                found[count] = row
                count += 1
    return count, capped


@kernel
def union_of_candidates(signatures, buckets, marks, mark, found, count):
    """Rows that share a bucket with any of the signatures, each once, and how many buckets were capped."""
    capped = 0
    for i in range(signatures.shape[0]):
        if not is_empty(signatures[i]):
            count, more = gather(signatures[i], buckets, _ANY, marks, mark, found, count)
            capped += more
    return count, capped


@kernel
def keep_best(share, row, label, shares, rows, labels, kept):
    """Insert into lists ordered by falling similarity, then rising label; returns how many are kept."""
    size = shares.shape[0]
    if kept == size and (share < shares[size - 1] or (share == shares[size - 1] and label > labels[size - 1])):
        return kept
    place = min(kept, size - 1)
    while place > 0 and (share > shares[place - 1] or (share == shares[place - 1] and label < labels[place - 1])):
        shares[place], rows[place], labels[place] = shares[place - 1], rows[place - 1], labels[place - 1]
        place -= 1
    shares[place], rows[place], labels[place] = share, row, label
    return min(kept + 1, size)


@parallel_kernel
def search_segment(queries, masks, signatures, buckets, allowed, labels, visits, best, capped):
    """Insert the rows of a segment that share a bucket with a query into the query's list of the best.

    `allowed` has no row (all may be found), one for all queries or one per query; `masks[q]` is a row not to be found,
    or -1.
    """
    shares, rows, best_labels, kept = best
    slots = np.float32(signatures.shape[1])
    for q in numba.prange(queries.shape[0]):
        if is_empty(queries[q]):
            continue
        thread = get_thread_id()
        visits.turns[thread] += 1
        list_ = visits.found[thread]
        count, more = gather(queries[q], buckets, _ANY, visits.marks[thread], visits.turns[thread], list_, _NONE)
        capped[q] += more
        which = min(np.int64(q), np.int64(allowed.shape[0] - 1))
        for i in range(count):
            row = np.int64(list_[i])
            if row != masks[q] and (which < 0 or allowed[which, row]):
                share = np.float32(matches(queries[q], signatures[row])) / slots
                kept[q] = keep_best(share, row, labels[row], shares[q], rows[q], best_labels[q], kept[q])


@parallel_kernel
def sorted_pairs_of_block(signatures, begin, end, buckets, least, dead, visits, pairs, capped):
    """Pairs row < other with at least `least` equal slots, for the rows of each task's range.

    Task t handles rows begin[t]..end[t]-1 from `pairs.reached[t]` on, writes behind `pairs.filled[t]` and stops before
    the first row whose pairs do not fit. Rows reached are the same whatever the threads. Of a large bucket a row meets
    the few behind it; `capped[t]` then counts up.
    """
    src, dst, equal, filled, reached = pairs
    for task in numba.prange(begin.shape[0]):
        if reached[task] >= end[task]:
            continue
        thread = get_thread_id()
        seen, list_ = visits.marks[thread], visits.found[thread]
        left, right, same = src[task], dst[task], equal[task]
        full = False
        row = reached[task]
        while row < end[task] and not full:
            signature = signatures[row]
            written = filled[task]
            if not dead[row] and not is_empty(signature):
                visits.turns[thread] += 1
                count, more = gather(signature, buckets, row, seen, visits.turns[thread], list_, _NONE)
                capped[task] += more
                for i in range(count):
                    prefetch(signatures[list_[i]], 0)
                for i in range(count):
                    other = list_[i]
                    if dead[other]:
                        continue
                    agree = matches(signature, signatures[other])
                    if agree >= least:
                        if written == left.shape[0]:
                            full = True
                            break
                        left[written], right[written], same[written] = row, other, agree
                        written += 1
            if not full:
                filled[task] = written
                row += 1
        reached[task] = row
