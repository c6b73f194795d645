"""Batches prepared by threads while the caller works on earlier ones, and an account of where the time went."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..graphlib.errors import NearhopError


class ForkedProcess(NearhopError, RuntimeError):
    """Something made in the parent process was used in a forked child, where it cannot work."""


@dataclass(frozen=True)
class LoaderReport:
    """Where the time of a loader went.

    Attributes
    ----------
    batches : int
        Handed out so far.
    wait, use : float
        Seconds the caller waited for batches, and had them: `use` is training. Together, the time that passed.
    stages : dict of float
        Seconds per stage, added over the threads that prepare batches; they run beside `use`.
    workers : int
    """

    batches: int
    wait: float
    use: float
    stages: dict[str, float] = field(default_factory=dict)
    workers: int = 0

    @property
    def bottleneck(self) -> str:
        """ "use" if the caller hardly waits (under a tenth of the time), else the stage that takes longest."""
        if not self.stages or self.wait <= 0.1 * (self.wait + self.use):
            return "use"
        return max(self.stages, key=lambda stage: self.stages[stage])

    def __str__(self) -> str:
        count = max(1, self.batches)
        rows = [("wait", self.wait), ("use", self.use), *((f"  {name}", s) for name, s in self.stages.items())]
        lines = [f"{self.batches:,} batches, {self.workers} preparing threads; bottleneck: {self.bottleneck}"]
        lines += [f"{name:<10} {seconds:9.3f} s {1e3 * seconds / count:9.2f} ms per batch" for name, seconds in rows]
        return "\n".join(lines)


class Stopwatch:
    """Seconds per stage, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: dict[str, float] = {}
        self.batches = 0

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - begin)

    def add(self, stage: str, seconds: float) -> None:
        with self._lock:
            self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds

    def report(self, workers: int) -> LoaderReport:
        with self._lock:
            stages = dict(self._seconds)
        return LoaderReport(self.batches, stages.pop("wait", 0.0), stages.pop("use", 0.0), stages, workers)


def prefetched(make: Callable[[Any], Any], items: Iterable[Any], *, workers: int, watch: Stopwatch) -> Iterator[Any]:
    """`make(item)` for every item, in order, up to `2 * workers` ahead of the caller on as many threads as `workers`.

    With no workers the caller's thread does it. What `make` raises is raised here, at the item's turn. The threads are
    gone when the iteration ends, for whatever reason.

    Examples
    --------
    >>> from nearhop.sampling.prefetch import Stopwatch, prefetched
    >>> list(prefetched(lambda x: x * x, range(4), workers=2, watch=Stopwatch()))
    [0, 1, 4, 9]
    """
    if workers == 0:
        yield from _timed(map(make, items), watch)
        return
    process = os.getpid()
    source = iter(items)
    waiting: deque[Future[Any]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="nearhop-loader")

    def results() -> Iterator[Any]:
        for item in source:
            waiting.append(pool.submit(make, item))
            if len(waiting) > 2 * workers:
                check_same_process(process, "an iteration over a loader")
                yield waiting.popleft().result()
        while waiting:
            check_same_process(process, "an iteration over a loader")
            yield waiting.popleft().result()

    try:
        yield from _timed(results(), watch)
    finally:
        pool.shutdown(wait=os.getpid() == process, cancel_futures=True)


def check_same_process(process: int, what: str) -> None:
    """Threads, locks and GPU contexts do not survive a fork."""
    if os.getpid() != process:
        raise ForkedProcess(
            f"{what} was begun in process {process} and continued in its forked child {os.getpid()}, where its threads "
            'do not exist; make the loader in the child, or start the child with the "spawn" method'
        )


def _timed(results: Iterator[Any], watch: Stopwatch) -> Iterator[Any]:
    """Pass results on, noting how long the caller waits for them and how long it keeps them."""
    while True:
        begin = time.perf_counter()
        try:
            result = next(results)
        except StopIteration:
            return
        ready = time.perf_counter()
        watch.add("wait", ready - begin)
        watch.batches += 1
        try:
            yield result
        finally:
            watch.add("use", time.perf_counter() - ready)
