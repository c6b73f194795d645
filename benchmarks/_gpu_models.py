"""Parts of `gpu.py` that train: GraphVite, GraphSAGE with features in place, NAT, SPEN."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from _gpu_place import SIMULATED, Row, Rows, device, seconds, sized, wait
from _graphs import power_law
from torch.nn.functional import cross_entropy

from nearhop import GraphStore


def graphvite() -> Rows:
    """Samples per second of the step alone and with sampling; the F1 of both devices on one graph with communities."""
    from nearhop.embed import GraphVite, TrainingProgress
    from nearhop.embed.evaluation import evaluate
    from nearhop.embed.graphvite import run
    from nearhop.embed.graphvite.grid import Grid
    from nearhop.embed.graphvite.pools import Pool
    from nearhop.embed.graphvite.tables import Tables
    from nearhop.embed.graphvite.train import Rules
    from nearhop.embed.graphvite.train_cuda import CudaTrainer
    from nearhop.graphlib.compute.launch_cuda import launching

    dim = sized(128, 8)
    n, samples = sized((1_138_499, 1 << 26), (30, 8))
    rng = np.random.default_rng(0)
    tables = Tables.new(rng.standard_normal((n, dim)).astype(np.float32) / dim, "sgd")
    with launching() as place:
        heads, tails = (place.pinned(samples, np.int32) for _ in range(2))
    for side in (heads, tails):
        side[:] = rng.random(samples) ** 2 * n
    rules = Rules("sgd", 1, 5.0, 0.005, np.ones(n, np.float32), np.zeros(n, np.int32), 0)
    trainer = CudaTrainer(tables, Grid.zigzag(np.ones(n), 1), rules, devices=[0])
    pool = Pool(0, heads, tails, np.array([0, samples]))
    taken = seconds(lambda: trainer.train(pool, 0.025, 0.0), sized(3, 1), sized(1, 0))
    trainer.finish()
    assert np.isfinite(tables.vertex).all()
    rate = samples / taken / 1e6
    yield Row(f"step with upload, {n:,} nodes, d = {dim}", rate, "M samples/s", at_least=282.0)

    groups, members = sized((20, 500), (2, 5))
    labels = np.repeat(np.arange(groups), members)
    src = rng.integers(0, labels.shape[0], sized(12, 1) * labels.shape[0])
    inside = rng.random(src.shape[0]) < 0.4
    near = labels[src] * members + rng.integers(0, members, src.shape[0])
    dst = np.where(inside, near, rng.integers(0, labels.shape[0], src.shape[0]))
    store = GraphStore.from_edges(src, dst, num_nodes=labels.shape[0])
    walks: dict[str, Any] = {"dim": dim, "walk_length": sized(40, 5)}
    options: dict[str, Any] = {**walks, "epochs": sized(400, 1), "augmentation_step": 2}
    scores = {}
    for name in ("cpu", "cuda"):
        seen: list[TrainingProgress] = []
        vectors = GraphVite(device=name, progress=seen.append, **options).fit_transform(store)
        assert np.isfinite(vectors).all()
        scores[name] = 100 * float(evaluate(vectors, labels, train_ratios=(0.5,), repeats=3).micro_mean[0])
        yield Row(f"{groups} communities, {name}: micro-F1 at 50 %", scores[name], "%")
    yield Row("difference of the F1 of both", abs(scores["cpu"] - scores["cuda"]), "%", at_most=1.0)

    large = power_law(*sized((1_138_499, 4_945_382), (6, 6)))
    usual = run._MOST_WAIT
    for who, most_wait in (("by the processor", np.inf), ("where it keeps up, else on the device", usual)):
        seen = []
        run._MOST_WAIT = float(most_wait)
        options = {**walks, "epochs": sized(80, 1), "augmentation_step": 5, "device": "cuda"}
        GraphVite(**options, progress=seen.append).fit(large)
        yield Row(f"pools drawn {who}, YouTube's size", seen[-1].samples_per_second / 1e6, "M samples/s")
    run._MOST_WAIT = usual


def graphsage() -> Rows:
    """Epochs of GraphSAGE with features read in place, and gathered by the processor and copied."""
    from torch_geometric.nn import SAGEConv

    from nearhop.sampling import NodeLoader
    from nearhop.sampling.features.unified_tensor import UnifiedTensor

    nodes, edges, width, train, batch = sized((2_000_000, 20_000_000, 256, 100_000, 1024), (30, 90, 8, 12, 6))
    store = power_law(nodes, edges)
    features = np.random.default_rng(0).standard_normal((nodes, width), np.float32)
    y = np.random.default_rng(1).integers(0, 16, nodes)

    class Sage(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = SAGEConv(width, 64), SAGEConv(64, 16)

        def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
            return self.second(self.first(x, edge_index).relu(), edge_index)

    taken = {}
    for placement in sized(("host", "pinned", "cuda"), ("host",)):
        torch.manual_seed(0)
        model = Sage().to(device())
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        with UnifiedTensor(features, placement=placement, device=device()) as x:
            loader = NodeLoader(
                store, [15, 10], nodes=np.arange(train), tables={"x": x, "y": y}, batch_size=batch, shuffle=True
            )

            def epoch(loader=loader, model=model, optimizer=optimizer) -> None:
                for drawn in loader:
                    out = model(drawn.x, drawn.edge_index.to(device()))[: drawn.batch_size]
                    loss = cross_entropy(out, drawn.y[: drawn.batch_size].to(device()))
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()

            taken[placement] = seconds(epoch, sized(3, 1), sized(1, 0))
        yield Row(f"an epoch of {train:,} nodes, features {placement}", taken[placement], "s")
    if "pinned" in taken:
        yield Row("pinned against gathered and copied", taken["host"] / taken["pinned"], "x", at_least=1.6)


def nat() -> Rows:
    """NAT's seconds per epoch, caches on the device and in host memory, and what the caches alone do."""
    from _nat_learner import SIZES, Learner
    from nat_epochs import BATCH, EDGE_DIM, STREAMS, stream

    from nearhop.gnn import NAT
    from nearhop.gnn.nat.memory import DeviceMemory

    batch = sized(BATCH, 2)
    for name, (num_nodes, count, published) in sized(STREAMS, {"tiny": (8, 30, 1.0)}).items():
        events = stream(num_nodes, int(0.7 * count))
        features = np.random.default_rng(1).standard_normal((count, sized(EDGE_DIM, 3))).astype(np.float32)
        for place in sized(("model", "host"), ("model",)):
            torch.manual_seed(0)
            sizes = sized(SIZES, (1, 4, 2))
            model = NAT(num_nodes, sizes=sizes, cache_device=place, edge_features=features).to(device())
            if SIMULATED and place == "model":
                model.memory = DeviceMemory(model.cache, device())
            learner = Learner(model, events, batch, sized(30, 0) * batch)
            turns = sized(300, 1)
            wait()
            start = time.perf_counter()
            for _ in range(turns):
                learner.learn()
            wait()
            epoch = (time.perf_counter() - start) / turns * len(events) / batch
            where = "on the device" if place == "model" else "in host memory"
            mark = published / 3 if place == "model" else None
            yield Row(f"{name}, an epoch, caches {where} (from {turns} batches)", epoch, "s", at_most=mark)
    yield from _caches()


def _caches() -> Rows:
    from _nat_learner import SIZES
    from nat_epochs import STREAMS, stream

    from nearhop.sampling import NCache
    from nearhop.sampling.ncache.cache_cuda import CudaNCache

    num_nodes, count = sized(STREAMS["Wikipedia-sized"][:2], (9, 40))
    sizes = sized(SIZES, (1, 4, 2))
    for batch in sized((1000, 10_000), (6,)):
        events = stream(num_nodes, count)
        host = NCache(num_nodes, sizes)
        warm = events.take(np.arange(sized(50_000, 10)))
        host.insert(warm.src, warm.dst, time=warm.time, edge_ids=warm.edge_ids)
        there = CudaNCache(host)
        part = events.take(np.arange(sized(60_000, 12), sized(60_000, 12) + batch))
        nodes, number = host.distinct(part.src, part.dst)

        def insert(cache: Any, part=part) -> None:
            cache.insert(part.src, part.dst, time=part.time, edge_ids=part.edge_ids)

        def join(cache: Any, nodes=nodes, number=number, batch=batch) -> Any:
            read = cache.lookup(nodes)
            return read, cache.join(read, number[:batch], number[batch:])

        read, joined = join(there)
        there.sums(read.value, joined[1])
        for name, run, unit in (("inserted", insert, "k events/s"), ("joined", join, "k pairs/s")):
            rate = batch / seconds(lambda r=run, c=there: r(c), sized(10, 1), sized(1, 0)) / 1e3
            yield Row(f"CudaNCache, {name} in batches of {batch:,}", rate, unit)
        rate = batch / seconds(lambda c=host: insert(c), sized(10, 1), sized(1, 0)) / 1e3
        yield Row(f"NCache on the processor, inserted in batches of {batch:,}", rate, "k events/s")


def spen() -> Rows:
    """A pass of SPEN over generated molecules: small graphs of four kinds of nodes, two classes."""
    from nearhop.datasets.graphs import GraphSet
    from nearhop.gnn import SPEN
    from nearhop.gnn.spen import EgoGraphs, SizeClasses

    rng = np.random.default_rng(0)
    graphs = []
    for _ in range(sized(188, 6)):
        n = int(rng.integers(10, 28))
        chain = np.stack([np.arange(n - 1), np.arange(1, n)])
        store = GraphStore.from_edges(*np.hstack([chain, rng.integers(0, n, (2, n // 4))]), num_nodes=n)
        store.nodes["tag"] = rng.integers(0, 4, n)
        graphs.append(store)
    data = EgoGraphs(GraphSet.of(graphs, np.arange(len(graphs)) % 2))
    classes = SizeClasses.fit(data.bag.sizes)
    labels = torch.as_tensor(data.labels, device=device())
    batch = sized(32, 3)
    torch.manual_seed(0)
    model = SPEN(data.num_tags, 2, sizes=classes, hidden=sized([64] * 5, [8])).to(device())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.5e-3)

    def epoch() -> None:
        for first in range(0, len(graphs), batch):
            ids = np.arange(first, min(first + batch, len(graphs)))
            out = model(data.batch(ids, classes, device=device()))
            loss = cross_entropy(out, labels[torch.as_tensor(ids, device=device())])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    yield Row(f"SPEN, {len(graphs)} graphs, batch {batch}: an epoch", seconds(epoch, sized(5, 1), sized(1, 0)), "s")
