"""Work of two steps a piece on the threads in use: first steps in any order, second ones in the order of the pieces."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from .threads import Loop, obey, threads_now

if TYPE_CHECKING:
    from collections.abc import Callable


def relay(
    count: int,
    first: Callable[[int], object],
    second: Callable[[int], object],
    last: Callable[[int], object] | None = None,
    *,
    ahead: int | None = None,
) -> None:
    """`first(i)`, then `second(i)`, then `last(i)` for i in 0..count - 1; calls of `second` never overlap, in order.

    No thread waits for another: one that finds no second step ready begins another first step, so that second steps
    follow close behind, on what is still in a cache. With `ahead` it does so at most `ahead` pieces before the next
    second step, and sleeps then. Ctrl-C is obeyed between two steps.

    Examples
    --------
    >>> done = []
    >>> relay(3, lambda i: None, done.append)
    >>> done
    [0, 1, 2]
    """
    threads = min(threads_now(), count)
    if threads > 1:
        work = _Relay(count, first, second, last, count if ahead is None else ahead)
        Loop(lambda _a, _b, _worker: work.run(), threads, threads).run()
        return
    for i in range(count):
        obey()
        first(i)
        second(i)
        if last is not None:
            last(i)


class _Relay:
    def __init__(
        self,
        count: int,
        first: Callable[[int], object],
        second: Callable[[int], object],
        last: Callable[[int], object] | None,
        ahead: int,
    ) -> None:
        self._first, self._second, self._last = first, second, last
        self._count, self._ahead = count, ahead
        self._moved = threading.Condition(threading.Lock())
        self._begun = 0  # first steps
        self._ready = [False] * count
        self._ended = 0  # second steps
        self._taken = False  # one of them runs

    def run(self) -> None:
        """What each thread does; returns when there is nothing left that no other thread is at."""
        try:
            while self._one_step():
                obey()
        except BaseException:
            with self._moved:  # the others end too; what is taken stays so
                self._begun, self._taken = self._count, True
                self._moved.notify_all()
            raise

    def _one_step(self) -> bool:
        """Do the next second step if it is ready, else begin a first one; False where there is neither."""
        with self._moved:
            while True:
                ordered = not self._taken and self._ended < self._count and self._ready[self._ended]
                if ordered:
                    i, self._taken = self._ended, True
                elif self._begun >= self._count:
                    return False
                elif self._begun >= self._ended + self._ahead:
                    self._moved.wait()
                    continue
                else:
                    i, self._begun = self._begun, self._begun + 1
                break
        (self._second if ordered else self._first)(i)
        with self._moved:
            if ordered:
                self._ended, self._taken = i + 1, False
            else:
                self._ready[i] = True
            self._moved.notify_all()
        if ordered and self._last is not None:
            self._last(i)
        return True
