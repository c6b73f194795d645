"""A search of a few queries from given vectors to user ids, in one kernel."""

from __future__ import annotations

import numpy as np

from ...graphlib.compute.jit import kernel
from ..distances.distances_cpu import inverse_norm
from ..distances.rows_cpu import ask
from ..metrics import WIDEST
from .answer_cpu import search
from .parts_cpu import Asked, Plan

_ZERO, _ONE, _WIDEST = np.float32(0), np.float32(1), np.float32(WIDEST)
_SIZE, _INFINITE = np.uint32(0x7FFFFFFF), np.uint32(0x7F800000)


@kernel
def search_few(exact, walk, graph, few, queries, width, ef, k, scratch, found):
    """Fill `found`, whose rows become ids; False where a query is not finite or has fewer than k results,
    or has to be scaled first (`metrics.scaled`).

    Nothing of the result counts then: the caller has to refuse the query, or to look further. `few.live` is a table
    with one row, or none where no row is deleted; a walk of `width` ends once `ef` live rows are nearer than all
    others.
    """
    largest = np.uint32(0)
    as_bits = queries.view(np.uint32)
    for q in range(queries.shape[0]):
        for j in range(queries.shape[1]):
            largest = max(largest, np.uint32(as_bits[q, j] & _SIZE))
    if largest >= _INFINITE:
        return False
    count = queries.shape[0]
    factors, widths = np.empty(count, np.float32), np.empty(count, np.int64)
    for q in range(count):
        factors[q], widths[q] = _ONE, width
    if few.by_angle:
        for q in range(count):
            factors[q] = inverse_norm(queries[q])
            if factors[q] > _WIDEST or (factors[q] < _ONE / _WIDEST and factors[q] != 0):
                return False
    walked = ask(walk, queries, factors)  # first: `ask` may overwrite the factors
    asked = Asked(ask(exact, queries, factors), factors, walked)
    plan = Plan(few.live, widths, ef, k, few.together)
    search(exact, walk, graph, asked, plan, 0, count, scratch, found)
    for q in range(count):
        if found.counts[q] < k:
            return False
        for j in range(k):
            found.rows[q, j] = few.ids[found.rows[q, j]]
            if few.by_product:
                found.distances[q, j] += _ONE  # as `exact.finish` does
            else:
                found.distances[q, j] = max(found.distances[q, j], _ZERO)
    return True
