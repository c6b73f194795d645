"""A search of a few queries from given vectors to user ids, in one kernel."""

from __future__ import annotations

import numpy as np

from ...graphlib.compute.jit import kernel
from ..distances.distances_cpu import inverse_norm
from ..metrics import IP, WIDEST
from ..storage.space_cpu import translated
from .search_cpu import search

_ZERO, _ONE, _WIDEST = np.float32(0), np.float32(1), np.float32(WIDEST)
_SIZE, _INFINITE = np.uint32(0x7FFFFFFF), np.uint32(0x7F800000)


@kernel
def search_few(
    metric, vectors, scale, rows, terms, row_of, upper, links, entry, top, by_angle, centre, basis, step, ids, together,
    live, queries, width, ef, k, bits, seen, distances, found, filled,
):  # fmt: skip
    """Fill `distances`, `found` (as `ids`) and `filled`; False where a query is not finite or has fewer than k results,
    or has to be scaled first (`metrics.scaled`).

    Nothing of the result counts then: the caller has to refuse the query, or to look further. `live` is a table with
    one row, or none where no row is deleted; a walk of `width` ends once `ef` live rows are nearer than all others.
    """
    largest = np.uint32(0)
    as_bits = queries.view(np.uint32)
    for q in range(queries.shape[0]):
        for j in range(queries.shape[1]):
            largest = max(largest, np.uint32(as_bits[q, j] & _SIZE))
    if largest >= _INFINITE:
        return False
    count = queries.shape[0]
    factors = np.ones(count, np.float32)
    if by_angle:
        for q in range(count):
            factors[q] = inverse_norm(queries[q])
            if factors[q] > _WIDEST or (factors[q] < _ONE / _WIDEST and factors[q] != 0):
                return False
    compared, asked = translated(vectors, rows, queries, factors, centre, basis, step)
    beams = np.full(count, width)
    search(
        metric, vectors, scale, rows, terms, row_of, upper, links, entry, top, compared, factors, asked,
        live, beams, ef, k, together, 0, count, bits[0], seen[0], distances, found, filled,
    )  # fmt: skip
    for q in range(count):
        if filled[q] < k:
            return False
        for j in range(k):
            found[q, j] = ids[found[q, j]]
            if metric == IP:
                distances[q, j] += _ONE  # as `exact.finish` does
            elif by_angle:
                distances[q, j] = max(distances[q, j], _ZERO)
    return True
