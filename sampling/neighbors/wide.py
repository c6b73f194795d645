"""Uniform samples of one edge type around many seeds: threads draw rows while one of them numbers what was drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.relay import relay
from ...graphlib.compute.threads import pieces, spread
from .hops import Hops
from .numbers import AT_ONCE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..scratch import ResultMemory, Scratch
    from .picks import RowPicker

_FEW = 16  # blocks of rows whose picks are counted before the clock is asked
_PIECE = 1 << 16  # picks that are drawn at a time


class WideHops:
    """Draws all hops around a batch of many seeds, in pieces of a millisecond, into memory of the results' own."""

    def __init__(self, picker: RowPicker, fanouts: tuple[int, ...], results: ResultMemory) -> None:
        self._rows = picker.rows
        self._root = picker.root
        self._fanouts = fanouts
        self._replace = picker.draw.replace
        self._results = results
        self._edges = 0  # that the batch before found: memory for as many is asked for at once

    def sample(self, seeds: NDArray[np.int64], scratch: dict[str, Scratch], epoch: int) -> Hops:
        """Sample around `seeds`; the nodes stay marked in `scratch["node"]`."""
        from . import number_cpu

        marks, seed_index = scratch["node"], seeds.copy()
        nodes, count = marks.array("nodes", seeds.shape[0]), 0
        for a, b in pieces(seeds.shape[0], first=AT_ONCE):
            count = number_cpu.number_far(seed_index[a:b], (marks.mark, marks.base), nodes, count)
        ends, edge_ends, node_ends = self._ends(self._edges), [0], [0, count]
        for hop, fanout in enumerate(self._fanouts):
            numbered = slice(*node_ends[-2:])
            rule = fanout, self._replace
            starts = self._starts(nodes[numbered], rule)
            start, stop = edge_ends[-1], edge_ends[-1] + int(starts[-1])
            is_too_large = hop == len(self._fanouts) - 1 and ends[0].shape[0] > 2 * stop
            if stop > ends[0].shape[0] or is_too_large:
                fitting = self._ends(stop)
                for old, new in zip(ends, fitting, strict=True):
                    new[:start] = old[:start]
                ends = fitting
            most = min(count + stop - start, marks.mark.shape[0])
            nodes = marks.array("nodes", most, keep=count)
            found = tuple(part[start:stop] for part in ends)
            count = self._follow(marks, nodes, numbered, (self._root, epoch, hop), rule, starts, found)
            edge_ends.append(stop)
            node_ends.append(count)
        self._edges = edge_ends[-1]
        near, far, edges = (part[: self._edges] for part in ends)
        (all_nodes,) = self._results.arrays((count, np.int64))
        np.copyto(all_nodes, nodes[:count])
        counts = tuple(np.diff(node_ends).tolist()), tuple(np.diff(edge_ends).tolist())
        return Hops(all_nodes, near, far, edges, *counts, seed_index)

    def _starts(self, frontier: NDArray[np.int64], rule: tuple[int, bool]) -> NDArray[np.int64]:
        """How many edges come before each block of rows, and how many there are."""
        from . import wide_cpu

        block = wide_cpu.BLOCK
        starts = np.zeros(-(-frontier.shape[0] // block) + 1, np.int64)

        def count(a: int, b: int, _: int) -> None:
            wide_cpu.count_blocks(self._rows.indptr, frontier[a * block : b * block], rule, starts[a + 1 : b + 1])

        spread(count, starts.shape[0] - 1, few=_FEW)
        return np.cumsum(starts)

    def _follow(
        self,
        marks: Scratch,
        nodes: NDArray[np.int64],
        numbered: slice,
        name: tuple[Any, int, int],
        rule: tuple[int, bool],
        starts: NDArray[np.int64],
        found: tuple[NDArray[Any], ...],
    ) -> int:
        """One hop from the nodes with the numbers `numbered`; returns how many nodes there are then."""
        from . import number_cpu, wide_cpu

        rows = self._rows
        entries = rows.indptr, rows.indices, rows.edge_ids
        frontier, count = nodes[numbered], numbered.stop
        cuts = np.unique(np.append(np.searchsorted(starts, np.arange(0, starts[-1], _PIECE)), starts.shape[0] - 1))

        def draw(i: int) -> None:
            first, last = cuts[i] * wide_cpu.BLOCK, cuts[i + 1] * wide_cpu.BLOCK
            edges = tuple(part[starts[cuts[i]] : starts[cuts[i + 1]]] for part in found)
            wide_cpu.draw_rows(entries, frontier[first:last], numbered.start + first, name, rule, edges)

        def number(i: int) -> None:
            nonlocal count
            far = found[1][starts[cuts[i]] : starts[cuts[i + 1]]]
            count = number_cpu.number_far(far, (marks.mark, marks.base), nodes, count)

        relay(cuts.shape[0] - 1, draw, number)
        return count

    def _ends(self, count: int) -> tuple[NDArray[Any], ...]:
        return self._results.arrays((count, np.int64), (count, np.int64), (count, self._rows.edge_ids.dtype))
