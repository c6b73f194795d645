"""nearhop: graph learning and retrieval over one graph store.

*Who is near?* (neighbour indexes, communities) and *what does nearness predict?* (samplers, embeddings, models) are
answered from the same memory-mapped arrays: what one part writes, the next part reads without a copy.

Importing this module is cheap: every public name below is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .graphlib import process as _process  # noqa: F401, notes which process this is before anybody forks

if TYPE_CHECKING:
    from . import ann, datasets, embed, sampling
    from .graphlib.errors import NearhopError
    from .graphlib.ingest import ingest
    from .graphlib.store import GraphStore, open

__version__ = "0.1.0"
__all__ = ["GraphStore", "NearhopError", "__version__", "ann", "datasets", "embed", "ingest", "open", "sampling"]

_ROOMS = ("ann", "datasets", "embed", "sampling")
_HOMES = {
    "GraphStore": ".graphlib.store",
    "open": ".graphlib.store",
    "ingest": ".graphlib.ingest",
    "NearhopError": ".graphlib.errors",
}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f".{name}", __name__)
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
