"""Graph classifiers: blind to numbering, deaf to the rest of the batch, able to learn, and steady."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from nearhop import GraphStore
from nearhop.datasets.graphs import GraphSet
from nearhop.gnn import SPEN
from nearhop.gnn.graphs import GIN, IGN, Fold, NodeGraphs, TrainOptions, cross_validate, stratified_folds
from nearhop.gnn.graphs.ign import _largest
from nearhop.gnn.spen import EgoGraphs, SizeClasses, kernels
from nearhop.graphlib.errors import InvalidInput


def some_graphs(count=12, seed=0, permuted=False):
    """Random graphs with tags; `permuted` numbers the nodes of each anew."""
    rng, order = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    stores = []
    for _ in range(count):
        n = int(rng.integers(2, 12))
        ends, tags = rng.integers(0, n, (2, 2 * n)), rng.integers(0, 3, n)
        p = order.permutation(n) if permuted else np.arange(n)
        store = GraphStore.from_edges(p[ends[0]], p[ends[1]], num_nodes=n)
        store.nodes["tag"] = np.zeros(n, np.int64)
        store.nodes["tag"][p] = tags
        stores.append(store)
    return GraphSet.of(stores, np.arange(count) % 2)


def contenders(graphs):
    ego, whole = EgoGraphs(graphs), EgoGraphs(graphs, hops=None)
    sizes = SizeClasses.fit(ego.bag.sizes, min_count=5)
    found = {
        f"SPEN {orders} {norm}": (
            lambda orders=orders, norm=norm: SPEN(
                graphs.num_tags, 2, sizes=sizes, hidden=(8, 6), orders=orders, norm=norm
            ),
            ego,
        )
        for orders, norm in (((1, 2), "graph"), ((1, 2), "none"), ((1,), "graph"), ((2,), "graph"))
    }
    found["SPEN with residuals"] = (
        lambda: SPEN(graphs.num_tags, 2, sizes=sizes, hidden=(8, 6), residual=True),
        ego,
    )
    wide = EgoGraphs(graphs, hops=2)
    two = SizeClasses.fit(wide.bag.sizes, policy="log")
    found["SPEN of two hops"] = (lambda: SPEN(graphs.num_tags, 2, sizes=two, hidden=(8, 6)), wide)
    found["GIN"] = (lambda: GIN(graphs.num_tags, 2, hidden=8), NodeGraphs(graphs))
    found["IGN"] = (lambda: IGN(graphs.num_tags, 2, hidden=(8, 6)), whole)
    return found


NAMES = list(contenders(some_graphs(4)))


@pytest.mark.parametrize("name", NAMES)
def test_numbering_and_company_do_not_matter(name):
    first, second = contenders(some_graphs())[name], contenders(some_graphs(permuted=True))[name]
    torch.manual_seed(0)
    model = first[0]().eval()
    for parameter in model.parameters():  # biases that are zero would hide themselves
        torch.nn.init.normal_(parameter, 0.0, 0.3)
    ids = np.arange(12)
    with torch.no_grad():
        scores = model(model.batch(first[1], ids))
        assert torch.allclose(model(model.batch(second[1], ids)), scores, atol=1e-5, rtol=1e-5)
        some = np.array([7, 2, 11])
        assert torch.allclose(model(model.batch(first[1], some)), scores[some], atol=1e-5, rtol=1e-5)
    assert scores.std(0).min() > 1e-3  # graphs are told apart


def test_equal_entries_share_the_gradient_of_ign():
    graphs = some_graphs(5)
    torch.manual_seed(0)
    data, model = EgoGraphs(graphs, hops=None), IGN(graphs.num_tags, 2, hidden=(4, 3))
    batch = model.batch(data, np.arange(5))
    x = torch.zeros(batch.pairs.shape[0], 3, requires_grad=True)  # all of a graph's entries are its largest
    found = _largest(x, batch.plan)
    assert found.shape == (5, 6)
    found.sum().backward()
    for first, last in pairwise(batch.plan.graph_pair_ptr.tolist()):
        parts = 1 + (last - first > 1)  # the diagonal, and what is off it
        assert torch.allclose(x.grad[first:last].sum(0), torch.full((3,), float(parts)))


def rings_and_paths(count=24):
    """Rings of six against two rings of three: alike for message passing, as every node has two neighbours."""
    one = GraphStore.from_edges([0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 0])
    two = GraphStore.from_edges([0, 1, 2, 3, 4, 5], [1, 2, 0, 4, 5, 3])
    return GraphSet.of([one, two] * (count // 2), [0, 1] * (count // 2))


def test_spen_sees_what_message_passing_cannot():
    graphs = rings_and_paths()
    options = TrainOptions(epochs=20, batch_size=4, learning_rate=0.01)
    folds = stratified_folds(graphs.labels, num_folds=2)
    ego = EgoGraphs(graphs)
    sizes = SizeClasses.fit(ego.bag.sizes)
    curves = cross_validate(
        lambda train: SPEN(1, 2, sizes=sizes, hidden=(4, 4), head=(8,), dropout=0), ego, graphs.labels, folds, options
    )
    assert curves.select("last10").mean == 1.0
    gin = cross_validate(lambda train: GIN(1, 2, hidden=4), NodeGraphs(graphs), graphs.labels, folds, options)
    assert gin.select("last10").mean == 0.5


def test_training_is_steady_and_the_models_see_training_graphs_only(monkeypatch):
    graphs = some_graphs(24)
    ego = EgoGraphs(graphs)
    fold = Fold(np.arange(16), np.arange(16, 24))
    seen, told = [], []

    def build(train):
        seen.append(train)
        return SPEN(graphs.num_tags, 2, sizes=SizeClasses.fit(ego.sizes_of(train)), hidden=(8, 8))

    monkeypatch.setattr(kernels, "_LARGE", 0)
    curves = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        before = torch.random.get_rng_state()
        options = TrainOptions(epochs=3, batch_size=5, validation=True)
        curves.append(
            cross_validate(build, ego, graphs.labels, [fold], options, progress=lambda *facts: told.append(facts))
        )
        assert torch.equal(torch.random.get_rng_state(), before)
        assert torch.get_num_threads() == threads
    torch.set_num_threads(1)
    assert told[:3] == told[3:]
    assert [facts[:2] for facts in told[:3]] == [(0, 0), (0, 1), (0, 2)]
    assert np.array_equal(curves[0].test, curves[1].test)
    assert np.isin(seen[0], fold.train).all()
    assert len(seen[0]) == 14  # two of sixteen validate
    assert curves[0].select("nested").folds.shape == (1,)


def test_inputs_of_ego_networks():
    path = GraphStore.from_edges([0, 1], [1, 2])
    path.nodes["tag"] = np.array([4, 6, 4])
    data = EgoGraphs(GraphSet.of([path], [0]))
    batch = data.batch([0], SizeClasses((1,)))
    pairs = data.bag.pairs.tolist()
    half = 0.5**0.5
    expected = {(0, 1): [half] * 3, (0, 2): [0] * 3, (0, 0): [0, 1, 0], (1, 1): [0, 0, 1]}
    for pair, row in expected.items():
        assert np.allclose(batch.pairs[pairs.index(list(pair))], row)
    assert batch.nodes.tolist() == [[1, 0], [0, 1], [1, 0]]


def test_bad_options_are_named():
    sizes = SizeClasses((1,))
    for options, said in (
        ({"hidden": ()}, "hidden needs at least one width"),
        ({"hidden": (8, 0)}, r"hidden\[1\] must be an integer >= 1; got 0"),
        ({"orders": (3,)}, r"orders must be \(1, 2\), \(1,\) or \(2,\); got \(3,\)"),
        ({"norm": "batch"}, "norm must be one of 'graph', 'none'; got 'batch'"),
        ({"dropout": 1.0}, r"dropout must be a number in \[0, 1\); got 1.0"),
    ):
        with pytest.raises(InvalidInput, match=said):
            SPEN(3, 2, sizes=sizes, **options)
    for options, said in (
        ({"epochs": 0}, "epochs must be an integer >= 1; got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be > 0"),
        ({"reduction": "none"}, 'reduction must be "sum" or "mean"'),
    ):
        with pytest.raises(InvalidInput, match=said):
            TrainOptions(**options)


def test_residuals_are_added_before_elu_where_widths_agree():
    graphs = some_graphs()
    data = EgoGraphs(graphs)
    sizes = SizeClasses.fit(data.bag.sizes)
    torch.manual_seed(0)
    model = SPEN(graphs.num_tags, 2, sizes=sizes, hidden=(6, 6, 4), residual=True).eval()
    batch = model.batch(data, np.arange(5))
    first, second, third = model.layers
    nodes, pairs, before = first(None, batch.pairs, batch.plan, {})
    assert before[2].shape[1] == before[1].shape[1] == 12  # twice as wide: it has but one source
    alone, summed = (second(nodes, pairs, batch.plan, given)[2] for given in ({}, before))
    for order in (1, 2):
        assert torch.allclose(summed[order], alone[order] + before[order])
    narrow = (third(nodes, pairs, batch.plan, given)[2] for given in ({}, before))
    assert all(torch.equal(a, b) for a, b in zip(*(made.values() for made in narrow), strict=True))
