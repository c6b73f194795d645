"""Default threads against `threads=1`, alone and beside processes that never rest.

`python benchmarks/threads.py [--busy 0 1] [--repeats 9] [--only NAME ...]`. Every job runs in turn with all threads and
with one, wall time, after a call of each that compiles; `--busy` is how many endless loops run beside, in processes of
their own. The last column says how many times as fast the default is: below 0.9 would cost a user who left the default.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from _measure import interleave, versions

import nearhop
from nearhop.ann import HNSW, Exact
from nearhop.embed import FastRP
from nearhop.sampling import NeighborSampler, random_walks

Job = Callable[[int | None], object]


def jobs() -> dict[str, Job]:
    """What each job does on so many threads."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((10_000, 64)).astype(np.float32)
    small = x[:50]
    ends = rng.integers(0, 200_000, (2, 2_000_000))
    store = nearhop.GraphStore.from_edges(*ends, num_nodes=200_000, directed=True)
    exact, seeds = Exact("l2").add(x), rng.permutation(200_000)
    large = nearhop.GraphStore.from_edges(*rng.integers(0, 1_000_000, (2, 10_000_000)), directed=True)
    wide, samplers = (
        {threads: NeighborSampler(graph, [15, 10], threads=threads) for threads in (None, 1)}
        for graph in (large, store)
    )
    batches = seeds[:20_480].reshape(20, 1024)

    def add_singly(threads: int | None) -> None:
        index = HNSW("l2", M=16, threads=threads).add(x[:1000])
        for row in x[1000:1200]:
            index.add(row[None])

    return {
        "HNSW.add, 10,000 rows": lambda threads: HNSW("l2", M=16, threads=threads).add(x),
        "HNSW.add, 50 rows": lambda threads: [HNSW("l2", M=16, threads=threads).add(small) for _ in range(50)],
        "HNSW.add, 200 rows singly": add_singly,
        "walks, 200,000 of 40 steps": lambda threads: random_walks(store, seeds, length=40, threads=threads),
        "Exact, 2,000 queries": lambda threads: exact.search(x[:2000], 10, threads=threads),
        "FastRP, dim 64": lambda threads: FastRP(64, threads=threads).fit_transform(store),
        "one sample of 100,000 seeds": lambda threads: wide[threads].sample(seeds[:100_000]),
        "20 batches of 1,024 seeds": lambda threads: list(samplers[threads].sample_batches(batches)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--only", nargs="+")
    given = parser.parse_args()
    print(versions(), end="\n\n")
    print("| beside | job | default, s | one thread, s | default is |\n|---|---|---|---|---|")
    chosen = {name: job for name, job in jobs().items() if given.only is None or name in given.only}
    for count in given.busy:
        loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
        try:
            time.sleep(0.5)
            for name, job in chosen.items():
                both = {"default": lambda job=job: job(None), "one": lambda job=job: job(1)}
                default, one = interleave(both, repeats=given.repeats)
                ratio = one.median / default.median
                print(f"| {count} busy | {name} | {default.median:.4f} | {one.median:.4f} | {ratio:.2f}x |", flush=True)
        finally:
            for loop in loops:
                loop.kill()
                loop.wait()


if __name__ == "__main__":
    main()
