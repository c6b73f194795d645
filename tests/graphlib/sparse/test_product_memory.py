"""Peak memory of a product: the result and a bounded amount per thread, far below the bound of its entries."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import resource
import numpy as np
import scipy.sparse as sp
from nearhop.graphlib.sparse import estimate, spgemm

def megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

rng = np.random.default_rng(0)
n = 12_000
src, dst = rng.integers(0, n, (2, 400_000))
A = sp.csr_array((np.ones(400_000, np.float32), (src, dst)), shape=(n, n))
spgemm(A[:10], A, threads=2)
before = megabytes()
C = spgemm(A, A, threads=2)
print(megabytes() - before, C.nbytes / 2**20, estimate(A, A, threads=2).scratch_bytes / 2**20)
"""


def test_peak_is_the_result_and_scratch():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=300, check=True)
    peak, result, scratch = map(float, done.stdout.split())
    assert result > 80
    assert scratch < 2 * 64
    assert peak < result + 2 * 64
