"""Learned partitions beside k-means lists, PCA trees and cross-polytope LSH, and searches beside FAISS and HNSW.

python benchmarks/partitions.py [--data sift glove mnist] [--bins 16 256] [--no-others] [--no-searches]

The share of the 10 nearest rows that lie in the lists looked into, against the number of rows in them, mean and 95th
percentile over queries. Every method partitions the same rows; "gain" is in points over k-means lists at the same mean
number of candidates (between two numbers of lists by linear interpolation). Searches are on one thread, k = 10.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from _ann_data import K, dataset
from _measure import versions

from nearhop.ann import HNSW, Exact, IVFFlat, NeuralLSH
from nearhop.ann.neural_lsh.chooser import Stop

SHARES = (0.05, 0.02, 0.01, 0.005, 0.002), (0.2, 0.1, 0.05, 0.02, 0.01)  # for many lists and for few
Lists = tuple[np.ndarray, np.ndarray]  # the list of every row, and of every query all lists, likeliest first


def kmeans(x: np.ndarray, q: np.ndarray, bins: int) -> Lists:
    """Lloyd's lists, nearest centroids first."""
    index = IVFFlat(nlist=bins).fit(x)
    return index._nearest_lists(x, 1, None)[:, 0], index._nearest_lists(q, bins, None)


def pca_tree(x: np.ndarray, q: np.ndarray, bins: int) -> Lists:
    """Median splits along the first principal direction of each part; queries rank parts by the margins they cross."""
    rows, costs = np.zeros(len(x), np.int64), np.zeros((len(q), 1))
    for level in range(int(np.log2(bins))):
        new_rows, new_costs = np.empty_like(rows), np.empty((len(q), 2 << level))
        for part in range(1 << level):
            mine = np.flatnonzero(rows == part)
            centred = x[mine] - x[mine].mean(axis=0)
            _, vectors = np.linalg.eigh(centred.T.astype(np.float64) @ centred)
            direction = vectors[:, -1].astype(np.float32)
            along = x[mine] @ direction
            middle = np.median(along)
            new_rows[mine] = 2 * part + (along >= middle)
            margin = q @ direction - middle
            new_costs[:, 2 * part] = costs[:, part] + np.maximum(margin, 0) ** 2
            new_costs[:, 2 * part + 1] = costs[:, part] + np.maximum(-margin, 0) ** 2
        rows, costs = new_rows, new_costs
    return rows, np.argsort(costs, axis=1, kind="stable")


def cross_polytope(x: np.ndarray, q: np.ndarray, bins: int) -> Lists:
    """The nearest of the 2 d' axes of a random rotation, d' = bins / 2; queries rank axes by their products."""
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(max(x.shape[1], bins // 2),) * 2))[0]
    turn = rotation[: x.shape[1], : bins // 2].astype(np.float32)
    centre = x.mean(axis=0)
    products = [np.concatenate([(part - centre) @ turn, -(part - centre) @ turn], axis=1) for part in (x, q)]
    return products[0].argmax(axis=1), np.argsort(-products[1], axis=1, kind="stable")


def curve(lists: Lists, truth: np.ndarray, bins: int) -> np.ndarray:
    """Rows (mean candidates, their 95th percentile, accuracy) for 1, 2, ... lists."""
    rows, order = lists
    sizes = np.bincount(rows, minlength=bins)[order].cumsum(axis=1)
    place = np.argsort(order, axis=1)
    reached = np.take_along_axis(place, rows[truth], axis=1)
    return np.array([
        (sizes[:, t].mean(), np.quantile(sizes[:, t], 0.95), (reached <= t).mean()) for t in range(bins)
    ])  # fmt: skip


def by_rule(index: NeuralLSH, q: np.ndarray, truth: np.ndarray, **rule: Any) -> tuple[float, float, float]:
    sizes = index.list_sizes
    chosen = index._learned().ranked(index._asked(q), index.num_lists, Stop(**rule), sizes)
    counts = index.candidate_counts(q, **rule)
    inside = (index._lists[truth][:, :, None] == chosen[:, None, :]).any(axis=2).mean()
    return counts.mean(), np.quantile(counts, 0.95), inside


def accuracy(name: str, x: np.ndarray, q: np.ndarray, metric: Any, bins: int, others: bool) -> NeuralLSH:
    truth = Exact(metric).add(x).search(q, K).ids
    if metric == "cosine":
        x, q = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x, q))
    base = curve(kmeans(x, q, bins), truth, bins)
    begin, busy = time.perf_counter(), time.process_time()
    index = NeuralLSH(metric, nlist=bins).add(x)
    spent = time.perf_counter() - begin, time.process_time() - busy
    learned = index._lists, index._learned().ranked(index._asked(q), bins, Stop(), index.list_sizes)
    print(
        f"\n### {name}, {len(x):,} x {x.shape[1]}, {bins} bins; trained in {spent[0]:.0f} s ({spent[1]:.0f} s of CPU)"
    )
    print("| method | lists | candidates, mean | 95th percentile | accuracy | gain |\n|---|---|---|---|---|---|")

    def show(method: str, lists: str, row: tuple[float, float, float]) -> None:
        gain = 100 * (row[2] - np.interp(row[0], base[:, 0], base[:, 2]))
        print(f"| {method} | {lists} | {row[0]:,.0f} | {row[1]:,.0f} | {row[2]:.4f} | {gain:+.1f} |", flush=True)

    curves = {"k-means": base, "NeuralLSH": curve(learned, truth, bins)}
    if others:
        curves["PCA tree"] = curve(pca_tree(x, q, bins), truth, bins)
        curves["cross-polytope"] = curve(cross_polytope(x, q, bins), truth, bins)
    for method, rows in curves.items():
        for count in (1, 2, 4) if bins < 64 else (1, 2, 4, 8, 16):
            show(method, str(count), tuple(rows[count - 1]))
        if method == "NeuralLSH":
            for share in (0.5, 0.7, 0.8, 0.9):
                show(method, f"coverage {share}", by_rule(index, q, truth, coverage=share))
            for share in SHARES[bins < 64]:
                show(method, f"min_share {share}", by_rule(index, q, truth, min_share=share))
    return index


def searches(name: str, x: np.ndarray, q: np.ndarray, metric: Any, index: NeuralLSH) -> None:
    truth = Exact(metric).add(x).search(q, K).ids
    nlist = index.num_lists
    ivf, graph = IVFFlat(metric, nlist=nlist).add(x), HNSW(metric, storage="int8").add(x)
    probes: list[float] = [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32]
    kinds: dict[str, tuple[list[float], Callable[[float], object]]] = {
        "NeuralLSH": (probes, lambda n: index.search(q, K, nprobe=int(n), threads=1).ids),
        "NeuralLSH, coverage": (
            [0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95], lambda c: index.search(q, K, coverage=c, threads=1).ids
        ),
        "NeuralLSH, min_share": (
            [0.1, 0.07, 0.05, 0.035, 0.025, 0.018, 0.013, 0.009, 0.006, 0.004, 0.003],
            lambda least: index.search(q, K, min_share=least, threads=1).ids,
        ),
        "IVFFlat": (probes, lambda n: ivf.search(q, K, nprobe=int(n), threads=1).ids),
        "HNSW int8": ([10, 12, 16, 20, 24, 32, 48, 64], lambda n: graph.search(q, K, ef_search=int(n), threads=1).ids),
    }  # fmt: skip
    try:
        import faiss
    except ImportError:
        pass
    else:
        faiss.omp_set_num_threads(1)
        rows, asked = x, q
        if metric == "cosine":
            rows, asked = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (x, q))
        for what in ("Flat", "SQ8"):
            made = faiss.index_factory(x.shape[1], f"IVF{nlist},{what}")
            made.train(rows)
            made.add(rows)

            def ask(n: float, made: Any = made, asked: np.ndarray = asked) -> object:
                made.nprobe = int(n)
                return made.search(asked, K)[1]

            kinds[f"FAISS IVF{nlist},{what}"] = probes, ask
    print(f"\n### {name}: queries per second, one thread, batches of {len(q):,}")
    print("| index | recall .90 | recall .95 |\n|---|---|---|")
    for kind, (efforts, search) in kinds.items():
        search(efforts[0])
        met: dict[float, str] = {}
        for effort in efforts:
            spent = []
            for _ in range(3):
                begin = time.process_time()
                found = search(effort)
                spent.append(time.process_time() - begin)
            share = (np.asarray(found)[:, :, None] == truth[:, None, :]).any(axis=2).mean()
            for bar in (0.9, 0.95):
                if share >= bar and bar not in met:
                    met[bar] = f"{len(q) / np.median(spent):,.0f} (at {effort:g}, recall {share:.3f})"
            if len(met) == 2:
                break
        print(f"| {kind} | {met.get(0.9, '-')} | {met.get(0.95, '-')} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", nargs="+", default=["sift", "glove", "mnist"], help="of sift, glove, mnist, generated"
    )
    parser.add_argument("--bins", nargs="+", type=int, default=[16, 256])
    parser.add_argument("--rows", type=int, default=50_000, help="of the generated set")
    parser.add_argument("--no-others", action="store_true", help="leave out PCA trees and cross-polytope LSH")
    parser.add_argument("--no-searches", action="store_true")
    options = parser.parse_args()
    print(versions("faiss-cpu"))
    for name in options.data:
        x, q, metric = dataset(name, options.rows)
        for bins in options.bins:
            index = accuracy(name, x, q, metric, bins, not options.no_others)
        if not options.no_searches:
            searches(name, x, q, metric, index)


if __name__ == "__main__":
    main()
