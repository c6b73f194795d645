"""nearhop in the ann-benchmarks harness.

Copy this folder to `ann_benchmarks/algorithms/nearhop` of a checkout of erikbern/ann-benchmarks, install nearhop
there and run

    python run.py --algorithm nearhop --dataset glove-25-angular --local
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nearhop.ann import HNSW, IVFFlat

from ..base.module import BaseANN

_METRICS = {"euclidean": "l2", "angular": "cosine"}


class _Nearhop(BaseANN):
    """What both kinds of index share: `kind` makes one, `knob` is the search option that queries take.

    The harness runs on one core and asks for one query at a time; batches use all cores.
    """

    kind: Any
    knob: str

    def __init__(self, metric: str, parameters: dict[str, Any]) -> None:
        self._metric = _METRICS[metric]
        self._parameters = parameters
        self._effort: dict[str, int] = {}
        self._title = f"nearhop {self.kind.__name__}({', '.join(f'{k}={v}' for k, v in parameters.items())})"
        self.name = self._title

    def fit(self, X: np.ndarray) -> None:
        self._index = self.kind(self._metric, **self._parameters).add(X)
        self._index.search(X[:1], 1, threads=1)  # compiled, or loaded from the cache, outside the timed part

    def set_query_arguments(self, effort: int) -> None:
        self._effort = {self.knob: effort}
        self.name = f"{self._title} {self.knob}={effort}"

    def query(self, q: np.ndarray, n: int) -> np.ndarray:
        found = self._index.search(q, n, threads=1, **self._effort)
        return found.ids[0, : found.counts[0]]

    def batch_query(self, X: np.ndarray, n: int) -> None:
        self._found = self._index.search(X, n, **self._effort)

    def get_batch_results(self) -> list[np.ndarray]:
        return [ids[:count] for ids, count in zip(self._found.ids, self._found.counts, strict=True)]


class NearhopHNSW(_Nearhop):
    """HNSW; queries take the beam width."""

    kind = HNSW
    knob = "ef_search"

    def get_additional(self) -> dict[str, Any]:
        return {"index_bytes": self._index.stats().nbytes}


class NearhopIVF(_Nearhop):
    """Inverted lists; queries take the number of lists probed."""

    kind = IVFFlat
    knob = "nprobe"

    def get_additional(self) -> dict[str, Any]:
        return {"longest_list": int(self._index.list_sizes.max())}
