"""The P x P grid of GraphVite: nodes dealt to parts of equal degree mass, and blocks that share no row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_PARTS = 64


@dataclass(frozen=True, eq=False)
class Grid:
    """Which row of the tables belongs to a node, and which rows to a part.

    Attributes
    ----------
    row_of : int32 (n,)
        Table row of each node; part j has the rows `offsets[j]:offsets[j + 1]`.
    offsets : int64 (parts + 1,)
    """

    row_of: NDArray[np.int32]
    offsets: NDArray[np.int64]

    @property
    def parts(self) -> int:
        return int(self.offsets.shape[0]) - 1

    @classmethod
    def zigzag(cls, mass: NDArray[np.float64], parts: int) -> Grid:
        """Deal nodes by falling mass to parts 0, 1, ..., P-1, P-1, ..., 1, 0, 0, 1, ...: sizes differ by at most one.

        >>> Grid.zigzag(np.array([1.0, 9.0, 5.0, 7.0]), 2).row_of.tolist()
        [1, 0, 3, 2]
        """
        n = mass.shape[0]
        rank = np.arange(n) % (2 * parts)
        part = np.minimum(rank, 2 * parts - 1 - rank)
        offsets = np.zeros(parts + 1, np.int64)
        np.cumsum(np.bincount(part, minlength=parts), out=offsets[1:])
        row_by_rank = np.empty(n, np.int32)
        row_by_rank[np.argsort(part, kind="stable")] = np.arange(n)
        row_of = np.empty(n, np.int32)
        row_of[np.argsort(-mass, kind="stable")] = row_by_rank
        return cls(row_of, offsets)

    def diagonal(self, step: int) -> list[tuple[int, int]]:
        """The blocks (head part, tail part) of one step: no two of them share a part on either side.

        >>> Grid.zigzag(np.ones(4), 2).diagonal(1)
        [(1, 0), (0, 1)]
        """
        return [((tail + step) % self.parts, tail) for tail in range(self.parts)]
