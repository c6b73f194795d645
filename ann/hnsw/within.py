"""Range search: every row within a distance, by searches that widen until they look past it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import InvalidInput
from ...graphlib.scalars import is_finite
from ..filters import allowed_rows
from ..metrics import check_queries, metric_code
from ..result import RangeResult

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .index import HNSW

_FIRST = 64


def search_within(
    index: HNSW, queries: ArrayLike, radius: float, ef_search: int | None, filter: Any, threads: int | None
) -> RangeResult:
    """See `HNSW.search_within`; called while the index is read."""
    if not is_finite(radius):
        raise InvalidInput(f"search_within: radius must be a finite number, one for all queries; got {radius!r:.50}")
    rows, _ = check_queries(queries, 1, index.dim, metric_code(index.metric, bits=True))
    ids = index._rows.values[:0]
    parts: list[tuple[Any, Any]] = [(np.empty(0, np.float32), ids)] * len(rows)
    open_ones, k = np.arange(len(rows)), _FIRST
    allowed = allowed_rows(filter, index._rows, len(rows), index._where)
    while len(open_ones):
        mask: NDArray[np.bool_] | None = allowed if allowed is None or len(allowed) == 1 else allowed[open_ones]
        mask = None if mask is None else mask[0] if len(mask) == 1 else mask
        beam = max(index.ef_search if ef_search is None else ef_search, k + k // 2)
        result = index._search(rows[open_ones], k, mask, threads, ef_search=beam)
        inside = (result.distances <= radius).sum(axis=1)
        for place, query in enumerate(open_ones):
            parts[query] = result.distances[place, : inside[place]], result.ids[place, : inside[place]]
        open_ones, k = open_ones[inside == k], 2 * k
    indptr = np.concatenate([[0], np.cumsum([len(found) for _, found in parts])]).astype(np.int64)
    if not parts:
        return RangeResult(indptr, np.empty(0, np.float32), ids)
    return RangeResult(indptr, np.concatenate([d for d, _ in parts]), np.concatenate([i for _, i in parts]))
