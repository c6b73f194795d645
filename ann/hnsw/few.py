"""Searches of one query or a few, where what surrounds a walk would cost more than the walk: one kernel does it all."""

from __future__ import annotations

import functools
from collections import deque
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from ...graphlib.compute.jit import plain_view, resolve_threads
from ..filters import allowed_rows
from ..metrics import COSINE, HAMMING, IP
from ..result import SearchResult
from ..storage.code_scan import LEAST_QUERIES
from .parts_cpu import Few, Found, Scratch
from .plan import WALK, least_beam, make_plan, row_bytes
from .walks import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .graph import HNSWGraph
    from .index import HNSW

_MOST_ENTRIES = 512
_FLOAT, _ID, _COUNT = np.dtype(np.float32), np.dtype(np.int64), np.dtype(np.int32)


class _State(NamedTuple):
    """What searches of one state of an index have in common."""

    dim: int
    live: int  # rows that are not deleted
    coded: bool  # whether walks compare codes
    most_queries: int
    width: Callable[[int], int]  # of the walk that answers a query with this ef; 0 where something else is better
    kernel: Callable[..., bool]
    make_scratch: Callable[[], Scratch]
    scratch: deque[Scratch]  # not in use just now; all of one size, with nothing to check


def search_few(index: HNSW, queries: Any, k: Any, ef: Any, threads: int | None) -> SearchResult | None:
    """What `index.search` returns, or None where that has to look closer: at its arguments, or for further rows."""
    metric = index._check_parameters()
    state = index._lock.kept
    if state is None:
        state = index._lock.kept = _state_of(index, metric)
    if not state:
        return None
    dim, live, coded, most_queries, width, kernel, make_scratch, unused = state
    if ef is None:
        ef = index.ef_search
    if (
        type(queries) is not np.ndarray
        or queries.dtype != _FLOAT
        or type(k) is not int
        or type(ef) is not int
        or not (0 < k <= live and ef > 0)
    ):
        return None
    if queries.ndim == 1:
        queries = queries[None]
    least = least_beam(k, coded=coded)
    ef = least if least > ef else ef
    shape = len(queries), k
    if queries.shape[1:] != (dim,) or not 0 < shape[0] <= most_queries or shape[0] * ef > _MOST_ENTRIES:
        return None
    beam = width(ef)
    if not beam:
        return None
    if not queries.flags.carray:
        if not queries.flags.c_contiguous:
            return None
        queries = plain_view(queries)
    if threads is not None:
        resolve_threads(threads)
    distances, found, filled = np.empty(shape, _FLOAT), np.empty(shape, _ID), np.empty(shape[0], _COUNT)
    try:
        scratch = unused.pop()
    except IndexError:
        scratch = make_scratch()
    done = kernel(queries, beam, ef, k, scratch, Found(distances, found, filled))
    unused.append(scratch)
    return SearchResult(distances, found, filled) if done else None


def _state_of(index: HNSW, metric: int) -> _State | Literal[False]:
    """False where there is nothing to walk, or more to heed than this module knows."""
    from .few_cpu import search_few as kernel

    graph, rows = index._graph, index._rows
    if graph is None or graph.entry < 0 or rows.is_text or metric == HAMMING:
        return False
    allowed = allowed_rows(None, rows, 1)
    passes = EVERYTHING if allowed is None else allowed
    few = Few(metric == IP, metric == COSINE, plain_view(rows.values), passes, graph.together)

    def make_scratch() -> Scratch:
        bits, seen = graph.take_scratch(1)
        return Scratch(bits[0], seen[0])

    fixed, first = (graph.rows.exact, graph.rows.walk, graph.searched(), few), make_scratch()
    result = Found(np.empty((1, 1), _FLOAT), np.empty((1, 1), _ID), np.empty(1, _COUNT))
    code = _code_for(kernel, *fixed, np.empty((1, graph.rows.dim), _FLOAT), 1, 1, 1, first, result)
    return _State(
        dim=graph.rows.dim,
        live=graph.count - rows.num_dead,
        coded=graph.is_coded,
        most_queries=_MOST_ENTRIES if allowed is None else LEAST_QUERIES - 1,  # more may be answered by a scan of codes
        width=functools.cache(functools.partial(_width, graph, allowed)),
        kernel=functools.partial(code, *fixed),
        make_scratch=make_scratch,
        scratch=deque([first], maxlen=4),
    )


def _code_for(kernel: Any, *arguments: Any) -> Any:
    """The machine code of a kernel for arguments of these types, which must be those it is then called with.

    A dispatcher looks at the type of every argument of every call, which for named tuples costs half as much again as
    everything else that surrounds a walk.
    """
    import numba

    return kernel.compile(tuple(numba.typeof(argument) for argument in arguments))


def _width(graph: HNSWGraph, allowed: NDArray[np.bool_] | None, ef: int) -> int:
    plan = make_plan(ef, graph.M, allowed, 1, graph.count, 1, row_bytes(graph))
    return int(plan.beam[0]) if plan.method[0] == WALK else 0
