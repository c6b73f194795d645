"""Baselines against their formulas on dense matrices, and properties that all of them have."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

import nearhop
from nearhop.gnn.nodes import FullBatch, as_features, consistency_loss, drop_features, normalized_adjacency
from nearhop.gnn.nodes.dropout import drop_into, dropout
from nearhop.gnn.nodes.models import GAT, GCN, GCNII, GRAND, MLP, SGC, SIGN, GraphSAGE, powers
from nearhop.gnn.nodes.models.deep import residual_layers
from nearhop.gnn.nodes.models.gat import Edges, softmax_of_rows
from nearhop.gnn.nodes.models.grand import drop_rows, mean_of_powers
from nearhop.gnn.precision import PRECISIONS
from nearhop.graphlib.errors import InvalidInput, InvalidType
from nearhop.tests.support import needs

N, F, C = 30, 12, 4


def graph(seed=0, order=None):
    """A store with a self-loop, a parallel edge and isolated nodes, its features sparse; nodes renamed by `order`."""
    rng = np.random.default_rng(seed)
    src, dst = rng.integers(0, N - 3, 50), rng.integers(0, N - 3, 50)
    src, dst = np.append(src, [1, 1, 2]), np.append(dst, [2, 2, 2])
    x = (rng.random((N, F)) < 0.2) * rng.random((N, F))
    if order is not None:
        names = np.argsort(order)  # node order[i] of the first graph is node i here
        src, dst, x = names[src], names[dst], x[order]
    store = nearhop.GraphStore.from_edges(src, dst, num_nodes=N)
    return store, x.astype(np.float32)


def dense(matrix):
    return torch.from_numpy(matrix.matrix.to_scipy().toarray())


def gcn_matrix(store):
    a = np.zeros((N, N))
    rows = store.csr()
    a[np.repeat(np.arange(N), rows.degrees()), rows.indices] = 1
    np.fill_diagonal(a, 1)
    scale = 1 / np.sqrt(a.sum(1))
    return torch.from_numpy((scale[:, None] * a * scale).astype(np.float32)), a


def test_the_adjacency_is_symmetric_normalised_without_repeats():
    store, _ = graph()
    wanted, a = gcn_matrix(store)
    torch.testing.assert_close(dense(normalized_adjacency(store)), wanted)
    np.fill_diagonal(a, 0)
    mean = a / np.maximum(a.sum(1, keepdims=True), 1)
    torch.testing.assert_close(dense(normalized_adjacency(store, "mean")), torch.from_numpy(mean.astype(np.float32)))
    with pytest.raises(InvalidInput, match='"gcn" or "mean"'):
        normalized_adjacency(store, "sum")


def test_rows_are_normalised_by_a_vector():
    """A diagonal matrix n x n would take 160 GB here; rows of zeros stay, and nothing of the user's is changed."""
    x = np.zeros((200_000, 5), np.float32)
    x[::2, 1] = 3.0
    x[::4, 2] = 1.0
    before = x.copy()
    made = as_features(x).matrix.to_scipy()
    assert made[[0]].toarray().tolist() == [[0, 0.75, 0.25, 0, 0]]
    assert made[[1]].nnz == 0
    assert np.array_equal(x, before)
    full = as_features(np.full((4, 2), 0.2))
    assert isinstance(full, torch.Tensor)
    assert full.tolist() == [[0.5, 0.5]] * 4
    assert as_features(made.toarray(), normalize=None).matrix.num_entries == made.nnz


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        (np.ones(3), InvalidType, "real numbers"),
        (np.array([["a"]]), InvalidType, "real numbers"),
        (np.full((3, 3), np.nan), InvalidInput, "must be finite"),
        (np.diag([np.inf, 1, 1, 1, 1, 1]), InvalidInput, "must be finite"),
    ],
)
def test_features_that_cannot_be(given, error, match):
    with pytest.raises(error, match=match):
        as_features(given)


@pytest.mark.parametrize("share", [0.1, 0.6])
def test_sparse_features_of_any_order_are_read_and_left_alone(share):
    """Entries of one place are added up, in a dense matrix too; arrays may be read-only, such as memory maps."""
    rng = np.random.default_rng(0)
    count = int(share * N * F)
    rows, columns = np.sort(rng.integers(0, N, count)), rng.integers(0, F, count)
    indptr = np.searchsorted(rows, np.arange(N + 1))
    arrays = rng.random(count, np.float32), columns.astype(np.int32), indptr.astype(np.int32)
    before = [part.copy() for part in arrays]
    for part in arrays:
        part.flags.writeable = False
    given = sp.csr_array(arrays, shape=(N, F))
    assert not given.has_canonical_format
    made = as_features(given, normalize=None)
    assert isinstance(made, torch.Tensor) == (share > 0.5)
    torch.testing.assert_close(made if share > 0.5 else dense(made), torch.from_numpy(given.toarray()))
    for part, kept in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(part, kept)


def models(features):
    """A model of every kind, and the matrix that it is called with."""
    torch.manual_seed(0)
    made = {
        "mlp": MLP(features, 8, C),
        "gcn": GCN(features, 8, C, num_layers=3),
        "sage": GraphSAGE(features, 8, C),
        "gat": GAT(features, 4, C, heads=2, out_heads=2),
        "gcnii": GCNII(features, 8, C, num_layers=4),
        "grand": GRAND(features, 8, C, order=3),
        "grand-bn": GRAND(features, 8, C, order=3, batch_norm=True),
    }
    return {name: (model.eval(), "mean" if name == "sage" else "gcn") for name, model in made.items()}


def test_renaming_nodes_renames_scores():
    order = np.random.default_rng(1).permutation(N)
    (one, x), (other, renamed) = graph(), graph(order=order)
    for name, (model, kind) in models(F).items():
        first = model(as_features(x), normalized_adjacency(one, kind))
        second = model(as_features(renamed), normalized_adjacency(other, kind))
        torch.testing.assert_close(second, first[order], atol=1e-5, rtol=1e-4, msg=name)
        assert first.isfinite().all()


def test_sparse_and_dense_features_give_the_same_scores_and_gradients():
    store, x = graph()
    for name, (model, kind) in models(F).items():
        adjacency = normalized_adjacency(store, kind)
        found = []
        for features in (as_features(x), torch.from_numpy(dense(as_features(x)).numpy())):
            model.zero_grad()
            scores = model(features, adjacency)
            scores.square().sum().backward()
            found.append([scores.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)])
        for a, b in zip(*found, strict=True):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4, msg=name)


def test_gcn_is_its_formula():
    store, x = graph()
    p, _ = gcn_matrix(store)
    rows = dense(as_features(x))
    model = GCN(F, 8, C, branches=2).eval()
    parts: Any = model.first
    a, b = parts
    hidden = torch.relu(torch.cat([p @ rows @ a.weight, p @ rows @ b.weight], 1) + model.first_bias)
    last, bias = model.rest[0], model.biases[0]
    assert tuple(last.weight.shape) == (16, C), "a hidden size is that of one branch"
    wanted = p @ last(hidden) + bias
    torch.testing.assert_close(model([as_features(x), rows], normalized_adjacency(store)), wanted)
    with pytest.raises(InvalidInput, match="2 branches; got 1 feature"):
        model(rows, normalized_adjacency(store))


def test_sage_gcnii_and_grand_are_their_formulas():
    store, x = graph()
    p, _ = gcn_matrix(store)
    rows, features = dense(as_features(x)), as_features(x)
    mean = normalized_adjacency(store, "mean")
    sage = GraphSAGE(F, 8, C).eval()
    h = rows
    for number in range(2):
        own, mixed = sage.own[number], sage.mixed[number]
        h = torch.relu(h) if number else h
        h = own(h) + dense(mean) @ mixed(h)
    torch.testing.assert_close(sage(features, mean), h, atol=1e-5, rtol=1e-4)

    deep = GCNII(F, 8, C, num_layers=3, alpha=0.2, lam=0.7).eval()
    h = start = torch.relu(deep.first[0](rows))
    for number in range(3):
        near = math.log(0.7 / (number + 1) + 1)
        support = 0.8 * p @ h + 0.2 * start
        h = torch.relu(support @ ((1 - near) * torch.eye(8) + near * deep.maps[number]))
    torch.testing.assert_close(deep(features, normalized_adjacency(store)), deep.last(h), atol=1e-5, rtol=1e-4)

    grand = GRAND(F, 8, C, order=3).eval()
    spread = (rows + p @ rows + p @ p @ rows + p @ p @ p @ rows) / 4
    torch.testing.assert_close(
        grand(features, normalized_adjacency(store)), grand.last(torch.relu(grand.first(spread))), atol=1e-5, rtol=1e-4
    )


def test_grand_drops_whole_nodes_and_scales_the_others_up():
    store, x = graph()
    rows = as_features(x)
    torch.manual_seed(3)
    kept = dense(drop_rows(rows, 0.5))
    torch.manual_seed(3)
    torch.testing.assert_close(drop_rows(dense(rows), 0.5), kept)
    whole = dense(rows)
    for i in range(N):
        assert torch.equal(kept[i], 2 * whole[i]) or not kept[i].any()
    assert drop_rows(rows, 0.0) is rows
    model = GRAND(F, 8, C, order=2, drop_node=0.0, input_dropout=0.0, hidden_dropout=0.0)
    first = model(rows, normalized_adjacency(store))
    torch.testing.assert_close(model.eval()(rows, normalized_adjacency(store)), first)
    torch.testing.assert_close(mean_of_powers(whole, normalized_adjacency(store), 0), whole)


@pytest.mark.parametrize("sparse", [True, False])
def test_released_grand_reads_rows_as_they_are_and_scales_all_of_them_down_when_judged(sparse):
    store, x = graph()
    adjacency, rows = normalized_adjacency(store), as_features(x)
    scaled = as_features(0.25 * dense(rows).numpy(), normalize=None)
    if not sparse:
        rows, scaled = dense(rows), dense(scaled)
    paper, released = (
        GRAND(F, 8, C, order=2, drop_node=0.75, input_dropout=0.0, hidden_dropout=0.0, compat=compat)
        for compat in (None, "released")
    )
    released.load_state_dict(paper.state_dict())
    for training in (True, False):
        paper.train(training), released.train(training)
        torch.manual_seed(5)
        wanted = paper(scaled, adjacency)
        torch.manual_seed(5)
        torch.testing.assert_close(released(rows, adjacency), wanted)
    with pytest.raises(InvalidInput, match="compat must be \"released\" or None; got 'paper'"):
        GRAND(F, 8, C, compat="paper")


def test_grand_without_dropped_nodes_spreads_a_matrix_once(monkeypatch):
    from nearhop.gnn.nodes.models import grand as room

    store, x = graph()
    adjacency, rows, other = normalized_adjacency(store), as_features(x), dense(as_features(x)).clone()
    model = GRAND(F, 8, C, order=2, drop_node=0.0, hidden_dropout=0.0)
    counted = []
    monkeypatch.setattr(room, "mean_of_powers", lambda *given: counted.append(1) or mean_of_powers(*given))

    def scores(features, number=7):
        torch.manual_seed(number)
        return model(features, adjacency)

    first = scores(rows)
    for _ in range(3):
        torch.testing.assert_close(scores(rows), first)
        torch.testing.assert_close(scores(other), first)
    assert len(counted) == 2
    other *= 2
    assert not torch.allclose(scores(other), first), "features that were written into are read anew"
    wanted = scores(other)
    model.drop_node = 0.5
    assert not torch.allclose(scores(rows), scores(rows, 8))
    model.drop_node = 0.0
    torch.testing.assert_close(copy.deepcopy(model)(other, adjacency).detach() * 0 + scores(other), wanted)
    assert copy.deepcopy(model)._spreads == []
    asked = other.clone().requires_grad_()
    scores(asked).sum().backward()
    scores(asked).sum().backward()
    assert asked.grad is not None


def test_gat_between_its_layers():
    store, x = graph()
    adjacency, rows = normalized_adjacency(store), as_features(x)
    model = GAT(F, 4, C, heads=2, alpha=0.2).eval()
    edges = Edges.of(adjacency)
    h = torch.cat([layer(rows, edges).flatten(1) for layer in model.first], 1)
    h = torch.where(h > 0, h, 0.2 * torch.expm1(h))
    torch.testing.assert_close(model(rows, adjacency), model.last(h, edges).mean(1))


@needs("torch_geometric")
def test_gat_is_that_of_pyg():
    from torch_geometric.nn import GATConv

    store, x = graph()
    adjacency, rows = normalized_adjacency(store), dense(as_features(x))
    edges = Edges.of(adjacency)
    model = GAT(F, 4, C, heads=3).eval()
    other = GATConv(F, 4, heads=3, add_self_loops=False)
    layer: Any = model.first[0]
    with torch.no_grad():
        other.lin.weight.copy_(layer.linear.weight.t())
        other.att_src.copy_(layer.source[None])
        other.att_dst.copy_(layer.toward[None])
        other.bias.zero_()
    wanted = other(rows, torch.stack([edges.column, edges.row]))
    torch.testing.assert_close(layer(as_features(x), edges).flatten(1), wanted, atol=1e-5, rtol=1e-4)
    with pytest.raises(InvalidInput, match="cannot be shared out"):
        GAT(F, 4, C, heads=3, branches=2)


def test_attention_of_a_row_sums_to_one_at_any_scale():
    store, _ = graph()
    edges = Edges.of(normalized_adjacency(store))
    weights = softmax_of_rows(1e4 * torch.randn(edges.row.shape[0], 2), edges)
    sums = torch.zeros(N, 2).index_add(0, edges.row, weights)
    torch.testing.assert_close(sums, torch.ones(N, 2))


def test_powers_sgc_and_sign():
    store, x = graph()
    p, _ = gcn_matrix(store)
    rows = dense(as_features(x))
    made = powers(as_features(x), normalized_adjacency(store), 2)
    for found, wanted in zip(made, (rows, p @ rows, p @ p @ rows), strict=True):
        torch.testing.assert_close(found, wanted)
    assert SGC(F, C)(made[2]).shape == (N, C)
    sign = SIGN(F, 8, C, num_powers=3).eval()
    torch.testing.assert_close(sign(*made), sign(made))
    assert sign(*(part[:5] for part in made)).shape == (5, C)


def test_powers_of_what_is_not_floats():
    """Integers and truth values were multiplied in float32 and cut back to what they were."""
    adjacency = normalized_adjacency(graph()[0])
    for given in (torch.eye(N, dtype=torch.int64), torch.eye(N, dtype=torch.bool), np.eye(N)):
        with pytest.raises(InvalidType, match="multiplied with a tensor of floats; got"):
            powers(given, adjacency, 1)
    half = powers(torch.eye(N, dtype=torch.bfloat16), adjacency, 1)[1]
    torch.testing.assert_close(half.float(), dense(adjacency), atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: GCN(F, 8, C, num_layers=1), "num_layers must be an integer >= 2; got 1"),
        (lambda: GCN(F, 8, C, branches=0), "branches must be an integer >= 1; got 0"),
        (lambda: MLP(F, 8, C, num_layers=0), "num_layers must be an integer >= 1; got 0"),
        (lambda: MLP(F, 8, C, dropout=1.5), r"dropout must be a number in \[0, 1\); got 1.5"),
        (lambda: GraphSAGE(F, 8, C, num_layers=0), "num_layers must be an integer >= 1; got 0"),
        (lambda: GAT(F, 8, C, heads=0), "heads must be an integer >= 1; got 0"),
        (lambda: GCNII(F, 8, C, alpha=3.0), r"alpha must be a number in \[0, 1\]; got 3.0"),
        (lambda: GCNII(F, 8, C, lam=-1), "lam must be a number > 0; got -1"),
        (lambda: GRAND(F, 8, C, order=-1), "order must be an integer >= 0; got -1"),
        (lambda: GRAND(F, 8, C, drop_node=-0.5), r"drop_node must be a number in \[0, 1\); got -0.5"),
        (lambda: SIGN(F, 8, C, num_powers=0), "num_powers must be an integer >= 1; got 0"),
        (lambda: SIGN(F, 8, C, num_powers=2)(*[torch.ones(3, F)] * 3), r"reads num_powers=2 matrices.*; got 3"),
    ],
)
def test_sizes_and_shares_that_cannot_be(build, said):
    """Some of them made another model, or one of zeros, without a word."""
    with pytest.raises(InvalidInput, match=said):
        build()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_of_dense_rows(dtype):
    """Shares as asked for, by chi-square; entries kept are whole; every entry independent of its neighbour."""
    for p in (0.5, 0.6, 0.1):
        x = torch.full((301, 333), 1.5, dtype=dtype)
        out = torch.empty_like(x)
        drop_into(x, out, p, 7)
        assert set(out.unique().tolist()) == {0.0, 1.5}
        kept = (out != 0).flatten().numpy()
        n = kept.shape[0]
        assert (kept.sum() - n * (1 - p)) ** 2 / (n * p * (1 - p)) < 10.83  # chi-square, 0.1 %
        both = (kept[1:] & kept[:-1]).sum()
        expected = (n - 1) * (1 - p) ** 2
        assert abs(both - expected) < 4 * np.sqrt(n * (1 - p) ** 2)
        other = torch.empty_like(x)
        drop_into(x, other, p, 8)
        assert not torch.equal(out, other)
        drop_into(x, other, p, 7)
        assert torch.equal(out, other)


def test_dropout_scales_up_and_leaves_evaluation_alone():
    x = torch.ones(50, 40)
    torch.manual_seed(0)
    dropped = drop_features(x, 0.75, True)
    assert sorted(dropped.unique().tolist()) == [0.0, 4.0]
    assert drop_features(x, 0.75, False) is x
    torch.manual_seed(0)
    assert torch.equal(drop_features(x, 0.75, True), dropped)
    _, features = graph()
    sparse: Any = as_features(features)
    kept = drop_features(sparse, 0.5, True).matrix.values
    assert set((kept / sparse.matrix.values).round(4).tolist()) <= {0.0, 2.0}


def test_powers_of_wide_matrices_go_by_columns():
    adjacency = normalized_adjacency(graph()[0], "mean")  # not symmetric
    p, x = dense(adjacency), torch.randn(N, 150, requires_grad=True)
    for order in (2, 3):
        made = mean_of_powers(x, adjacency, order)
        wanted = sum((torch.linalg.matrix_power(p, k) @ x for k in range(1, order + 1)), x) / (order + 1)
        assert type(made.grad_fn).__name__ == "_MeanOfPowersBackward"
        torch.testing.assert_close(made, wanted)
        given = torch.randn(N, 150)
        torch.testing.assert_close(*(torch.autograd.grad(found, x, given)[0] for found in (made, wanted)))


def test_the_gradient_of_dropout_drops_the_same_entries():
    x = torch.randn(70, 90, requires_grad=True)
    torch.manual_seed(1)
    made = dropout(x, 0.3, True)
    factors = torch.where(made == 0, 0.0, 1 / 0.7)
    torch.testing.assert_close(made, x * factors)
    made.backward(torch.full_like(x, 2.0))
    assert x.grad is not None
    torch.testing.assert_close(x.grad, 2 * factors)
    assert dropout(x, 0.3, False) is x
    assert dropout(x.double(), 0.3, True).dtype == torch.float64


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("bfloat16", 5e-2)])
@pytest.mark.parametrize("p", [0.0, 0.4])
def test_layers_of_gcnii_are_those_of_torch(precision, tolerance, p):
    """Forward and backward against autograd, with the entries dropped that the kernels dropped; an odd width."""
    adjacency = normalized_adjacency(graph()[0])
    torch.manual_seed(2)
    h, start = torch.rand(N, 37, requires_grad=True), torch.rand(N, 37, requires_grad=True)
    maps = [torch.randn(37, 37).div(6).requires_grad_() for _ in range(3)]
    inputs, options = [h, start, *maps], {"alpha": 0.2, "lam": 0.7, "dropout": p, "dtype": PRECISIONS[precision]}
    torch.manual_seed(3)
    made = residual_layers(h, start, adjacency, maps, **options)
    masks = [torch.from_numpy(kept).float() / (1 - p) if p else torch.ones(N, 37) for kept in made.grad_fn.saved[0]]
    given = torch.randn(N, 37)
    found = torch.autograd.grad(made, inputs, given)
    x = h
    for number, (weight, kept) in enumerate(zip(maps, masks, strict=True), 1):
        near = math.log(0.7 / number + 1)
        support = 0.8 * (dense(adjacency) @ x) + 0.2 * start
        x = torch.relu((1 - near) * support + near * support @ weight) * kept
    torch.testing.assert_close(made, x, atol=tolerance, rtol=tolerance)
    for a, b in zip(found, torch.autograd.grad(x, inputs, given), strict=True):
        assert (a - b).norm() < tolerance * b.norm()
    torch.manual_seed(3)
    assert torch.equal(
        residual_layers(h.detach(), start.detach(), adjacency, [w.detach() for w in maps], **options), made
    )
    share = torch.stack(masks).eq(0).float().mean().item()
    assert (share > 0.3) == bool(p)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("p", [0.0, 0.4])
def test_what_is_not_a_number_stays_so_through_gcnii(precision, p):
    """Else a training whose weights are no numbers any more has a finite loss."""
    adjacency, h = normalized_adjacency(graph()[0]), torch.rand(N, 40)
    h[0] = torch.nan
    maps, options = [torch.eye(40)], {"alpha": 0.0, "lam": 0.5, "dropout": p, "dtype": PRECISIONS[precision]}
    found = residual_layers(h, h, adjacency, maps, **options).isnan()
    assert found[0].any()
    assert not found[N - 1].any()


def test_gcnii_elsewhere_and_with_unknown_precision():
    """What other devices compute with torch is the same."""
    store, x = graph()
    adjacency, model = normalized_adjacency(store), GCNII(F, 8, C, num_layers=3).eval()
    wanted = model(as_features(x), adjacency)
    first: Any = model.first[0]
    start = torch.relu(as_features(x) @ first.weight + first.bias)
    torch.testing.assert_close(model.last(model._layers(start, adjacency)), wanted, atol=1e-5, rtol=1e-4)
    with pytest.raises(InvalidInput, match="precision must be one of 'float32', 'bfloat16', 'auto'; got 'half'"):
        GCNII(F, 8, C, precision="half")


def test_consistency_pulls_views_towards_their_sharpened_mean():
    one, other = torch.randn(5, 3, requires_grad=True), torch.randn(5, 3)
    p = torch.stack([torch.softmax(one, 1), torch.softmax(other, 1)])
    mean = p.mean(0)
    sharp = (mean**2 / (mean**2).sum(1, keepdim=True)).detach()
    wanted = torch.stack([((part - sharp) ** 2).sum(1).mean() for part in p]).mean()
    found = consistency_loss([one, other], 0.5)
    torch.testing.assert_close(found, wanted)
    (gradient,) = torch.autograd.grad(found, one)
    torch.testing.assert_close(gradient, torch.autograd.grad(wanted, one)[0])
    assert consistency_loss([torch.zeros(1, 500)] * 2, 0.01).item() == 0  # a hundredth power of 1 / 500
    for scores, temperature in (([], 0.5), ([one], 0), ([one], "a")):
        with pytest.raises(InvalidInput, match=r"at least one|temperature must be a number > 0"):
            consistency_loss(scores, temperature)


def test_several_views_in_a_full_batch():
    store, x = graph()
    torch.manual_seed(0)
    module = GCN(F, 8, C)
    inputs = as_features(x), normalized_adjacency(store)
    nodes, labels = torch.arange(5), torch.arange(5) % C
    torch.manual_seed(1)
    found = FullBatch(module, *inputs, samples=3, consistency=0.5).loss(nodes, labels)
    torch.manual_seed(1)
    views = [module(*inputs) for _ in range(3)]
    wanted = sum(torch.nn.functional.cross_entropy(view[nodes], labels) for view in views) / 3
    torch.testing.assert_close(found, wanted + 0.5 * consistency_loss(views, 0.5))
    for options, match in (
        ({"samples": 0}, "samples must be"),
        ({"consistency": -1}, "consistency must be"),
        ({"temperature": 0}, "temperature must be"),
    ):
        with pytest.raises(InvalidInput, match=match):
            FullBatch(module, *inputs, **options)
