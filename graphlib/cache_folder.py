"""Where nearhop keeps what it can make or download again."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """The folder that NEARHOP_CACHE names, else the platform's cache folder for nearhop."""
    named = os.environ.get("NEARHOP_CACHE")
    if named:
        return Path(named).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "nearhop" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "nearhop"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nearhop"
