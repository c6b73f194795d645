"""Searches of one query or a few, where what surrounds a walk would cost more than the walk: one kernel does it all."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..graphlib.jit import plain_view, resolve_threads
from .metrics import COSINE, HAMMING
from .result import SearchResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from .hnsw import HNSW
    from .hnsw_graph import HNSWGraph

_MOST_ENTRIES = 512
_FLOAT, _ID, _COUNT = np.dtype(np.float32), np.dtype(np.int64), np.dtype(np.int32)
_NO_CENTRE, _NO_BASIS, _NO_STEP = np.empty(0, np.float32), np.empty((0, 0), np.float32), np.float32(0)


class _State(NamedTuple):
    """What searches of one state of an index have in common."""

    graph: HNSWGraph | None  # None where there is nothing to walk, or more to heed than this module knows
    dim: int = 0
    rows: int = 0
    kernel: Callable[..., bool] = bool


def search_few(index: HNSW, queries: Any, k: Any, ef: Any, threads: int | None) -> SearchResult | None:
    """What `index.search` returns, or None where that has to look closer: at its arguments, or for further rows."""
    metric = index._check_parameters()
    state = index._lock.kept
    if state is None:
        state = index._lock.kept = _state_of(index, metric)
    graph, dim, rows, kernel = state
    if ef is None:
        ef = index.ef_search
    if (
        graph is None
        or type(queries) is not np.ndarray
        or queries.dtype != _FLOAT
        or type(k) is not int
        or type(ef) is not int
        or not (0 < k <= rows and ef > 0)
    ):
        return None
    if queries.ndim == 1:
        queries = queries[None]
    beam = k if k > ef else ef
    shape = len(queries), k
    if queries.shape[1:] != (dim,) or not 0 < shape[0] * beam <= _MOST_ENTRIES:
        return None
    if not queries.flags.carray:
        if not queries.flags.c_contiguous:
            return None
        queries = plain_view(queries)
    if threads is not None:
        resolve_threads(threads)
    distances, found, filled = np.empty(shape, _FLOAT), np.empty(shape, _ID), np.empty(shape[0], _COUNT)
    scratch = graph.take_scratch(1)
    done = kernel(queries, beam if beam < rows else rows, k, *scratch, distances, found, filled)
    graph.scratch.give(scratch)
    return SearchResult(distances, found, filled) if done else None


def _state_of(index: HNSW, metric: int) -> _State:
    from .hnsw_few_cpu import search_few as kernel

    graph, rows = index._graph, index._rows
    if graph is None or graph.entry < 0 or rows.num_dead or rows.is_text or metric == HAMMING:
        return _State(None)
    codes = graph.codes or graph.form.coder
    coding: tuple[Any, Any, Any] = (_NO_CENTRE, _NO_BASIS, _NO_STEP)
    if codes is not None:
        coding = plain_view(codes.centre), plain_view(codes.basis), codes.query_step
    fixed = *graph.space(), metric == COSINE, *coding, plain_view(rows.values), graph.together
    return _State(graph, graph.form.dim, graph.count, functools.partial(kernel, *fixed))
