"""Searches of one query or a few, where what surrounds a walk would cost more than the walk: one kernel does it all."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.jit import plain_view, resolve_threads
from .metrics import COSINE, HAMMING
from .result import SearchResult

if TYPE_CHECKING:
    from .hnsw import HNSW

_MOST_ENTRIES = 512
_FLOAT = np.dtype(np.float32)
_NO_CENTRE, _NO_BASIS, _NO_STEP = np.empty(0, np.float32), np.empty((0, 0), np.float32), np.float32(0)


def search_few(index: HNSW, queries: Any, k: Any, ef: Any, threads: int | None) -> SearchResult | None:
    """What `index.search` returns, or None where that has to look closer: at its arguments, or for further rows."""
    metric = index._check_parameters()
    graph, rows = index._graph, index._rows
    if graph is None or rows.num_dead or rows.is_text:
        return None
    ef = index.ef_search if ef is None else ef
    if type(queries) is not np.ndarray or type(k) is not int or type(ef) is not int or k < 1 or ef < 1:
        return None
    if queries.ndim == 1:
        queries = queries[None, :]
    if (
        queries.dtype != _FLOAT
        or queries.ndim != 2
        or queries.shape[1] != graph.form.dim
        or not 0 < len(queries) * max(k, ef) <= _MOST_ENTRIES
        or not queries.flags.c_contiguous
        or k > graph.count
        or graph.entry < 0
        or metric == HAMMING
    ):
        return None
    resolve_threads(threads)
    shape, codes = (len(queries), k), graph.codes or graph.form.coder
    distances, found, filled = np.empty(shape, np.float32), np.empty(shape, np.int64), np.empty(shape[0], np.int32)
    scratch = graph.take_scratch(1)
    coding: tuple[Any, Any, Any] = (_NO_CENTRE, _NO_BASIS, _NO_STEP)
    if codes is not None:
        coding = plain_view(codes.centre), plain_view(codes.basis), codes.query_step
    done = _kernel()(
        *graph.space(), plain_view(queries), metric == COSINE, *coding, plain_view(rows.values),
        min(max(k, ef), graph.count), k, graph.together, *scratch, distances, found, filled,
    )  # fmt: skip
    graph.scratch.give(scratch)
    return SearchResult(distances, found, filled) if done else None


@functools.cache
def _kernel() -> Any:
    from .hnsw_few_cpu import search_few

    return search_few
