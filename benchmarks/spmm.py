"""Adjacency rows times a dense float32 matrix, against SciPy, MKL and PyTorch, and against the memory's speed.

`python benchmarks/spmm.py [--nodes 1000000 --edges 10000000 --dim 128]`. For MKL, install sparse_dot_mkl and set
MKL_RT to the path of libmkl_rt when it is not found by itself.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable

import numpy as np
from _measure import copy_bandwidth, interleave, table, versions

from nearhop import GraphStore
from nearhop.graphlib.sparse.spmm import spmm


def contenders(store, X, threads):
    """Callables that compute A @ X; libraries that are missing are left out, by name."""
    import scipy.sparse

    rows = store.csr()
    n = rows.num_rows
    out = np.empty_like(X)
    indptr = rows.indptr.astype(np.int32)
    matrix = scipy.sparse.csr_array((np.ones(rows.num_entries, np.float32), rows.indices, indptr), shape=(n, n))
    found: dict[str, Callable[[], object]] = {"nearhop": lambda: spmm(rows, X, out=out, threads=threads)}
    if threads == 1:
        found["scipy"] = lambda: matrix @ X
    try:
        import sparse_dot_mkl

        sparse_dot_mkl.mkl_set_num_threads(threads)
        out_mkl = np.empty_like(X)
        plain = scipy.sparse.csr_matrix(matrix)
        found["mkl"] = lambda: sparse_dot_mkl.dot_product_mkl(plain, X, out=out_mkl)
    except ImportError as error:
        print(f"MKL left out: {error}")
    try:
        import torch

        torch.set_num_threads(threads)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tensor = torch.sparse_csr_tensor(
                torch.from_numpy(indptr.astype(np.int64)),
                torch.from_numpy(rows.indices.astype(np.int64)),
                torch.ones(rows.num_entries),
                (n, n),
            )
        dense = torch.from_numpy(X)
        found["torch"] = lambda: tensor @ dense
    except ImportError as error:
        print(f"torch left out: {error}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument("--edges", type=int, default=10_000_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    ends = rng.integers(0, given.nodes, (2, given.edges))
    store = GraphStore.from_edges(ends[0], ends[1], num_nodes=given.nodes, directed=True)
    X = rng.standard_normal((given.nodes, given.dim), dtype=np.float32)
    # every neighbour's row and id read once, every output row written once: no cache helps, no byte is read twice
    logical = given.edges * (4 * given.dim + 4) + 4 * given.nodes * given.dim + 8 * given.nodes
    bandwidth = copy_bandwidth()
    print(versions("scipy", "sparse_dot_mkl", "torch"))
    print(f"\n{given.nodes:,} nodes, {given.edges:,} entries, {given.dim} columns: {logical / 1e9:.2f} GB per product;")
    print(f"one-thread copy {bandwidth:.1f} GB/s, so {logical / bandwidth / 1e9:.3f} s when rows stream at that speed")
    for threads in given.threads:
        timings = interleave(contenders(store, X, threads), repeats=given.repeats)
        baseline = "scipy" if threads == 1 else timings[-1].name
        print(f"\n{threads} thread(s) (SciPy has one only)\n")
        print(table(timings, baseline=baseline, work=logical / 1e9, unit="GB/s"))


if __name__ == "__main__":
    main()
