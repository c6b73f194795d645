"""Kernels of scores over walks of bounded length: rows are pushed along edges, the last step is an inner product."""

from __future__ import annotations

import numba
import numpy as np
from numba import get_thread_id  # type: ignore[attr-defined, unused-ignore]

from ..compute.jit import kernel, parallel_kernel
from .products.row_cpu import U, keep_best


@kernel
def _push(rows, scale, reached, count, x, following, marked, stamp):
    """`following` = x T over the `count` nodes of `reached`, where x is cleared; returns how many nodes are reached."""
    indptr, indices, values = rows
    new = 0
    other = reached[1]
    for at in range(count):
        k = U(reached[0][at])
        mass = x[k] * scale[k] if scale.shape[0] else x[k]
        x[k] = 0.0
        for e in range(U(indptr[k]), U(indptr[k + U(1)])):
            j = indices[e]
            if marked[j] != stamp:
                marked[j] = stamp
                following[j] = 0.0
                other[new] = j
                new += 1
            following[j] += mass * values[e] if values.shape[0] else mass
    for at in range(new):
        reached[0][at] = other[at]
    return new


@kernel
def _start(u, x, reached):
    x[u] = 1.0
    reached[0][0] = u
    return 1


@parallel_kernel
def pair_walks(rows, back, scale, steps, pairs, workspace, out):
    """`out[p]` = sum over l of steps[l] * (walks of length l from u to v), for the pairs (indptr, v, p) of every u.

    `back` lists for every v the entries of its column. Walks to v of all lengths end with a step into v, so that
    vectors are pushed one step less and merged, y = sum of steps[l + 1] x_l, before they meet the columns.
    """
    p_indptr, p_cols, p_ids = pairs
    vectors, marked, reached = workspace
    held = np.empty(vectors.shape[2], np.int64)
    for u in numba.prange(p_indptr.shape[0] - 1):
        if p_indptr[u] == p_indptr[u + 1]:
            continue
        w = get_thread_id()
        y, seen, own = vectors[w, 2], marked[w], reached[w]
        x, following = vectors[w, 0], vectors[w, 1]
        kept = 0
        count = _start(u, x, own)
        for step in range(1, steps.shape[0]):
            for at in range(count):
                k = own[0, at]
                if y[k] == 0.0:
                    held[kept] = k
                    kept += 1
                y[k] += steps[step] * x[k]
            if step + 1 < steps.shape[0]:
                count = _push(rows, scale, own, count, x, following, seen, u * steps.shape[0] + step)
                x, following = following, x
        for at in range(count):
            x[own[0, at]] = 0.0
        for at in range(kept):
            k = held[at]
            if scale.shape[0]:
                y[k] *= scale[k]
        for p in range(p_indptr[u], p_indptr[u + 1]):
            v = U(p_cols[p])
            total = steps[0] if np.int64(v) == u else 0.0
            for e in range(U(back[0][v]), U(back[0][v + U(1)])):
                total += y[back[1][e]] * back[2][e] if back[2].shape[0] else y[back[1][e]]
            out[p_ids[p]] = total
        for at in range(kept):
            y[held[at]] = 0.0


@parallel_kernel
def top_walks(rows, scale, steps, seeds, workspace, nodes, scores, counts):
    """The best columns of sum over l of steps[l] * T^l, for the rows `seeds`; the seed itself is left out."""
    k = nodes.shape[1]
    vectors, marked, reached = workspace
    held = np.empty(vectors.shape[2], np.uint32)
    values = np.empty(vectors.shape[2], np.float64)
    for s in numba.prange(seeds.shape[0]):
        w = get_thread_id()
        y, seen, own = vectors[w, 2], marked[w], reached[w]
        u = seeds[s]
        x, following = vectors[w, 0], vectors[w, 1]
        kept = 0
        count = _start(u, x, own)
        for step in range(1, steps.shape[0]):
            count = _push(rows, scale, own, count, x, following, seen, s * steps.shape[0] + step)
            x, following = following, x
            for at in range(count):
                j = own[0, at]
                if y[j] == 0.0:
                    held[kept] = j
                    kept += 1
                y[j] += steps[step] * x[j]
        for at in range(count):
            x[own[0, at]] = 0.0
        found = 0
        for at in range(kept):
            j = held[at]
            if np.int64(j) != u:
                held[found] = j
                values[found] = y[j]
                found += 1
            y[j] = 0.0
        last = np.int64(keep_best(held, values, U(0), U(found), k))
        order = np.argsort(held[:last])
        order = order[np.argsort(-values[:last][order], kind="mergesort")]
        for at in range(last):
            nodes[s, at] = held[order[at]]
            scores[s, at] = values[order[at]]
        counts[s] = last
