"""Kernels that peel a directed acyclic graph level by level.

A node is ready when its last predecessor was peeled. Which thread finds it ready depends on chance, its level does not:
counts and least depths are changed by atomic instructions, and the nodes of a level are put in order afterwards.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
from numba.core import types
from numba.extending import intrinsic

from ..compute.jit import kernel, parallel_kernel


def _atomic(operation: str) -> Any:
    """An intrinsic `f(array, index, value)` that changes `array[index]` in one step and returns what was there."""

    def change(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
        if not isinstance(array, types.Array) or not isinstance(index, types.Integer):
            return None

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array_type, index_type, value_type = signature.args
            view = context.make_array(array_type)(context, builder, arguments[0])
            offset = context.cast(builder, arguments[1], index_type, types.intp)
            operand = context.cast(builder, arguments[2], value_type, array_type.dtype)
            return builder.atomic_rmw(operation, builder.gep(view.data, [offset]), operand, "monotonic")

        return array.dtype(array, index, value), generate

    change.__name__ = change.__qualname__ = f"atomic_{operation}"
    return intrinsic(change)


_atomic_add: Any = _atomic("add")
_atomic_min: Any = _atomic("min")


class Peeling(NamedTuple):
    """Per node its level, how many predecessors it waits for and its least depth; the nodes `ready` so far, in order,
    of which there are `found[0]`."""

    level: Any
    waiting: Any
    shortest: Any
    ready: Any
    found: Any


@kernel
def count_in_edges(indices, waiting):
    """`waiting[v]` gains the number of edges that end at v."""
    for k in range(indices.shape[0]):
        waiting[indices[k]] += 1


@kernel(forceinline=True)
def _peel(v, rows, state):
    indptr, indices = rows
    _, waiting, shortest, ready, found = state
    beyond = shortest[v] + 1
    for k in range(indptr[v], indptr[v + 1]):
        w = indices[k]
        _atomic_min(shortest, w, beyond)
        if _atomic_add(waiting, w, -1) == 1:
            ready[_atomic_add(found, 0, 1)] = w


@kernel
def first_frontier(waiting, shortest, ready):
    """Nodes without in-edges go to the front of `ready`; returns how many."""
    count = 0
    for v in range(waiting.shape[0]):
        if waiting[v] == 0:
            shortest[v] = 0
            ready[count] = v
            count += 1
    return count


@kernel
def peel_narrow(begin, end, depth, most, rows, state):
    """Peel level by level until a frontier has `most` nodes or none.

    `rows` are (indptr, indices); `ready[begin:end]` is the frontier and `depth` its level; returns these of the
    frontier to be peeled next.
    """
    while begin < end and end - begin < most:
        for i in range(begin, end):
            state.level[state.ready[i]] = depth
            _peel(state.ready[i], rows, state)
        begin, end, depth = end, state.found[0], depth + 1
    return begin, end, depth


@parallel_kernel
def peel_wide(begin, end, depth, rows, state):
    """Peel one frontier on all threads; what it finds ready follows in `ready`."""
    for i in numba.prange(end - begin):
        state.level[state.ready[begin + i]] = depth
        _peel(state.ready[begin + i], rows, state)


@kernel
def waiting_predecessor(indptr, indices, waiting, before):
    """`before[w]` becomes a predecessor of w that still waits, for every w that does; every such w has one."""
    for v in range(waiting.shape[0]):
        if waiting[v] > 0:
            for k in range(indptr[v], indptr[v + 1]):
                before[indices[k]] = v
