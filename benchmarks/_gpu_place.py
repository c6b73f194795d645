"""Where a part of `gpu.py` runs, a device or Numba's simulator, and the rows that it reports."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import config

SIMULATED = bool(config.ENABLE_CUDASIM)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Row:
    """A figure: what was measured, and the pass mark it has to reach (`at_least`) or stay below (`at_most`)."""

    what: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None

    def passed(self) -> bool | None:
        """Whether the mark was reached; None without one."""
        if self.at_least is None and self.at_most is None:
            return None
        return not (
            (self.at_least is not None and self.value < self.at_least)
            or (self.at_most is not None and self.value > self.at_most)
        )


Rows = Iterator[Row]


def device() -> Any:
    """torch's device: the simulator's arrays lie in host memory."""
    import torch

    return torch.device("cpu") if SIMULATED else torch.device("cuda", torch.cuda.current_device())


def wait() -> None:
    """Until the device has done all it was given."""
    if not SIMULATED:
        import torch

        torch.cuda.synchronize()


def seconds(run: Callable[[], object], repeats: int, warmup: int = 1) -> float:
    """The median time of `run`, the device's work included."""
    taken = []
    for turn in range(warmup + repeats):
        wait()
        start = time.perf_counter()
        run()
        wait()
        if turn >= warmup:
            taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def sized(full: Any, tiny: Any) -> Any:
    """The size of something on a device, and in a rehearsal in the simulator."""
    return tiny if SIMULATED else full
