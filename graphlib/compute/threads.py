"""How many threads a call uses, the pool on which the loops of kernels run, and threads of a call's own.

Nothing spins: a waiting thread sleeps, and what is small runs where it was asked for. The loop of a kernel is cut into
pieces of a few milliseconds that threads claim one by one, so that a busy processor costs only its share, and Ctrl-C is
obeyed between two pieces: Python handles a signal on the main thread, between two of its own instructions, and a kernel
that runs for an hour is deaf for an hour. Kernels without a parallel loop are cut by `pieces`; work on threads of a
library's own, which no signal reaches, ends by `end_with`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from time import perf_counter
from types import TracebackType

from ..errors import InvalidInput
from ..process import is_forked
from ..scalars import is_integer

_SMALL_S = 2e-4  # what is left and takes less than this is not shared
_SHORT_S, _LONG_S = 1e-3, 0.05  # pieces are between these where their number allows
_FIRST, _GROWTH = 1, 16  # turns before the clock has spoken, and how much longer a piece is than the one before
_COARSE = 4  # loops of at most this many turns per thread are shared turn by turn
_TRIAL_S = 5e-5  # what a trial must take before its time tells anything

_chosen = threading.local()


class Stopped(BaseException):
    """Work on another thread was told to end; like an interrupt, it is no `Exception`."""


def end_with(stop: threading.Event) -> None:
    """From now on, loops and pieces called on this thread end with `Stopped` soon after `stop` is set."""
    _chosen.stop = stop


def obey() -> None:
    """End with `Stopped` where this thread was told to; `pieces` and loops do so by themselves."""
    _check(getattr(_chosen, "stop", None))


def _check(stop: threading.Event | None) -> None:
    if stop is not None and stop.is_set():
        raise Stopped


def pieces(total: int, *, step: int = 1, first: int = _FIRST) -> Iterator[tuple[int, int]]:
    """Ranges (first, last) that cover 0..total - 1 in order, each worth at most about a tenth of a second.

    For kernels that run on one thread and may run long: called once per range, on slices of their arrays or with the
    range as arguments, they let Ctrl-C through.

    Parameters
    ----------
    total : int >= 0
    step : int >= 1, default 1
        Ranges begin at its multiples.
    first : int >= 1
        Turns of the first range: few by default, as many as surely take less than a tenth of a second where turns are
        known to be short. Those of the others follow the clock.

    Examples
    --------
    >>> [part for part in pieces(40, step=16)]
    [(0, 16), (16, 40)]
    """
    stop = getattr(_chosen, "stop", None)
    at, size = 0, first
    while at < total:
        _check(stop)
        last = min(total, -(-(at + size) // step) * step)
        begin = perf_counter()
        yield at, last
        took = perf_counter() - begin
        size = _next_size(last - at, took)
        at = last


def _next_size(size: int, took: float) -> int:
    """How many turns take `_LONG_S` if `size` of them took `took`; times too short to measure may be off by much."""
    growth = _GROWTH if took < _TRIAL_S else min(_GROWTH, _LONG_S / took)
    return max(1, int(size * growth))


def resolve_threads(threads: int | None) -> int:
    """The thread count a call will use: `None` means every core that Numba was started with.

    >>> resolve_threads(1)
    1
    """
    import numba

    most: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    if threads is None:
        return most
    if not is_integer(threads) or threads < 1:
        raise InvalidInput(f"threads must be a positive integer or None (all {most}); got {threads!r}")
    return min(threads, most)


class _Chosen:
    """What `with threads_in_use(threads):` enters; a class, since it stands around calls of microseconds."""

    __slots__ = ("_before", "_count")

    def __init__(self, count: int) -> None:
        self._count = count
        self._before: int | None = None

    def __enter__(self) -> int:
        self._before = before = getattr(_chosen, "count", None)
        _chosen.count = count = 1 if is_forked() or before == 0 else self._count
        return count

    def __exit__(self, *details: object) -> None:
        _chosen.count = self._before


def threads_in_use(threads: int | None) -> _Chosen:
    """Run the kernels called inside on `threads` threads; entered, it tells the number in force.

    That is 1 in a forked child and within a piece of another loop.
    """
    return _Chosen(resolve_threads(threads))


def threads_now() -> int:
    """The number of threads that a kernel called here would use."""
    count = getattr(_chosen, "count", None)
    if count is None:
        return 1 if is_forked() else resolve_threads(None)
    return max(count, 1)


def _nothing(first: int, last: int, worker: int) -> None:
    """The turns of a loop that is over."""


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
        self._stop = getattr(_chosen, "stop", None)

    def run(self) -> None:
        """All turns, on this thread and, where it pays, on others; raises what a piece raised. To be called once."""
        try:
            if self._total <= 0:
                return
            if self._threads == 1 or self._total == 1:
                for first, last in pieces(self._total):
                    self._turns(first, last, 0)
            elif self._total <= _COARSE * self._threads or self._first_piece() > _SMALL_S:
                self._together()
            else:
                self._turns(self._next, self._total, 0)
        finally:  # the loop may still wait for a thread that is busy elsewhere: the arrays of its turns do not
            self._turns, self._error = _nothing, None

    def _first_piece(self) -> float:
        """Run first pieces until one can be timed, and return how long the others would take; sets the step."""
        most = max(1, self._total // (16 * self._threads))
        size, took, first = 0, 0.0, 0
        while took < _TRIAL_S and first < most:
            _check(self._stop)
            size = min(_FIRST if size == 0 else size * _GROWTH, most - first)
            begin = perf_counter()
            self._turns(first, first + size, 0)
            took = perf_counter() - begin
            first += size
        a_turn = max(took, 1e-7) / size
        self._next = first
        self._step = self._at_most(int(min(max(_SHORT_S / a_turn, 1), _LONG_S / a_turn + 1)))
        return a_turn * (self._total - first)

    def _at_most(self, step: int) -> int:
        """No piece takes more than its share of what is left, so that all threads end together."""
        return max(1, min(step, (self._total - self._next) // (2 * self._threads)))

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
                _check(self._stop)
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
                    self._step = max(1, int(step * _LONG_S / took))
        finally:
            _chosen.count = before


def spread(turns: Callable[[int, int, int], object], total: int, *, few: int) -> None:
    """`turns(first, last, worker)` for 0..total - 1, on one thread in `pieces` where there are `few`, else on all.

    For kernels without a loop over threads of their own; the turns must not depend on how they are cut.

    Examples
    --------
    >>> done = []
    >>> spread(lambda first, last, worker: done.append((first, last)), 40, few=64)
    >>> done
    [(0, 40)]
    """
    threads = threads_now()
    if total <= few or threads == 1:
        for first, last in pieces(total, first=few):
            turns(first, last, 0)
    else:
        Loop(turns, total, threads).run()


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


class Workers(ThreadPoolExecutor):
    """A pool of threads for the time of a `with` statement.

    Signals reach the main thread alone. Where the statement is left by an exception, Ctrl-C among them, what has not
    begun is dropped, and kernels at work on these threads end between two pieces, with `Stopped` in their future.

    Examples
    --------
    >>> with Workers(2) as workers:
    ...     workers.submit(abs, -3).result()
    3
    """

    def __init__(self, count: int, name: str = "nearhop") -> None:
        self.stop = threading.Event()
        super().__init__(count, thread_name_prefix=name, initializer=end_with, initargs=(self.stop,))

    def end(self) -> None:
        """Drop what has not begun, stop what has, and wait for it."""
        self.stop.set()
        self.shutdown(cancel_futures=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if kind is None:
            return super().__exit__(kind, error, trace)
        self.end()
        return False
