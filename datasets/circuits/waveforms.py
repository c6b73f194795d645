"""Nets whose sinks answer the waveform of the cell that drives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .pins import TimingGraph


class Nets:
    """Delays and slews behind the wires of cells, the worst of those of all arcs of a cell, filled as cells fire.

    Attributes
    ----------
    delay, slew : float64 (num_net_edges, 4)
        NaN where no cell has driven the net yet.
    """

    def __init__(self, graph: TimingGraph) -> None:
        self._graph = graph
        self.delay = np.full(graph.net_elmore.shape, np.nan)
        self.slew = np.full(graph.net_elmore.shape, np.nan)
        self._order = np.argsort(graph.net_src, kind="stable")
        self._first = np.searchsorted(graph.net_src[self._order], np.arange(graph.num_pins + 1))

    def drive(
        self,
        arcs: NDArray[np.int64],
        corner: int,
        slews: NDArray[np.float64],
        pins: NDArray[np.int64],
        worst: np.ufunc,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Delays and slews of arcs that drive pins, from slews at the arcs' inputs; their nets hear of it."""
        from . import waveforms_cpu as kernels

        graph, tables = self._graph, self._graph.tables
        delay, slew = np.full(arcs.size, np.nan), np.full(arcs.size, np.nan)
        some = np.flatnonzero(np.isfinite(slews) & tables.valid[arcs, corner] & tables.valid[arcs, 4 + corner])
        levels = kernels.Levels(graph.thresholds[0], 0.5, graph.thresholds[1])
        waves = np.empty((some.size, kernels.WAVE))
        kernels.drive_all(
            (tables.lengths, tables.slews, tables.loads, tables.values), arcs[some], corner, slews[some],
            graph.pi[pins[some], corner], levels, waves,
        )  # fmt: skip
        delay[some], slew[some] = waves[:, kernels.DELAY], waves[:, kernels.SLEW]
        count = np.diff(self._first)[pins[some]]
        drivers = np.repeat(np.arange(some.size), count)
        within = np.arange(drivers.size) - np.repeat(np.cumsum(count) - count, count)
        edges = self._order[np.repeat(self._first[pins[some]], count) + within]
        behind = np.empty((2, edges.size))
        kernels.reach_all(waves, drivers, graph.net_elmore[edges, corner], levels, behind[0], behind[1])
        worst.at(self.delay[:, corner], edges, behind[0])
        worst.at(self.slew[:, corner], edges, behind[1])
        return delay, slew
