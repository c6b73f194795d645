"""All pairs of similar sets, as a stream of edges."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...graphlib.compute.jit import threads_in_use
from ...graphlib.errors import IndexMismatch, InvalidInput
from ...graphlib.given_store import check_store
from ..metrics import check_count
from ..minhash.sets import RaggedSets
from .buckets import PAIRS_OF_A_LARGE_BUCKET, Segment, say_capped
from .parts_cpu import Buckets, Pairs, Visits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...graphlib.store.store import GraphStore
    from ...graphlib.types import EdgeType
    from .index import LSH

_TASKS = 64
_CAPACITY = 1 << 14


class SimilarityGraph(NamedTuple):
    """Undirected edges between similar sets, each once.

    Attributes
    ----------
    src, dst : int64 (m,)
        User ids of the two sets.
    similarity : float32 (m,)
        Estimated, or exact where verification was asked for.

    Notes
    -----
    `add_to(store)` makes them edges of the store the sets came from, beside the others.
    """

    src: NDArray[np.int64]
    dst: NDArray[np.int64]
    similarity: NDArray[np.float32]

    def add_to(self, store: GraphStore, edge_type: EdgeType = ("node", "similar", "node")) -> GraphStore:
        """Add an undirected edge type, weighted by similarity; ids are taken as positions of nodes.

        On a stored graph it is written at `commit()`.

        Examples
        --------
        >>> import nearhop
        >>> from nearhop.ann import LSH, MinHash
        >>> store = nearhop.GraphStore.from_edges([0, 0, 1, 1, 2], [3, 4, 3, 4, 4])
        >>> graph = LSH(MinHash(64), bands=32).add(MinHash(64).fit_transform(store)).similarity_graph(0.9)
        >>> graph.add_to(store).csr(("node", "similar", "node")).neighbors(0).tolist()
        [1]
        """
        check_store(store)
        store.add_edge_type(edge_type, self.src, self.dst, weight=self.similarity, directed=False, positions=True)
        return store


class _State(NamedTuple):
    """What pairs are read from: an index as it was at one moment."""

    signatures: NDArray[np.uint32]
    ids: NDArray[np.int64]
    dead: NDArray[np.bool_]
    segment: Segment
    width: int
    max_bucket: int


def pairs_of(
    index: LSH, threshold: float, verify: Any, rows_per_block: int, threads: int | None
) -> Iterator[SimilarityGraph]:
    """Blocks of edges in order of (src row, dst row); see `LSH.pairs`. Called while nothing changes."""
    if not 0 < threshold <= 1:
        raise InvalidInput(f"threshold must be in (0, 1]; got {threshold!r}")
    rows_per_block = check_count("rows_per_block", rows_per_block)
    rows = index._rows
    sets = None if verify is None else RaggedSets.of(verify)
    if sets is not None and len(sets) != len(rows):
        raise IndexMismatch(f"verify has {len(sets)} sets but the index has {len(rows)} rows")
    if sets is not None:
        sets = sets.in_order()
    # Changes write behind these rows and into new segments; marks of deleted rows alone are written in place.
    state = _State(
        index.signatures, rows.values, rows.dead.copy(), index._segments[0], index.shape[1], index.max_bucket
    )  # fmt: skip
    return _blocks(state, threshold, sets, rows_per_block, threads)


def _blocks(
    state: _State, threshold: float, sets: RaggedSets | None, rows_per_block: int, threads: int | None
) -> Iterator[SimilarityGraph]:
    n, slots = state.signatures.shape
    slack = 0.0 if sets is None else 3 * math.sqrt(threshold * (1 - threshold) / slots)
    least = max(1, math.ceil(slots * (threshold - slack) - 1e-9))
    said = False
    for start in range(0, n, rows_per_block):
        left, right, equal, capped = _block(state, start, min(start + rows_per_block, n), least, threads)
        if capped and not said:
            said = True
            say_capped("pairs: sets", state.max_bucket, PAIRS_OF_A_LARGE_BUCKET, stacklevel=3)
        order = np.lexsort((right, left))
        left, right = left[order], right[order]
        similarity = (equal[order] / slots).astype(np.float32)
        if sets is not None:
            similarity = sets.jaccard(left, right, threads=threads)
            kept = similarity >= threshold
            left, right, similarity = left[kept], right[kept], similarity[kept]
        yield SimilarityGraph(state.ids[left], state.ids[right], similarity)


def _block(
    state: _State, start: int, stop: int, least: int, threads: int | None
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], bool]:
    from .candidates_cpu import sorted_pairs_of_block

    signatures, segment = state.signatures, state.segment
    buckets = Buckets(
        segment.keys, segment.rows, segment.starts, state.width, state.max_bucket, PAIRS_OF_A_LARGE_BUCKET
    )
    bounds = np.linspace(start, stop, _TASKS + 1).astype(np.int64)
    begin, end = bounds[:-1], bounds[1:]
    reached = begin.copy()
    parts: list[list[Any]] = [[], [], []]
    capacity, capped = _CAPACITY, np.zeros(_TASKS, np.int64)
    with threads_in_use(threads) as workers:
        shape = (workers, len(signatures))
        visits = Visits(np.zeros(shape, np.int32), np.zeros(workers, np.int32), np.empty(shape, np.int32))
        while (reached < end).any():
            src, dst, equal = (np.empty((_TASKS, capacity), np.int32) for _ in range(3))
            filled, before = np.zeros(_TASKS, np.int64), reached.copy()
            pairs = Pairs(src, dst, equal, filled, reached)
            sorted_pairs_of_block(signatures, begin, end, buckets, least, state.dead, visits, pairs, capped)
            for part, table in zip(parts, (src, dst, equal), strict=True):
                part.extend(table[task, : filled[task]].copy() for task in range(_TASKS))
            if ((reached == before) & (reached < end)).any():
                capacity *= 2  # the pairs of one row did not fit
    left, right, agree = (np.concatenate(part) for part in parts)
    return left, right, agree, bool(capped.any())


__all__ = ["SimilarityGraph", "pairs_of"]
