"""A writer that dies at any instant, by SIGKILL or power cut, leaves the last committed version whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: fork and /proc")


def crash(tmp_path: Path, mode: str, start: int, step: int) -> dict[str, Any]:
    done = subprocess.run(
        [
            sys.executable,
            str(Path(__file__).with_name("crash_script.py")),
            str(tmp_path),
            mode,
            str(start),
            str(step),
        ],
        env={**os.environ, "NUMBA_THREADING_LAYER": "workqueue"},  # the layer that survives a fork
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


@pytest.mark.parametrize("mode", ["kill", "power"])
def test_a_killed_writer_leaves_the_last_committed_version(tmp_path, mode):
    """Every file operation of the writer is a point, before it and, for writes, in its middle."""
    outcome = crash(tmp_path, mode, 0, 1)
    assert outcome["failures"] == []
    assert outcome["tried"] == outcome["points"] >= 200
