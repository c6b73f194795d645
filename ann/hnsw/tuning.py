"""Questions about an index: how much memory it will take, which beam reaches a recall, how a query is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import unmasked
from ...graphlib.errors import InvalidInput, NotFitted
from ...graphlib.scalars import is_number
from ..distances.scan import nearest_rows
from ..filters import allowed_rows
from ..least_effort import least_effort
from ..metrics import check_count, check_rows, metric_code, query_scales, scaled
from ..result import SearchResult, finish, recall
from ..storage.rows import storage_class
from .choosing import choose, link_bytes
from .packed.layout import most_bytes
from .plan import NAMES, least_beam, make_plan, row_bytes
from .walks import Queries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from .index import HNSW

_MOST_BEAM = 1024
_SAMPLE = 200


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes an index will hold: `vectors`, `links` of all levels with their counts, and at most `codes` and `blocks` of
    codes beside links; and the `total`."""

    vectors: int
    links: int
    codes: int
    blocks: int = 0

    @property
    def total(self) -> int:
        return self.vectors + self.links + self.codes + self.blocks


@dataclass(frozen=True, eq=False)
class Explanation:
    """How one query is answered.

    Attributes
    ----------
    method : {"walk", "step over", "scan"}
        A walk through all rows; a walk that steps over rows that fail the filter; an exact scan of those that pass.
    beam : int
        Width of the beam (0 for a scan).
    passing, rows : int
        Rows that may be returned, and all.
    result : SearchResult
        What `search` returns.
    missed : int64 (any number,)
        Ids of true neighbours, by an exact scan, that are not in the result.
    recall : float
        The share of true neighbours that are.
    """

    method: str
    beam: int
    passing: int
    rows: int
    result: SearchResult
    missed: NDArray[np.int64]
    recall: float

    def __repr__(self) -> str:
        share = 100 * self.passing / max(1, self.rows)
        return (
            f"Explanation({self.method}, beam {self.beam}, {self.passing:,} of {self.rows:,} rows pass "
            f"({share:.3g} %), recall {self.recall:.3f}, {len(self.missed)} missed)"
        )


def estimate_memory(index: HNSW, num_rows: int, dim: int) -> MemoryEstimate:
    """See `HNSW.estimate_memory`."""
    n, dim = check_count("num_rows", num_rows, low=0), check_count("dim", dim)
    metric = metric_code(index.metric, bits=True)
    storage, layout = index.storage, index.layout
    if storage == "auto":
        storage, layout = choose(metric, dim, n, index.M)
    rows, codes = storage_class(storage, metric).bytes_of(metric, dim, n)
    blocks = most_bytes(n, dim, 2 * index.M) if layout == "packed" else 0
    return MemoryEstimate(rows, link_bytes(n, index.M), codes, blocks)


def tune(index: HNSW, target_recall: float, queries: ArrayLike | None, k: int) -> int:
    """See `HNSW.tune`."""
    if not is_number(target_recall) or not 0 < target_recall <= 1:
        raise InvalidInput(f"tune: target_recall must be in (0, 1]; got {target_recall!r}")
    if not len(index):
        raise NotFitted("tune: the index is empty; add vectors first")
    k = check_count("k", k)
    graph = index.graph
    if queries is None:
        live = np.flatnonzero(~index._rows.dead)
        picked = live[np.unique(np.linspace(0, len(live) - 1, min(len(live), _SAMPLE)).astype(np.int64))]
        rows, depth = graph.rows.given(graph.rows.kept[picked]), k + 1  # each finds itself
    else:
        rows, depth = (
            check_rows("tune", queries, metric_code(index.metric, bits=True), dim=index.dim, what="queries"),
            k,
        )
    truth = _exact(index, rows, depth, None)

    def reaches(beam: int) -> bool:
        return recall(index.search(rows, depth, ef_search=beam), truth) >= target_recall

    return least_effort(reaches, depth, max(depth, _MOST_BEAM))


def tune_classes(index: HNSW, target_recall: float, queries: Mapping[str, ArrayLike], k: int) -> dict[str, int]:
    """See `HNSW.tune`."""
    if not queries or not all(isinstance(name, str) and name for name in queries):
        raise InvalidInput(f"tune: queries by name need at least one, and names that are text; got {list(queries)!r}")
    return {name: tune(index, target_recall, rows, k) for name, rows in queries.items()}


def explain(index: HNSW, query: ArrayLike, k: int, ef_search: int | None, given: Any) -> Explanation:
    """See `HNSW.explain`."""
    metric = metric_code(index.metric, bits=True)
    row = check_rows("explain", np.atleast_2d(unmasked("explain: query", query)), metric, dim=index.dim, what="query")
    if len(row) != 1:
        raise InvalidInput(f"explain: give one query of shape ({index.dim},); got {len(row)}")
    graph = index.graph
    allowed = allowed_rows(given, index._rows, 1, index._where)
    asked = index.ef_search if ef_search is None else check_count("ef_search", ef_search)
    ef = max(asked, least_beam(check_count("k", k), coded=graph.is_coded))
    plan = make_plan(ef, index.M, allowed, 1, graph.count, k, row_bytes(graph))
    result = index.search(row, k, ef_search=ef_search, filter=given)
    truth = _exact(index, row, k, allowed)
    method = NAMES[int(plan.method[0])]
    missed = np.setdiff1d(truth.ids[0, : truth.counts[0]], result.ids[0, : result.counts[0]])
    beam = 0 if method == "scan" else int(plan.beam[0])
    return Explanation(method, beam, int(plan.passing[0]), graph.count, result, missed, recall(result, truth))


def _exact(index: HNSW, queries: NDArray[Any], k: int, allowed: NDArray[np.bool_] | None) -> SearchResult:
    graph = index.graph
    if allowed is None and index._rows.num_dead:
        allowed = ~index._rows.dead[None, :]
    metric = metric_code(index.metric, bits=True)
    queries = scaled(queries, metric)
    asked = Queries(graph.rows, queries, query_scales(queries, metric))
    distances, found, counts = nearest_rows(
        graph.rows.exact, asked.exact, asked.factors, min(k, graph.count),
        allowed=allowed, num_rows=graph.count, threads=index.threads,
    )  # fmt: skip
    return finish(metric, distances, found, counts, index._rows.values, found.shape[1])
