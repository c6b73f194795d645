"""Exact search against FAISS and a blocked matrix product, on random vectors.

python benchmarks/exact.py [--rows 60000] [--dim 784] [--queries 500]
"""

from __future__ import annotations

import argparse
import importlib.util

import numpy as np
from _measure import interleave, table, versions

from nearhop.ann import Exact

K = 10


def by_matrix_product(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """|x|^2 - 2 q.x through BLAS, then selection: quicker per flop, but near ties lose digits."""
    norms = np.einsum("nd,nd->n", vectors, vectors)
    found = np.empty((len(queries), K), np.int64)
    for start in range(0, len(queries), 128):
        scores = norms - 2 * (queries[start : start + 128] @ vectors.T)
        part = np.argpartition(scores, K, axis=1)[:, :K]
        order = np.argsort(np.take_along_axis(scores, part, 1), axis=1)
        found[start : start + 128] = np.take_along_axis(part, order, 1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--dim", type=int, default=784)
    parser.add_argument("--queries", type=int, default=500)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(options.rows, options.dim)).astype(np.float32)
    queries = rng.normal(size=(options.queries, options.dim)).astype(np.float32)
    index = Exact().add(vectors)
    contenders = {
        "nearhop": lambda: index.search(queries, K),
        "nearhop, 1 thread": lambda: index.search(queries, K, threads=1),
        "NumPy matrix product": lambda: by_matrix_product(vectors, queries),
    }
    if importlib.util.find_spec("faiss") is not None:
        import faiss

        flat = faiss.IndexFlatL2(options.dim)
        flat.add(vectors)
        contenders["faiss IndexFlatL2"] = lambda: flat.search(queries, K)
    print(versions("faiss-cpu"))
    print(f"\n{options.rows} x {options.dim}, {options.queries} queries, k={K}\n")
    timings = interleave(contenders, repeats=3)
    print(table(timings, baseline="NumPy matrix product", work=float(options.queries), unit="queries/s"))


if __name__ == "__main__":
    main()
