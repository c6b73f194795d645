"""Side-by-side timing: every contender runs on the same input in one process, interleaved, and medians are compared."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Timing:
    """Seconds of the repeated runs of one contender."""

    name: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return float(np.median(self.seconds))

    @property
    def spread(self) -> str:
        return f"{min(self.seconds):.4g}..{max(self.seconds):.4g}"


def interleave(contenders: dict[str, Callable[[], object]], *, repeats: int = 5, warmup: int = 1) -> list[Timing]:
    """Run the contenders in turn, A B C A B C ..., so that drift of the machine's speed hits all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(warmup + repeats):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            taken = time.perf_counter() - start
            if turn >= warmup:
                seconds[name].append(taken)
    return [Timing(name, tuple(values)) for name, values in seconds.items()]


def copy_bandwidth(megabytes: int = 512, repeats: int = 5) -> float:
    """Measured memory bandwidth in GB/s of a large NumPy copy (bytes read plus bytes written), one thread."""
    source = np.ones(megabytes * (1 << 20) // 8)
    target = np.empty_like(source)
    best = min(_seconds(lambda: np.copyto(target, source)) for _ in range(repeats))
    return 2 * source.nbytes / best / 1e9


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def versions(*packages: str) -> str:
    """One line: Python, processor and the versions of the packages that took part."""
    found = []
    for name in ("nearhop", "numpy", "numba", *packages):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{name} (not installed)")
    return f"Python {platform.python_version()}, {_processor()}; " + ", ".join(found)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:
        return platform.processor() or platform.machine()
    return f"{len(names)} x {names[0]}" if names else platform.machine()


def table(timings: list[Timing], *, baseline: str, work: float | None = None, unit: str = "") -> str:
    """A Markdown table of medians, spread, ratio to `baseline` (above 1 = faster) and, with `work`, a rate."""
    reference = next(t.median for t in timings if t.name == baseline)
    rate_head = f" | {unit}" if work is not None else ""
    lines = [
        f"| contender | median s | min..max | x {baseline}{rate_head} |",
        "|---|---|---|---|" + ("---|" if work else ""),
    ]
    for t in timings:
        rate = f" | {work / t.median:.4g}" if work is not None else ""
        lines.append(f"| {t.name} | {t.median:.4g} | {t.spread} | {reference / t.median:.2f}{rate} |")
    return "\n".join(lines)
