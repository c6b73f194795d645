"""Loaders over several node and edge types, whose batches are HeteroData."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("torch_geometric", reason="needs torch_geometric")

from nearhop import GraphStore  # noqa: E402
from nearhop.graphlib.errors import InvalidInput, InvalidType, NotFound  # noqa: E402
from nearhop.sampling import LinkLoader, NodeLoader, Temporal, TemporalLoader, TypedNeighborSampler  # noqa: E402  # noqa: E402

BUYS, MADE, KNOWS = ("user", "buys", "item"), ("item", "bought by", "user"), ("user", "knows", "user")
SIZES = {"user": 40, "item": 60}


@pytest.fixture(scope="module")
def shop():
    rng = np.random.default_rng(1)
    buys = np.unique(rng.integers(0, [SIZES["user"], SIZES["item"]], (300, 2)), axis=0).T
    knows = np.unique(rng.integers(0, SIZES["user"], (120, 2)), axis=0).T
    store = GraphStore.from_typed(SIZES, {})
    for edge_type, (src, dst) in {BUYS: buys, MADE: buys[::-1], KNOWS: knows}.items():
        store.add_edge_type(edge_type, src, dst, time=rng.integers(0, 50, src.shape[0]), directed=True)
    for name, count in SIZES.items():
        store.nodes(name)["x"] = rng.random((count, 3 if name == "user" else 5), np.float32)
    store.nodes("item")["y"] = np.arange(SIZES["item"]) % 4
    store.edges(BUYS)["price"] = rng.random(buys.shape[1])
    return store


def check(store, batch):
    """Rows are those of the nodes, edges are those of the store."""
    for name in SIZES:
        assert np.array_equal(batch[name].x.numpy(), store.nodes(name)["x"][batch[name].n_id.numpy()])
    for edge_type in batch.edge_types:
        edges, part = store.edge_list(edge_type), batch[edge_type]
        ends = [batch[name].n_id.numpy()[part.edge_index[i].numpy()] for i, name in enumerate(edge_type[::2])]
        assert np.array_equal(ends[0], edges.src[part.e_id])
        assert np.array_equal(ends[1], edges.dst[part.e_id])
        assert sum(part.num_sampled_edges) == part.edge_index.shape[1]


@pytest.mark.parametrize("workers", [0, 2])
def test_node_batches_of_one_type(shop, workers):
    tables = {"user": {"x": "x"}, "item": {"x": "x", "y": "y"}, BUYS: {"price": "price"}}
    loader = NodeLoader(shop, [4, 3], nodes="item", tables=tables, batch_size=25, workers=workers, shuffle=True)
    seen = []
    for batch in loader:
        check(shop, batch)
        item = batch["item"]
        assert item.n_id[: item.batch_size].tolist() == item.input_id.tolist()
        assert "batch_size" not in batch["user"]
        assert item.y.tolist() == (item.n_id % 4).tolist()
        assert np.array_equal(batch[BUYS].price.numpy(), shop.edges(BUYS)["price"][batch[BUYS].e_id.numpy()])
        seen += item.input_id.tolist()
    assert sorted(seen) == list(range(SIZES["item"]))


def test_fanouts_by_type_and_seeds_by_mask(shop):
    mask = np.arange(SIZES["user"]) % 3 == 0
    loader = NodeLoader(shop, {MADE: [2, 0], BUYS: [0, 3]}, nodes=("user", mask), batch_size=100)
    (batch,) = loader
    check(shop, batch)
    assert set(batch.edge_types) == {BUYS, MADE}
    assert batch["user"].n_id[: batch["user"].batch_size].tolist() == np.flatnonzero(mask).tolist()
    assert batch[MADE].num_sampled_edges[1] == batch[BUYS].num_sampled_edges[0] == 0


@pytest.mark.parametrize("edge_type", [BUYS, KNOWS])
def test_links_with_negatives(shop, edge_type):
    linked = set(map(tuple, np.stack([shop.edge_list(edge_type).src, shop.edge_list(edge_type).dst], 1).tolist()))
    loader = LinkLoader(shop, [3], edge_type=edge_type, negatives=2, batch_size=40, seed=3)
    seen = []
    for batch in loader:
        check(shop, batch)
        part = batch[edge_type]
        ends = [batch[name].n_id[part.edge_label_index[i]] for i, name in enumerate(edge_type[::2])]
        count = part.input_id.shape[0]
        edges = shop.edge_list(edge_type)
        assert ends[0][:count].tolist() == edges.src[part.input_id].tolist()
        assert ends[1][:count].tolist() == edges.dst[part.input_id].tolist()
        assert part.edge_label.tolist() == [1.0] * count + [0.0] * 2 * count
        wrong = set(zip(ends[0][count:].tolist(), ends[1][count:].tolist(), strict=True))
        assert not wrong & linked
        seen += part.input_id.tolist()
    assert sorted(seen) == list(range(len(shop.edge_list(edge_type))))


@pytest.mark.parametrize("edge_type", [BUYS, KNOWS])
def test_temporal_batches_see_no_future(shop, edge_type):
    sampler = TypedNeighborSampler(shop, [4, 4], temporal=Temporal())
    edges, before, found = shop.edge_list(edge_type), -1, 0
    for batch in TemporalLoader(shop, sampler, edge_type=edge_type, batch_size=50):
        part = batch[edge_type]
        when = part.edge_label_time.numpy()
        count = part.input_id.shape[0]
        assert when[:count].tolist() == edges.time[part.input_id].tolist()
        assert (np.diff(when[:count], prepend=before) >= 0).all()
        before = when[count - 1]
        order = dict.fromkeys([name for name in SIZES if name in edge_type])  # trees are counted type by type
        times = np.concatenate([when] * (2 if len(order) == 1 else len(order)))
        for kind in batch.edge_types:
            tree = batch[kind[2]].batch.numpy()[batch[kind].edge_index[1].numpy()]
            assert (shop.edge_list(kind).time[batch[kind].e_id] < times[tree]).all()
            found += tree.shape[0]
    assert found > 500


@pytest.mark.parametrize("make", [NodeLoader, LinkLoader])
def test_the_same_with_any_number_of_threads_and_parts(shop, make):
    which = {"nodes": "item"} if make is NodeLoader else {"edge_type": BUYS}

    def run(**options):
        batches = make(shop, [3, 2], **which, seed=2, shuffle=True, **options)
        return [[batch[BUYS].e_id.tolist(), batch["item"].n_id.tolist()] for batch in batches]

    assert run(batch_size=20, workers=0) == run(batch_size=20, workers=3)
    whole = next(iter(make(shop, [3, 2], **which, seed=2, shuffle=True, batch_size=20)))
    kind = "item" if make is NodeLoader else BUYS
    parts = [
        next(iter(make(shop, [3, 2], **which, seed=2, shuffle=True, batch_size=10, part=(rank, 2)))) for rank in (0, 1)
    ]
    together = torch.cat([part[kind].input_id for part in parts])
    assert together.tolist() == whole[kind].input_id.tolist()


def test_wrong_arguments(shop):
    with pytest.raises(NotFound, match=r"nodes must be a node type or .* of 'user', 'item'; got None"):
        NodeLoader(shop, [2])
    with pytest.raises(NotFound, match="got 'shop'"):
        NodeLoader(shop, [2], nodes="shop")
    with pytest.raises(InvalidInput, match=r"nodes\[1\] is 60, but nodes are 0..59"):
        NodeLoader(shop, [2], nodes=("item", [0, 60]))
    with pytest.raises(NotFound, match=r"fanouts name the edge type \('user', 'sells', 'item'\)"):
        NodeLoader(shop, {("user", "sells", "item"): [2]}, nodes="item")
    with pytest.raises(NotFound, match="edge_type must be one of"):
        LinkLoader(shop, [2])
    with pytest.raises(InvalidInput, match="table 'x' of 'item' has 7 rows but the store has 60 nodes of type 'item'"):
        NodeLoader(shop, [2], nodes="item", tables={"item": {"x": np.ones((7, 2))}})
    with pytest.raises(NotFound, match="tables name the type 'brand'"):
        NodeLoader(shop, [2], nodes="item", tables={"brand": {}})
    with pytest.raises(InvalidType, match="tables must map node and edge types"):
        NodeLoader(shop, [2], nodes="item", tables={"x": "x"})
    with pytest.raises(InvalidInput, match="leaks the future"):
        TemporalLoader(shop, TypedNeighborSampler(shop, [2]), edge_type=BUYS)
