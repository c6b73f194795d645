"""Parts of `gpu.py` for systems whose work is one kernel or one module: CANN's exact scores, LargeGT's attention."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from _gpu_place import Row, Rows, device, seconds, sized
from _graphs import power_law
from torch.nn.functional import cross_entropy


def cann() -> Rows:
    """Sets of features against every point of an index, beside all threads of the processor."""
    from nearhop.ann import CANN
    from nearhop.ann.cann.exact_cuda import CudaScan

    points, colors, dim, asked = sized((300_000, 1000, 128, 512), (24, 4, 8, 5))
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (points, dim)).astype(np.uint8)
    index = CANN(metric="l2", radius=sized(700.0, 200.0), method="exact")
    index.add(rows, rng.integers(0, colors, points))
    near = rows[rng.integers(0, points, asked)].astype(np.int64) + rng.integers(-40, 41, (asked, dim))
    query = np.clip(near, 0, 255).astype(np.uint8)
    scan = CudaScan(index)
    mine, theirs = scan.search(query, 3), index.search(query, 3, exact=True, matches=False)
    np.testing.assert_allclose(mine.scores, theirs.scores, rtol=1e-4)
    there = seconds(lambda: scan.search(query, 3), sized(10, 1), sized(2, 0))
    here = seconds(lambda: index.search(query, 3, exact=True, matches=False), sized(3, 1), 0)
    what = f"{asked} features against {points:,} points of {dim} bytes"
    yield Row(what, asked * points / there / 1e9, "G distances/s")
    yield Row(f"{what}, against all threads of the processor", here / there, "x")


def largegt() -> Rows:
    """LargeGT's local attention on tokens of one batch, and a step of training that gathers them."""
    from nearhop.gnn.large_gt import LargeGT, LargeGTConfig, TokenLoader
    from nearhop.graphlib.sparse import hop_contexts
    from nearhop.sampling import NodeSets

    nodes, width, size, hidden, batch = sized((50_000, 269, 50, 128, 1024), (40, 6, 4, 8, 3))
    store = power_law(nodes, 5 * nodes)
    store.nodes["x"] = np.random.default_rng(0).standard_normal((nodes, width), dtype=np.float32)
    hop_contexts(store)
    NodeSets(store, size).write()
    torch.manual_seed(0)
    tokens = TokenLoader(store, device=device(), **sized({"placement": "cuda"}, {}))
    model = LargeGT(tokens, 5, LargeGTConfig(hidden=hidden, mode="local")).to(device()).train()
    picked = np.random.default_rng(1).choice(nodes, batch, replace=False)
    given: Any = model.batch(picked)
    table = torch.randn(len(given.tables), given.tables[0].shape[0], hidden, device=device(), requires_grad=True)

    def attention() -> None:
        model.local(table, given.index, plain=True).sum().backward()

    count = given.num_tokens
    taken = seconds(attention, sized(20, 1), sized(3, 0))
    yield Row(f"local attention, {batch} nodes of {count // batch} tokens, H = {hidden}, both ways", 1e3 * taken, "ms")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    labels = torch.from_numpy(np.random.default_rng(2).integers(0, 5, batch)).to(device())

    def step() -> None:
        optimizer.zero_grad()
        cross_entropy(model(model.batch(picked)), labels).backward()
        optimizer.step()

    taken = seconds(step, sized(20, 1), sized(3, 0))
    yield Row(f"a step of training, {width} features, tokens gathered with it", count / taken / 1e6, "M tokens/s")
