"""Approximate nearest neighbours: queries per second at recall, side by side on the same vectors.

    python benchmarks/ann.py --dataset mnist [--engines nearhop-int8 hnswlib ...] [--threads 1] [--build-threads 2]

Every engine is built in this process and its whole beam sweep is run in turn with the others'; queries per second at
recall@10 of 0.90, 0.95, 0.99 and 0.999 are interpolated on the sweep (log-linear). Recall is counted against exact
search. Engines that are not installed are left out by name. `--latency` adds one query a call, at one beam and at
equal recall.

Datasets: `mnist` (60,000 x 784, 3,000 test images), `sift` (60,000 x 128, 2,500 held out), `glove` (12,887 x 25,
angular, 1,000 held out), `minilm` and `minilm-ood` (100,000 x 384 sentence embeddings of unit length, 3,000 queries
from the same source or another), `generated` (--rows x 128: a random two-layer network of 16 latent dimensions plus
noise).
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _ann_data import K, dataset, local_dimension
from _ann_engines import ENGINES, Search, unit
from _measure import versions

from nearhop.ann import HNSW, Exact
from nearhop.ann.storage.rows import storages
from nearhop.tests.support import kept_as

TARGETS = (0.90, 0.95, 0.99, 0.999)
LATENCY_TARGETS = (0.95, 0.99)
BEAMS = (10, 12, 14, 17, 20, 25, 30, 40, 55, 75, 100, 150, 220, 320, 480, 720, 1080)


def at_recall(points: list[tuple[float, float]], target: float) -> float:
    """Queries per second at a recall, log-linear between the best points of the sweep; NaN where it was not reached."""
    best: list[tuple[float, float]] = []
    for recall, rate in sorted(points, key=lambda p: (-p[0], -p[1])):
        if not best or rate > best[-1][1]:
            best.append((recall, rate))
    best.reverse()
    recalls, rates = np.array(best).T
    if target > recalls[-1]:
        return float("nan")
    return float(np.exp(np.interp(target, recalls, np.log(rates))))


def sweep(
    engines: dict[str, Search],
    queries: np.ndarray,
    truth: np.ndarray,
    repeats: int,
    budget_s: float,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[tuple[float, float]]]:
    """(recall, queries per second) of every engine at every beam; engines take turns."""
    points: dict[str, list[tuple[float, float]]] = {name: [] for name in engines}
    finished: set[str] = set()
    for ef in BEAMS:
        seconds: dict[str, list[float]] = {name: [] for name in engines if name not in finished}
        found: dict[str, np.ndarray] = {}
        for _ in range(repeats):
            for name in seconds:
                start = clock()
                found[name] = engines[name](queries, ef)
                seconds[name].append(clock() - start)
        for name, taken in seconds.items():
            recall = (found[name][:, :, None] == truth[:, None, :]).any(axis=1).mean()
            points[name].append((float(recall), len(queries) / float(np.median(taken))))
            if recall >= 0.9995 or min(taken) * repeats > budget_s:
                finished.add(name)
    return points


def latency(engines: dict[str, Search], queries: np.ndarray, points: dict[str, list[tuple[float, float]]]) -> None:
    """One query a call, engines in turn, at a beam of 20 and at the smallest beams of the sweep that reach a recall."""
    asked: dict[str, list[int | None]] = {}
    for name, found in points.items():
        reached = [
            next((ef for ef, (recall, _) in zip(BEAMS, found, strict=False) if recall >= t), None)
            for t in LATENCY_TARGETS
        ]
        asked[name] = [20, *reached]
    taken: dict[tuple[str, int], list[float]] = {(n, ef): [] for n, efs in asked.items() for ef in efs if ef}
    for _ in range(3):
        for name, ef in taken:
            for row in queries[:1000, None, :]:
                start = time.perf_counter()
                engines[name](row, ef)
                taken[name, ef].append(time.perf_counter() - start)
    print("\nSingle queries: median / 99th percentile, microseconds\n")
    print("| engine | beam 20 | " + " | ".join(f"recall {target} (beam)" for target in LATENCY_TARGETS) + " |")
    print("|---" * (2 + len(LATENCY_TARGETS)) + "|")
    for name, efs in asked.items():
        cells: list[str] = []
        for beam in efs:
            if beam is None:
                cells.append("not reached")
                continue
            low, high = np.quantile(taken[name, beam], (0.5, 0.99)) * 1e6
            cells.append(f"{low:.1f} / {high:.1f}" + (f" ({beam})" if cells else ""))
        print(f"| {name} | " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--dataset", choices=["mnist", "sift", "glove", "minilm", "minilm-ood", "generated"], default="mnist"
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the generated set")
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--build-threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--budget", type=float, default=30.0, help="an engine's sweep ends when a beam takes longer")
    parser.add_argument("--keep", type=Path, help="a folder where indexes are kept between runs (not by every engine)")
    parser.add_argument(
        "--cpu-clock", action="store_true", help="processor seconds, for one thread on a shared machine"
    )
    parser.add_argument("--latency", action="store_true")
    options = parser.parse_args()
    vectors, queries, metric = dataset(options.dataset, options.rows)
    exact = Exact(metric).add(vectors).search(queries, 100)
    truth = exact.ids[:, :K]
    print(
        versions(
            "hnswlib",
            "faiss-cpu",
            "usearch",
            "voyager",
            "pynndescent",
            "pyglass-portable",
            "ngt",
            "scalable-vs",
            "rabitqlib",
            "pyvsag",
            "zvec",
            "diskannpy-rust",
        )
    )
    print(
        f"\n{options.dataset}: {vectors.shape[0]:,} x {vectors.shape[1]} {metric}, {len(queries):,} queries, "
        f"local dimension {local_dimension(exact.distances):.1f}, {options.threads} thread(s)\n",
        flush=True,
    )
    # Machine code is compiled, or loaded from the cache, before the clock starts.
    for form in (*storages(), "packed"):
        index = HNSW(metric, **kept_as(form)).add(np.repeat(vectors[:200], 2, axis=0))
        index.search(queries[:1], K)
        index.search(queries[:100], K)
    queries = unit(queries, metric)  # outside the clock, for every engine
    engines: dict[str, Search] = {}
    kept = []
    built: dict[str, float] = {}
    for name in options.engines:
        module, build = ENGINES[name]
        if importlib.util.find_spec(module) is None:
            print(f"{name}: not installed, left out")
            continue
        kept_at = None if options.keep is None else options.keep / f"{options.dataset}-{len(vectors)}-{name}"
        read = " (read)" if kept_at is not None and kept_at.exists() else ""
        start, before = time.perf_counter(), time.process_time()
        try:
            engines[name], index = build(vectors, metric, options.build_threads, options.threads, kept_at)
        except Exception as error:
            print(f"{name}: left out, {type(error).__name__}: {error}")
            continue
        built[name], busy = time.perf_counter() - start, time.process_time() - before
        kept.append(index)
        told = "" if not isinstance(index, HNSW) else f", {index.stats().nbytes / len(vectors):.0f} bytes a vector"
        print(
            f"{name}{read}: built in {built[name]:.1f} s on {options.build_threads} threads, {busy:.1f} s of processor "
            f"time{told}",
            flush=True,
        )
    if options.threads == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    clock = time.process_time if options.cpu_clock else time.perf_counter
    points = sweep(engines, queries, truth, options.repeats, options.budget, clock)
    print(
        "\n| engine | build s | " + " | ".join(f"recall {t}" for t in TARGETS) + " |\n|---|---|" + "---|" * len(TARGETS)
    )
    for name, found in points.items():
        rates = [at_recall(found, target) for target in TARGETS]
        cells = " | ".join("-" if np.isnan(r) else f"{r:,.0f}" for r in rates)
        print(f"| {name} | {built[name]:.1f} | {cells} |")
    for name, found in points.items():
        print(f"{name}: " + ", ".join(f"{r:.4f}/{s:,.0f}" for r, s in found))
    if options.latency:
        latency(engines, queries, points)


if __name__ == "__main__":
    main()
