"""Time to the cluster of one seed while the graph grows 10 and 100 times and clusters keep their size.

Graphs are blocks of 100 nodes, 12 random neighbours inside and 1 outside per node, so every seed has a cluster of the
same size and conductance. Beside flow diffusion and approximate PageRank: a personalised PageRank of the whole graph by
scikit-network and by SciPy (50 power iterations), and localgraphclustering's approximate PageRank where it is installed
(without a sweep cut, which nearhop's time includes; its library may have to be built from the sources it ships).

    python benchmarks/local_clustering.py [--short] [--seeds 20]
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from _measure import versions

from nearhop import GraphStore
from nearhop.communities.local.cluster import LocalCluster
from nearhop.communities.local.diffusion import flow_diffusion
from nearhop.communities.local.pagerank import approximate_pagerank

BLOCK, INSIDE, OUTSIDE = 100, 12, 1


def blocks(num_blocks: int, seed: int = 0) -> GraphStore:
    """Nodes draw half of their expected neighbours each, so that degrees are about INSIDE + OUTSIDE."""
    rng = np.random.default_rng(seed)
    n = num_blocks * BLOCK
    inside = np.repeat(np.arange(n, dtype=np.int32), INSIDE // 2)
    mates = (inside // BLOCK) * BLOCK + rng.integers(BLOCK, size=inside.shape[0], dtype=np.int32)
    outside = np.flatnonzero(rng.random(n) < OUTSIDE / 2).astype(np.int32)
    src = np.concatenate([inside, outside])
    dst = np.concatenate([mates, rng.integers(n, size=outside.shape[0], dtype=np.int32)])
    keep = src != dst
    return GraphStore.from_edges(src[keep], dst[keep], num_nodes=n)


def contenders(store: GraphStore) -> dict[str, Callable[[int], Any]]:
    """Functions of a seed; libraries that are missing are left out, by name."""
    rows = store.csr()
    n = rows.num_rows
    volume = float(rows.degrees()[:BLOCK].sum())
    # One draw of labels that are right nine times in ten, asked for touched nodes only.
    flipped = np.random.default_rng(1).random(n) < 0.1

    def labelled(seed: int) -> Callable[[np.ndarray], np.ndarray]:
        return lambda nodes: (nodes // BLOCK == seed // BLOCK) != flipped[nodes]

    found: dict[str, Callable[[int], Any]] = {
        "flow diffusion": lambda seed: flow_diffusion(store, seed, 3 * volume),
        "flow diffusion, labels": lambda seed: flow_diffusion(store, seed, 3 * volume, labelled(seed)),
        "approximate PageRank, rho 1e-5": lambda seed: approximate_pagerank(store, seed, rho=1e-5),
    }
    import scipy.sparse

    matrix = scipy.sparse.csr_matrix((np.ones(rows.num_entries, np.float32), rows.indices, rows.indptr), shape=(n, n))
    degree = np.maximum(rows.degrees(), 1).astype(np.float32)

    def power_iterations(seed: int) -> object:
        p: np.ndarray = np.zeros(n, np.float32)
        p[seed] = 1
        for _ in range(50):
            p = np.float32(0.85) * (matrix @ (p / degree))
            p[seed] += 1 - p.sum()
        return p

    found["SciPy, whole graph"] = power_iterations
    try:
        from sknetwork.ranking import PageRank

        found["scikit-network, whole graph"] = lambda seed: PageRank().fit_predict(matrix, weights={seed: 1})
    except ImportError as error:
        print(f"scikit-network left out: {error}")
    try:
        lgc = importlib.import_module("localgraphclustering")

        theirs = lgc.GraphLocal.from_sparse_adjacency(matrix)
        found["localgraphclustering, acl"] = lambda seed: lgc.approximate_PageRank(theirs, [seed], rho=1e-5)
    except (ImportError, AttributeError) as error:
        print(f"localgraphclustering left out: {error}")
    return found


def found_share(store: GraphStore, seeds: np.ndarray) -> float:
    """Mean F1 of the sweep cut of flow diffusion, to show that the work is the same at every size."""
    volume = 3.0 * float(store.csr().degrees()[:BLOCK].sum())
    scores = []
    for seed in seeds:
        nodes = flow_diffusion(store, int(seed), volume).sweep_nodes
        scores.append(2 * np.sum(nodes // BLOCK == seed // BLOCK) / (len(nodes) + BLOCK))
    return float(np.mean(scores))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=500, help="blocks of 100 nodes in the smallest graph")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--short", action="store_true", help="a smallest graph of 50 blocks, 5 seeds")
    given = parser.parse_args()
    if given.short:
        given.blocks, given.seeds = 50, 5
    print(versions("scipy", "scikit-network", "localgraphclustering") + "\n")
    print("| nodes | edges | contender | ms per seed, median | min..max | touched nodes | touched entries |")
    print("|---|---|---|---|---|---|---|")
    notes = []
    for factor in (1, 10, 100):
        store = blocks(given.blocks * factor)
        seeds = np.random.default_rng(2).choice(store.num_nodes, given.seeds, replace=False)
        ways = contenders(store)
        few = {name: given.seeds if "whole" not in name else min(2, given.seeds) for name in ways}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        clusters: dict[str, list[LocalCluster]] = {name: [] for name in ways}
        for turn, seed in enumerate([seeds[0], *seeds]):
            for name, run in ways.items():
                if turn > few[name]:
                    continue
                start = time.perf_counter()
                cluster = run(int(seed))
                if turn:  # the first turn warms up
                    seconds[name].append(1e3 * (time.perf_counter() - start))
                    clusters[name].append(cluster)
        for name, taken in seconds.items():
            touched = [(c.touched_nodes, c.touched_edges) for c in clusters[name] if isinstance(c, LocalCluster)]
            unknown = "all" if "whole" in name else "-"
            nodes, entries = (f"{v:,.0f}" for v in np.mean(touched, axis=0)) if touched else (unknown, unknown)
            print(
                f"| {store.num_nodes:,} | {store.num_edges:,} | {name} | {np.median(taken):.3g} | "
                f"{min(taken):.3g}..{max(taken):.3g} | {nodes} | {entries} |",
                flush=True,
            )
        notes.append(f"{store.num_nodes:,} nodes: {found_share(store, seeds):.3f}")
    print("\nF1 of flow diffusion's sweep cut: " + "; ".join(notes))


if __name__ == "__main__":
    main()
