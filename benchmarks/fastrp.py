"""FastRP against the same products with SciPy, and against scikit-network's random projection.

`python benchmarks/fastrp.py [--large]`. The data set is BlogCatalog (512 columns, four powers); `--large` adds a random
graph of 1,000,000 nodes and 10,000,000 directed edges with 128 columns. scikit-network sums five powers with its own
weights and has no degree term, so its line is the nearest tool, not the same result; it is left out of the large graph,
where it takes minutes.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import scipy.sparse
from _measure import interleave, table, versions

import nearhop
from nearhop.embed import FastRP

WEIGHTS, BETA = (0, 0, 1, 6.67), -0.64


def scipy_chain(matrix, dim, *, sparse_first):
    """FastRP as one writes it with SciPy and NumPy, float32; the projection dense, or sparse in the first product."""
    rng = np.random.default_rng(0)
    n = matrix.shape[0]
    degree = np.maximum(np.asarray(matrix.sum(axis=1)).reshape(-1), 1).astype(np.float32)
    transition = scipy.sparse.diags_array(1 / degree).astype(np.float32) @ matrix
    share = 1 / np.sqrt(n)
    places = np.unique(rng.integers(0, n * dim, int(share * n * dim)))
    values = rng.choice(np.array([-1, 1], np.float32), len(places)) / np.float32(np.sqrt(share * dim))
    rows, columns = np.divmod(places, dim)
    values *= (degree**BETA)[rows].astype(np.float32)
    U: Any
    if sparse_first:
        U = scipy.sparse.csr_array((values, (rows, columns)), shape=(n, dim))
    else:
        U = np.zeros((n, dim), np.float32)
        U[rows, columns] = values
    total = np.zeros((n, dim), np.float32)
    for alpha in WEIGHTS:
        U = transition @ U
        U = U.toarray() if hasattr(U, "toarray") else U
        if alpha:
            norm = np.linalg.norm(U, axis=1, keepdims=True)
            total += np.float32(alpha) * (U / np.where(norm > 0, norm, 1))
    deviation = total.std(axis=0)
    return (total - total.mean(axis=0)) / np.where(deviation > 0, deviation, 1)


def compare(name, store, dim, repeats, *, others):
    rows = store.csr()
    n = rows.num_rows
    matrix = scipy.sparse.csr_array(
        (np.ones(rows.num_entries, np.float32), rows.indices, rows.indptr.astype(np.int32)), shape=(n, n)
    )
    contenders = {
        "nearhop, 1 thread": lambda: FastRP(dim, WEIGHTS, BETA, threads=1).fit_transform(store),
        "nearhop, 2 threads": lambda: FastRP(dim, WEIGHTS, BETA, threads=2).fit_transform(store),
        "scipy": lambda: scipy_chain(matrix, dim, sparse_first=False),
        "scipy, first product sparse": lambda: scipy_chain(matrix, dim, sparse_first=True),
    }
    dense, sparse = (scipy_chain(matrix, dim, sparse_first=first)[:100] for first in (False, True))
    np.testing.assert_allclose(dense, sparse, rtol=1e-3, atol=1e-4)
    if others:
        try:
            from sknetwork.embedding import RandomProjection

            plain = scipy.sparse.csr_matrix(matrix)
            contenders["scikit-network"] = lambda: RandomProjection(
                dim, n_iter=4, random_state=0, random_walk=True
            ).fit_transform(plain, force_bipartite=False)
        except ImportError as error:
            print(f"scikit-network left out: {error}")
    timings = interleave(contenders, repeats=repeats)
    print(f"\n{name}: {n:,} nodes, {rows.num_entries:,} entries, {dim} columns, four powers\n")
    print(table(timings, baseline="scipy", work=4 * rows.num_entries * dim / 1e9, unit="G multiply-adds/s"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    print(versions("scipy", "scikit-network"))
    compare("BlogCatalog", nearhop.datasets.load("blogcatalog"), 512, given.repeats, others=True)
    if given.large:
        ends = np.random.default_rng(0).integers(0, 1_000_000, (2, 10_000_000))
        store = nearhop.GraphStore.from_edges(ends[0], ends[1], num_nodes=1_000_000, directed=True)
        compare("random graph", store, 128, given.repeats, others=False)


if __name__ == "__main__":
    main()
