"""Parts of consecutive levels: what they hold, and gradients that add up to those of the whole graph."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from nearhop.gnn.dag import LevelPlan, LevelPropagation, LevelRule, level_parts
from nearhop.graphlib.errors import InvalidInput
from nearhop.graphlib.store import GraphStore


def random_plan(seed=0, num_nodes=300, reach=60):
    rng = np.random.default_rng(seed)
    src = rng.integers(0, num_nodes - 1, 3 * num_nodes)
    dst = src + rng.integers(1, np.minimum(reach, num_nodes - src))
    cut = src.size // 2
    edges = {("pin", "net", "pin"): (src[:cut], dst[:cut]), ("pin", "cell", "pin"): (src[cut:], dst[cut:])}
    return LevelPlan.from_store(GraphStore.from_typed({"pin": num_nodes}, edges))


def test_cores_share_out_nodes_and_edges_in_order():
    plan = random_plan()
    parts = list(level_parts(plan, max_nodes=50, halo_levels=2))
    assert len(parts) == len(level_parts(plan, max_nodes=50, halo_levels=2)) > 3
    cores = torch.cat([part.nodes[part.core] for part in parts])
    assert sorted(cores.tolist()) == list(range(300))
    edges = torch.cat([part.edges["net"][part.core_edges("net")] for part in parts])
    level = plan.levels.level
    last = 0
    for part in parts:
        assert (part.first_level, part.core.sum() <= 50) == (last, True)
        last = part.last_level
        assert part.nodes.tolist() == sorted(part.nodes.tolist())
        inside = level[part.nodes]
        assert inside.min() == max(part.first_level - 2, 0)
        assert inside.max() == min(part.last_level + 1, plan.num_levels - 1)
        for name, (src, dst) in part.plan.edges.items():
            whole = plan.edges[name]
            e = part.edges[name].numpy()
            np.testing.assert_array_equal(part.nodes[src], whole[0][e])
            np.testing.assert_array_equal(part.nodes[dst], whole[1][e])
    assert last == plan.num_levels
    assert len(edges) == len(set(edges.tolist())) <= plan.relations["net"].num_edges


def test_a_level_wider_than_the_budget_is_a_part():
    store = GraphStore.from_edges([0] * 10 + [1], [*range(1, 11), 11], directed=True)
    parts = list(level_parts(LevelPlan.from_store(store), max_nodes=4, halo_levels=0))
    assert [part.nodes.tolist() for part in parts] == [[0], list(range(1, 11)), [11]]


class Layer(nn.Module):
    def __init__(self, width, out):
        super().__init__()
        self.linear = nn.Linear(width, out)

    def forward(self, *parts):
        return torch.tanh(self.linear(torch.cat([part for part in parts if part is not None], 1)))


class Model(nn.Module):
    """A teacher-forced pass whose features saw one hop of the graph before."""

    def __init__(self):
        super().__init__()
        self.before = LevelPropagation({"net": LevelRule(Layer(4, 4), reduce="mean")})
        rules = {n: LevelRule(Layer(12, 7), reduce="gated", update=Layer(10, 4)) for n in ("net", "cell")}
        self.pass_ = LevelPropagation(rules)

    def forward(self, plan, x, teacher):
        h = x + self.before(plan, x, teacher=x).state
        return self.pass_(plan, teacher, h, teacher=teacher).state


def gradients(model, batches, count):
    model.zero_grad()
    for plan, x, teacher, y, mask in batches:
        loss = ((model(plan, x, teacher) - y)[mask] ** 2).sum() / count
        if loss.requires_grad:  # a part without edges has nothing to learn from
            loss.backward()
    return [p.grad.clone() for p in model.parameters()]


def test_gradients_over_parts_are_those_of_the_whole_graph():
    plan = random_plan(1)
    torch.manual_seed(0)
    model = Model().double()
    x, teacher, y = (torch.randn(300, 4).double() for _ in range(3))
    everything = torch.ones(300, dtype=torch.bool)
    whole = gradients(model, [(plan, x, teacher, y, everything)], 300)

    def parts(**options):
        found = level_parts(plan, max_nodes=40, **options)
        return gradients(model, [(p.plan, x[p.nodes], teacher[p.nodes], y[p.nodes], p.core) for p in found], 300)

    def far(found):
        return max(((a - b).abs().max() / b.abs().max()).item() for a, b in zip(found, whole, strict=True))

    assert far(parts(hops=2)) < 1e-12
    assert far(parts(hops=0, halo_levels=0)) > 1e-3  # cut edges are missed
    assert far(parts(hops=1, halo_levels=0)) > 1e-6
    assert far(parts(halo_levels=plan.num_levels)) < 1e-12


def test_halo_levels_are_enough_where_no_edge_skips_them():
    steps = np.repeat(np.arange(20), 10)
    rng = np.random.default_rng(0)
    src = np.repeat(np.flatnonzero(steps < 19), 2)
    dst = (steps[src] + 1) * 10 + rng.integers(0, 10, src.size)
    first = (np.arange(10, 200) - 10, np.arange(10, 200))  # every node keeps its level
    edges = {("p", "net", "p"): (src, dst), ("p", "cell", "p"): first}
    plan = LevelPlan.from_store(GraphStore.from_typed({"p": 200}, edges))
    torch.manual_seed(1)
    model = Model().double()
    x, teacher, y = (torch.randn(200, 4).double() for _ in range(3))
    whole = gradients(model, [(plan, x, teacher, y, torch.ones(200, dtype=torch.bool))], 200)
    found = level_parts(plan, max_nodes=50, halo_levels=2)
    batches = [(p.plan, x[p.nodes], teacher[p.nodes], y[p.nodes], p.core) for p in found]
    for one, two in zip(gradients(model, batches, 200), whole, strict=True):
        torch.testing.assert_close(one, two)


def test_wrong_arguments():
    plan = random_plan()
    for options, message in (
        ({"max_nodes": 0}, "max_nodes must be an integer >= 1; got 0"),
        ({"halo_levels": -1}, "halo_levels must be an integer >= 0; got -1"),
        ({"hops": True}, "hops must be an integer >= 0; got True"),
    ):
        with pytest.raises(InvalidInput, match=message):
            level_parts(plan, **options)


def test_no_nodes():
    plan = LevelPlan.from_store(GraphStore.from_edges([], [], num_nodes=0, directed=True))
    assert list(level_parts(plan)) == []
