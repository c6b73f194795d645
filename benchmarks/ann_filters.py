"""Filtered nearest neighbours: recall and queries per second at selectivities from 0.1 % to 100 %, side by side.

    python benchmarks/ann_filters.py --dataset mnist [--engines nearhop-int8 hnswlib ...] [--threads 1] [--keep FOLDER]

One random filter per selectivity serves all queries, in the form each engine takes fastest: a bitmap (nearhop), a
callback (hnswlib: a list's own method, which no function written in Python is as fast as, and beside it such a
function), a bitmap selector (FAISS), and for usearch, whose Python interface has no filters, more results than
asked for, of which those that pass are kept. Beams are swept until recall@10 against exact search reaches 0.99; the
rate at recall 0.95 is interpolated (log-linear). Also printed: recall and rate of a search that gives no beam at all.
`--follow` takes filters that follow the vectors, by their projection on a random direction, instead of random rows.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from _ann_data import K, dataset
from _ann_engines import ENGINES
from _measure import versions

from nearhop.ann import Exact

SHARES = (0.001, 0.01, 0.1, 0.5, 1.0)
BEAMS = (10, 20, 40, 80, 160, 320, 640, 1280, 2560)
TARGET, ENOUGH = 0.95, 0.99
FILTERED = (
    "nearhop-int8",
    "nearhop-packed",
    "nearhop-float32",
    "hnswlib",
    "hnswlib-lambda",
    "faiss-flat",
    "usearch-f32",
)
Ask = Callable[[np.ndarray, int | None], np.ndarray]


def asking(name: str, index: Any, mask: np.ndarray, threads: int) -> Ask:
    """A search of an engine under a filter: ids (queries, K) for queries and a beam (None: the engine's own)."""
    if name.startswith("nearhop"):
        return lambda q, ef: index.search(q, K, ef_search=ef, filter=mask, threads=threads).ids
    if name.startswith("hnswlib"):
        listed = mask.tolist()
        passes = listed.__getitem__ if name == "hnswlib" else lambda label: listed[label]

        def hnswlib(q: np.ndarray, ef: int | None) -> np.ndarray:
            index.set_ef(ef or 64)
            try:
                return index.knn_query(q, K, num_threads=threads, filter=passes)[0].astype(np.int64)
            except RuntimeError:  # fewer than K rows were met
                return np.full((len(q), K), -1)

        return hnswlib
    if name == "faiss-flat":
        import faiss

        library: Any = faiss
        bits = np.packbits(mask, bitorder="little")
        selector = library.IDSelectorBitmap(len(mask), library.swig_ptr(bits))

        def faiss_flat(q: np.ndarray, ef: int | None, _kept: Any = bits) -> np.ndarray:
            parameters = library.SearchParametersHNSW(sel=selector, efSearch=ef or 64)
            return index[0].search(q, K, params=parameters)[1]

        return faiss_flat

    def usearch(q: np.ndarray, ef: int | None) -> np.ndarray:
        wanted = max(K, ef or 64)
        index.expansion_search = wanted
        keys = index.search(q, wanted, threads=threads).keys.astype(np.int64).reshape(len(q), -1)
        out = np.full((len(q), K), -1)
        for row, found in zip(out, keys, strict=True):
            kept = found[mask[found]][:K]
            row[: len(kept)] = kept
        return out

    return usearch


def masks(vectors: np.ndarray, follow: bool) -> Iterator[tuple[float, np.ndarray]]:
    rng = np.random.default_rng(7)
    order = np.argsort(vectors @ rng.normal(size=vectors.shape[1])) if follow else rng.permutation(len(vectors))
    for share in SHARES:
        mask = np.zeros(len(vectors), bool)
        mask[order[: round(share * len(vectors))]] = True
        yield share, mask


def measured(ask: Ask, queries: np.ndarray, ef: int | None, truth: np.ndarray, repeats: int) -> tuple[float, float]:
    """Recall and queries per second."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        found = ask(queries, ef)
        seconds.append(time.perf_counter() - start)
    hits = (found[:, :, None] == truth[:, None, :]) & (truth[:, None, :] >= 0)
    recall = hits.any(axis=1).sum() / max(1, (truth >= 0).sum())
    return float(recall), len(queries) / float(np.median(seconds))


def rate_at(points: list[tuple[float, float]]) -> float:
    """Queries per second at recall 0.95, log-linear between beams; NaN where it was not reached."""
    best = [(r, s) for r, s in points if r >= TARGET]
    if not best:
        return float("nan")
    high = max(best, key=lambda p: p[1])
    low = [(r, s) for r, s in points if r < TARGET and s > high[1]]
    if not low:
        return high[1]
    near = max(low)
    share = (TARGET - near[0]) / (high[0] - near[0])
    return float(np.exp((1 - share) * np.log(near[1]) + share * np.log(high[1])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", choices=["mnist", "sift", "minilm", "minilm-ood"], default="mnist")
    parser.add_argument("--engines", nargs="+", choices=FILTERED, default=list(FILTERED))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--build-threads", type=int, default=2)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--budget", type=float, default=8.0, help="an engine's sweep ends when a beam takes longer, s")
    parser.add_argument("--follow", action="store_true")
    parser.add_argument("--keep", type=Path, help="a folder where indexes are kept between runs (not by every engine)")
    options = parser.parse_args()
    vectors, queries, metric = dataset(options.dataset, 0)
    queries = queries[: options.queries]
    print(versions("hnswlib", "faiss-cpu", "usearch"))
    print(f"\n{options.dataset}: {len(vectors):,} x {vectors.shape[1]}, {len(queries):,} queries, k = {K}", flush=True)
    indexes: dict[str, Any] = {}
    for name in options.engines:
        module, build = ENGINES[name.removesuffix("-lambda")]
        if importlib.util.find_spec(module) is None:
            print(f"{name}: not installed, left out")
            continue
        kept = None
        if options.keep is not None:
            kept = options.keep / f"{options.dataset}-{len(vectors)}-{name.removesuffix('-lambda')}"
        indexes[name] = (
            indexes.get(name.removesuffix("-lambda"))
            or build(vectors, metric, options.build_threads, options.threads, kept)[1]
        )
        print(f"{name}: ready", flush=True)
    if options.threads == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    exact = Exact(metric).add(vectors)
    print("\n| rows that pass | engine | queries/s at recall 0.95 | x hnswlib | as called: recall, queries/s | sweep |")
    print("|---|---|---|---|---|---|")
    for share, mask in masks(vectors, options.follow):
        truth = exact.search(queries, K, filter=mask).ids
        rates: dict[str, float] = {}
        rows: list[tuple[str, str]] = []
        for name, index in indexes.items():
            ask = asking(name, index, mask, options.threads)
            ask(queries[:10], 20)
            plain = measured(ask, queries, None, truth, options.repeats)
            points: list[tuple[float, float]] = []
            for ef in BEAMS:
                start = time.perf_counter()
                points.append(measured(ask, queries, ef, truth, options.repeats))
                if points[-1][0] >= ENOUGH or time.perf_counter() - start > options.budget:
                    break
            rates[name] = rate_at(points)
            swept = ", ".join(f"{r:.3f}/{s:,.0f}" for r, s in points)
            rows.append((name, f"{plain[0]:.3f}, {plain[1]:,.0f} | {swept}"))
        for name, rest in rows:
            rate = "not reached" if np.isnan(rates[name]) else f"{rates[name]:,.0f}"
            ratio = rates[name] / rates.get("hnswlib", float("nan"))
            print(f"| {share:.1%} | {name} | {rate} | {ratio:.1f} | {rest} |", flush=True)


if __name__ == "__main__":
    main()
