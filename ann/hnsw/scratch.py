"""Memory that walks need and leave as it was."""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from .parts_cpu import Scratch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .graph import HNSWGraph

Bits = tuple["NDArray[np.uint8]", "NDArray[np.int32]"]


class VisitScratch:
    """Visit bits and lists per worker, kept between calls; calls that run at the same time get scratch of their own."""

    def __init__(self) -> None:
        self._free: collections.deque[Bits] = collections.deque(maxlen=4)

    def take(self, workers: int, nodes: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """`bits` (workers, bytes), all clear, and `seen` (workers, nodes + width)."""
        try:
            kept = self._free.pop()
        except IndexError:
            kept = None
        if kept is not None and len(kept[0]) >= workers and kept[1].shape[1] >= nodes + width:
            return kept
        stride = (nodes // 8 // 64 + 2) * 64
        return np.zeros((workers, stride), np.uint8), np.empty((workers, nodes + width), np.int32)

    def give(self, table: tuple[NDArray[np.uint8], NDArray[np.int32]]) -> None:
        self._free.append(table)


@contextlib.contextmanager
def lent(graph: HNSWGraph, workers: int) -> Iterator[Scratch]:
    """Scratch of a graph for a kernel of several workers, given back where nothing was raised."""
    bits, seen = scratch = graph.take_scratch(workers)
    yield Scratch(bits[:workers], seen)
    graph.scratch.give(scratch)
