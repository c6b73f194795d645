"""The blocks of a graph's nodes: kept beside the links, written anew where links or codes have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ....graphlib.compute.jit import plain_view
from ...storage.room import aligned_bytes, copied
from ...stored import laid_out
from ..parts_cpu import Graph, PackedGraph
from ..scratch import lent
from .layout import LANES, bits_for, row_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..graph import HNSWGraph


class Blocks:
    """What a walk of level 0 reads of a node's neighbours: see `blocks_cpu`.

    Attributes
    ----------
    data : uint8 (capacity, bytes), a row on cache lines
    changed : bool (capacity,)
        Rows whose links are others than when their blocks were written.
    fresh : bool
        All blocks are those of the links; walks use them only then.
    """

    def __init__(self, links: int) -> None:
        self._slots = -(-links // LANES) * LANES
        self.data: NDArray[np.uint8] = np.empty((0, 64), np.uint8)
        self.changed: NDArray[np.bool_] = np.ones(0, bool)
        self.fresh = False
        self._basis: Any = None  # of the codes that the blocks were written from

    def make_room(self, capacity: int) -> None:
        """Marks for so many nodes; new ones are changed."""
        if len(self.changed) < capacity:
            more = np.ones(capacity, bool)
            more[: len(self.changed)] = self.changed
            self.changed = more

    def write(self, graph: HNSWGraph, workers: int) -> None:
        """Write the blocks of changed nodes, while no walk uses them; of all, where codes were chosen anew.

        Up to a thousand code rows read per changed node that has fewer links than its blocks have room for: the nearest
        of the nodes two links away take the places.
        """
        from . import blocks_cpu as kernels

        n, codes = graph.count, graph.rows.codes  # type: ignore[attr-defined]
        stride = row_bytes(codes.width, self._slots)
        self.make_room(len(graph.links))
        if self._basis is not codes.basis or self.data.shape[1] != stride:
            self.changed[:] = True
        if len(self.data) < n or self.data.shape[1] != stride or not self.data.flags.writeable:
            before, self.data = self.data, aligned_bytes(len(graph.links), stride)
            if before.shape[1] == stride and not self.changed.all():
                self.data[: len(before)] = before
        nodes = np.flatnonzero(self.changed[:n])
        if len(nodes):
            with lent(graph, workers) as scratch:
                kernels.write_blocks(graph.rows.walk, graph.links, nodes, bits_for(codes.width), self.data, scratch)
        self.changed[:n], self._basis = False, codes.basis

    def over(self, graph: Graph, width: int) -> PackedGraph:
        """A graph with these blocks, of codes of so many coordinates, as searches walk it."""
        data = plain_view(self.data)
        return PackedGraph(*graph, data, data.reshape(-1).view(np.int32), bits_for(width), self._slots // LANES)

    def ids(self, n: int) -> NDArray[np.int32]:
        """The neighbours of n nodes, (n, slots), padded with -1."""
        stride = self.data.shape[1]
        parts = self._slots // LANES
        words = self.data[:n].view(np.int32).reshape(n, parts, stride // (4 * parts))
        return words[:, :, -LANES:].reshape(n, self._slots)

    def into_memory(self) -> None:
        """Copy the blocks out of the file where they are mapped."""
        self.data = copied(self.data)

    def truncate(self, n: int) -> None:
        """Give up the room behind the rows in use."""
        self.data, self.changed = self.data[:n], self.changed[:n]

    def open(self, n: int, data: Any, width: int, basis: Any) -> None:
        """Take the blocks of n nodes from a file; `IndexMismatch` where shapes do not fit."""
        self.data = laid_out("hnsw_blocks", data, np.uint8, (n, row_bytes(width, self._slots)))
        self.changed, self.fresh, self._basis = np.zeros(n, bool), True, basis

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.data.nbytes + self.changed.nbytes


__all__ = ["Blocks"]
