"""One result out of those of several shards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..graphlib.errors import InvalidInput, InvalidType
from .metrics import check_count
from .result import SearchResult, padded


def merge(results: Sequence[SearchResult], k: int | None = None) -> SearchResult:
    """The nearest of several searches for the same queries: of the shards of one set of rows, with ids of their own.

    Parameters
    ----------
    results : sequence of SearchResult
        At least one, all of equally many queries, with ids of one kind.
    k : int >= 1, optional
        Places per query; by default as many as the widest result has.

    Returns
    -------
    SearchResult
        Equal distances are ordered by id, as `Exact` orders them, so that shards searched exactly give what one index
        of all rows gives. An id that several results hold is there several times.

    Raises
    ------
    InvalidInput, InvalidType
        No results, of different queries, or with integer and text ids.

    Notes
    -----
    O(queries * w log w) for results of together w places.

    Examples
    --------
    >>> import numpy as np
    >>> from nearhop import ann
    >>> rows = np.arange(8, dtype=np.float32)[:, None]
    >>> shards = [ann.Exact().add(rows[:4], ids=range(4)), ann.Exact().add(rows[4:], ids=range(4, 8))]
    >>> ann.merge([shard.search([[3.6]], k=3) for shard in shards]).ids.tolist()
    [[4, 3, 5]]
    """
    if not results:
        raise InvalidInput("merge: give at least one result")
    sizes = sorted({len(result) for result in results})
    if len(sizes) > 1:
        raise InvalidInput(f"merge: results must be of the same queries; got {sizes[0]:,} and {sizes[-1]:,} queries")
    k = max(result.ids.shape[1] for result in results) if k is None else check_count("k", k)
    results = [result for result in results if result.counts.any()] or results[:1]  # an empty shard has no kind of ids
    if len({result.ids.dtype.kind for result in results}) > 1:
        raise InvalidType("merge: some results have integer ids and others text; ids of shards must be of one kind")
    widths = [result.ids.shape[1] for result in results]
    distances = np.concatenate([result.distances for result in results], axis=1)
    ids = np.concatenate([result.ids for result in results], axis=1)
    filled = np.concatenate([np.arange(w) < r.counts[:, None] for w, r in zip(widths, results, strict=True)], axis=1)
    order = np.argsort(ids, axis=1, kind="stable")
    for key in (distances, ~filled):  # the last sort decides first
        order = np.take_along_axis(order, np.argsort(np.take_along_axis(key, order, axis=1), 1, kind="stable"), axis=1)
    order = order[:, :k]
    counts = np.minimum(filled.sum(axis=1), k).astype(np.int32)
    found = SearchResult(np.take_along_axis(distances, order, 1), np.take_along_axis(ids, order, 1), counts)
    return padded(found, k, ids.reshape(-1))


__all__ = ["merge"]
