"""Searches of one query or a few, where what surrounds a walk would cost more than the walk: one kernel does it all."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..graphlib.jit import plain_view, resolve_threads
from .metrics import COSINE, HAMMING
from .result import SearchResult

if TYPE_CHECKING:
    from .hnsw import HNSW
    from .hnsw_graph import HNSWGraph

_MOST_ENTRIES = 512
_FLOAT = np.dtype(np.float32)
_NO_CENTRE, _NO_BASIS, _NO_STEP = np.empty(0, np.float32), np.empty((0, 0), np.float32), np.float32(0)


class _State(NamedTuple):
    """What searches of one state of an index have in common."""

    graph: HNSWGraph | None  # None where there is nothing to walk, or more to heed than this module knows
    dim: int = 0
    rows: int = 0
    arguments: tuple[Any, ...] = ()


def search_few(index: HNSW, queries: Any, k: Any, ef: Any, threads: int | None) -> SearchResult | None:
    """What `index.search` returns, or None where that has to look closer: at its arguments, or for further rows."""
    metric = index._check_parameters()
    state = index._lock.kept
    if state is None:
        state = index._lock.kept = _state_of(index, metric)
    graph = state.graph
    if graph is None:
        return None
    if ef is None:
        ef = index.ef_search
    if type(queries) is not np.ndarray or type(k) is not int or type(ef) is not int or queries.dtype != _FLOAT:
        return None
    if queries.ndim == 1:
        queries = queries[None]
    beam = max(k, ef)
    if (
        queries.shape[1:] != (state.dim,)
        or not 0 < len(queries) * beam <= _MOST_ENTRIES
        or not 0 < k <= state.rows
        or ef < 1
    ):
        return None
    if not queries.flags.carray:
        if not queries.flags.c_contiguous:
            return None
        queries = plain_view(queries)
    if threads is not None:
        resolve_threads(threads)
    shape = len(queries), k
    distances, found, filled = np.empty(shape, np.float32), np.empty(shape, np.int64), np.empty(shape[0], np.int32)
    scratch = graph.take_scratch(1)
    beam = min(beam, state.rows)
    done = _kernel()(*state.arguments, queries, beam, k, *scratch, distances, found, filled)
    graph.scratch.give(scratch)
    return SearchResult(distances, found, filled) if done else None


def _state_of(index: HNSW, metric: int) -> _State:
    graph, rows = index._graph, index._rows
    if graph is None or graph.entry < 0 or rows.num_dead or rows.is_text or metric == HAMMING:
        return _State(None)
    codes = graph.codes or graph.form.coder
    coding: tuple[Any, Any, Any] = (_NO_CENTRE, _NO_BASIS, _NO_STEP)
    if codes is not None:
        coding = plain_view(codes.centre), plain_view(codes.basis), codes.query_step
    fixed = *graph.space(), metric == COSINE, *coding, plain_view(rows.values), graph.together
    return _State(graph, graph.form.dim, graph.count, fixed)


@functools.cache
def _kernel() -> Any:
    from .hnsw_few_cpu import search_few

    return search_few
