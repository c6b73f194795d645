"""Destinations that a temporal link is compared with: random ones, past ones, and ones first met after training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.streams import Purpose, root_of
from ...graphlib.errors import InvalidInput
from ...sampling.arguments import check_count
from .splits import event_positions

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .splits import Events

KINDS = ("random", "historical", "inductive")
COLLISIONS = ("allow", "refuse")


class TemporalNegatives:
    """Draw negative destinations for events.

    Parameters
    ----------
    events : Events
        The whole stream.
    pool : int array
        Positions, or a mask, of the events whose destinations may be drawn; a training sampler must be given training
        events only.
    kind : {"random", "historical", "inductive"}, default "random"
        Uniform over the distinct destinations of the pool; or destinations that the source met strictly before, but not
        at that time; or of those, ones whose pair with the source is in no training event. Where the source has none,
        random ones are drawn.
    num : int, default 1
    collisions : {"allow", "refuse"}, default "refuse"
        Whether a random draw may be the event's own destination, or another that the source meets at the same time.
        Papers that compute AP with one random negative mostly allow it. Where the pool has nothing else, it is drawn.
    train : int array, optional
        Positions, or a mask, of the training events, for kind "inductive".
    seed : int, default 0

    Notes
    -----
    What is drawn depends on (seed, epoch, edge id, number of the draw), not on batches.

    References
    ----------
    F. Poursafaei et al., "Towards better evaluation for dynamic link prediction", arXiv:2207.10128, section 4.2. There
    whole edges are drawn; here the source is kept, so that every link has negatives of its own.

    Examples
    --------
    >>> import nearhop, numpy as np
    >>> from nearhop.gnn.temporal.negatives import TemporalNegatives
    >>> from nearhop.gnn.temporal.splits import Events
    >>> store = nearhop.GraphStore.from_edges([0, 0, 0], [1, 2, 1], time=[1, 2, 3], directed=True)
    >>> events = Events.from_store(store)
    >>> TemporalNegatives(events, np.arange(3), kind="historical").draw(np.array([1, 2])).tolist()
    [[1], [2]]
    """

    def __init__(
        self,
        events: Events,
        pool: NDArray[np.int64],
        *,
        kind: str = "random",
        num: int = 1,
        collisions: str = "refuse",
        train: NDArray[np.int64] | None = None,
        seed: int = 0,
    ) -> None:
        if kind not in KINDS:
            raise InvalidInput(f"kind must be one of {', '.join(map(repr, KINDS))}; got {kind!r}")
        if collisions not in COLLISIONS:
            raise InvalidInput(f"collisions must be one of {', '.join(map(repr, COLLISIONS))}; got {collisions!r}")
        if kind == "inductive" and train is None:
            raise InvalidInput("inductive negatives need train: the positions of the training events")
        self.events = events
        self.destinations = np.unique(events.dst[event_positions("pool", pool, events)])
        if self.destinations.shape[0] == 0:
            raise InvalidInput("the pool has no events, so there are no destinations to draw")
        self.kind = kind
        self.num = check_count("num", num, 1)
        self.collisions = collisions
        self.seed = seed
        known = event_positions("train", () if train is None or kind != "inductive" else train, events)
        self._history = None if kind == "random" else _history(events, known)

    def draw(self, positions: ArrayLike, *, epoch: int = 0) -> NDArray[np.int64]:
        """Negatives of the events at `positions`, int64 (n, num)."""
        from ...sampling.negatives import negatives_cpu

        positions = event_positions("positions", positions, self.events)
        out = np.empty((positions.shape[0], self.num), np.int64)
        events = self.events
        negatives_cpu.draw_from_pool(
            *(events.src, events.dst, events.time, events.edge_ids, positions, self.destinations),
            *(self.collisions == "refuse", root_of(self.seed, Purpose.DESTINATIONS), epoch, out),
        )
        if self._history is not None:
            from ...sampling.negatives.negatives import historical_negatives

            past = historical_negatives(
                *(self._history, events.src[positions], events.time[positions], self.num),
                seed=self.seed,
                epoch=epoch,
                keys=events.edge_ids[positions],
            )
            out = np.where(past >= 0, past, out)
        return out


def _history(events: Events, train: NDArray[np.int64]) -> Any:
    """The stream as a store, without the pairs of the events `train`."""
    from ...graphlib.store.store import GraphStore

    keep = ~np.isin(_pairs(events), _pairs(events)[train])
    return GraphStore.from_edges(
        events.src[keep], events.dst[keep], num_nodes=events.num_nodes, time=events.time[keep], directed=True
    )


def _pairs(events: Events) -> NDArray[np.int64]:
    return events.src * events.num_nodes + events.dst
