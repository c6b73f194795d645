"""GPU samplers equal the processor's: in Numba's simulator everywhere, on a device where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from nearhop.tests.support import needs_gpu

SCRIPT = Path(__file__).with_name("cuda_parity.py")
CHECKS = [
    "check_random_numbers",
    "check_samples",
    "check_long_rows",
    "check_draws_in_order",
    "check_walks",
    "check_gather",
    "check_ncache",
]


def run(simulated):
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1" if simulated else "0"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == CHECKS


def test_parity_in_the_simulator():
    run(simulated=True)


@needs_gpu
def test_parity_on_a_gpu():
    run(simulated=False)
