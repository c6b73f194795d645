"""Deletes and re-adds: what 100,000 of them do to recall, speed and memory, side by side.

    python benchmarks/ann_updates.py [--engines nearhop-float32 nearhop-int8 hnswlib ...] [--rounds 10] [--drift]

Real SIFT descriptors. Each of 10 rounds deletes 10,000 random rows out of 50,000 and adds 10,000 that are not in the
index; recall@10 is counted against exact search of what is in the index, and set beside a fresh build of the same rows
in the same order. Then a tenth of the rows is deleted, and later a half of the others; one query a call is timed at the
smallest beam, and the index compacted (where there is such a call), again beside a fresh build. hnswlib runs with
`mark_deleted` and `allow_replace_deleted`, usearch with `remove`. `--drift` adds rows in an order that starts in one
place instead: MNIST's ones first, then the other digits; of the embeddings, the nearest tenth to one of them first.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from typing import Any, Protocol

import numpy as np
from _ann_data import K, dataset, mnist_labels
from _measure import versions

from nearhop.ann import HNSW, Exact
from nearhop.tests.support import kept_as

ROWS, CHANGED = 50_000, 10_000
DELETED = (0.1, 0.5)
BEAMS = (20, 50, 100)


class Engine(Protocol):
    """An index that can be changed, with ids."""

    def add(self, vectors: np.ndarray, ids: np.ndarray) -> None: ...
    def remove(self, ids: np.ndarray) -> None: ...
    def search(self, queries: np.ndarray, ef: int) -> np.ndarray: ...
    def nbytes(self) -> int: ...


class Nearhop:
    def __init__(self, dim: int, threads: int, storage: Any) -> None:
        self.index = HNSW(threads=threads, **kept_as(storage))

    def add(self, vectors: np.ndarray, ids: np.ndarray) -> None:
        self.index.add(vectors, ids)

    def remove(self, ids: np.ndarray) -> None:
        self.index.remove(ids)

    def search(self, queries: np.ndarray, ef: int) -> np.ndarray:
        return self.index.search(queries, K, ef_search=ef).ids

    def nbytes(self) -> int:
        return self.index.stats().nbytes

    def compact(self) -> None:
        self.index.compact()


class Hnswlib:
    def __init__(self, dim: int, threads: int, _: str) -> None:
        import hnswlib

        self.index, self.threads, self.full = hnswlib.Index("l2", dim), threads, False
        self.index.init_index(ROWS, M=16, ef_construction=200, allow_replace_deleted=True)

    def add(self, vectors: np.ndarray, ids: np.ndarray) -> None:
        self.index.add_items(vectors, ids, num_threads=self.threads, replace_deleted=self.full)
        self.full = True

    def remove(self, ids: np.ndarray) -> None:
        for label in ids.tolist():
            self.index.mark_deleted(label)

    def search(self, queries: np.ndarray, ef: int) -> np.ndarray:
        self.index.set_ef(ef)
        return self.index.knn_query(queries, K, num_threads=self.threads)[0].astype(np.int64)

    def nbytes(self) -> int:
        return int(self.index.index_file_size())


class Usearch:
    def __init__(self, dim: int, threads: int, _: str) -> None:
        from usearch.index import Index

        self.index: Any = Index(ndim=dim, metric="l2sq", dtype="f32", connectivity=16, expansion_add=200)
        self.threads = threads

    def add(self, vectors: np.ndarray, ids: np.ndarray) -> None:
        self.index.add(ids, vectors, threads=self.threads)

    def remove(self, ids: np.ndarray) -> None:
        self.index.remove(ids.astype(np.uint64), threads=self.threads)

    def search(self, queries: np.ndarray, ef: int) -> np.ndarray:
        self.index.expansion_search = ef
        return self.index.search(queries, K, threads=self.threads).keys.astype(np.int64)

    def nbytes(self) -> int:
        return int(self.index.memory_usage)


ENGINES: dict[str, tuple[str, Any, str]] = {
    "nearhop-float32": ("numba", Nearhop, "float32"),
    "nearhop-int8": ("numba", Nearhop, "int8"),
    "nearhop-packed": ("numba", Nearhop, "packed"),
    "hnswlib": ("hnswlib", Hnswlib, ""),
    "usearch-f32": ("usearch", Usearch, ""),
}


def recalls(engine: Engine, queries: np.ndarray, truth: np.ndarray) -> list[float]:
    found = [engine.search(queries, ef) for ef in BEAMS]
    return [float((f[:, :, None] == truth[:, None, :]).any(axis=1).mean()) for f in found]


def alone(engine: Engine, queries: np.ndarray) -> str:
    """Median and 99th percentile of one query a call at the smallest beam, in microseconds."""
    taken = [clocked(engine.search, queries[q : q + 1], BEAMS[0]) for q in range(len(queries))]
    return " / ".join(f"{value * 1e6:.1f}" for value in np.quantile(taken, (0.5, 0.99)))


def shown(values: list[float]) -> str:
    return " / ".join(f"{value:.4f}" for value in values)


def clocked(run: Any, *arguments: Any) -> float:
    start = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - start


def one(name: str, points: np.ndarray, queries: np.ndarray, rounds: int, threads: int) -> None:
    _, kind, storage = ENGINES[name]
    rng = np.random.default_rng(1)

    def fresh(inside: np.ndarray) -> tuple[Engine, float]:
        made = kind(points.shape[1], threads, storage)
        return made, clocked(made.add, points[inside], inside)

    def truth_of(inside: np.ndarray) -> np.ndarray:
        return Exact().add(points[inside], ids=inside).search(queries, K).ids

    inside, outside = np.arange(ROWS), np.arange(ROWS, len(points))
    engine, built = fresh(inside)
    print(f"{name}: built in {built:.1f} s, {engine.nbytes() / 2**20:.1f} MiB, ", end="")
    print(f"recall {shown(recalls(engine, queries, truth_of(inside)))}", flush=True)
    removing = adding = 0.0
    for _ in range(rounds):
        gone = rng.choice(inside, CHANGED, replace=False)
        new = rng.choice(outside, CHANGED, replace=False)
        removing += clocked(engine.remove, gone)
        adding += clocked(engine.add, points[new], new)
        inside = np.concatenate([np.setdiff1d(inside, gone, assume_unique=True), new])
        outside = np.concatenate([np.setdiff1d(outside, new, assume_unique=True), gone])
    truth, again = truth_of(inside), fresh(inside)
    print(
        f"{name}: {rounds * CHANGED:,} deletes in {removing:.2f} s, as many adds in {adding:.1f} s, "
        f"{engine.nbytes() / 2**20:.1f} MiB, recall {shown(recalls(engine, queries, truth))}; fresh build "
        f"{again[1]:.1f} s, recall {shown(recalls(again[0], queries, truth))}",
        flush=True,
    )
    for share in DELETED:
        gone = rng.choice(inside, int(len(inside) * share), replace=False)
        inside = np.setdiff1d(inside, gone, assume_unique=True)
        engine.remove(gone)
        truth, before = truth_of(inside), engine.nbytes()
        print(f"{name}: {share:.0%} deleted, {before / 2**20:.1f} MiB, ", end="")
        print(f"recall {shown(recalls(engine, queries, truth))}, one query a call {alone(engine, queries)} µs", end="")
        if isinstance(engine, Nearhop):
            seconds, again = clocked(engine.compact), fresh(inside)
            print(
                f"; compacted in {seconds:.2f} s, {engine.nbytes() / 2**20:.1f} MiB, recall "
                f"{shown(recalls(engine, queries, truth))}; fresh build {again[1]:.2f} s, "
                f"{again[0].nbytes() / 2**20:.1f} MiB, recall {shown(recalls(again[0], queries, truth))}",
                end="",
            )
        print(flush=True)


def drift(name: str, threads: int) -> None:
    """Recall of rows added from one place outwards, in ten calls, beside that of all at once."""
    _, kind, storage = ENGINES[name]
    for data in ("mnist", "minilm"):
        points, queries, _ = dataset(data, 0)
        truth = Exact().add(points).search(queries, K).ids
        if data == "mnist":
            order = np.argsort(mnist_labels() != 1, kind="stable")
        else:
            near = Exact().add(points).search(points[:1], len(points) // 10).ids[0]
            order = np.concatenate([near, np.setdiff1d(np.arange(len(points)), near)])
        told = []
        for calls in (10, 1):
            engine = kind(points.shape[1], threads, storage)
            seconds = sum(clocked(engine.add, points[part], part) for part in np.array_split(order, calls))
            told.append(f"{seconds:.1f} s, recall {shown(recalls(engine, queries, truth))}")
        print(f"{name}, {data}: in ten calls {told[0]}; in one {told[1]}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--drift", action="store_true", help="rows from one place first, in place of deletes")
    options = parser.parse_args()
    vectors, held, _ = dataset("sift", 0)
    points, queries = np.concatenate([vectors, held[options.queries :]]), held[: options.queries]
    print(versions("hnswlib", "usearch"))
    print(f"sift: {ROWS:,} of {len(points):,} x {points.shape[1]}, {len(queries):,} queries; recall@10 at ef {BEAMS}")
    for storage in ("float32", "int8", "packed"):  # machine code is compiled, or loaded, before the clock starts
        warm = HNSW(**kept_as(storage)).add(points[:300])
        warm.remove(np.arange(100))
        warm.add(points[300:350]).compact().search(queries[:3], K)
    for name in options.engines:
        if importlib.util.find_spec(ENGINES[name][0]) is None:
            print(f"{name}: not installed, left out")
            continue
        if options.drift:
            drift(name, options.threads)
        else:
            one(name, points, queries, options.rounds, options.threads)


if __name__ == "__main__":
    main()
