"""HNSW against hnswlib and FAISS on MNIST images: build seconds, recall@10 and queries per second.

    python benchmarks/hnsw.py [--rows 60000] [--threads 1 2] [--engines nearhop hnswlib faiss]

All engines get M = 16, ef_construction = 200 and the same float32 rows; searches are interleaved.
"""

from __future__ import annotations

import argparse
import gzip
import time
from pathlib import Path
from typing import Protocol

import numpy as np
from _measure import interleave, versions

from nearhop.ann import HNSW, Exact
from nearhop.tests.support import data_folder

M, EF_CONSTRUCTION, K = 16, 200, 10
EF_SEARCH = (20, 50, 100, 200)


def images(path: Path) -> np.ndarray:
    """The images of an IDX file as float32 rows."""
    raw = gzip.decompress(path.read_bytes())
    return np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 784).astype(np.float32)


class Engine(Protocol):
    build_seconds: float

    def __init__(self, vectors: np.ndarray, threads: int) -> None: ...

    def search(self, queries: np.ndarray, ef: int) -> np.ndarray: ...


class Nearhop:
    def __init__(self, vectors: np.ndarray, threads: int) -> None:
        # Machine code is compiled, or loaded from the cache, before the clock starts; copies call for every kernel.
        HNSW(threads=threads).add(np.repeat(vectors[:4], 80, axis=0))
        start = time.perf_counter()
        self.index = HNSW(M=M, ef_construction=EF_CONSTRUCTION, threads=threads).add(vectors)
        self.build_seconds = time.perf_counter() - start

    def search(self, queries: np.ndarray, ef: int) -> np.ndarray:
        return self.index.search(queries, K, ef_search=ef).ids


class Hnswlib:
    def __init__(self, vectors: np.ndarray, threads: int) -> None:
        import hnswlib

        self.index = hnswlib.Index("l2", vectors.shape[1])
        self.index.init_index(len(vectors), ef_construction=EF_CONSTRUCTION, M=M)
        self.threads = threads
        start = time.perf_counter()
        self.index.add_items(vectors, num_threads=threads)
        self.build_seconds = time.perf_counter() - start

    def search(self, queries: np.ndarray, ef: int) -> np.ndarray:
        self.index.set_ef(ef)
        return self.index.knn_query(queries, K, num_threads=self.threads)[0].astype(np.int64)


class Faiss:
    def __init__(self, vectors: np.ndarray, threads: int) -> None:
        import faiss

        self.faiss, self.threads = faiss, threads
        faiss.omp_set_num_threads(threads)
        self.index = faiss.IndexHNSWFlat(vectors.shape[1], M)
        self.index.hnsw.efConstruction = EF_CONSTRUCTION
        start = time.perf_counter()
        self.index.add(vectors)
        self.build_seconds = time.perf_counter() - start

    def search(self, queries: np.ndarray, ef: int) -> np.ndarray:
        self.faiss.omp_set_num_threads(self.threads)
        self.index.hnsw.efSearch = ef
        return self.index.search(queries, K)[1]


ENGINES: dict[str, type[Engine]] = {"nearhop": Nearhop, "hnswlib": Hnswlib, "faiss": Faiss}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    folder = data_folder()
    if folder is None:
        raise SystemExit("needs the MNIST files ann/mnist-*.gz; set NEARHOP_DATA to the folder that holds ann/")
    vectors = images(folder / "ann/mnist-train-images-idx3-ubyte.gz")[: options.rows]
    queries = images(folder / "ann/mnist-t3k-images-idx3-ubyte.gz")
    truth = Exact().add(vectors).search(queries, K).ids
    print(versions("hnswlib", "faiss-cpu"))
    print(
        f"\nMNIST {vectors.shape[0]} x {vectors.shape[1]}, {len(queries)} queries, k={K}, M={M}, efC={EF_CONSTRUCTION}"
    )
    for threads in options.threads:
        built = {name: ENGINES[name](vectors, threads) for name in options.engines}
        print(f"\n{threads} thread(s)\n\n| engine | build s | " + " | ".join(f"ef {ef}" for ef in EF_SEARCH) + " |")
        print("|---|---|" + "---|" * len(EF_SEARCH))
        cells: dict[str, list[str]] = {name: [] for name in built}
        for ef in EF_SEARCH:
            runs = {name: (lambda e=engine, w=ef: e.search(queries, w)) for name, engine in built.items()}
            for timing in interleave(runs, repeats=options.repeats):
                found = built[timing.name].search(queries, ef)
                hits = (found[:, :, None] == truth[:, None, :]).any(axis=1).mean()
                cells[timing.name].append(f"{hits:.4f} / {len(queries) / timing.median:,.0f}")
        for name, engine in built.items():
            print(f"| {name} | {engine.build_seconds:.1f} | " + " | ".join(cells[name]) + " |")
    print("\nCells: recall@10 / queries per second.")


if __name__ == "__main__":
    main()
