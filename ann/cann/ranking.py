"""From what features met to the colours of highest score, and the matches behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..ids import ids_of
from ..result import empty_result
from .exact import color_sums, nearest_points
from .grids import Asked, Hits
from .points import ByColor, Points
from .released import released_sums
from .result import ColorMatches, ColorResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .index import CANN
    from .scoring import Scoring

Matched = tuple["NDArray[Any]", "NDArray[Any]", "NDArray[Any]", "NDArray[Any]"]  # place, feature, row, squared
_RECALL = 0.99  # of points at the radius, by "range"
_SCAN_COSTS = 0.25  # of comparing a point when all are; comparing one that a grid named costs 1


def ranked(
    index: CANN, asked: Asked, allowed: NDArray[np.bool_] | None, k: int, most: int, *, exact: bool, matches: bool,
    threads: int | None,
) -> ColorResult:  # fmt: skip
    """See `CANN.search`; called while the index is read and joined."""
    ids, rule, points = index._rows.values, index._rule(), index._points
    empty_result(len(asked), k, ids)  # refuses a k that no memory holds
    scores, best = np.zeros((len(asked), k)), np.full((len(asked), k), -1, np.int64)
    counts, matched = np.zeros(len(asked), np.int32), []
    if points is not None:
        by_color, labels = index._by_color(), np.arange(len(ids)) if index._rows.is_text else ids
        masks = [None if allowed is None else allowed[min(s, len(allowed) - 1)] for s in range(len(asked))]
        scanned = [exact or _scans(index, asked[s], masks[s], by_color, most, threads) for s in range(len(asked))]
        walked = [s for s in range(len(asked)) if not scanned[s]]
        place_of = dict(zip(walked, range(len(walked)), strict=True))
        part = asked.some(walked)
        some = allowed if allowed is None or len(allowed) == 1 else allowed[walked]
        met = _met(index, part, by_color, some, most, threads)
        for s in range(len(asked)):
            if index.compat and not exact:
                sums = _released(index, asked[s], points, masks[s])
            elif scanned[s]:
                sums = _scan(asked[s], points, by_color, masks[s], rule, threads)
            else:
                sums = _sums(met, part, place_of[s], len(ids), rule)
            found = best_colors(sums, k, labels)
            counts[s], best[s, : len(found)] = len(found), found
            scores[s, : len(found)] = sums[found] / len(asked[s])
            if matches and scanned[s]:
                matched.append(_matched_exactly(asked[s], points, by_color, rule, found, threads))
            elif matches:
                matched.append(_matched_of_hits(met, part, place_of[s], len(ids), found))
    pairs = None
    if matches:
        pairs = _matches(matched, k, len(asked), points, by_color if points is not None else None, rule)
    return ColorResult(scores, ids_of(ids, best), counts, pairs)


def _scans(
    index: CANN, features: NDArray[np.float32], mask: NDArray[np.bool_] | None, by_color: ByColor, most: int,
    threads: int | None,
) -> bool:  # fmt: skip
    """Whether comparing all points that pass costs less than what the grids would name."""
    grids = index._grids
    if grids is None:
        return True
    passing = index.num_points if mask is None else int(np.diff(by_color.starts)[mask].sum())
    if index.method == "range":
        named = grids.entries_met(features, grids.axes_for(index._rule().euclidean, _RECALL), threads) / len(features)
        return passing * _SCAN_COSTS < named
    return index.verified and passing * _SCAN_COSTS < most * grids.num_grids


def _met(
    index: CANN, asked: Asked, by_color: ByColor, allowed: NDArray[np.bool_] | None, most: int, threads: int | None
) -> Hits:
    """What the features of all sets meet in the grids."""
    grids, points, rule = index._grids, index._points, index._rule()
    if grids is None or points is None or not len(asked):
        return Hits(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.int32))
    if index.method == "range":
        axes = grids.axes_for(rule.euclidean, _RECALL)
        return grids.colors_within(asked, points, by_color, allowed, rule, axes, threads)
    return grids.near_colors(asked, points, by_color, allowed, rule, most, index.verified, threads)


def _scan(
    features: NDArray[np.float32], points: Points, by_color: ByColor, mask: NDArray[np.bool_] | None, rule: Scoring,
    threads: int | None,
) -> NDArray[np.float64]:  # fmt: skip
    """What one set's features give to every colour that passes."""
    num_colors = len(by_color.starts) - 1
    chosen = np.arange(num_colors) if mask is None else np.flatnonzero(mask)
    sums = np.zeros(num_colors)
    sums[chosen] = color_sums(features, points, by_color, chosen, rule, threads)
    return sums


def _released(
    index: CANN, features: NDArray[np.float32], points: Points, mask: NDArray[np.bool_] | None
) -> NDArray[np.float64]:
    """What one set's features give to every colour that passes, in the released code."""
    centre = 128 if points.vectors.dtype == np.uint8 else 0
    kept = slice(None) if mask is None else mask[points.colors]
    rows, colors = points.vectors[kept].astype(np.float32), points.colors[kept]
    return released_sums(
        features + np.float32(centre), rows, colors, len(index._rows), index.radius, index.shape, index.num_grids
    )


def _sums(hits: Hits, asked: Asked, which: int, num_colors: int, rule: Scoring) -> NDArray[np.float64]:
    """What the features of one set gave to every colour; added up in their order, so that threads do not matter."""
    part = _part(hits, asked, which)
    sums: NDArray[np.float64] = np.bincount(hits.colors[part], rule.of(hits.squared[part]), num_colors).astype(
        np.float64
    )
    return sums


def best_colors(sums: NDArray[np.float64], k: int, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The k colours of largest sum above 0, best first; equal ones by label."""
    found = np.flatnonzero(sums > 0)
    if len(found) > 4 * k:
        least = np.partition(sums[found], len(found) - k)[len(found) - k]
        found = found[sums[found] >= least]
    return found[np.lexsort((labels[found], -sums[found]))][:k]


def _matched_of_hits(hits: Hits, asked: Asked, which: int, num_colors: int, best: NDArray[np.int64]) -> Matched:
    """The pairs behind chosen colours, by place and feature."""
    part = _part(hits, asked, which)
    place_of = np.full(num_colors, -1, np.int32)
    place_of[best] = np.arange(len(best))
    places = place_of[hits.colors[part]]
    kept = np.flatnonzero(places >= 0)
    first = int(asked.offsets[which])
    counts = np.diff(hits.indptr[first : int(asked.offsets[which + 1]) + 1])
    features = np.repeat(np.arange(len(counts), dtype=np.int32), counts)[kept]
    order = np.argsort(places[kept], kind="stable")
    kept = kept[order]
    return places[kept], features[order], hits.rows[part][kept], hits.squared[part][kept]


def _matched_exactly(
    features: NDArray[np.float32], points: Points, by_color: ByColor, rule: Scoring, best: NDArray[np.int64],
    threads: int | None,
) -> Matched:  # fmt: skip
    """The pairs behind chosen colours, by place and feature."""
    squared, rows = nearest_points(features, points, by_color, best, rule, threads)
    near = rule.distances(squared) < np.float32(rule.radius)
    places, asked = np.nonzero(near)
    return places, asked.astype(np.int32), rows[near], squared[near]


def _matches(
    matched: list[Matched], k: int, num_sets: int, points: Points | None, by_color: ByColor | None, rule: Scoring
) -> ColorMatches:
    """The matches of all sets as one table."""
    if points is None or by_color is None:
        none = np.empty(0, np.int32)
        return ColorMatches(k, np.zeros(num_sets * k + 1, np.int64), none, none.astype(np.int64), none.astype("f4"))
    counts = [np.bincount(part[0], minlength=k) for part in matched]
    indptr = np.cumsum(np.concatenate([[0], *counts])).astype(np.int64)
    queries = np.concatenate([np.empty(0, np.int32), *(part[1] for part in matched)])
    rows = np.concatenate([np.empty(0, np.int32), *(part[2] for part in matched)])
    squared = np.concatenate([np.empty(0, np.float32), *(part[3] for part in matched)])
    return ColorMatches(k, indptr, queries, by_color.within(rows, points.colors[rows]), rule.distances(squared))


def _part(hits: Hits, asked: Asked, which: int) -> slice:
    return slice(int(hits.indptr[asked.offsets[which]]), int(hits.indptr[asked.offsets[which + 1]]))


__all__ = ["best_colors", "ranked"]
