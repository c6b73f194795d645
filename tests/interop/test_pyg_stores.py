"""PyG's interfaces on a store: what its loaders call, and its loaders themselves."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torch_geometric")

from torch_geometric.data import EdgeAttr, TensorAttr  # noqa: E402
from torch_geometric.loader import LinkLoader, NeighborLoader, NodeLoader  # noqa: E402

import nearhop  # noqa: E402
from nearhop.graphlib.errors import InvalidInput  # noqa: E402
from nearhop.interop import Sampler, pyg_stores  # noqa: E402

N, E = 60, 300


def make(directed=True, **more):
    rng = np.random.default_rng(4)
    store = nearhop.GraphStore.from_edges(*rng.integers(0, N, (2, E)), num_nodes=N, directed=directed, **more)
    store.nodes["x"] = rng.random((N, 8), np.float32)
    store.nodes["y"] = np.arange(N)
    store.nodes["name"] = np.array([f"n{i}" for i in range(N)])
    store.edges["kind"] = rng.integers(0, 5, E)
    return store


@pytest.fixture
def shop():
    made = nearhop.GraphStore.from_typed(
        {"user": 3, "item": 4},
        {("user", "buys", "item"): ([0, 1, 2], [3, 0, 3]), ("item", "with", "item"): ([0, 1], [1, 2])},
    )
    made.nodes("user")["x"] = np.eye(3)
    made.nodes("item")["x"] = np.eye(4)
    return made


def test_features():
    store = make()
    features, _ = pyg_stores(store)
    attrs = features.get_all_tensor_attrs()
    assert [(a.group_name, a.attr_name) for a in attrs] == [(None, "x"), (None, "y")]
    whole = features.get_tensor(group_name=None, attr_name="x", index=None)
    assert whole.data_ptr() == store.nodes["x"].__array_interface__["data"][0]
    part = features.get_tensor(group_name=None, attr_name="x", index=slice(10, 20))
    assert part.data_ptr() == whole[10:].data_ptr()
    for index in (torch.tensor([5, 1, 5]), torch.tensor([5, 1, 5], dtype=torch.int32)):
        got = features.get_tensor(group_name=None, attr_name="x", index=index)
        assert np.array_equal(got.numpy(), store.nodes["x"][[5, 1, 5]])
    assert features.get_tensor_size(group_name=None, attr_name="x", index=None) == (N, 8)
    with pytest.raises(KeyError):
        features.get_tensor(group_name=None, attr_name="z", index=None)


def test_features_for_many_attributes_at_once():
    store = make()
    features, _ = pyg_stores(store)
    attrs = features.get_all_tensor_attrs()
    nodes = torch.tensor([7, 0, 59])
    for attr in attrs:
        attr.index = nodes
    x, y = features.multi_get_tensor(attrs)
    assert np.array_equal(x.numpy(), store.nodes["x"][nodes.numpy()])
    assert y.tolist() == [7, 0, 59]


def test_features_can_be_put_and_removed():
    store = make()
    features, _ = pyg_stores(store)
    assert features.put_tensor(torch.ones(N, 2), group_name=None, attr_name="z", index=None)
    assert store.nodes["z"].shape == (N, 2)
    assert not features.put_tensor(torch.ones(2, 2), group_name=None, attr_name="z", index=torch.tensor([0, 1]))
    assert features.remove_tensor(group_name=None, attr_name="z", index=None)
    assert "z" not in store.nodes
    assert not features.remove_tensor(TensorAttr(None, "z", None))


@pytest.mark.parametrize("directed", [True, False])
def test_adjacency_in_every_layout(directed):
    store = make(directed)
    _, topology = pyg_stores(store)
    (attr,) = topology.get_all_edge_attrs()
    assert (attr.edge_type, attr.size, attr.layout.value) == (None, (N, N), "csc")
    edges = store.edge_list()
    src, dst, ids = edges.src, edges.dst, np.arange(E)
    if not directed:
        back = src != dst
        src, dst, ids = (np.concatenate([a, b[back]]) for a, b in ((src, dst), (dst, src), (ids, ids)))
    expected = sorted(zip(src.tolist(), dst.tolist(), ids.tolist(), strict=True))
    row, pointer, perm = topology.csc()
    assert row.dtype == pointer.dtype == perm.dtype == torch.int64
    col = torch.repeat_interleave(torch.arange(N), pointer.diff())
    assert sorted(zip(row.tolist(), col.tolist(), perm.tolist(), strict=True)) == expected
    pairs = [pair[:2] for pair in expected]
    row, col, _ = topology.coo()
    assert sorted(zip(row.tolist(), col.tolist(), strict=True)) == pairs
    pointer, col, _ = topology.csr()
    row = torch.repeat_interleave(torch.arange(N), pointer.diff())
    assert sorted(zip(row.tolist(), col.tolist(), strict=True)) == pairs
    pointer, col = topology.get_edge_index(edge_type=None, layout="csr")
    assert pointer[-1] == len(pairs)
    row, col = topology.get_edge_index(edge_type=None, layout="coo")
    assert sorted(zip(row.tolist(), col.tolist(), strict=True)) == pairs
    assert torch.equal(col, col.sort().values)


def test_types(shop):
    features, topology = pyg_stores(shop)
    assert {(a.group_name, a.attr_name) for a in features.get_all_tensor_attrs()} == {("user", "x"), ("item", "x")}
    sizes = {attr.edge_type: attr.size for attr in topology.get_all_edge_attrs()}
    assert sizes == {("user", "buys", "item"): (3, 4), ("item", "with", "item"): (4, 4)}
    row, pointer, perm = topology.csc()
    assert row["user", "buys", "item"].tolist() == [1, 0, 2]
    assert pointer["user", "buys", "item"].tolist() == [0, 1, 1, 1, 3]
    assert perm["user", "buys", "item"].tolist() == [1, 0, 2]
    new = EdgeAttr(("item", "seen", "user"), "coo")
    assert topology.put_edge_index((torch.tensor([0]), torch.tensor([2])), new)
    assert shop.num_edges_of(("item", "seen", "user")) == 1
    assert not topology.put_edge_index((torch.tensor([0]), torch.tensor([2])), new)
    assert not topology.remove_edge_index(new)
    with pytest.raises(KeyError):
        topology.get_edge_index(("no", "such", "type"), "coo")


def check_batch(store, batch, seeds):
    nodes = batch.n_id.numpy()
    assert batch.batch_size == len(seeds)
    assert nodes[: len(seeds)].tolist() == list(seeds)
    assert np.array_equal(batch.x.numpy(), store.nodes["x"][nodes])
    assert batch.y.tolist() == nodes.tolist()
    edges = store.edge_list()
    there = nodes[batch.edge_index.numpy()]
    real = np.stack([edges.src[batch.e_id], edges.dst[batch.e_id]])
    same = (there == real).all(0)
    assert (same | (there == real[::-1]).all(0)).all() if not store.directed else same.all()
    assert sum(batch.num_sampled_nodes) == len(nodes)
    assert sum(batch.num_sampled_edges) == batch.num_edges


@pytest.mark.parametrize("directed", [True, False])
def test_node_loader_runs_without_binary_extensions(directed):
    store = make(directed)
    loader = NodeLoader(pyg_stores(store), Sampler(store, [3, -1], seed=1), input_nodes=torch.arange(N), batch_size=25)
    seen = []
    for number, batch in enumerate(loader):
        seeds = range(number * 25, min(N, number * 25 + 25))
        check_batch(store, batch, seeds)
        seen += batch.input_id.tolist()
        degree = torch.bincount(batch.edge_index[1][: batch.num_sampled_edges[0]], minlength=len(seeds))
        full = np.diff(store.csc().indptr)[list(seeds)]
        assert degree[: len(seeds)].tolist() == np.minimum(full, 3).tolist()
    assert seen == list(range(N))


def test_epochs_differ_and_repeat():
    store = make()
    sampler = Sampler(store, [2])
    loader = NodeLoader(pyg_stores(store), sampler, input_nodes=torch.arange(N), batch_size=N)

    def edges(epoch):
        sampler.epoch = epoch
        return next(iter(loader)).e_id.tolist()

    assert edges(0) == edges(0)
    assert edges(0) != edges(1)


def test_workers_and_shuffle():
    store = make()
    loader = NodeLoader(
        pyg_stores(store),
        Sampler(store, [2]),
        input_nodes=torch.arange(0, N, 2),
        batch_size=7,
        shuffle=True,
        num_workers=1,
    )
    batches = list(loader)
    assert sorted(np.concatenate([b.n_id[: b.batch_size] for b in batches]).tolist()) == list(range(0, N, 2))
    check_batch(store, batches[0], batches[0].n_id[:7].tolist())


def test_stored_graph(tmp_path):
    store = make().save(tmp_path / "s.nh")
    loader = NodeLoader(pyg_stores(store), Sampler(store, [2]), input_nodes=torch.arange(10), batch_size=10)
    check_batch(store, next(iter(loader)), range(10))


def test_repeated_seeds_and_trees():
    store = make()
    again = torch.tensor([3, 3, 4])
    with pytest.raises(InvalidInput, match="names a seed twice"):
        next(iter(NodeLoader(pyg_stores(store), Sampler(store, [2]), input_nodes=again, batch_size=3)))
    loader = NodeLoader(pyg_stores(store), Sampler(store, [2], disjoint=True), input_nodes=again, batch_size=3)
    batch = next(iter(loader))
    assert batch.batch[:3].tolist() == [0, 1, 2]
    with pytest.raises(InvalidInput, match="in-neighbours"):
        Sampler(store, [2], direction="out")


def test_times_are_respected():
    from nearhop.sampling import Temporal

    store = make(time=np.arange(E))
    loader = NodeLoader(
        pyg_stores(store),
        Sampler(store, [-1], temporal=Temporal()),
        input_nodes=torch.arange(N),
        input_time=torch.full((N,), 100),
        batch_size=N,
    )
    batch = next(iter(loader))
    assert sorted(batch.e_id.tolist()) == list(range(100))
    assert batch.seed_time.tolist() == [100] * N


def test_link_loader():
    store = make()
    edges = store.edge_list()
    index = torch.from_numpy(np.stack([edges.src[:40], edges.dst[:40]]).astype(np.int64))
    loader = LinkLoader(
        pyg_stores(store),
        Sampler(store, [2]),
        edge_label_index=(None, index),
        edge_label=torch.ones(40),
        batch_size=16,
    )
    for number, batch in enumerate(loader):
        given = index[:, number * 16 : number * 16 + 16]
        assert torch.equal(batch.n_id[batch.edge_label_index], given)
        assert batch.edge_label.tolist() == [1.0] * given.shape[1]
        assert np.array_equal(batch.x.numpy(), store.nodes["x"][batch.n_id.numpy()])


@pytest.mark.skipif(
    not any(importlib.util.find_spec(name) for name in ("pyg_lib", "torch_sparse")),
    reason="needs pyg_lib or torch_sparse",
)
@pytest.mark.parametrize("directed", [True, False])
def test_pygs_own_neighbor_loader(directed):
    store = make(directed)
    loader = NeighborLoader(pyg_stores(store), num_neighbors=[3, 2], input_nodes=torch.arange(N), batch_size=20)
    for number, batch in enumerate(loader):
        check_batch(store, batch, range(number * 20, number * 20 + 20))
