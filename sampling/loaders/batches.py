"""Which seeds are in which batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.streams import Purpose, root_of
from ...graphlib.errors import InvalidInput
from ...graphlib.scalars import is_integer

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Batching:
    """How positions 0..count - 1 become batches.

    Attributes
    ----------
    batch_size : int >= 1
        Per part.
    shuffle, drop_last : bool
    seed : int
        The order of an epoch is a function of (seed, epoch).
    part : (int, int)
        Which of how many equal parts of every batch: the rank and the number of processes that train together. Of a
        last batch with fewer positions than parts some parts are empty; `drop_last` leaves it out.
    """

    batch_size: int
    shuffle: bool
    drop_last: bool
    seed: int
    part: tuple[int, int] = (0, 1)

    def __post_init__(self) -> None:
        size = self.batch_size
        if not is_integer(size) or size < 1:
            raise InvalidInput(f"batch_size must be an integer >= 1; got {size!r}")
        part: Any = self.part
        pair = isinstance(part, tuple | list) and len(part) == 2 and all(map(is_integer, part))
        if not pair or not 0 <= part[0] < part[1]:
            raise InvalidInput(f"part must be integers (rank, parts) with 0 <= rank < parts; got {part!r}")

    def count(self, total: int) -> int:
        """How many batches `total` positions make."""
        whole = int(self.batch_size) * self.part[1]
        return total // whole if self.drop_last else -(-total // whole)

    def positions(self, total: int, epoch: int) -> list[NDArray[np.int64]]:
        """The positions of every batch of this part, in order."""
        order = np.arange(total)
        if self.shuffle:
            from . import batches_cpu

            words = np.empty(total, np.uint64)
            batches_cpu.order_words(root_of(self.seed, Purpose.ORDER), epoch, words)
            order = np.argsort(words, kind="stable")
        rank, parts = self.part
        whole = int(self.batch_size) * parts
        found = []
        for batch in range(self.count(total)):
            members = order[batch * whole : (batch + 1) * whole]
            first, last = (members.shape[0] * r // parts for r in (rank, rank + 1))
            found.append(members[first:last])
        return found
