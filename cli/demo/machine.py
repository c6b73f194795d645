"""What a figure was measured on: processor, cores, versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path


def processor() -> str:
    """The processor's name, its instruction set, and how many cores this process may use."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
    name = told.get("model name", name)
    flags = told.get("flags", "").split()
    widest = next((word for word in ("avx512f", "avx2", "avx") if word in flags), None)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"{name}{f' ({widest})' if widest else ''}, {cores} core{'s' * (cores != 1)}"


def versions() -> str:
    """Python, and the packages that decide about speed and answers."""
    from ... import __version__

    found = [f"nearhop {__version__}", f"Python {platform.python_version()}"]
    for package in ("numpy", "numba", "scikit-learn"):
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found)
