"""NAT and its N-cache against the same update in plain PyTorch: padded reads, unique, scatter, index writes.

python benchmarks/nat.py [--short] [--dataset uci] [--threads 1 2]

The peer (`benchmarks/_nat_torch.py`) is written for this benchmark after the published algorithm, with integer ids, no
padded features, and two ways to join: `unique` over rows of two columns, as in the released
code, and over packed 64-bit keys, which is faster. All train the same model (weights of one size, the same readout) on
the same events; the average precision after the timed part shows that each learns. "Joint lookup" reads the caches of
both ends of pairs and joins them; "insert" writes events. The last table runs one cache over a long stream.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import torch
from _measure import interleave, table, versions
from _nat_learner import SELF_DIM, SIZES, VALUE_DIM, Learner, repeated
from _nat_torch import TorchCache, TorchNAT

from nearhop import datasets
from nearhop.gnn import NAT
from nearhop.gnn.temporal.splits import Events
from nearhop.sampling import NCache


def measure_model(events, batch_size, given):
    """Training and inference of the whole model."""
    contenders = {
        "plain torch, unique of rows": lambda: TorchNAT(events.num_nodes, SIZES, VALUE_DIM, SELF_DIM, packed=False),
        "plain torch, packed keys": lambda: TorchNAT(events.num_nodes, SIZES, VALUE_DIM, SELF_DIM, packed=True),
        "nearhop": lambda: NAT(events.num_nodes, sizes=SIZES, value_dim=VALUE_DIM, self_dim=SELF_DIM, dropout=0.0),
    }
    learners = {}
    for name, make in contenders.items():
        torch.manual_seed(0)
        learners[name] = Learner(make(), events, batch_size, given.warm)
    turns = max(1, given.timed // batch_size)
    for threads in given.threads:
        torch.set_num_threads(threads)
        for verb, method in (("training", "learn"), ("inference", "infer")):
            runs = {name: repeated(getattr(one, method), turns) for name, one in learners.items()}
            timings = interleave(runs, repeats=given.repeats)
            print(f"### {verb}, batches of {batch_size}, {threads} threads\n")
            print(table(timings, baseline="plain torch, packed keys", work=turns * batch_size, unit="events/s"), "\n")
    for name, one in learners.items():
        print(f"AP within the next 20 batches, {name}: {np.mean([one.infer() for _ in range(20)]):.4f}")
    print(flush=True)


def measure_cache(events, batch_size, given):
    """Insert and joint lookup alone, on caches that the first events filled."""
    mine, plain = NCache(events.num_nodes, SIZES), TorchCache(events.num_nodes, SIZES, VALUE_DIM)
    for start in range(0, given.warm - batch_size, batch_size):
        seen = events.take(np.arange(start, start + batch_size))
        mine.insert(seen.src, seen.dst, time=seen.time, edge_ids=seen.edge_ids)
        plain.insert(seen.src, seen.dst, seen.time, seen.edge_ids)
    seen = events.take(np.arange(given.warm, given.warm + batch_size))

    def join():
        nodes, number = mine.distinct(seen.src, seen.dst)
        read = mine.lookup(nodes)
        joint = read.join(number[:batch_size], number[batch_size:])
        joint.sums(read.value)

    work = {
        ("insert", "events/s"): {
            "plain torch": lambda: plain.insert(seen.src, seen.dst, seen.time, seen.edge_ids),
            "nearhop": lambda: mine.insert(seen.src, seen.dst, time=seen.time, edge_ids=seen.edge_ids),
        },
        ("joint lookup", "pairs/s"): {
            "plain torch": lambda: plain.join(seen.src, seen.dst, packed=True),
            "nearhop": join,
        },
    }
    turns = max(1, given.timed // batch_size)
    for threads in given.threads:
        torch.set_num_threads(threads)
        mine.threads = threads
        for (what, unit), contenders in work.items():
            runs = {name: repeated(run, turns) for name, run in contenders.items()}
            timings = interleave(runs, repeats=given.repeats)
            print(f"### {what}, batches of {batch_size}, {threads} threads\n")
            print(table(timings, baseline="plain torch", work=turns * batch_size, unit=unit), "\n", flush=True)


def measure_length(given):
    """Rate of inserts and lookups along a stream of ten times the length after which the tables are full."""
    num_nodes, batch_size = 20_000, 1000
    rng = np.random.default_rng(0)
    cache = NCache(num_nodes, SIZES)
    first = 100_000 if given.short else 500_000
    print("### one cache along a stream, batches of 1000\n\n| events so far | events/s | resident MiB |\n|---|---|---|")
    done = 0
    for mark in (first // 2, first, 2 * first, 5 * first, 10 * first):
        start, since = time.perf_counter(), done
        while done < mark:
            src, dst = (rng.random((2, batch_size)) ** 2 * num_nodes).astype(np.int64)
            nodes, number = cache.distinct(src, dst)
            read = cache.lookup(nodes)
            read.join(number[:batch_size], number[batch_size:])
            cache.insert(src, dst, read=read)
            done += batch_size
        rate = (done - since) / (time.perf_counter() - start)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"| {done:,} | {rate:,.0f} | {memory:,.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="fewer events, under two minutes")
    parser.add_argument("--dataset", default="uci")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[100])
    parser.add_argument(
        "--parts", nargs="+", choices=["model", "cache", "length"], default=["model", "cache", "length"]
    )
    given = parser.parse_args()
    given.warm, given.timed, given.repeats = (4000, 1000, 3) if given.short else (20_000, 4000, 5)
    print(versions("torch"), "\n")
    events = Events.from_store(datasets.load(given.dataset))
    for batch_size in given.batch_sizes:
        if "model" in given.parts:
            measure_model(events, batch_size, given)
        if "cache" in given.parts:
            measure_cache(events, batch_size, given)
    if "length" in given.parts:
        measure_length(given)


if __name__ == "__main__":
    main()
