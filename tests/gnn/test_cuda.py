"""A NAT with its caches on the GPU equals one with its caches on the host: in the simulator everywhere, on a device
where there is one."""

from __future__ import annotations

from pathlib import Path

from nearhop.tests.support import needs_gpu, run_parity

SCRIPT = Path(__file__).with_name("cuda_parity.py")
CHECKS = ["check_training", "check_state", "check_dropout", "check_pairs_without_rows"]


def test_parity_in_the_simulator():
    run_parity(SCRIPT, CHECKS, simulated=True)


@needs_gpu
def test_parity_on_a_gpu():
    run_parity(SCRIPT, CHECKS, simulated=False)
