"""The line that is shown while kernels are compiled."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

from nearhop.graphlib.compute.compiling.notice import TEXT

CODE = """
from nearhop.graphlib.compute.compiling import notice
notice.PATIENCE_S = 0.0
from nearhop.graphlib.compute.random_cpu import mix64
import numpy as np, time
mix64(np.uint64(1))
time.sleep(0.3)
mix64(np.int64(1))
"""


def run(tmp_path, **streams):
    return subprocess.Popen(
        [sys.executable, "-c", CODE], env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}, text=True, **streams
    )


def test_a_terminal_is_told_once(tmp_path):
    ours, theirs = pty.openpty()
    process = run(tmp_path, stderr=theirs)
    assert process.wait(60) == 0
    os.close(theirs)
    shown = os.read(ours, 10_000).decode().replace("\r\n", "\n")
    os.close(ours)
    assert shown.count(TEXT) == 1


def test_a_pipe_is_not(tmp_path):
    _, shown = run(tmp_path, stderr=subprocess.PIPE).communicate(timeout=60)
    assert shown == ""


def test_importing_compiles_nothing(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", "import nearhop.graphlib.compute.jit"], env=environment, check=True)
    assert not list(tmp_path.rglob("*.nbc"))
