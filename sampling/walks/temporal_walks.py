"""Temporal random walks: every edge is later than the one before, or earlier when walking into the past."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.streams import Purpose, root_of
from ...graphlib.errors import InvalidInput
from ...graphlib.given_store import check_store, chosen_edge_type
from ...graphlib.store.times import span_in
from ..arguments import (
    check_count,
    check_epoch,
    check_seed_time,
    check_window,
    node_positions,
    room_for,
    threads_for,
    words_of,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore


@dataclass(frozen=True, eq=False, repr=False)
class TemporalWalks:
    """Walks with the times of their edges.

    Attributes
    ----------
    nodes : int32 or int64 (num_walks, length + 1)
        Row i starts with `starts[i]`; -1 after the last edge that could be walked.
    times : int64 or float64 (num_walks, length)
        Time of every edge walked; undefined where `edge_ids` is -1.
    edge_ids : int32 or int64 (num_walks, length)
    """

    nodes: NDArray[Any]
    times: NDArray[Any]
    edge_ids: NDArray[Any]

    @property
    def steps(self) -> NDArray[np.int64]:
        """How many edges each walk took, int64 (num_walks,)."""
        return (self.edge_ids >= 0).sum(axis=1)

    def __repr__(self) -> str:
        walks, length = self.edge_ids.shape
        return f"TemporalWalks({walks:,} walks of at most {length} steps, {int(self.steps.sum()):,} steps taken)"


def temporal_walks(
    store: GraphStore,
    starts: ArrayLike,
    *,
    start_time: ArrayLike | None = None,
    length: int = 40,
    backward: bool = False,
    inclusive: bool = False,
    window: float | np.timedelta64 | timedelta | None = None,
    seed: int = 0,
    epoch: int = 0,
    edge_type: Any = None,
    threads: int | None = None,
) -> TemporalWalks:
    """Walk along edges whose times only increase (or only decrease, with `backward`), each chosen uniformly.

    Parameters
    ----------
    store : GraphStore
        With edge times. Forward walks follow out-edges, backward ones in-edges.
    starts : int array (num_walks,)
        A node named several times gets as many different walks, and so does one named with several times.
    start_time : array (num_walks,), optional
        Forward, the first edge is later than this; backward, earlier. By default any edge will do.
    length : int >= 0, default 40
        Steps per walk at most.
    backward : bool, default False
        Walk into the past along in-edges, as causal models do that must not see the future.
    inclusive : bool, default False
        Allow an edge at exactly the time of the one before (or at `start_time`).
    window : float >= 0 or timedelta64, optional
        An edge is at most this far in time from the one before.
    seed, epoch : int
        A walk is determined by (seed, epoch, start node, how often that node came before in `starts`, start time).
    edge_type : optional
        Which edges, in a store with several types.
    threads : int, optional
        All cores by default; the result does not depend on it.

    Notes
    -----
    O(log degree) per step. The first use sorts every row by time and keeps that copy of the adjacency.

    References
    ----------
    G. Nguyen et al., "Continuous-time dynamic network embeddings", WWW 2018 companion, doi:10.1145/3184558.3191526,
    section 3 (uniform edge selection).

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.sampling import temporal_walks
    >>> chain = nearhop.GraphStore.from_edges([0, 1, 1], [1, 2, 3], time=[5, 3, 8], directed=True)
    >>> temporal_walks(chain, [0], length=3).nodes.tolist()
    [[0, 1, 3, -1]]
    """
    check_store(store)
    from ...graphlib.compute.jit import threads_in_use
    from . import temporal_walks_cpu
    from .walks_cpu import occurrences

    steps, epoch = check_count("length", length), check_epoch(epoch)
    span: float | None = span_in(window, store.attributes)
    check_window("window", span)
    side = store.csc if backward else store.csr
    if side(edge_type).time is None:
        raise InvalidInput("temporal walks need edge times, and these edges have none; ingest them with time=...")
    rows = side(edge_type, order="time")
    if rows.num_rows != rows.num_cols:
        raise InvalidInput(f"a walk needs edges that lead back to the same node type; {edge_type!r} do not")
    if rows.time is None:
        raise InvalidInput("the adjacency sorted by time carries no times")
    nodes = node_positions("starts", starts, rows.num_rows)
    count = nodes.shape[0]
    bounded = start_time is not None
    times = (
        check_seed_time("start_time", start_time, count, store.attributes)
        if bounded
        else np.zeros(count, rows.time.dtype)
    )
    streams = np.empty(count, np.int32)
    occurrences(nodes, np.zeros(rows.num_rows, np.int32), streams)
    walks = room_for("walks", count, steps + 1, rows.indices.dtype)
    walk_times = np.zeros((count, steps), rows.time.dtype)
    edges = np.empty((count, steps), rows.edge_ids.dtype)
    chosen = root_of(seed, Purpose.TEMPORAL_WALKS, *words_of(chosen_edge_type(store, edge_type)))
    with threads_in_use(threads_for(threads, count)):
        temporal_walks_cpu.walk(
            *((rows.indptr, rows.indices, rows.edge_ids, rows.time), nodes, streams, times, bounded),
            *((backward, inclusive, -1.0 if span is None else float(span)), chosen, epoch, (walks, walk_times, edges)),
        )
    return TemporalWalks(walks, walk_times, edges)
