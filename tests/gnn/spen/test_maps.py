"""Equivariant maps: equal to the plain stack of basis maps, equivariant, with right gradients, whatever the threads."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nearhop import GraphStore
from nearhop.gnn.spen import BagPlan, EquivariantMap, SizeClasses, kernels, ops, plain
from nearhop.gnn.spen import layer as fused
from nearhop.graphlib.errors import InvalidInput, InvalidType
from nearhop.sampling import ego_bag
from nearhop.tests.reference import equivariant
from nearhop.tests.support import examples

ORDERS = [(2, 2), (2, 1), (1, 2), (1, 1), (2, 0), (1, 0)]
BASIS = {(2, 2): 15, (2, 1): 5, (1, 2): 5, (1, 1): 2, (2, 0): 2, (1, 0): 1}


def random_graph(n, m, seed):
    rng = np.random.default_rng(seed)
    return GraphStore.from_edges(rng.integers(0, n, m), rng.integers(0, n, m), num_nodes=n)


def some_bag(seed=0, hops=1):
    return ego_bag([random_graph(7, 9, seed), random_graph(1, 0, seed), random_graph(12, 20, seed + 1)], hops=hops)


def rows(plan, order):
    return {2: plan.num_pairs, 1: plan.num_nodes, 0: plan.num_egos}[order]


def stacked(layer, bag, classes, x):
    """The map by the plain stack on dense blocks, then averaged over copies."""
    order_in, order_out = layer.order_in, layer.orders_out[0]
    weights = layer.basis_weights()
    values, found = torch.from_numpy(bag.extract(x.detach().numpy(), order=order_in)), []
    for m, block in bag.blocks(values.numpy(), order=order_in).items():
        k = int(classes.of([m])[0])
        out = equivariant.apply(torch.from_numpy(block), weights[k], layer.bias[k], order_in, order_out)
        found.append(out.reshape(-1, out.shape[-1]).detach())
    out = torch.cat(found).numpy()
    return out if order_out == 0 else bag.merge(out, order=order_out)


@pytest.mark.parametrize("orders", ORDERS)
@examples(12)
@given(seed=st.integers(0, 99), policy=st.sampled_from(["each", "one", "log"]), hops=st.integers(0, 2))
def test_a_map_is_the_plain_stack(orders, seed, policy, hops):
    bag = some_bag(seed, hops)
    classes = SizeClasses.fit(bag.sizes, policy=policy)
    plan = BagPlan(bag, classes)
    torch.manual_seed(seed)
    layer = EquivariantMap(*orders, 3, 2, num_classes=len(classes)).double()
    torch.nn.init.normal_(layer.bias)
    assert layer.basis_weights().shape == (len(classes), BASIS[orders], 3, 2)
    x = torch.randn(rows(plan, orders[0]), 3, dtype=torch.float64)
    assert np.allclose(layer(x, plan).detach().numpy(), stacked(layer, bag, classes, x))


@pytest.mark.parametrize("orders", ORDERS)
def test_gradients(orders):
    bag = ego_bag([random_graph(5, 5, 3), random_graph(1, 0, 0)])
    classes = SizeClasses.fit(bag.sizes, policy="each")
    plan = BagPlan(bag, classes)
    layer = EquivariantMap(*orders, 2, 2, num_classes=len(classes)).double()
    x = torch.randn(rows(plan, orders[0]), 2, dtype=torch.float64, requires_grad=True)
    names, values = zip(*layer.named_parameters(), strict=True)

    def call(x, *values):
        given = dict(zip(names, values, strict=True))
        return torch.func.functional_call(layer, given, (x, plan))

    assert torch.autograd.gradcheck(call, (x, *values))


@pytest.mark.parametrize("orders", ORDERS)
def test_maps_commute_with_every_permutation_of_a_block(orders):
    """A complete graph's ego networks are the graph; on blocks kept apart, permuted input gives permuted output."""
    torch.manual_seed(0)
    for m, chosen in [*((m, itertools.permutations(range(m))) for m in (1, 2, 3, 4)), (23, None)]:
        a, b = np.triu_indices(m, 1)
        bag = ego_bag(GraphStore.from_edges(a, b, num_nodes=m)).apart()
        plan = BagPlan(bag, SizeClasses.fit(bag.sizes))
        layer = EquivariantMap(*orders, 2, 3).double()
        torch.nn.init.normal_(layer.bias)
        x = torch.randn(m, *[m] * orders[0], 2, dtype=torch.float64)

        def blocks(x, layer=layer, plan=plan, m=m):
            out = layer(x.reshape(-1, 2), plan)
            return out.reshape(m, *[m] * orders[1], 3)

        def permuted(x, order, p):
            for axis in range(1, 1 + order):
                x = x.index_select(axis, p)
            return x

        rng = np.random.default_rng(m)
        for p in map(torch.tensor, chosen if chosen is not None else [rng.permutation(m) for _ in range(3)]):
            first = blocks(permuted(x, orders[0], p))
            assert torch.allclose(first, permuted(blocks(x), orders[1], p), atol=1e-10)
        if m > 2 and orders[1] > 0:
            assert not torch.allclose(first, blocks(x), atol=1e-3)  # the permutation is seen


@pytest.mark.parametrize("normed", [False, True])
@pytest.mark.parametrize("orders", [(2, 1), (2,), (1,)])
def test_kernels_are_the_plain_operations(orders, normed):
    bag = some_bag(5, 2)
    classes = SizeClasses.fit(bag.sizes, policy="each")
    plan = BagPlan(bag, classes)
    maps = [EquivariantMap(order, orders, 3, width, num_classes=len(classes)) for order, width in ((2, 2), (1, 1))]
    given = [torch.randn(plan.num_pairs, 3), torch.randn(plan.num_nodes, 3)]
    weights = tuple(torch.rand(3, 3, requires_grad=True) for _ in orders) if normed else ()
    norm = fused.Norm(1e-5, weights) if normed else None
    found = []
    for module in (fused, plain):
        leaves = [x.clone().requires_grad_() for x in given]
        made = module.layer([f.source(x, plan) for f, x in zip(maps, leaves, strict=True)], orders, plan, norm)
        made = [x for x in made if x is not None]
        assert len(made) == len(orders)
        wanted = [*leaves, *maps[0].parameters(), *weights]
        grads = torch.autograd.grad(sum((x * torch.arange(3.0)).square().sum() for x in made), wanted)
        found.append([*made, *grads])
    for a, b in zip(*found, strict=True):
        assert torch.allclose(a, b, atol=1e-4, rtol=1e-4)
    for order, x in zip((2, 1), given, strict=True):
        last = EquivariantMap(order, 0, 3, 2, num_classes=len(classes))
        assert torch.allclose(last(x, plan), plain.invariants([last.source(x, plan)], plan), atol=1e-5)


def test_norms_and_means_are_the_plain_operations():
    bag = some_bag(5, 2)
    plan = BagPlan(bag, SizeClasses.fit(bag.sizes))
    x, rows = torch.randn(plan.num_pairs, 3), torch.randn(plan.num_places, 4)
    pair = [module.mean_rows(rows, plan.nodes, plan.node_copies) for module in (ops, plain)]
    assert torch.allclose(*pair, atol=1e-6)
    for activated in (False, True):
        weight = torch.stack([torch.linspace(0.5, 1.5, 3) + k for k in range(3)])
        leaves = [[t.clone().requires_grad_() for t in (x, weight)] for _ in range(2)]
        for module, (values, scales) in zip((ops, plain), leaves, strict=True):
            (made,) = module.graph_norm([(values, plan.graph_pair_ptr, scales)], 1e-5, activated=activated)
            (made * torch.arange(3.0)).pow(2).sum().backward()
        for a, b in zip(*leaves, strict=True):
            assert torch.allclose(a.grad, b.grad, rtol=1e-3, atol=1e-3)


def test_two_maps_side_by_side_are_two_maps():
    bag = some_bag(2)
    plan = BagPlan(bag, SizeClasses((1,)))
    both = EquivariantMap(2, (2, 1), 3, 2)
    torch.nn.init.normal_(both.bias)
    pairs, nodes = EquivariantMap(2, 2, 3, 2), EquivariantMap(2, 1, 3, 2)
    pairs.entry = both.entry
    for name, cut in (("place", 6), ("ego", 4), ("bias", 4)):
        whole = getattr(both, name).data
        getattr(pairs, name).data, getattr(nodes, name).data = whole[..., :cut], whole[..., cut:]
    x = torch.randn(plan.num_pairs, 3)
    for a, b in zip(both(x, plan), (pairs(x, plan), nodes(x, plan)), strict=True):
        assert torch.allclose(a, b, atol=1e-6)
    with pytest.raises(InvalidInput, match=r"leads to \(2, 1\)"):
        both.basis_weights()


def test_same_bits_at_any_thread_count(monkeypatch):
    bag = ego_bag(random_graph(300, 900, 1))
    classes = SizeClasses.fit(bag.sizes)
    plan = BagPlan(bag, classes)
    torch.manual_seed(0)
    layer = EquivariantMap(2, 2, 8, 8, num_classes=len(classes))
    found = []
    start = torch.randn(plan.num_pairs, 8)
    for threads in (1, 2):
        for module in (fused, kernels):
            monkeypatch.setattr(module, "kernel_threads", lambda threads=threads: threads)
        x = start.clone().requires_grad_()
        out = layer(x, plan)
        out.square().sum().backward()
        found.append((out.detach(), x.grad))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_size_classes():
    sizes = [1] * 5 + [2] * 200 + [3] * 150 + [5] * 3 + [6] * 120 + [7] * 2 + [9, 12, 31]
    starts = {p: SizeClasses.fit(sizes, policy=p).starts for p in ("each", "frequent", "buckets", "log", "one")}
    assert starts == {
        "each": (1, 2, 3, 5, 6, 7, 9, 12, 31),
        "frequent": (2, 3, 6),
        "buckets": (1, 2, 3, 5, 6, 9, 31),
        "log": (1, 2, 5, 9, 31),
        "one": (1,),
    }
    assert SizeClasses((2, 3, 6)).of([1, 2, 4, 6, 99]).tolist() == [0, 0, 1, 2, 2]
    with pytest.raises(InvalidInput, match="policy must be one of 'buckets'"):
        SizeClasses.fit(sizes, policy="all")
    with pytest.raises(InvalidInput, match="at least one ego network"):
        SizeClasses.fit(np.array([], int))
    with pytest.raises(InvalidType, match="float64"):
        SizeClasses.fit([1.0])
    with pytest.raises(InvalidInput, match="rising"):
        SizeClasses((3, 2))


def test_bad_input_is_named():
    bag = some_bag()
    plan = BagPlan(bag, SizeClasses((1, 3)))
    with pytest.raises(InvalidInput, match=r"maps lead from order 2 or 1 to 2, 1, 0 or \(2, 1\); got 0 -> 2"):
        EquivariantMap(0, 2, 3, 3)
    with pytest.raises(InvalidInput, match=rf"pair features must have shape \({plan.num_pairs}, 3\); got \(3, 3\)"):
        EquivariantMap(2, 0, 3, 3, num_classes=2)(torch.zeros(3, 3), plan)
    with pytest.raises(InvalidType, match=r"pair features are torch\.float64 but the map's weights torch\.float32"):
        EquivariantMap(2, 0, 3, 3, num_classes=2)(torch.zeros(plan.num_pairs, 3).double(), plan)
    with pytest.raises(InvalidInput, match="the plan has 2 size classes but the map 1"):
        EquivariantMap(2, 0, 3, 3)(torch.zeros(plan.num_pairs, 3), plan)
