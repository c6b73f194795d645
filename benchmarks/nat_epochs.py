"""Seconds per epoch of NAT on streams of Wikipedia's and Reddit's size; on a GPU also the rates of its caches.

python benchmarks/nat_epochs.py [--device cuda] [--short]

Streams are generated with the sizes of JODIE's Wikipedia (9,227 nodes, 157,474 events) and Reddit (10,984 nodes,
672,447 events), both with 172 edge features, since an epoch's time depends on sizes alone; the first 70 % train, in
batches of 100. The paper needs 21.0 s and 90.6 s per epoch on a GTX 1080 Ti (arXiv:2209.01084, table 3)."""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from _measure import interleave, table, versions
from _nat_learner import SIZES, Learner, repeated

from nearhop.gnn import NAT
from nearhop.gnn.temporal.splits import Events
from nearhop.sampling import NCache

STREAMS = {"Wikipedia-sized": (9227, 157_474, 21.0), "Reddit-sized": (10_984, 672_447, 90.6)}
EDGE_DIM, BATCH = 172, 100


def stream(num_nodes, count):
    """Events between 85 % users and 15 % pages, both of skewed popularity."""
    rng = np.random.default_rng(0)
    users = int(0.85 * num_nodes)
    src = (rng.random(count) ** 2 * users).astype(np.int64)
    dst = users + (rng.random(count) ** 3 * (num_nodes - users)).astype(np.int64)
    return Events(src, dst, np.sort(rng.random(count)) * 1e6, np.arange(count), num_nodes)


def measure_epochs(given):
    """An epoch of training: forward, backward, write."""
    print(
        "### training, batches of 100\n\n| stream | caches | s per epoch | events/s | paper, s |\n|---|---|---|---|---|"
    )
    for name, (num_nodes, count, published) in STREAMS.items():
        count = count // 50 if given.short else count
        events = stream(num_nodes, int(0.7 * count))
        features = np.random.default_rng(1).standard_normal((count, EDGE_DIM)).astype(np.float32)
        for place in ("model", "host") if given.device != "cpu" else ("host",):
            torch.manual_seed(0)
            model = NAT(num_nodes, sizes=SIZES, cache_device=place, edge_features=features).to(given.device)
            learner = Learner(model, events, BATCH, 10 * BATCH)
            batches = len(events) // BATCH - 12
            wait(given.device)
            start = time.perf_counter()
            for _ in range(batches):
                learner.learn()
            wait(given.device)
            rate = batches * BATCH / (time.perf_counter() - start)
            where = given.device if place == "model" else "host"
            print(f"| {name} | {where} | {len(events) / rate:.1f} | {rate:,.0f} | {published} |", flush=True)
    print()


def measure_cache(given):
    """Inserts and joins of caches on the GPU beside the processor's."""
    from numba import cuda

    from nearhop.sampling.ncache.cache_cuda import CudaNCache

    num_nodes, count, _ = STREAMS["Wikipedia-sized"]
    for batch in (1000, 10_000):
        events = stream(num_nodes, count)
        host = NCache(num_nodes, SIZES)
        for begin in range(0, 50_000, batch):
            part = events.take(np.arange(begin, begin + batch))
            host.insert(part.src, part.dst, time=part.time, edge_ids=part.edge_ids)
        device = CudaNCache(host)
        part = events.take(np.arange(60_000, 60_000 + batch))
        nodes, number = host.distinct(part.src, part.dst)
        ends = number[:batch], number[batch:]

        def insert_there(device=device, part=part):
            device.insert(part.src, part.dst, time=part.time, edge_ids=part.edge_ids)
            cuda.synchronize()

        def join_here(host=host, nodes=nodes, ends=ends):
            read = host.lookup(nodes)
            read.join(*ends).sums(read.value)

        def join_there(device=device, nodes=nodes, ends=ends):
            read = device.lookup(nodes)
            device.sums(read.value, device.join(read, *ends)[1])
            cuda.synchronize()

        def insert_here(host=host, part=part):
            host.insert(part.src, part.dst, time=part.time, edge_ids=part.edge_ids)

        for what, unit, here, there in (
            ("insert", "events/s", insert_here, insert_there),
            ("joint lookup", "pairs/s", join_here, join_there),
        ):
            timings = interleave({"processor": repeated(here, 5), "GPU": repeated(there, 5)}, repeats=5)
            print(
                f"### {what}, batches of {batch}\n\n{table(timings, baseline='processor', work=5 * batch, unit=unit)}\n"
            )


def wait(device):
    """Until the device has done what it was given."""
    if device != "cpu":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a fiftieth of the events")
    parser.add_argument("--device", default="cpu", help="cuda also measures the caches alone, there and on the host")
    parser.add_argument("--threads", type=int, default=1, help="of torch and of the kernels, on the processor")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    device = f"processor, {given.threads} threads" if given.device == "cpu" else torch.cuda.get_device_name()
    print(f"{versions('torch', 'numba-cuda')}; {device}\n")
    measure_epochs(given)
    if given.device != "cpu":
        measure_cache(given)


if __name__ == "__main__":
    main()
