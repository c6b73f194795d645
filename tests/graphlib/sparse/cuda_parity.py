"""Parity of the GPU's sparse products with the processor's; a script: the simulator is chosen before Numba loads.

python cuda_parity.py        # on the GPU, or with NUMBA_ENABLE_CUDASIM=1 in the simulator

Prints one line per check that passed, and exits with an error at the first that did not.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from nearhop.graphlib.errors import InvalidInput
from nearhop.graphlib.sparse import spgemm
from nearhop.graphlib.sparse.products.multiply_cuda import spgemm as spgemm_cuda


def matrix(n, m, count, seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(1, 5, count).astype(np.float32)
    return sp.csr_array(sp.coo_array((values, (rng.integers(0, n, count), rng.integers(0, m, count))), shape=(n, m)))


def identical(a, b):
    assert (a.indptr == b.indptr).all()
    assert (a.indices == b.indices).all()
    assert a.values.dtype == b.values.dtype
    assert (a.values == b.values).all()


def check_semirings():
    """Small integers are added exactly in any order."""
    A, B = matrix(3, 8, 7, 0), matrix(8, 20, 20, 1)
    for semiring in ("plus_times", "plus_pair", "max_times", "min_plus"):
        identical(spgemm_cuda(A, B, semiring=semiring), spgemm(A, B, semiring=semiring))
    counts = A.astype(np.int64), B.astype(np.int64)
    identical(spgemm_cuda(*counts), spgemm(*counts))


def check_bins():
    """Rows of every bin: none, a few entries, one that fills the largest table, one that needs global memory."""
    A = sp.csr_array(sp.block_diag([matrix(2, 4, 4, 2), np.ones((1, 5)), np.ones((1, 12))]).astype(np.float32))
    A = sp.csr_array(sp.vstack([A, sp.csr_array((1, A.shape[1]), dtype=np.float32)]))
    B = matrix(A.shape[1], 300, 21 * 3, 3)
    identical(spgemm_cuda(A, B), spgemm(A, B))


def check_nothing():
    empty = sp.csr_array((3, 3), dtype=np.float32)
    assert spgemm_cuda(empty, empty).num_entries == 0


def check_bad_input():
    for arguments in (({"semiring": "any_pair"}), ({"semiring": "or_and"})):
        try:
            spgemm_cuda(matrix(3, 3, 3, 0), matrix(3, 3, 3, 1), **arguments)
        except InvalidInput:
            continue
        raise AssertionError(arguments)


if __name__ == "__main__":
    for check in (check_semirings, check_bins, check_nothing, check_bad_input):
        check()
        print(check.__name__)  # noqa: T201
