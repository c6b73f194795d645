"""The usual calls of blockers and models: what they compile."""

from __future__ import annotations

import numpy as np

from ...graphlib.store.store import GraphStore
from .registry import N, graph, job, vectors

NEEDS = dict.fromkeys(("blocking_trained", "nat", "large_gt", "dag", "links", "spen", "classifiers"), "torch")


@job("blocking")
def blocking() -> None:
    from ...blocking import EmbeddingBlocker, MinHashBlocker, NGramBlocker

    names = [f"item {i % 37} of shop {i % 11}, number {i}" for i in range(200)]
    table = {"name": names}
    for blocker in (NGramBlocker(), NGramBlocker("bm25"), MinHashBlocker(), EmbeddingBlocker(dim=32)):
        blocker.block(table, table, k=5)
        blocker.block(table, k=5)


@job("blocking")
def blocking_trained() -> None:
    from ...blocking import NLSHBlock

    left = {"id": list(range(40)), "name": [f"item {i} of shop {i % 7}" for i in range(40)]}
    right = {"id": list(range(40)), "name": [f"item {i}, shop {i % 7}" for i in range(40)]}
    from ...blocking import Records

    tables = Records.of(left, key="id"), Records.of(right, key="id")
    blocker = NLSHBlock(epochs=1).fit(*tables, [(i, i) for i in range(40)])
    blocker.block(*tables, k=2)


@job("gnn")
def nat() -> None:
    import torch

    from ...gnn import NAT

    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    model = NAT(N, self_dim=32)
    src, dst, time = rng.integers(0, 300, 100), rng.integers(300, N, 100), np.arange(100)
    positive, negative = model(src, dst, rng.integers(300, N, (100, 1)), time=time)
    (positive.sum() - negative.sum()).backward()
    model.observe(src, dst, time=time, edge_ids=time)


@job("gnn")
def large_gt() -> None:
    import torch

    from ...gnn.large_gt import LargeGT, LargeGTConfig, TokenLoader
    from ...graphlib.sparse import hop_contexts
    from ...sampling import NodeSets

    store = graph()
    store.nodes["x"], store.nodes["fastrp"] = vectors(16), vectors(8)
    hop_contexts(store)
    NodeSets(store, 8).write()
    for mode in ("local", "full"):
        config = LargeGTConfig(hidden=16, mode=mode, num_centroids=16, global_dim=8)
        position = "fastrp" if mode == "full" else None
        model = LargeGT(TokenLoader(store, position=position), 3, config)
        model(model.batch(np.arange(32))).sum().backward()
        with torch.no_grad():
            model.eval()(model.batch(np.arange(32)))


@job("gnn")
def dag() -> None:
    import torch

    from ...gnn.dag import LevelPlan, LevelPropagation, LevelRule, scan

    class Step(torch.nn.Module):
        """A message that needs no weights."""

        def forward(self, state_src: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
            return state_src + 1

    ends = np.sort(np.random.default_rng(0).integers(0, N, (2000, 2)), axis=1)
    ends = ends[ends[:, 0] < ends[:, 1]]
    plan = LevelPlan.from_store(GraphStore.from_edges(*ends.T, num_nodes=N, directed=True))
    for reduce in ("sum", "mean", "max"):
        x = torch.zeros(N, 4, requires_grad=True)
        found = LevelPropagation({"edge": LevelRule(Step(), reduce=reduce)})(plan, x)
        found.state.sum().backward()
    for reduce in ("sum", "max"):
        scan(plan, torch.zeros(N, 4, requires_grad=True), reduce=reduce).sum().backward()


@job("gnn")
def links() -> None:
    from ...embed.evaluation import split_edges
    from ...gnn.links import (
        CommonNeighborHead,
        DotHead,
        Encoder,
        LinkTraining,
        PairSketches,
        SketchHead,
        train_links,
    )  # fmt: skip

    split = split_edges(graph())
    for head in (DotHead(), CommonNeighborHead(8), SketchHead(8, PairSketches(split.train))):
        train_links(split, Encoder(0, 8, num_nodes=N), head, LinkTraining(epochs=1, k=5))


@job("gnn")
def spen() -> None:
    from ...datasets.graphs import GraphSet
    from ...gnn import SPEN
    from ...gnn.spen import EgoGraphs, SizeClasses

    path = GraphStore.from_edges([0, 1], [1, 2])
    ring = GraphStore.from_edges([0, 1, 2], [1, 2, 0])
    data = EgoGraphs(GraphSet.of([path, ring], [0, 1]))
    model = SPEN(data.num_tags, 2, sizes=SizeClasses.fit(data.bag.sizes), hidden=(8, 8))
    model(model.batch(data, [0, 1])).sum().backward()


@job("gnn")
def classifiers() -> None:
    """Sparse features and adjacency in node classifiers, and features that are generated."""
    from ...gnn import LocalAugmenter
    from ...gnn.nodes import FullBatch, NodeData, NodeTrainer, as_features, normalized_adjacency
    from ...gnn.nodes.models import GCN
    from ...gnn.training import Training

    store = graph()
    store.nodes["x"] = (np.random.default_rng(0).random((N, 40)) < 0.05).astype(np.float32)
    data = NodeData.random(np.arange(N) % 3)
    augmenter = LocalAugmenter(epochs=1, batch_size=2048, hidden=16, rule=None).fit(store, "x")
    x, adjacency = as_features(store.nodes["x"]), normalized_adjacency(store)
    for model in (
        FullBatch(GCN(40, 8, 3), x, adjacency),
        augmenter.wrap(GCN(40, 8, 3, branches=2), x, adjacency),
    ):
        NodeTrainer(model, data, Training(epochs=1)).fit()
