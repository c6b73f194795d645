"""Exact scores of colours on a GPU against the processor's; a script, so that the simulator can be chosen first.

python cuda_parity.py        # on the GPU, or with NUMBA_ENABLE_CUDASIM=1 in the simulator

Prints one line per check that passed, and exits with an error at the first that did not.
"""

from __future__ import annotations

import sys

import numpy as np
from numba import config

from nearhop.ann import CANN
from nearhop.ann.cann import exact_cuda
from nearhop.graphlib.errors import NotFitted

SIMULATED = bool(config.ENABLE_CUDASIM)
POINTS, COLORS = (30, 6) if SIMULATED else (20_000, 300)


def compare(index, queries, k):
    mine = exact_cuda.CudaScan(index).search(queries, k)
    theirs = index.search(queries, k, exact=True, matches=False)
    np.testing.assert_array_equal(mine.counts, theirs.counts)
    np.testing.assert_array_equal(mine.colors, theirs.colors)
    np.testing.assert_allclose(mine.scores, theirs.scores, rtol=1e-4)
    return mine


def check_scores():
    """Bytes and floats, both metrics, ids that are texts; widths, features and points that fill no tile."""
    rng = np.random.default_rng(0)
    owner = rng.integers(0, COLORS, POINTS)
    names = np.array([f"c{number}" for number in owner])
    sets = [rng.integers(0, POINTS, size) for size in ((1, 5) if SIMULATED else (1, 70, 300))]
    for metric, kind, dim, radius in (
        ("l2", np.uint8, 11, 300.0),
        ("l2", np.float32, 8, 4.0),
        ("cosine", np.float32, 5, 0.6),
    ):
        rows = rng.integers(0, 256, (POINTS, dim)).astype(np.uint8)
        if kind is np.float32:
            rows = rng.standard_normal((POINTS, dim)).astype(np.float32)
        queries = [rows[some].astype(np.float32) + rng.random((len(some), dim), np.float32) for some in sets]
        if kind is np.uint8:
            queries = [np.clip(query, 0, 255).astype(np.uint8) for query in queries]
        index = CANN(metric=metric, radius=radius, seed=1, threads=1)
        index.add(rows, names if kind is np.uint8 else owner)
        found = compare(index, queries, 4)
        if not (found.scores[:, 0] > 0).all() or (found.scores[:, 0] > 1).any():
            raise AssertionError(f"scores {found.scores}")


def check_empty():
    """No points, and colours that are far from everything."""
    try:
        exact_cuda.CudaScan(CANN())
    except NotFitted as error:
        if "the index is empty" not in str(error):
            raise
    else:
        raise AssertionError("an empty index was taken")
    index = CANN(radius=1.0, threads=1)
    index.add(np.arange(12, dtype=np.float32).reshape(4, 3) * 100, [0, 1, 1, 2])
    found = compare(index, np.full((1, 3), 50, np.float32), 3)
    if found.counts[0]:
        raise AssertionError("a colour beyond the radius was found")


if __name__ == "__main__":
    for check in (check_scores, check_empty):
        check()
        sys.stdout.write(f"{check.__name__}\n")
