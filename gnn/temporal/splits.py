"""Streams of events, and their division by time into training, validation and test without leaks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.streams import Purpose, generator
from ...graphlib.errors import InvalidInput
from ...graphlib.given_store import chosen_edge_type
from ...graphlib.scalars import is_number
from ...sampling.arguments import chosen_positions

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore


@dataclass(frozen=True, eq=False, repr=False)
class Events:
    """Timed links from first to last.

    Attributes
    ----------
    src, dst : int64 (n,)
    time : float64 (n,)
        Ascending. Whole numbers that float64 does not hold, such as nanoseconds since 1970, count from the first event.
    edge_ids : int64 (n,)
        Distinct; of the store's edges, so that row `edge_ids[i]` of an edge column belongs to event i.
    num_nodes : int
    """

    src: NDArray[np.int64]
    dst: NDArray[np.int64]
    time: NDArray[np.float64]
    edge_ids: NDArray[np.int64]
    num_nodes: int

    @classmethod
    def from_store(cls, store: GraphStore, edge_type: Any = None) -> Events:
        """The edges of a store by time; edges of one time in the order of their ids.

        Raises
        ------
        InvalidInput
            The edges have no times, or connect nodes of two types.

        Examples
        --------
        >>> import nearhop
        >>> from nearhop.gnn.temporal.splits import Events
        >>> store = nearhop.GraphStore.from_edges([0, 1], [1, 2], time=[5, 3], directed=True)
        >>> Events.from_store(store).edge_ids.tolist()
        [1, 0]
        """
        chosen = chosen_edge_type(store, edge_type)
        if chosen[0] != chosen[2]:
            raise InvalidInput(f"events need one type of nodes, but {chosen} joins two; put both into one type")
        edges = store.edge_list(chosen)
        if edges.time is None:
            raise InvalidInput("events need edge times, and these edges have none; ingest them with time=...")
        time = _as_floats(edges.time)
        order = np.argsort(time, kind="stable")
        src, dst = (np.asarray(ids)[order].astype(np.int64) for ids in (edges.src, edges.dst))
        return cls(src, dst, time[order], order, store.num_nodes_of(chosen[0]))

    def take(self, positions: NDArray[np.int64]) -> Events:
        """The events at some positions, in that order."""
        ids = self.edge_ids[positions]
        return Events(self.src[positions], self.dst[positions], self.time[positions], ids, self.num_nodes)

    def __len__(self) -> int:
        return int(self.src.shape[0])

    def __repr__(self) -> str:
        span = f", time {self.time[0]:g}..{self.time[-1]:g}" if len(self) else ""
        return f"Events({len(self):,} among {self.num_nodes:,} nodes{span})"


def event_positions(name: str, given: ArrayLike, events: Events) -> NDArray[np.int64]:
    """Positions of events, or a mask of them, as int64 positions that there are."""
    return chosen_positions(name, given, len(events), of="event")


def _as_floats(time: NDArray[Any]) -> NDArray[np.float64]:
    """Times as float64 without rounding."""
    if time.dtype.kind in "iu" and time.size and max(-int(time.min()), int(time.max())) > 1 << 53:
        first, last = int(time.min()), int(time.max())
        if last - first > 1 << 53:
            raise InvalidInput(
                f"the events' times span {last - first:,} units, more than float64 holds exactly; keep them in larger "
                "units, such as microseconds"
            )
        time = time - first
    return np.asarray(time, np.float64)


@dataclass(frozen=True, eq=False, repr=False)
class TemporalSplit:
    """Positions of events for training, validation and test, in order of time.

    Attributes
    ----------
    train, val, test : int64 (n,)
    masked : int64 (m,)
        Nodes no training or validation event touches; empty in a transductive split.
    replay : int64 (n,) or None
        Events to observe, without learning, between reset and test: all before the test period, those of masked nodes
        too. None means that the test goes on where the validation ended.
    """

    train: NDArray[np.int64]
    val: NDArray[np.int64]
    test: NDArray[np.int64]
    masked: NDArray[np.int64]
    replay: NDArray[np.int64] | None = None

    def __repr__(self) -> str:
        kind = "transductive" if self.replay is None else f"inductive, {self.masked.shape[0]:,} masked nodes"
        return f"TemporalSplit({kind}: {len(self.train):,} train, {len(self.val):,} val, {len(self.test):,} test)"


def time_split(events: Events, quantiles: tuple[float, float] = (0.70, 0.85)) -> TemporalSplit:
    """Training up to the first quantile of the events' times, validation up to the second, then test.

    Events at the time of a quantile belong to the earlier part, so events of one time are never divided.

    Examples
    --------
    >>> import nearhop, numpy as np
    >>> from nearhop.gnn.temporal.splits import Events, time_split
    >>> store = nearhop.GraphStore.from_edges(np.arange(20), np.arange(1, 21), time=np.arange(20), directed=True)
    >>> time_split(Events.from_store(store))
    TemporalSplit(transductive: 14 train, 3 val, 3 test)
    """
    first, second = _bounds(events, quantiles)
    everything = np.arange(len(events))
    return TemporalSplit(everything[:first], everything[first:second], everything[second:], np.empty(0, np.int64))


def inductive_split(
    events: Events, quantiles: tuple[float, float] = (0.70, 0.85), *, share: float = 0.1, seed: int = 0
) -> TemporalSplit:
    """As `time_split`, but some nodes are hidden from training and validation and every test event has one of them.

    Parameters
    ----------
    events : Events
    quantiles : floats
    share : float, default 0.1
        Nodes to hide, of all that have events; drawn among those with events after the training period.
    seed : int

    Raises
    ------
    InvalidInput
        The share is less than a node, or no event is after the training period: there would be nothing to test.

    References
    ----------
    Y. Luo and P. Li, arXiv:2209.01084, section 5.1 and appendix C.1.

    Examples
    --------
    >>> import nearhop, numpy as np
    >>> from nearhop.gnn.temporal.splits import Events, inductive_split
    >>> store = nearhop.GraphStore.from_edges(np.arange(20), np.arange(1, 21), time=np.arange(20), directed=True)
    >>> split = inductive_split(Events.from_store(store), seed=1)
    >>> split.masked.tolist(), split.test.tolist(), len(split.replay)
    ([16, 18], [17, 18], 17)
    """
    if not is_number(share) or not 0 < share < 1:
        raise InvalidInput(f"share must be between 0 and 1; got {share!r}")
    first, second = _bounds(events, quantiles)
    later = np.unique(np.concatenate([events.src[first:], events.dst[first:]]))
    everyone = np.unique(np.concatenate([events.src, events.dst])).shape[0]
    count = min(int(share * everyone), later.shape[0])
    if count == 0:
        raise InvalidInput(
            f"share={share!r} of {everyone} nodes, {later.shape[0]} of them with events after the training period, "
            "hides none, so that there is nothing to test; give a larger share, or more events"
        )
    masked = np.sort(generator(seed, Purpose.UNSEEN).choice(later, count, replace=False))
    hidden = np.zeros(events.num_nodes, np.bool_)
    hidden[masked] = True
    touched = hidden[events.src] | hidden[events.dst]
    everything = np.arange(len(events))
    train, val, test = everything[:first], everything[first:second], everything[second:]
    return TemporalSplit(train[~touched[train]], val[~touched[val]], test[touched[test]], masked, everything[:second])


def _bounds(events: Events, quantiles: tuple[float, float]) -> tuple[int, int]:
    wanted = tuple(quantiles) if isinstance(quantiles, Iterable) else ()
    if len(wanted) != 2 or not all(map(is_number, wanted)) or not 0 < wanted[0] < wanted[1] < 1:
        raise InvalidInput(f"quantiles must rise between 0 and 1, such as (0.7, 0.85); got {quantiles!r}")
    if len(events) == 0:
        raise InvalidInput("there are no events to divide")
    cuts = np.quantile(events.time, wanted)
    first, second = np.searchsorted(events.time, cuts, side="right")
    return int(first), int(second)
