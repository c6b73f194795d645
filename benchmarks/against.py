"""Steady speed of this checkout beside another one: the same calls in turn, one thread, processor time.

`python benchmarks/against.py CHECKOUT [--only NAME ...] [--processes 3] [--repeats 5] [--core 1]`. CHECKOUT is a folder
called `nearhop` with another version of the library, which runs with the packages of this Python. Each version has a
process of its own that prepares a job once, calls it once to compile, and then again whenever its turn comes, A B B A
A B B A, pinned to the same core; then both begin anew, since where memory lies moves a process by several percent for
as long as it lives. The figure is the median over processes of the median ratio of their turns, above 1 where this
checkout is faster. MNIST comes from the data folder.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from _measure import versions

START = """
import json, os, sys, time
os.sched_setaffinity(0, {cores!r})
sys.path.insert(0, {benchmarks!r})
import numpy as np
import nearhop
from nearhop import ann, embed, sampling
assert os.path.samefile(os.path.dirname(nearhop.__file__), {checkout!r}), nearhop.__file__

def graph(nodes, edges):
    rng = np.random.default_rng(0)
    src, dst = ((rng.random(edges) ** 3 * nodes).astype(np.int64) for _ in range(2))
    return nearhop.GraphStore.from_edges(rng.permutation(nodes)[src], dst, num_nodes=nodes, directed=True)

def mnist():
    from _ann_data import dataset
    return dataset("mnist", 0)[:2]

def times(run, turns):
    begin = time.process_time()
    for _ in range(turns):
        run()
    return (time.process_time() - begin) / turns

def serve(run, turns):
    run()
    print("ready", flush=True)
    for _ in sys.stdin:
        print(json.dumps(times(run, turns)), flush=True)
"""

HNSW = """
x, queries = mnist()
index = ann.HNSW(storage={storage!r}, seed=0).add(x)
"""
BUILD = """
x, queries = mnist()
ann.HNSW(storage={storage!r}, seed=0).add(x[:2000])
serve(lambda: ann.HNSW(storage={storage!r}, seed=0).add(x[:{rows}]), 1)
"""
BATCH = HNSW + "serve(lambda: index.search(queries, 10, ef_search=64), 1)"
SINGLE = (
    HNSW
    + """
def run():
    for query in queries[:2000, None]:
        index.search(query, 10, ef_search=64)
serve(run, 1)
"""
)
NAT = """
import torch
from nearhop.gnn import NAT
torch.set_num_threads(1)
torch.manual_seed(0)
rng = np.random.default_rng(0)
model = NAT(10_000, self_dim=32)
model.train()
clock = 0
def run():
    global clock
    for _ in range(40):
        s, d = rng.integers(0, 5000, 200), rng.integers(5000, 10_000, 200)
        t = np.arange(clock, clock + 200)
        clock += 200
        a, b = model(s, d, rng.integers(5000, 10_000, (200, 1)), time=t)
        (a.sum() - b.sum()).backward()
        model.observe(s, d, time=t, edge_ids=t)
serve(run, 1)
"""
GRAPH = "store = graph(1_000_000, 10_000_000)\n"
JOBS = {
    "HNSW int8, batches": BATCH.format(storage="int8"),
    "HNSW int8, one query a call": SINGLE.format(storage="int8"),
    "HNSW int8, build": BUILD.format(storage="int8", rows=20_000),
    "HNSW float32, batches": BATCH.format(storage="float32"),
    "HNSW float32, one query a call": SINGLE.format(storage="float32"),
    "HNSW float32, build": BUILD.format(storage="float32", rows=20_000),
    "neighbour samples [15, 10]": GRAPH
    + """
batches = [np.random.default_rng(i).integers(0, 1_000_000, 1024) for i in range(50)]
sampler = sampling.NeighborSampler(store, [15, 10], seed=1)
serve(lambda: sum(batch.num_edges for batch in sampler.sample_batches(batches)), 1)
""",
    "walks": GRAPH
    + """
starts = np.arange(0, 1_000_000, 4)
serve(lambda: sampling.random_walks(store, starts, length=20), 1)
""",
    "node2vec walks": GRAPH
    + """
starts = np.arange(0, 1_000_000, 40)
serve(lambda: sampling.random_walks(store, starts, length=20, p=0.5, q=2.0), 1)
""",
    "sparse times dense, d 128": GRAPH
    + """
try:
    from nearhop.graphlib.sparse.spmm import spmm
except ImportError:  # before rooms had folders
    from nearhop.graphlib.spmm import spmm
rows = store.csr()
X = np.random.default_rng(0).standard_normal((1_000_000, 128), dtype=np.float32)
out = np.empty_like(X)
serve(lambda: spmm(rows, X, out=out), 1)
""",
    "FastRP, d 128": GRAPH + "serve(lambda: embed.FastRP(dim=128, seed=0).fit_transform(store), 1)",
    "skip-gram": """
store = graph(20_000, 200_000)
model = dict(dim=128, num_walks=2, walk_length=40, window=5, threads=1, seed=0)
serve(lambda: embed.SkipGram(**model).fit(store), 1)
""",
    "MinHash, 128": GRAPH + "serve(lambda: ann.MinHash(num_perm=128).fit_transform(store), 1)",
    "NAT, 40 steps": NAT,
}


class Version:
    """A process with one checkout of the library and one job prepared."""

    def __init__(self, checkout: Path, job: str, core: int | None) -> None:
        cores = os.sched_getaffinity(0) if core is None else {core}
        code = START.format(benchmarks=str(Path(__file__).parent), checkout=str(checkout), cores=cores) + JOBS[job]
        environment = {**os.environ, "NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        environment["NUMBA_CACHE_DIR"] = str(checkout / "build" / "kernels")
        if checkout.name == "nearhop":
            environment["PYTHONPATH"] = str(checkout.parent)
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise ChildProcessError(f"a process ended with exit status {self.process.wait()}")
        return line

    def seconds(self) -> float:
        assert self.process.stdin is not None
        self.process.stdin.write("again\n")
        self.process.stdin.flush()
        return float(json.loads(self.answer()))

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def compare(job: str, checkouts: list[Path], repeats: int, core: int | None) -> np.ndarray:
    """Seconds (repeats, 2) of both versions, in turn, in a process each."""
    versions = [Version(checkout, job, core) for checkout in checkouts]
    try:
        for one in versions:
            one.answer()
        found = np.empty((repeats, 2))
        for turn in range(repeats):
            for place in (0, 1) if turn % 2 == 0 else (1, 0):
                found[turn, place] = versions[place].seconds()
        return found
    finally:
        for one in versions:
            one.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--only", nargs="+", choices=list(JOBS), default=list(JOBS))
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--core", type=int, help="the core that both are pinned to")
    given = parser.parse_args()
    checkouts = [given.checkout.resolve(), Path(__file__).resolve().parent.parent]
    print(versions(), end="\n\n")
    print("| job | other, s | this, s | this is | of processes |\n|---|---:|---:|---:|---|", flush=True)
    for job in given.only:
        try:
            found = np.array([compare(job, checkouts, given.repeats, given.core) for _ in range(given.processes)])
        except ChildProcessError as error:
            print(f"| {job} | left out: {error} |", flush=True)
            continue
        ratio = np.median(found[..., 0] / found[..., 1], axis=1)
        other, this = np.median(found, axis=(0, 1))
        row = f"{other:.4g} | {this:.4g} | {np.median(ratio):.2f}x | {ratio.min():.2f}..{ratio.max():.2f}"
        print(f"| {job} | {row} |", flush=True)


if __name__ == "__main__":
    main()
