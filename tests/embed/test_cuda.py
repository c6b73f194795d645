"""GraphVite on a GPU equals the processor: in Numba's simulator everywhere, on a device where there is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearhop import GraphStore
from nearhop.embed import GraphVite
from nearhop.graphlib.errors import InvalidInput
from nearhop.tests.support import _has_gpu, needs_gpu, run_parity

SCRIPT = Path(__file__).with_name("cuda_parity.py")
CHECKS = ["check_one_part", "check_parts_travel", "check_pools", "check_whole_run"]


def test_parity_in_the_simulator():
    run_parity(SCRIPT, CHECKS, simulated=True)


@needs_gpu
def test_parity_on_a_gpu():
    run_parity(SCRIPT, CHECKS, simulated=False)


@pytest.mark.skipif(_has_gpu(), reason="there is a CUDA device")
def test_without_a_device():
    store = GraphStore.from_edges([0, 1], [1, 2])
    with pytest.raises(InvalidInput, match="there is no CUDA device"):
        GraphVite(dim=16, epochs=1, device="cuda").fit(store)
    assert GraphVite(dim=16, epochs=1, device="auto").fit_transform(store).shape == (3, 16)
