"""One call of a neighbour sampler with many seeds, on one thread and on several.

`python benchmarks/large_sample.py [--nodes 1000000 --edges 10000000 --seeds 200000] [--threads 2] [--repeats 9]`. Edges
join random nodes. Both samplers run in turn; what they return is compared once. Times are medians.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from _measure import versions

import nearhop
from nearhop.sampling import NeighborSampler


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument("--edges", type=int, default=10_000_000)
    parser.add_argument("--seeds", type=int, default=200_000)
    parser.add_argument("--fanouts", type=int, nargs="+", default=[15, 10])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    given = parser.parse_args()
    print(versions(), end="\n\n")
    rng = np.random.default_rng(0)
    ends = rng.integers(0, given.nodes, (2, given.edges))
    store = nearhop.GraphStore.from_edges(*ends, num_nodes=given.nodes, directed=True)
    seeds = rng.permutation(given.nodes)[: given.seeds]
    samplers = {n: NeighborSampler(store, given.fanouts, seed=1, threads=n) for n in (1, given.threads)}
    results = [sampler.sample(seeds) for sampler in samplers.values()]
    for name in ("nodes", "row", "col", "edge_ids"):
        np.testing.assert_array_equal(getattr(results[0], name), getattr(results[-1], name))
    edges, nodes = results[0].num_edges, results[0].nodes.shape[0]
    del results
    seconds: dict[int, list[float]] = {n: [] for n in samplers}
    for _ in range(given.repeats):
        for count, sampler in samplers.items():
            begin = time.perf_counter()
            sampler.sample(seeds)
            seconds[count].append(time.perf_counter() - begin)
    print(f"{given.seeds:,} seeds reach {nodes:,} nodes over {edges:,} edges\n")
    print("| threads | s, median | min..max | M edges/s |\n|---|---|---|---|")
    for count, taken in seconds.items():
        middle = float(np.median(taken))
        print(f"| {count} | {middle:.4f} | {min(taken):.4f}..{max(taken):.4f} | {edges / middle / 1e6:.1f} |")
    print(f"\n{given.threads} : 1 = {np.median(seconds[1]) / np.median(seconds[given.threads]):.2f}")


if __name__ == "__main__":
    main()
