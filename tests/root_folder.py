"""A pytest plugin: the repository's root is a folder, whatever it is called.

The root holds the package's `__init__.py`, so pytest would import it under the folder's name, which fails in a folder
such as `nearhop-0.1.0`.
"""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.hookimpl
def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    return pytest.Dir.from_parent(parent, path=path) if (path / "pyproject.toml").exists() else None
