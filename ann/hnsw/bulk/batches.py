"""How many rows are linked at a time by searches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MOST, _SHARE = 512, 50


def batches(members: NDArray[np.int64], linked: int, share: int = _SHARE) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Members that are linked together, and how many are by then: one for `share` linked already, 512 at most.

    They search the graph as it was before their batch; `linked` nodes are in it before the first.
    """
    done = 0
    while done < len(members):
        last = min(len(members), done + max(1, min((linked + done) // share, _MOST)))
        yield last, members[done:last]
        done = last
