"""Long kernels in slices, so that Ctrl-C is obeyed within a second.

Python handles a signal on the main thread, between two of its own instructions: a kernel that runs for an hour is deaf
for an hour. So whatever may run long is called slice by slice, a tenth of a second each. Short work is one slice and
pays nothing. Kernels whose rows are independent take slices of their arrays and know nothing of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Protocol

TARGET_S = 0.1
_FIRST = 1 << 19  # units of cost before the clock has spoken: a few milliseconds to a tenth of a second
_GROWTH = 4


class Stop(Protocol):
    """What tells a worker to end, such as `threading.Event`: signals do not reach other threads."""

    def is_set(self) -> bool: ...


def slices(total: int, cost: float = 1.0, *, step: int = 1, stop: Stop | None = None) -> Iterator[slice]:
    """Slices that cover 0..total - 1 in order, each worth about `TARGET_S` seconds of the caller's work.

    Parameters
    ----------
    total : int >= 0
        Items; none gives no slice.
    cost : float, default 1
        Rough number of memory reads, or of short loops, per item. It decides the first slice alone; the size of the
        others follows from the time that the caller took.
    step : int >= 1, default 1
        Slices begin at multiples of it, where a kernel works in blocks.
    stop : optional
        No more slices once it is set: for work on another thread, whose results are then incomplete.

    Examples
    --------
    >>> [(part.start, part.stop) for part in slices(10, cost=1e5, step=4)]
    [(0, 8), (8, 10)]
    """
    first = 0
    size = max(1.0, _FIRST / max(cost, 1e-9))
    while first < total and not (stop is not None and stop.is_set()):
        last = min(total, first + max(1, round(size / step)) * step)
        begin = time.perf_counter()
        yield slice(first, last)
        taken = time.perf_counter() - begin
        size = (last - first) * min(_GROWTH, TARGET_S / max(taken, 1e-6))
        first = last
