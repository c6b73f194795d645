"""Non-linear delay tables of many arcs in one set of arrays, and their values between the grid points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...graphlib.errors import IngestError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .liberty import Arc, Table

DELAY_TABLES = ("cell_rise", "cell_fall", "rise_transition", "fall_transition")
SLEW_AXES = ("input_net_transition", "input_transition_time", "constrained_pin_transition")
_SENSES = ("positive_unate", "negative_unate", "non_unate", "rising_edge", "falling_edge")


@dataclass(frozen=True, eq=False)
class TableSet:
    """Tables over (input slew, output load), in the order of four delays and four slews at the corners.

    Attributes
    ----------
    names : list of str
        "cell input -> output", one per arc.
    sense : int64 (num_arcs,)
        Place in positive_unate, negative_unate, non_unate, rising_edge, falling_edge.
    valid : bool (num_arcs, 8)
        Whether the library has the table. Tables 0 to 3 are delays at early rise, early fall, late rise, late fall of
        the output; 4 to 7 its slews there.
    lengths : int64 (num_arcs, 8, 2)
        Grid points on each axis, at least 2.
    slews : float64 (num_arcs, 8, a); loads : float64 (num_arcs, 8, b)
        Axes, padded with inf.
    values : float64 (num_arcs, 8, a, b)
        Padded with 0.
    """

    names: list[str]
    sense: NDArray[np.int64]
    valid: NDArray[np.bool_]
    lengths: NDArray[np.int64]
    slews: NDArray[np.float64]
    loads: NDArray[np.float64]
    values: NDArray[np.float64]

    @staticmethod
    def collector() -> TableCollector:
        return TableCollector()

    def lookup(
        self, arc: NDArray[np.int64], table: int, slew: NDArray[np.float64], load: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Bilinear interpolation in one table of every arc, beyond the grid with the slope of its last step.

        NaN where the library has no such table.
        """
        i, u = _place(self.slews[arc, table], self.lengths[arc, table, 0], slew)
        j, v = _place(self.loads[arc, table], self.lengths[arc, table, 1], load)
        values, rows = self.values[arc, table], np.arange(arc.size)
        low = (1 - v) * values[rows, i, j] + v * values[rows, i, j + 1]
        high = (1 - v) * values[rows, i + 1, j] + v * values[rows, i + 1, j + 1]
        return np.where(self.valid[arc, table], (1 - u) * low + u * high, np.nan)


def _place(
    axes: NDArray[np.float64], lengths: NDArray[np.int64], at: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The step of each axis that a value lies in, or is continued from, and where in it, 0 to 1 within the grid."""
    step = np.clip((axes <= at[:, None]).sum(1) - 1, 0, lengths - 2)
    rows = np.arange(at.size)
    first, last = axes[rows, step], axes[rows, step + 1]
    return step, (at - first) / (last - first)


class TableCollector:
    """Arcs of cells, each once."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, int], int] = {}
        self._arcs: list[tuple[str, str, list[Table | None]]] = []

    def add(self, cell: str, pin: str, late: Arc, early: Arc, sense: str) -> int:
        """The row of an arc."""
        key = (cell, pin, id(late))
        if key not in self._rows:
            self._rows[key] = len(self._arcs)
            tables = [
                arc.tables.get(name)
                for part in (0, 2)
                for arc in (early, late)
                for name in DELAY_TABLES[part : part + 2]
            ]
            self._arcs.append((f"{cell} {late.related} -> {pin}", sense, tables))
        return self._rows[key]

    def finish(self) -> TableSet:
        grids = [[_grid(table, name) for table in tables] for name, _, tables in self._arcs]
        count = len(grids)
        wide = max((g[0].size for row in grids for g in row), default=2)
        high = max((g[1].size for row in grids for g in row), default=2)
        lengths = np.full((count, 8, 2), 2, np.int64)
        slews, loads = np.full((count, 8, wide), np.inf), np.full((count, 8, high), np.inf)
        values = np.zeros((count, 8, wide, high))
        valid = np.zeros((count, 8), np.bool_)
        for a, (row, (_, _, tables)) in enumerate(zip(grids, self._arcs, strict=True)):
            for t, (first, second, grid) in enumerate(row):
                valid[a, t] = tables[t] is not None
                lengths[a, t] = grid.shape
                slews[a, t, : first.size], loads[a, t, : second.size] = first, second
                values[a, t, : first.size, : second.size] = grid
        senses = np.array([_SENSES.index(sense) for _, sense, _ in self._arcs], np.int64)
        return TableSet([name for name, _, _ in self._arcs], senses, valid, lengths, slews, loads, values)


def _grid(table: Table | None, where: str) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """A table over (slew, load) with at least two points on either axis."""
    if table is None:
        return np.arange(2.0), np.arange(2.0), np.zeros((2, 2))
    axes = [(index, name) for index, name in zip((table.index_1, table.index_2), table.axes, strict=False)]
    unknown = [
        name for _, name in axes if name not in (*SLEW_AXES, "total_output_net_capacitance", "related_pin_transition")
    ]
    if unknown:
        raise IngestError(f"{where}: tables over {unknown[0]!r} are not supported")
    first, second, values = table.index_1, table.index_2, table.values
    if axes and axes[0][1] not in SLEW_AXES:
        first, second, values = second, first, values.T
    for axis in (0, 1):
        index = (first, second)[axis]
        if index.size == 1:
            index, values = np.array([index[0], index[0] + 1]), np.repeat(values, 2, axis=axis)
            first, second = (index, second) if axis == 0 else (first, index)
    return first, second, values


def value(table: Table, first: float, second: float) -> float:
    """One table at one place."""
    axes = _grid(table, "a check")
    (i, u), (j, v) = (
        _place(axis[None], np.array([axis.size]), np.array([at]))
        for axis, at in zip(axes[:2], (first, second), strict=True)
    )
    corner = axes[2][int(i[0]) : int(i[0]) + 2, int(j[0]) : int(j[0]) + 2]
    return float(
        (1 - u[0]) * ((1 - v[0]) * corner[0, 0] + v[0] * corner[0, 1])
        + u[0] * ((1 - v[0]) * corner[1, 0] + v[0] * corner[1, 1])
    )
