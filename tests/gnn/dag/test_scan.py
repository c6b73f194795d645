"""Linear messages in one call, against loops and torch's own gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nearhop.gnn.dag import LevelPlan, scan
from nearhop.graphlib.errors import InvalidInput
from nearhop.graphlib.store import GraphStore


def random_plan(seed, num_nodes=40, num_edges=120):
    rng = np.random.default_rng(seed)
    src = rng.integers(0, num_nodes - 1, num_edges)
    dst = src + rng.integers(1, np.minimum(12, num_nodes - src))
    return LevelPlan.from_store(GraphStore.from_edges(src, dst, num_nodes=num_nodes, directed=True))


def by_hand(plan, start, scale, shift, how):
    src, dst = plan.edges["edge"]
    rows = {}
    for v in plan.levels.order.tolist():
        messages = [scale[e] * rows[src[e]] + shift[e] for e in range(src.size) if dst[e] == v]
        rows[v] = start[v]
        if messages:
            stack = torch.stack(messages)
            reduced = {
                "sum": stack.sum(0),
                "mean": stack.mean(0),
                "max": stack.max(0).values,
                "min": stack.min(0).values,
            }
            rows[v] = rows[v] + reduced[how]
    return torch.stack([rows[v] for v in range(plan.num_nodes)])


def one_call(plan, start, scale, shift, how):
    return scan(plan, start, scale=scale, shift=shift, reduce=how)


@pytest.mark.parametrize("how", ["sum", "mean", "max", "min"])
def test_values_and_gradients_are_those_of_a_loop(how):
    for seed in range(3):
        plan = random_plan(seed)
        torch.manual_seed(seed)
        edges = plan.relations["edge"].num_edges
        inputs = [torch.randn(plan.num_nodes, 3), torch.rand(edges), torch.randn(edges)]
        inputs = [part.double().requires_grad_() for part in inputs]
        found = []
        for run in (one_call, by_hand):
            h = run(plan, *inputs, how)
            weights = torch.linspace(-1, 1, h.numel(), dtype=h.dtype).view_as(h)
            found.append([h, *torch.autograd.grad((h * weights).sum(), inputs)])
        for one, two in zip(*found, strict=True):
            torch.testing.assert_close(one, two)


def test_wide_levels_are_the_same_at_one_and_two_threads():
    rng = np.random.default_rng(0)
    src = rng.integers(0, 15_000, 60_000)
    dst = src // 5000 * 5000 + 5000 + rng.integers(0, 5000, 60_000)
    plan = LevelPlan.from_store(GraphStore.from_edges(src, dst, directed=True))
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        start = torch.randn(plan.num_nodes, 2).double().requires_grad_()
        scale = torch.rand(60_000).double().requires_grad_()
        h = scan(plan, start, scale=scale, reduce="max")
        found.append([h, *torch.autograd.grad(h.sin().sum(), [start, scale])])
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))


def test_wrong_inputs():
    plan = random_plan(0)
    start = torch.zeros(plan.num_nodes, 2)
    with pytest.raises(InvalidInput, match="one of sum, mean, max, min; got 'or'"):
        scan(plan, start, reduce="or")
    with pytest.raises(InvalidInput, match=r"start must be float32 or float64 \(40, d\); got torch.int64"):
        scan(plan, start.long())
    with pytest.raises(InvalidInput, match=r"scale must be torch.float32"):
        scan(plan, start, scale=torch.zeros(3))
    two = LevelPlan(plan.levels, {"a": plan.edges["edge"], "b": ([], [])})
    with pytest.raises(InvalidInput, match=r"relations \['a', 'b'\]; name one"):
        scan(two, start)
    assert torch.equal(scan(two, start + 1, relation="b"), start + 1)
