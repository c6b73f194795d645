"""Work on a few items ahead of the one that is asked for, on threads, and hand results out in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(work: Callable[[Item], Result], items: Iterable[Item], threads: int | None) -> Iterator[Result]:
    """`work(item)` for every item, in order, at most two per thread ahead.

    `items` is read on the caller's thread. An error in `work` is raised where its result would have come; leaving the
    iterator early drops what has not begun.

    Examples
    --------
    >>> list(in_order(abs, [-3, 4, -5], threads=2))
    [3, 4, 5]
    """
    from ..graphlib.compute.jit import resolve_threads
    from ..graphlib.compute.threads import Workers

    workers = resolve_threads(threads)
    pending: deque[Future[Result]] = deque()
    pool = Workers(workers, "nearhop-sample")
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.end()
