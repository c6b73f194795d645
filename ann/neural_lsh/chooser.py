"""The chooser of lists: one network, or a network of networks whose probabilities multiply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...graphlib.errors import InvalidInput
from ...graphlib.scalars import is_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .network import Network

_LEAST = 1e-3  # parts of the first network below this probability are not looked into, beyond the likeliest ones


class Stop(NamedTuple):
    """Which of the likeliest lists a search leaves out (see `NeuralLSH.search`); all are scanned by default."""

    coverage: float | None = None
    min_share: float | None = None

    @classmethod
    def of(cls, coverage: Any, min_share: Any) -> Stop:
        """The checked rule."""
        for name, given in (("coverage", coverage), ("min_share", min_share)):
            if given is not None and (not is_number(given) or not 0 < given <= 1):
                raise InvalidInput(f"{name} must be in (0, 1]; got {given!r}")
        return cls(*(None if given is None else float(given) for given in (coverage, min_share)))


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
        self, rows: NDArray[np.float32], count: int, stop: Stop, sizes: NDArray[np.int64], threads: int | None = None
    ) -> NDArray[np.int64]:
        """The `count` likeliest lists of every row, -1 for those that `stop` leaves out; the first is always there.

        With `min_share`, the likeliest lists are those of most probability per row, of which there are `sizes`.
        """
        chances = self.probabilities(rows, threads)
        shares = chances
        if stop.min_share is not None:
            held = np.maximum(sizes, 1) / max(1.0, float(sizes.mean()))
            shares = np.where(sizes > 0, chances / held.astype(np.float32), 0)
        order = np.argsort(-shares, axis=1, kind="stable")[:, :count]
        chosen = np.ones(order.shape, bool)
        if stop.coverage is not None:
            covered = np.cumsum(np.take_along_axis(chances, order, axis=1), axis=1, dtype=np.float64)
            chosen[:, 1:] &= covered[:, :-1] < stop.coverage
        if stop.min_share is not None:
            chosen[:, 1:] &= np.take_along_axis(shares, order[:, 1:], axis=1) >= stop.min_share
        return np.where(chosen, order, -1)

    def likeliest(self, rows: NDArray[np.float32], threads: int | None = None) -> NDArray[np.int64]:
        """The likeliest list of every row."""
        out = np.empty(len(rows), np.int64)
        for start in range(0, len(rows), 65_536):
            out[start : start + 65_536] = self.probabilities(rows[start : start + 65_536], threads).argmax(axis=1)
        return out


__all__ = ["Chooser", "Stop"]
