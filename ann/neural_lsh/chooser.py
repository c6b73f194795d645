"""The chooser of lists: one network, or a network of networks whose probabilities multiply."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .network import Network

_LEAST = 1e-3  # parts of the first network below this probability are not looked into, beyond the likeliest ones


class Chooser:
    """Probabilities of lists.

    Attributes
    ----------
    root : Network
    leaves : list of Network
        One per part of the root, all of as many parts, or none. List i * parts + j is part j of leaf i.
    """

    def __init__(self, root: Network, leaves: list[Network]) -> None:
        self.root, self.leaves = root, leaves

    @property
    def dim(self) -> int:
        return int(self.root.layers[0].shape[1]) - 1

    @property
    def num_lists(self) -> int:
        return self.root.parts * (self.leaves[0].parts if self.leaves else 1)

    @property
    def nbytes(self) -> int:
        return self.root.nbytes + sum(leaf.nbytes for leaf in self.leaves)

    def probabilities(self, rows: NDArray[np.float32], threads: int | None = None) -> NDArray[np.float32]:
        """Of every list, float32 (rows, lists)."""
        first = self.root.probabilities(rows, threads)
        if not self.leaves:
            return first
        width = self.leaves[0].parts
        # A leaf that is not asked spreads its share evenly, so that its lists come last and in a fixed order.
        out: NDArray[np.float32] = np.repeat(first / np.float32(width), width, axis=1)
        for part, leaf in enumerate(self.leaves):
            some = np.flatnonzero(first[:, part] >= _LEAST)
            if len(some):
                within = leaf.probabilities(rows[some], threads)
                out[some, part * width : (part + 1) * width] = first[some, part, None] * within
        return out

    def ranked(
        self, rows: NDArray[np.float32], count: int, coverage: float | None, threads: int | None = None
    ) -> NDArray[np.int64]:
        """The `count` likeliest lists of every row, -1 behind those whose probabilities add up to `coverage`."""
        chances = self.probabilities(rows, threads)
        order = np.argsort(-chances, axis=1, kind="stable")[:, :count]
        if coverage is None:
            return order
        covered = np.cumsum(np.take_along_axis(chances, order, axis=1), axis=1, dtype=np.float64)
        before = np.concatenate([np.zeros((len(rows), 1)), covered[:, :-1]], axis=1)
        return np.where(before < coverage, order, -1)

    def likeliest(self, rows: NDArray[np.float32], threads: int | None = None) -> NDArray[np.int64]:
        """The likeliest list of every row."""
        out = np.empty(len(rows), np.int64)
        for start in range(0, len(rows), 65_536):
            out[start : start + 65_536] = self.probabilities(rows[start : start + 65_536], threads).argmax(axis=1)
        return out


__all__ = ["Chooser"]
