"""Delays of wires: the Elmore delay of trees of resistors and capacitors.

Elmore, "The transient response of damped linear networks", 1948, doi:10.1063/1.1697872: the delay to a node is the sum,
over the resistors on its path from the driver, of resistance times all capacitance behind it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import IngestError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .spef import Wire


class Forest:
    """The trees of many nets in one set of arrays, level by level from their drivers."""

    def __init__(self) -> None:
        self._parent: list[int] = []
        self._resistance: list[float] = []
        self._capacitance: list[float] = []
        self._depth: list[int] = []

    def add(self, wire: Wire, driver: str) -> dict[str, int]:
        """Add a net's tree and return the place of each of its nodes; `IngestError` if it is not a tree."""
        neighbors: dict[str, list[tuple[str, float]]] = {node: [] for node in wire.capacitors}
        for a, b, resistance in wire.resistors:
            neighbors.setdefault(a, []).append((b, resistance))
            neighbors.setdefault(b, []).append((a, resistance))
        places: dict[str, int] = {}
        waiting: list[tuple[str, str, float]] = [(driver, "", 0.0)]
        while waiting:
            node, before, resistance = waiting.pop()
            if node in places:
                raise IngestError(f"net {wire.name!r}: its resistors form a loop at {node}; only trees are computed")
            places[node] = len(self._parent)
            parent = places.get(before, -1)
            self._parent.append(parent)
            self._resistance.append(resistance)
            self._capacitance.append(wire.capacitors.get(node, 0.0))
            self._depth.append(0 if parent < 0 else self._depth[parent] + 1)
            onward = list(neighbors.get(node, ()))
            if before:
                onward.remove((before, resistance))  # the resistor by which we came
            waiting += [(other, node, value) for other, value in onward]
        missing = neighbors.keys() - places.keys()
        if missing:
            raise IngestError(f"net {wire.name!r}: no resistors lead from {driver} to {', '.join(sorted(missing)[:3])}")
        return places

    def single(self) -> int:
        """Add a net without wire: driver and sinks are one node; returns its place."""
        self._parent.append(-1)
        self._resistance.append(0.0)
        self._capacitance.append(0.0)
        self._depth.append(0)
        return len(self._parent) - 1

    def solve(self, pins: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Elmore delays, and what the driver of each tree sees.

        Parameters
        ----------
        pins : float64 (nodes, corners)
            Capacitance of the pins at each node, beside the wire's own, in farads.

        Returns
        -------
        delay : float64 (nodes, corners)
            Elmore delay from the driver, in seconds.
        moments : float64 (nodes, corners, 3)
            At drivers, the first three moments of the admittance: total capacitance, then those with every capacitance
            times the first and second moment of its voltage.
        """
        parent = np.array(self._parent, np.int64)
        depth = np.array(self._depth, np.int64)
        resistance = np.array(self._resistance)[:, None]
        capacitance = np.array(self._capacitance)[:, None] + pins
        order = np.argsort(depth, kind="stable")
        cuts = np.searchsorted(depth[order], np.arange(int(depth.max(initial=-1)) + 2))
        levels = [order[a:b] for a, b in pairwise(cuts)]
        first, total = _moment(capacitance, parent, resistance, levels)
        second, weighted = _moment(capacitance * first, parent, resistance, levels)
        _, last = _moment(capacitance * second, parent, resistance, levels)
        return first, np.stack([total, weighted, last], axis=2)

    def __len__(self) -> int:
        return len(self._parent)


def _moment(
    weight: NDArray[np.float64], parent: NDArray[np.int64], resistance: NDArray[np.float64], levels: list[NDArray[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums of resistance times weight behind, along the path from the driver; and the weight behind every node."""
    behind = weight.copy()
    for nodes in reversed(levels[1:]):
        np.add.at(behind, parent[nodes], behind[nodes])
    moment = np.zeros_like(behind)
    for nodes in levels[1:]:
        moment[nodes] = moment[parent[nodes]] + resistance[nodes] * behind[nodes]
    return moment, behind


def pi_model(moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """(near capacitance, resistance, far capacitance) with the same three moments; (..., 3) -> (..., 3).

    O'Brien and Savarino, "Modeling the driving-point characteristic of resistive interconnect", ICCAD 1989,
    doi:10.1109/ICCAD.1989.77002.
    """
    total, second, third = np.moveaxis(moments, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        far = np.where(third > 0, second**2 / third, 0.0)
        resistance = np.where(far > 0, third**2 / second**3, 0.0)
    return np.stack([total - far, resistance, far], axis=-1)
