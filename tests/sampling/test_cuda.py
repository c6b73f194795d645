"""GPU samplers equal the processor's: in Numba's simulator everywhere, on a device where there is one."""

from __future__ import annotations

from pathlib import Path

from nearhop.tests.support import needs_gpu, run_parity

SCRIPT = Path(__file__).with_name("cuda_parity.py")
CHECKS = [
    "check_random_numbers",
    "check_samples",
    "check_long_rows",
    "check_room",
    "check_recorded",
    "check_draws_in_order",
    "check_walks",
    "check_gather",
    "check_unified_tensor",
    "check_ncache",
]


def test_parity_in_the_simulator():
    run_parity(SCRIPT, CHECKS, simulated=True)


@needs_gpu
def test_parity_on_a_gpu():
    run_parity(SCRIPT, CHECKS, simulated=False)
