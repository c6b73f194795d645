"""How many threads a call uses, and the pool on which the loops of kernels run.

Nothing spins: a waiting thread sleeps, and what is small runs where it was asked for. The loop of a kernel is cut into
pieces of a few milliseconds that threads claim one by one, so that a busy processor costs only its share, and Ctrl-C is
obeyed between two pieces.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from time import perf_counter

from ..errors import InvalidInput
from ..process import is_forked

_SMALL_S = 2e-4  # what is left and takes less than this is not shared
_SHORT_S, _LONG_S = 1e-3, 0.05  # pieces are between these where their number allows
_COARSE = 4  # loops of at most this many turns per thread are shared turn by turn

_chosen = threading.local()


def resolve_threads(threads: int | None) -> int:
    """The thread count a call will use: `None` means every core that Numba was started with.

    >>> resolve_threads(1)
    1
    """
    import numba

    most: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    if threads is None:
        return most
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise InvalidInput(f"threads must be a positive integer or None (all {most}); got {threads!r}")
    return min(threads, most)


@contextlib.contextmanager
def threads_in_use(threads: int | None) -> Iterator[int]:
    """Run the kernels called inside on `threads` threads and yield the number in force.

    It is 1 in a forked child and within a piece of another loop.
    """
    count = resolve_threads(threads)
    before = getattr(_chosen, "count", None)
    _chosen.count = 1 if is_forked() or before == 0 else count
    try:
        yield _chosen.count
    finally:
        _chosen.count = before


def threads_now() -> int:
    """The number of threads that a kernel called here would use."""
    count = getattr(_chosen, "count", None)
    if count is None:
        return 1 if is_forked() else resolve_threads(None)
    return max(count, 1)


class Loop:
    """`total` turns of `turns(first, last, worker)`, which must not depend on how they are cut.

    `worker` is below the number of threads in use, and two pieces that run at the same time have different ones.
    """

    def __init__(self, turns: Callable[[int, int, int], object], total: int, threads: int) -> None:
        self._turns, self._total, self._threads = turns, total, threads
        self._lock = threading.Lock()
        self._next = 0
        self._step = 1
        self._started = 0
        self._over = False
        self._finished: SimpleQueue[None] = SimpleQueue()
        self._error: BaseException | None = None

    def run(self) -> None:
        """All turns, on this thread and, where it pays, on others; raises what a piece raised."""
        if self._total <= 0:
            return
        if self._threads == 1 or self._total == 1:
            self._alone()
        elif self._total <= _COARSE * self._threads or self._first_piece() > _SMALL_S:
            self._together()
        else:
            self._turns(self._next, self._total, 0)

    def _first_piece(self) -> float:
        """Run a first piece and return how long the others would take; sets the step."""
        last = max(1, self._total // (16 * self._threads))
        begin = perf_counter()
        self._turns(0, last, 0)
        a_turn = max(perf_counter() - begin, 1e-7) / last
        self._next = last
        self._step = self._at_most(int(min(max(_SHORT_S / a_turn, 1), _LONG_S / a_turn + 1)))
        return a_turn * (self._total - last)

    def _at_most(self, step: int) -> int:
        """No piece takes more than its share of what is left, so that all threads end together."""
        return max(1, min(step, (self._total - self._next) // (2 * self._threads)))

    def _alone(self) -> None:
        step, first = max(1, self._total // 16), 0
        while first < self._total:
            last = min(first + step, self._total)
            begin = perf_counter()
            self._turns(first, last, 0)
            first, took = last, perf_counter() - begin
            if took < _SHORT_S:
                step *= 8
            elif took > 2 * _LONG_S:
                step = max(1, int(step * _LONG_S / took))

    def _together(self) -> None:
        for worker in range(1, self._threads):
            _pool.put(self, worker)
        try:
            self._claim(0)
        finally:
            with self._lock:
                self._over = True
                running = self._started
            _wait_for(self._finished, running)
        if self._error is not None:
            raise self._error

    def help(self, worker: int) -> None:
        """What a thread of the pool does for the loop."""
        with self._lock:
            if self._over:
                return
            self._started += 1
        try:
            self._claim(worker)
        except BaseException as error:
            self._error = error
            self._over = True
        finally:
            self._finished.put(None)

    def _claim(self, worker: int) -> None:
        before = getattr(_chosen, "count", None)
        _chosen.count = 0  # kernels within a piece run on its thread
        try:
            while True:
                with self._lock:
                    first = self._next
                    if self._over or first >= self._total:
                        return
                    step = self._at_most(self._step)
                    self._next = last = min(first + step, self._total)
                begin = perf_counter()
                self._turns(first, last, worker)
                took = perf_counter() - begin
                if took < _SHORT_S:
                    self._step = 2 * step
                elif took > 2 * _LONG_S:
                    self._step = max(1, step // 2)
        finally:
            _chosen.count = before


def _wait_for(finished: SimpleQueue[None], count: int) -> None:
    """Wait until so many threads are done, whatever interrupts come: they may still write to the caller's arrays."""
    interrupted: BaseException | None = None
    while count:
        try:
            finished.get()
            count -= 1
        except BaseException as error:
            interrupted = error
    if interrupted is not None:
        raise interrupted


class _Pool:
    """Sleeping threads, made when they are first needed. Those of a parent process do not exist in a forked child."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[tuple[Loop, int]] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def put(self, loop: Loop, worker: int) -> None:
        if len(self._threads) < worker:
            with self._lock:
                while len(self._threads) < worker:
                    thread = threading.Thread(target=self._serve, name="nearhop", daemon=True)
                    thread.start()
                    self._threads.append(thread)
        self._jobs.put((loop, worker))

    def _serve(self) -> None:
        while True:
            loop, worker = self._jobs.get()
            loop.help(worker)
            del loop  # its arrays are not kept alive by a sleeping thread


_pool = _Pool()
