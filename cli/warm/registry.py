"""What `nearhop warm` runs: jobs by room, and the small data they work on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...graphlib.store.store import GraphStore

Job = Callable[[], Any]
JOBS: dict[str, dict[str, Job]] = {}
N, M = 600, 6000


def job(room: str) -> Callable[[Job], Job]:
    """Put a function among the jobs of a room, under its name."""

    def put(function: Job) -> Job:
        JOBS.setdefault(room, {})[function.__name__] = function
        return function

    return put


def graph(*, directed: bool = False, weighted: bool = False, timed: bool = False) -> GraphStore:
    """A random graph."""
    rng = np.random.default_rng(0)
    src, dst = rng.integers(0, N, (2, M))
    weight = rng.random(M, np.float32) if weighted else None
    return GraphStore.from_edges(
        src, dst, num_nodes=N, directed=directed, weight=weight, time=np.arange(M) if timed else None
    )


def vectors(width: int = 48) -> Any:
    return np.random.default_rng(0).standard_normal((N, width)).astype(np.float32)
