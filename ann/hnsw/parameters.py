"""The ranges of an HNSW index's parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...graphlib.errors import InvalidInput
from ..metrics import HAMMING, check_count, metric_code
from ..storage.rows import STORAGES

if TYPE_CHECKING:
    from .index import HNSW


def check_parameters(index: HNSW) -> int:
    """The metric's number; `InvalidInput` for a parameter out of range, `IndexMismatch` for one that cannot change."""
    metric = metric_code(index.metric, bits=True)
    check_count("M", index.M, low=2, high=1024)
    check_count("ef_construction", index.ef_construction)
    check_count("ef_search", index.ef_search)
    check_count("seed", index.seed, low=0, high=2**63 - 1)
    if index.storage not in STORAGES:
        raise InvalidInput(f"storage must be one of {', '.join(map(repr, STORAGES))}; got {index.storage!r}")
    if metric == HAMMING and index.storage != "float32":
        raise InvalidInput(f"metric 'hamming' keeps packed bits and takes no storage; got storage={index.storage!r}")
    index._check_frozen()
    return metric
