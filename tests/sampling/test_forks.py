"""A forked child computes what its parent does, whatever threads the parent has used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nearhop.tests.support import needs

SCRIPT = """
import os, sys
import numpy as np
import nearhop

store = nearhop.GraphStore.from_edges(np.arange(999), np.arange(1, 1000))

def work():
    from nearhop.sampling import NeighborSampler, gather, random_walks
    walks = random_walks(store, np.arange(1000), length=5, threads=2)
    sample = NeighborSampler(store, [2, 2], seed=1).sample(np.arange(200))
    rows = gather(np.arange(2e6).reshape(-1, 4), np.arange(400_000)[::-1])
    return [int(a.sum()) for a in (walks, sample.edge_ids, sample.nodes, rows)]

if "torch" in sys.argv:
    import torch
    torch.set_num_threads(2)
    a = torch.rand(1500, 1500)
    (a @ a).sum().item()
expected = work() if "first" in sys.argv else None
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    try:
        os.write(writing, repr(work()).encode())
    finally:
        os._exit(0)
os.close(writing)
status = os.waitpid(child, 0)[1]
print(status, os.read(reading, 1000).decode() == repr(expected or work()))
"""


@pytest.mark.parametrize("before", [["first"], pytest.param(["torch"], marks=needs("torch"))])
def test_a_forked_child_neither_hangs_nor_ends(before):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *before], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.stdout.split() == ["0", "True"], done.stdout + done.stderr[-2000:]
