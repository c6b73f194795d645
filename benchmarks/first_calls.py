"""What the first call costs: processor seconds with an empty kernel cache, and in the next process.

`python benchmarks/first_calls.py [--only NAME ...] [--repeats 3] [--against CHECKOUT]`. Each job runs in a process of
its own whose cache of machine code is an empty folder, and again in another with what the first left there; the figure
is the processor time of the job alone, without the imports of nearhop, NumPy and Numba (torch for NAT). `--against`
names a checkout of another version (its `.venv/bin/python` is used), which runs in turn with this one. "signatures" is
how many kernels were compiled.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from _measure import versions

BARS = {"readme": 12, "hnsw": 10, "int8": 14, "fastrp": 7, "neighbors": 5, "minhash": 4, "nat": 12}

BEFORE = """
import json, time
import numpy as np, numba
import nearhop
from nearhop import ann, embed, sampling
from numba.core import event
class Count(event.Listener):
    total = 0
    def on_start(self, event): self.total += 1
    def on_end(self, event): pass
count = Count()
event.register("numba:compile", count)
rng = np.random.default_rng(0)
x = rng.standard_normal((1000, 32)).astype(np.float32)
store = nearhop.GraphStore.from_edges(rng.integers(0, 1000, 20_000), rng.integers(0, 1000, 20_000))
{setup}
begin = time.process_time()
{job}
print(json.dumps([time.process_time() - begin, count.total]))
"""

NAT_SETUP = """
import torch
from nearhop.gnn import NAT
torch.manual_seed(0)
model = NAT(1000, self_dim=32)
s, d, t = rng.integers(0, 500, 200), rng.integers(500, 1000, 200), np.arange(200)
n = rng.integers(500, 1000, (200, 1))
"""
NAT = """
a, b = model(s, d, n, time=t)
(a.sum() - b.sum()).backward()
model.observe(s, d, time=t, edge_ids=t)
"""
README = """
import tempfile, os
os.chdir(tempfile.mkdtemp())
store = nearhop.datasets.load("karate").save("karate.nh")
store.nodes["near"] = embed.FastRP(dim=16, seed=0).fit_transform(store)
store.commit("FastRP")
index = ann.HNSW.from_store(store, "near", metric="cosine")
index.search(store.nodes["near"][:1], k=5).ids
index.save_into(store, "hnsw")
store.append_edges([0], [9])
store.commit("an index and a new friendship")
repr(nearhop.open("karate.nh"))
"""
JOBS = {
    "readme": ("", README),
    "hnsw": ("", "ann.HNSW(seed=0).add(x).search(x[:1], 10)"),
    "int8": ("", "ann.HNSW(storage='int8', seed=0).add(x).search(x[:1], 10)"),
    "fastrp": ("", "embed.FastRP(dim=32, seed=0).fit_transform(store)"),
    "neighbors": ("", "sampling.NeighborSampler(store, [15, 10], seed=1).sample([3, 17, 256])"),
    "walks": ("", "sampling.random_walks(store, [0, 1, 2], length=10, p=.5, q=2.)"),
    "minhash": ("", "ann.MinHash(num_perm=128).fit_transform(store)"),
    "skipgram": ("", "embed.SkipGram(dim=16, num_walks=1).fit(store)"),
    "nat": (NAT_SETUP, NAT),
}


def run(python: str, name: str, cache: Path) -> tuple[float, int]:
    """Processor seconds of a job in its own process, and how many kernels it compiled."""
    setup, job = JOBS[name]
    code = BEFORE.replace("{setup}", setup).replace("{job}", job)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run([python, "-c", code], env=environment, capture_output=True, text=True, check=True)
    seconds, compiled = json.loads(done.stdout.splitlines()[-1])
    return seconds, compiled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(JOBS), default=list(JOBS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--against", type=Path, help="another checkout with a .venv")
    given = parser.parse_args()
    pythons = {"now": sys.executable}
    if given.against:
        pythons = {"before": str(given.against / ".venv" / "bin" / "python"), **pythons}
    print(versions(), end="\n\n")
    heads = [f"{head}, {what}" for head in pythons for what in ("empty cache", "warm", "signatures")]
    print("| job | bar | " + " | ".join(heads) + " |\n|---|---|" + "---|" * len(heads), flush=True)
    for name in given.only:
        found: dict[str, list[tuple[float, float, int]]] = {head: [] for head in pythons}
        for _ in range(given.repeats):
            for head, python in pythons.items():
                with tempfile.TemporaryDirectory() as cache:
                    cold, compiled = run(python, name, Path(cache))
                    warm, _ = run(python, name, Path(cache))
                found[head].append((cold, warm, compiled))
        cells = []
        for values in found.values():
            cold, warm, compiled = np.median(np.array(values), axis=0)
            cells += [f"{cold:.1f} s", f"{warm:.2f} s", f"{compiled:.0f}"]
        print(f"| {name} | {BARS.get(name, '')} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
