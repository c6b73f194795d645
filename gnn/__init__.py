"""Models over graphs that change or are large: PyTorch modules that read stores, samples and caches.

Torch is imported when a model is first asked for, and needs the extra `nearhop[torch]`. Nothing here samples or
indexes.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .nat import NAT, NATConfig

_HOME = {"NAT": "nat", "NATConfig": "nat"}

__all__ = ["NAT", "NATConfig"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ..graphlib.extras import require

    require("torch", f"nearhop.gnn.{name}")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
