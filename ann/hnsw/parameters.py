"""The ranges of an HNSW index's parameters."""

from __future__ import annotations

from typing import Any

from ...graphlib.errors import InvalidInput
from ..metrics import HAMMING, check_count, metric_code
from ..storage.rows import storages

LAYOUTS = "plain", "packed"
PACKABLE = "int8", "int8-float16", "auto"


def check_parameters(
    metric: Any, M: Any, ef_construction: Any, ef_search: Any, seed: Any, storage: Any, layout: Any = "plain"
) -> int:
    """The metric's number; `InvalidInput` for a parameter out of range."""
    number = metric_code(metric, bits=True)
    check_count("M", M, low=2, high=1024)
    check_count("ef_construction", ef_construction)
    check_count("ef_search", ef_search)
    check_count("seed", seed, low=0, high=2**63 - 1)
    if storage not in (*storages(), "auto"):
        known = ", ".join(map(repr, (*storages(), "auto")))
        raise InvalidInput(f"storage must be one of {known}; got {storage!r}")
    if number == HAMMING and storage not in ("float32", "auto"):
        raise InvalidInput(f"metric 'hamming' keeps packed bits and takes no storage; got storage={storage!r}")
    if layout not in LAYOUTS:
        raise InvalidInput(f"layout must be 'plain' or 'packed'; got {layout!r}")
    if layout == "packed" and storage not in PACKABLE:
        raise InvalidInput(
            f"layout='packed' keeps neighbours in codes: use storage='int8' or 'int8-float16'; got {storage!r}"
        )
    return number
