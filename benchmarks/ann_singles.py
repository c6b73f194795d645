"""One vector a call: processor time per add beside hnswlib, as the index grows.

python benchmarks/ann_singles.py [--data sift mnist glove] [--before 0 20000] [--rows 4000] [--repeats 3]

M = 16, a beam of 200, one thread. Each index first takes `before` rows at once and then `rows` more, one a call, a
hundred to each index in turn. The figure is the median over repeats, each with an order of rows of its own.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Literal

import hnswlib
import numpy as np
from _ann_data import dataset
from _measure import versions

from nearhop.ann import HNSW

STORAGES: tuple[Literal["float32", "int8"], ...] = ("float32", "int8")
TURN = 100


def seconds(x: np.ndarray, metric: Literal["l2", "cosine"], before: int) -> dict[str, float]:
    """Processor seconds per row of every index."""
    ours = {name: HNSW(metric, storage=name, threads=1) for name in STORAGES}
    theirs = hnswlib.Index(metric, x.shape[1])
    theirs.init_index(len(x), M=16, ef_construction=200)
    if before:
        theirs.add_items(x[:before], num_threads=1)
        for index in ours.values():
            index.add(x[:before])
    calls: dict[str, Callable[[np.ndarray], object]] = {name: index.add for name, index in ours.items()}
    calls["hnswlib"] = lambda row: theirs.add_items(row, num_threads=1)
    taken = dict.fromkeys(calls, 0.0)
    for start in range(before, len(x), TURN):
        for name, add in calls.items():
            begin = time.process_time()
            for at in range(start, min(start + TURN, len(x))):
                add(x[at : at + 1])
            taken[name] += time.process_time() - begin
    return {name: total / (len(x) - before) for name, total in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["sift", "mnist", "glove"])
    parser.add_argument("--before", type=int, nargs="+", default=[0, 20_000])
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    print(versions("hnswlib"), end="\n\n")
    heads = [f"{name}, µs | x hnswlib" for name in STORAGES]
    print(
        "| data | rows before | hnswlib, µs | " + " | ".join(heads) + " |\n|---|---:|---:|" + "---:|---:|" * len(heads)
    )
    warm = np.random.default_rng(0).standard_normal((400, 8), dtype=np.float32)
    for name in STORAGES:
        index = HNSW(storage=name, threads=1).add(warm)
        index.add(warm[:1])
    for data in given.data:
        rows, _, given_metric = dataset(data, 100_000)
        metric: Literal["l2", "cosine"] = "cosine" if given_metric == "cosine" else "l2"
        for before in (count for count in given.before if count + given.rows <= len(rows)):
            runs = []
            for repeat in range(given.repeats):
                order = np.random.default_rng(repeat).permutation(len(rows))[: before + given.rows]
                runs.append(seconds(rows[order], metric, before))
            found = {name: float(np.median([run[name] for run in runs])) for name in runs[0]}
            cells = [f"{1e6 * found[name]:.0f} | {found[name] / found['hnswlib']:.2f}" for name in STORAGES]
            print(f"| {data} | {before:,} | {1e6 * found['hnswlib']:.0f} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
