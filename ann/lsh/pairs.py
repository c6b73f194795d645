"""All pairs of similar sets, as a stream of edges."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...graphlib.compute.jit import threads_in_use
from ...graphlib.errors import IndexMismatch, InvalidInput
from ..metrics import check_count
from ..minhash.sets import RaggedSets

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
        store.add_edge_type(edge_type, self.src, self.dst, weight=self.similarity, directed=False)
        return store


def pairs_of(
    index: LSH, threshold: float, verify: Any, rows_per_block: int, threads: int | None
) -> Iterator[SimilarityGraph]:
    """Blocks of edges in order of (src row, dst row); see `LSH.pairs`."""
    if not 0 < threshold <= 1:
        raise InvalidInput(f"threshold must be in (0, 1]; got {threshold!r}")
    rows_per_block = check_count("rows_per_block", rows_per_block)
    n = len(index._rows)
    sets = None if verify is None else RaggedSets.of(verify)
    if sets is not None and len(sets) != n:
        raise IndexMismatch(f"verify has {len(sets)} sets but the index has {n} rows")
    if sets is not None:
        sets = sets.in_order()
    return _blocks(index, threshold, sets, rows_per_block, threads, n)


def _blocks(
    index: LSH, threshold: float, sets: RaggedSets | None, rows_per_block: int, threads: int | None, n: int
) -> Iterator[SimilarityGraph]:
    slots = index.minhash.num_perm
    slack = 0.0 if sets is None else 3 * math.sqrt(threshold * (1 - threshold) / slots)
    least = max(1, math.ceil(slots * (threshold - slack) - 1e-9))
    ids, dead = index._rows.values, index._rows.dead
    for start in range(0, n, rows_per_block):
        left, right, equal = _block(index, start, min(start + rows_per_block, n), least, dead, threads)
        order = np.lexsort((right, left))
        left, right = left[order], right[order]
        similarity = (equal[order] / slots).astype(np.float32)
        if sets is not None:
            similarity = sets.jaccard(left, right, threads=threads)
            kept = similarity >= threshold
            left, right, similarity = left[kept], right[kept], similarity[kept]
        yield SimilarityGraph(ids[left], ids[right], similarity)


def _block(
    index: LSH, start: int, stop: int, least: int, dead: NDArray[np.bool_], threads: int | None
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    from .buckets_cpu import sorted_pairs_of_block

    signatures = index.signatures
    bounds = np.linspace(start, stop, _TASKS + 1).astype(np.int64)
    begin, end = bounds[:-1], bounds[1:]
    reached = begin.copy()
    parts: list[list[Any]] = [[], [], []]
    capacity = _CAPACITY
    segment = index._segments[0]
    with threads_in_use(threads) as workers:
        marks, found = np.zeros((workers, len(signatures)), np.int32), np.empty((workers, len(signatures)), np.int32)
        turns = np.zeros(workers, np.int32)
        while (reached < end).any():
            src, dst, equal = (np.empty((_TASKS, capacity), np.int32) for _ in range(3))
            filled, before = np.zeros(_TASKS, np.int64), reached.copy()
            sorted_pairs_of_block(
                signatures, begin, end, index.shape[1], segment.keys, segment.rows, segment.starts, index.max_bucket,
                least, dead, marks, turns, found, src, dst, equal, filled, reached,
            )  # fmt: skip
            for part, table in zip(parts, (src, dst, equal), strict=True):
                part.extend(table[task, : filled[task]].copy() for task in range(_TASKS))
            if ((reached == before) & (reached < end)).any():
                capacity *= 2  # the pairs of one row did not fit
    left, right, agree = (np.concatenate(part) for part in parts)
    return left, right, agree


__all__ = ["SimilarityGraph", "pairs_of"]
