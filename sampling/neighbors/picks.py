"""Which entries of adjacency rows are drawn: one object per set of edges, used by every neighbour sampler."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.streams import Purpose, root_of
from ...graphlib.compute.threads import pieces, spread
from ...graphlib.errors import InvalidInput, InvalidType
from ...graphlib.given_store import chosen_edge_type
from ...graphlib.store.times import span_in
from ..arguments import check_window, words_of
from .numbers import AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ...graphlib.store.adjacency import Adjacency
    from ...graphlib.store.store import GraphStore
    from ...graphlib.types import EdgeType
    from ..scratch import Scratch


@dataclass(frozen=True)
class Temporal:
    """Which edges a seed's time lets a sampler see.

    Attributes
    ----------
    inclusive : bool, default False
        Also edges at exactly the seed's time. The default is strictly earlier, so that simultaneous events do not leak.
    window : float >= 0 or timedelta64, optional
        Only edges at most this much older than the seed's time, in the units of the store's times.
    latest : bool, default False
        The most recent edges instead of uniform draws.
    """

    inclusive: bool = False
    window: float | np.timedelta64 | timedelta | None = None
    latest: bool = False


def in_units(rule: Temporal | None, attributes: Mapping[str, Any]) -> Temporal | None:
    """The same rule with its window as a number in the store's unit."""
    if rule is not None and not isinstance(rule, Temporal):
        raise InvalidType(f"temporal must be a Temporal, such as Temporal(window=10), or None; got {rule!r:.50}")
    if rule is None or not isinstance(rule.window, np.timedelta64 | timedelta):
        return rule
    return replace(rule, window=span_in(rule.window, attributes))


@dataclass(frozen=True)
class Draw:
    """How edges are drawn from a row; the options of `NeighborSampler` that say so."""

    replace: bool = False
    direction: str = "in"
    method: str = "uniform"
    weighted: bool = False
    temporal: Temporal | None = None

    def __post_init__(self) -> None:
        if self.direction not in ("in", "out"):
            raise InvalidInput(f'direction must be "in" or "out"; got {self.direction!r}')
        if self.method not in ("uniform", "labor", "labor-per-hop"):
            raise InvalidInput(f'method must be "uniform", "labor" or "labor-per-hop"; got {self.method!r}')
        if self.labor and self.replace:
            raise InvalidInput(f'method="{self.method}" draws without replacement; use replace=False')
        rule = self.temporal
        if rule is None:
            return
        if rule.latest and (self.weighted or self.replace or self.labor):
            raise InvalidInput(
                "Temporal(latest=True) takes the most recent edges, so nothing is drawn: leave out the rest"
            )
        check_window("Temporal.window", rule.window)  # a number, once `in_units` has seen it

    @property
    def labor(self) -> bool:
        """Whether all rows share one random number per neighbour."""
        return self.method != "uniform"


class RowPicker:
    """Draws entries of the rows of one edge type."""

    def __init__(self, store: GraphStore, edge_type: Any, draw: Draw, seed: int) -> None:
        chosen = chosen_edge_type(store, edge_type)
        self.draw = draw
        self.root = neighbor_root(seed, draw.direction, chosen)
        # shared numbers belong to the neighbour, by whatever edges it is reached
        far = chosen[0] if draw.direction == "in" else chosen[2]
        self.shared_root = root_of(seed, Purpose.LABOR, draw.method, far)
        side = store.csc if draw.direction == "in" else store.csr
        if draw.temporal is not None and side(edge_type).time is None:
            raise InvalidInput(
                f"temporal sampling needs edge times, and {_called(edge_type)} have none; ingest them with time=..."
            )
        self.rows = side(edge_type) if draw.temporal is None else side(edge_type, order="time")
        self.weight = np.empty(0, np.float32)
        self.cumulative = np.empty(0, np.float64)
        if draw.weighted:
            self.weight = checked_weight(self.rows, edge_type)
            if draw.replace:
                from . import pick_cpu

                self.cumulative = np.empty(self.weight.shape[0], np.float64)
                for a, b in pieces(self.rows.num_rows, first=AT_ONCE):
                    pick_cpu.running_sums(self.rows.indptr[a : b + 1], self.weight, self.cumulative)

    def pick(
        self,
        scratch: Scratch,
        frontier: NDArray[Any],
        items: NDArray[Any],
        now: NDArray[Any] | None,
        fanout: int,
        epoch: int,
        hop: int,
        slot: str,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Positions of the entries drawn for every frontier node, and where each node's share begins.

        Streams are named (root, epoch, `items[i]`, hop). `now` is the time of every frontier node. The positions are
        valid until the next call, the shares as long as `slot` is not asked again.
        """
        from . import pick_cpu as kernels

        size = frontier.shape[0]
        low, high = scratch.array("low", size), scratch.array("high", size)
        offsets = scratch.array(slot, size + 1)
        offsets[0] = total = 0

        def rows_of(a: int, b: int, _: int) -> None:
            self._rows_of(kernels, frontier[a:b], None if now is None else now[a:b], low[a:b], high[a:b])

        spread(rows_of, size, few=AT_ONCE)
        for a, b in pieces(size, first=AT_ONCE):
            total = kernels.count_picks(low[a:b], high[a:b], fanout, self.draw.replace, offsets[a : b + 1])
        positions = scratch.array("positions", total)
        parts: list[tuple[int, int, NDArray[np.int64]]] = []

        def draw(a: int, b: int, _: int) -> None:
            own = offsets[a : b + 1]
            if short:
                own = own.copy()
            self._pick(kernels, low[a:b], high[a:b], items[a:b], frontier[a:b], own, fanout, epoch, hop, positions)
            parts.append((a, b, own))

        short = self.draw.weighted or self.draw.labor  # rows may yield fewer picks than they have room for
        spread(draw, size, few=AT_ONCE)
        return positions[: _closed_up(parts, offsets, positions) if short else total], offsets

    def _rows_of(self, kernels: Any, frontier: Any, now: Any, low: Any, high: Any) -> None:
        """The part of every frontier node's row that may be drawn from."""
        rows, rule = self.rows, self.draw.temporal
        if rule is None:
            kernels.whole_rows(rows.indptr, frontier, low, high)
            return
        given: Any = rule.window
        window = -1.0 if given is None else float(given)
        kernels.rows_before(rows.indptr, rows.time, frontier, now, rule.inclusive, window, low, high)

    def _pick(
        self, kernels: Any, low: Any, high: Any, items: Any, frontier: Any, offsets: Any, fanout: int, epoch: int,
        hop: int, positions: Any
    ) -> None:  # fmt: skip
        """Draw from each row, from `offsets[0]` on; the ends of rows may come out lower."""
        rows, draw, name = self.rows, self.draw, (self.root, epoch, hop)
        if draw.temporal is not None and draw.temporal.latest:
            kernels.pick_latest(low, high, offsets, positions)
        elif draw.weighted and draw.replace and fanout >= 0:
            sums = rows.indptr[frontier], self.cumulative
            kernels.pick_weighted_with_replacement(low, high, *sums, items, name, fanout, offsets, positions)
        elif draw.weighted or draw.labor:  # of all edges none is drawn twice
            common = draw.labor, self.shared_root, 0 if draw.method == "labor" else hop
            entries = rows.indices, self.weight
            kernels.pick_smallest_keys(low, high, items, entries, name, common, fanout, offsets, positions)
        else:
            kernels.pick_uniform(low, high, items, name, fanout, draw.replace, offsets, positions)


def _closed_up(parts: list[Any], offsets: NDArray[np.int64], positions: NDArray[np.int64]) -> int:
    """Move the picks of parts together where parts before them have fewer than they had room for; returns how many."""
    end = 0
    for a, b, own in sorted(parts, key=lambda part: part[0]):
        first, last = int(own[0]), int(own[-1])
        if end < first:
            positions[end : end + last - first] = positions[first:last]
        offsets[a : b + 1] = own + (end - first) if end < first else own
        end += last - first
    return end


def neighbor_root(seed: int, direction: str, edge_type: EdgeType | None) -> int:
    """What the streams of a neighbour sampler are named by."""
    return root_of(seed, Purpose.NEIGHBORS, direction, *words_of(edge_type))


def checked_weight(rows: Adjacency, edge_type: Any = None) -> NDArray[np.float32]:
    """The weights of the rows' entries, or an error that names the first edge that cannot be drawn by."""
    weight = rows.weight
    if weight is None:
        raise InvalidInput(f"weighted=True, but {_called(edge_type)} have no weight; ingest them with weight=...")
    bad = ~(np.isfinite(weight) & (weight >= 0))
    if bad.any():
        where = int(np.argmax(bad))
        raise InvalidInput(
            f"weights must be finite and >= 0 to be drawn by; edge {int(rows.edge_ids[where])} has weight "
            f"{float(weight[where])}"
        )
    return weight


def _called(edge_type: Any) -> str:
    return "these edges" if edge_type is None else f"edges {edge_type!r}"
