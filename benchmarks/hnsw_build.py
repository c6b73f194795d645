"""HNSW graphs whose rows are linked together, by searches, and by hnswlib: time to build, recall and queries a second.

"together" is what one `add` of many rows does, "searches" the same call with the threshold out of reach. Every engine
builds on one thread, in turn, as often as --repeats says; seconds are the processor's, medians. Queries are asked in
batches, of the last graphs, on one thread. Then one and two threads by the clock, which needs a machine without other
work. First calls, which compile, are made before on a few rows.

    NEARHOP_DATA=... python benchmarks/hnsw_build.py --datasets sift mnist minilm
    python benchmarks/hnsw_build.py --datasets generated --rows 1000000 --storages int8 --repeats 1
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from _ann_data import K, dataset
from _measure import versions

from nearhop.ann import HNSW, Exact
from nearhop.ann.hnsw import index as hnsw_index
from nearhop.ann.hnsw.bulk.linking import BULK_FROM

BEAMS = (20, 40, 80)


def build(vectors, metric, storage, together, threads=1):
    kind: dict[str, Any] = {"storage": "int8", "layout": "packed"} if storage == "packed" else {"storage": storage}
    setattr(hnsw_index, "BULK_FROM", min(BULK_FROM, len(vectors)) if together else 1 << 62)  # noqa: B010
    return HNSW(metric=metric, threads=threads, **kind).add(vectors)


def hnswlib_build(vectors, metric):
    import hnswlib

    index = hnswlib.Index(space=metric, dim=vectors.shape[1])
    index.init_index(max_elements=len(vectors), M=16, ef_construction=200)
    index.set_num_threads(1)
    index.add_items(vectors, num_threads=1)
    return index


def spent(make, *arguments):
    """Processor seconds, seconds by the clock, and what was made."""
    clock, cpu = time.perf_counter(), time.process_time()
    made = make(*arguments)
    return time.process_time() - cpu, time.perf_counter() - clock, made


def asked(index, queries, truth, ef):
    """Recall and queries per processor second."""
    search = index.search if isinstance(index, HNSW) else None
    if search is None:
        index.set_ef(ef)
    found, taken = truth, []
    for _ in range(4):
        start = time.process_time()
        if search is not None:
            found = search(queries, K, ef_search=ef, threads=1).ids
        else:
            found = index.knn_query(queries, K, num_threads=1)[0]
        taken.append(time.process_time() - start)
    hits = [np.isin(a, b).sum() for a, b in zip(truth, found, strict=True)]
    return np.sum(hits) / truth.size, len(queries) / np.median(taken[1:])


def main():
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--datasets", nargs="+", default=["sift", "mnist", "minilm", "glove"])
    made.add_argument("--rows", type=int, default=100_000, help="of the generated set")
    made.add_argument("--storages", nargs="+", default=["float32", "int8", "packed"])
    made.add_argument("--repeats", type=int, default=3)
    made.add_argument("--without", nargs="+", default=[], choices=["hnswlib", "searches", "threads"])
    given = made.parse_args()
    print(versions("hnswlib"), "\n")
    print(
        "| set | engine | build, s | x | "
        + " | ".join(f"beam {ef}" for ef in BEAMS)
        + " |\n|---|---|---|---|---|---|---|"
    )
    for name in given.datasets:
        vectors, queries, metric = dataset(name, given.rows)
        queries = queries[:2000]
        truth = Exact(metric=metric).add(vectors).search(queries, K).ids
        engines: dict[str, tuple[str, bool] | None] = {}
        for storage in given.storages:
            for how in ("together", "searches"):
                if how not in given.without:
                    engines[f"{storage}, {how}"] = (storage, how == "together")
        if "hnswlib" not in given.without:
            engines["hnswlib"] = None
        times: dict[str, list[float]] = {engine: [] for engine in engines}
        kept: dict[str, Any] = {}
        for turn in range(-1, given.repeats):
            rows = vectors if turn >= 0 else vectors[:2000]
            for engine, what in engines.items():
                if what is None:
                    seconds, _, kept[engine] = spent(hnswlib_build, rows, metric)
                else:
                    seconds, _, kept[engine] = spent(build, rows, metric, *what)
                if turn >= 0:
                    times[engine].append(seconds)
        for engine in engines:
            found = [asked(kept[engine], queries, truth, ef) for ef in BEAMS]
            other = engine.replace("together", "searches")
            ratio = f"{np.median(times[other]) / np.median(times[engine]):.2f}" if other in times else ""
            told = " | ".join(f"{recall:.4f}, {rate:,.0f}" for recall, rate in found)
            print(f"| {name} | {engine} | {np.median(times[engine]):.2f} | {ratio} | {told} |", flush=True)
        if "threads" not in given.without:
            clocks = [[spent(build, vectors, metric, "int8", True, n)[1] for n in (1, 2)] for _ in range(3)]
            one, two = np.median(clocks, axis=0)
            told = "int8, together, one and two threads by the clock"
            print(f"| {name} | {told} | {one:.2f}, {two:.2f} | {one / two:.2f} |")


if __name__ == "__main__":
    main()
