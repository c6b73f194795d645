"""Times that commands print: of work that is done once, with what of it was compilation; of speeds, without it."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
_LEAST, _MOST = 3, 25
_ENOUGH_S, _PATIENCE_S = 0.3, 20.0
_WORTH_TELLING_S = 0.05


class Stopwatch:
    """Seconds since it was made, and how many of them kernels were compiled in."""

    def __init__(self) -> None:
        self._begun, self._compiled = time.perf_counter(), compiling_seconds()

    def told(self, name: str = "seconds") -> dict[str, float]:
        """{name: seconds}, and where kernels were compiled, which happens once, {name_compiling: seconds} of these."""
        spent = {name: round(time.perf_counter() - self._begun, 4)}
        compiled = compiling_seconds() - self._compiled
        return spent | ({f"{name}_compiling": round(compiled, 3)} if compiled > _WORTH_TELLING_S else {})


@dataclass(frozen=True)
class Timing:
    """The median of several runs of a call that had run before."""

    seconds: float
    runs: int


def timed(run: Callable[[], T]) -> tuple[T, Timing]:
    """What a call returns, and how long it takes once compiled and warm: the median of 3 to 25 runs after the first.

    Short calls are repeated for a third of a second, long ones until 20 seconds are over. A first run that alone takes
    longer, and compiles nothing, is the figure.
    """
    begun, compiled = time.perf_counter(), compiling_seconds()
    outcome = run()
    first = time.perf_counter() - begun
    if first > _PATIENCE_S and compiling_seconds() == compiled:
        return outcome, Timing(first, 1)
    seconds: list[float] = []
    while len(seconds) < _MOST and (len(seconds) < _LEAST or sum(seconds) < _ENOUGH_S) and sum(seconds) < _PATIENCE_S:
        begun = time.perf_counter()
        outcome = run()
        seconds.append(max(time.perf_counter() - begun, 1e-9))
    return outcome, Timing(statistics.median(seconds), len(seconds))


def compiling_seconds() -> float:
    """Seconds that this process has spent compiling nearhop's kernels."""
    notice: Any = sys.modules.get(f"{__package__.rpartition('.')[0]}.graphlib.compute.compiling.notice")
    return 0.0 if notice is None else notice.spent()
