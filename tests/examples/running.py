"""An example as its reader runs it: in a process of its own, its last line read back."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from nearhop.tests.support import ROOT

FIELDS = {"data", "what", "ours", "std", "published"}


def start(
    script: str, *words: str, data: Path | None = None, launcher: tuple[str, ...] = (), one_thread: bool = False
) -> subprocess.Popen[str]:
    """The process of `examples/<script>`; `data` is the folder of the data sets."""
    environment = {**os.environ, **({"OMP_NUM_THREADS": "1"} if one_thread else {})}
    if data is not None:
        environment["NEARHOP_DATA"] = str(data)
    return subprocess.Popen(
        [sys.executable, *launcher, str(ROOT / "examples" / script), *words],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(process: subprocess.Popen[str], timeout: float = 300) -> str:
    """What a process printed; it ended well."""
    out, errors = process.communicate(timeout=timeout)
    assert process.returncode == 0, errors[-3000:]
    return out


def told(out: str) -> dict[str, Any]:
    """The object of the last line, whose rows have the five fields that every example's have."""
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    assert found["rows"] or "losses" in found
    for row in found["rows"]:
        assert set(row) == FIELDS
    return found


def named(found: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """The rows by data set and what is measured; none stands there twice."""
    rows = {(row["data"], row["what"]): row for row in found["rows"]}
    assert len(rows) == len(found["rows"])
    return rows


def rows_of(
    script: str, *words: str, data: Path | None = None, one_thread: bool = False
) -> dict[tuple[str, str], dict[str, Any]]:
    """The named rows of `script --json`."""
    return named(told(finish(start(script, *words, "--json", data=data, one_thread=one_thread))))


def imported(script: str) -> ModuleType:
    """An example as a module, to test its parts."""
    path = ROOT / "examples" / script
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module
