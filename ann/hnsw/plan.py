"""How a search is answered: a plain walk, a walk over passing rows only, or a scan, chosen per query by selectivity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..distances.scan import nearest_rows
from ..filters import num_passing
from ..storage.code_scan import LEAST_QUERIES, nanoseconds, nearest_codes
from .parts_cpu import Found
from .walks import Queries, walk, walk_over_passing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .graph import HNSWGraph

WALK, STEP_OVER, SCAN, SCAN_CODES = 0, 1, 2, 3
NAMES = ("walk", "step over", "scan", "scan of codes")
_WALK_ABOVE = 0.2
# Nanoseconds, and nanoseconds per byte of a row, of a row that is scanned, and of a beam's entry times M that is walked
# from or stepped over from: fitted to 128 and 784 dimensions, float32 and codes.
_SCAN, _WALKED, _STEPPED = (14.0, 0.014), (30.0, 0.045), (105.0, 0.075)
_SEEDS = 16
_SPARE = 5  # a beam over codes has room for a fifth more than k, since they rank the last of k rows less surely


@dataclass(frozen=True)
class Plan:
    """Per query: the method, the beam's width, and how many rows pass."""

    method: NDArray[np.int8]
    beam: NDArray[np.int64]
    passing: NDArray[np.int64]


def make_plan(
    ef: int,
    M: int,
    allowed: NDArray[np.bool_] | None,
    num_queries: int,
    n: int,
    k: int = 1,
    row_bytes: tuple[int, int] = (512, 512),
    *,
    coded: bool = False,
) -> Plan:
    """Scan where that costs no more than a walk; from a fifth of the rows passing on, a walk until it has met `ef` of
    them, for which its beam nearly always has room; in between, a walk that steps over rows that fail.

    `row_bytes` are the widths of a row that walks compare and of one that scans do. `coded`: walks compare 8-bit codes,
    which a batch of sixteen or more queries with the same filter scans where that is cheapest.
    """
    method = np.zeros(num_queries, np.int8)
    beam = np.full(num_queries, min(ef, n), np.int64)
    passing = np.full(num_queries, n, np.int64)
    if allowed is not None:
        passing[:] = num_passing(allowed)
        walk = passing >= _WALK_ABOVE * n
        share = np.maximum(passing[walk], 1) / n
        wanted = max(ef, k)
        beam[walk] = np.minimum(n, np.ceil((wanted + 2 * np.sqrt(wanted * (1 - share))) / share).astype(np.int64))
        method[~walk] = STEP_OVER
        beam[~walk] = min(n, 2 * ef)  # passing rows hold together less well than all rows
        expanded = beam.astype(np.float64)
        expanded[walk] = wanted / share
        costs = [fixed + per_byte * row_bytes[0] for fixed, per_byte in (_WALKED, _STEPPED)]
        least = expanded * M * np.where(walk, *costs)
        scan = passing * (_SCAN[0] + _SCAN[1] * row_bytes[1])
        method[(scan <= least) & (passing < n)] = SCAN
        if coded and len(allowed) == 1 and num_queries >= LEAST_QUERIES:
            least = np.minimum(least, scan)
            cost = nanoseconds(passing, np.full(num_queries, kept_of_codes(ef, k)), row_bytes[0], num_queries)
            method[(cost < least) & (passing < n)] = SCAN_CODES
    return Plan(method, beam, passing)


def least_beam(k: int, *, coded: bool) -> int:
    """The narrowest beam that a search for k rows may have: k, or what codes need to rank about as vectors do."""
    return k - (-k // _SPARE) if coded else k


def kept_of_codes(ef: int, k: int) -> int:
    """How many rows of lowest rank a scan of codes keeps for their distances to decide."""
    return max(ef, 2 * k)


def row_bytes(graph: HNSWGraph) -> tuple[int, int]:
    """Bytes of a row that walks compare, and of one that scans do."""
    walked, kept = graph.rows.walk[0], graph.rows.kept
    return walked.shape[1] * walked.itemsize, kept.shape[1] * kept.itemsize


def answer(
    graph: HNSWGraph,
    queries: NDArray[Any],
    factors: NDArray[np.float32],
    k: int,
    ef: int,
    allowed: NDArray[np.bool_] | None,
    threads: int | None,
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int32]]:
    """Distances, rows and counts of the k nearest passing rows.

    A walk that met too few passing rows is done again stepping over the others, and in the end replaced by a scan.
    """
    n, asked = graph.count, Queries(graph.rows, queries, factors)
    if allowed is None:
        method, beams = np.full(len(queries), WALK, np.int8), np.full(len(queries), min(ef, n))
        wanted: Any = min(k, n)
    else:
        plan = make_plan(ef, graph.M, allowed, len(queries), n, k, row_bytes(graph), coded=graph.rows.scans_codes)
        method, beams = plan.method, np.where(plan.method == WALK, plan.beam, 0)
        wanted = np.minimum(k, plan.passing)
    if allowed is not None and method[:1] == SCAN_CODES:  # one filter, so one method for all
        rows = np.flatnonzero(allowed[0])
        found = Found(*nearest_codes(graph.rows, asked, rows, k, min(len(rows), kept_of_codes(ef, k)), threads))
        method[found.counts < wanted] = SCAN
    else:
        found = walk(graph, asked, k, beams, max(ef, k), allowed, threads)
    counts = found.counts
    if allowed is None and counts.min(initial=k) >= wanted:  # the common case
        return found
    method[(method == WALK) & (counts < wanted)] = SCAN if allowed is None else STEP_OVER
    stepping = np.flatnonzero(method == STEP_OVER)
    if allowed is not None and len(stepping):
        beam = min(n, 2 * max(ef, k))
        walk_over_passing(graph, asked, k, beam, allowed, _seeds(allowed), stepping, threads, found)
        method[stepping[counts[stepping] < wanted[stepping]]] = SCAN
    scanned = np.flatnonzero(method == SCAN)
    if len(scanned):
        table = allowed if allowed is None or len(allowed) == 1 else allowed[scanned]
        found.distances[scanned], found.rows[scanned], counts[scanned] = nearest_rows(
            graph.rows.exact, asked.exact[scanned], asked.factors[scanned], k, allowed=table, num_rows=n,
            threads=threads,
        )  # fmt: skip
    return found


def _seeds(allowed: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Up to 16 passing rows of each mask, spread evenly over them."""
    seeds = np.full((len(allowed), _SEEDS), -1, np.int64)
    for row, mask in enumerate(allowed):
        passing = np.flatnonzero(mask)
        spread = np.unique(np.linspace(0, len(passing) - 1, min(_SEEDS, len(passing))).astype(np.int64))
        seeds[row, : len(spread)] = passing[spread]
    return seeds
