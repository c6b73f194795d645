"""nearhop's samplers inside PyG's own loaders."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("torch_geometric", reason="needs torch_geometric")

from torch_geometric.data import Data  # noqa: E402
from torch_geometric.loader import LinkLoader, LinkNeighborLoader, NeighborLoader, NodeLoader  # noqa: E402
from torch_geometric.sampler import NegativeSampling  # noqa: E402

from nearhop import GraphStore  # noqa: E402
from nearhop.graphlib.convert import from_pyg, to_pyg  # noqa: E402
from nearhop.graphlib.errors import InvalidInput  # noqa: E402
from nearhop.interop.pyg_backend import pyg_stores  # noqa: E402
from nearhop.interop.pyg_sampler import Sampler  # noqa: E402
from nearhop.sampling import Temporal  # noqa: E402

N, E = 80, 400
BUYS, MADE = ("user", "buys", "item"), ("item", "bought by", "user")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    index = torch.from_numpy(np.unique(rng.integers(0, N, (E, 2)), axis=0).T.copy())
    return Data(x=torch.rand(N, 4), edge_index=index, edge_attr=torch.rand(index.shape[1], 2), num_nodes=N)


@pytest.fixture(scope="module")
def shop():
    rng = np.random.default_rng(0)
    src, dst = np.unique(rng.integers(0, [30, 40], (250, 2)), axis=0).T
    store = GraphStore.from_typed({"user": 30, "item": 40}, {})
    for edge_type, ends in {BUYS: (src, dst), MADE: (dst, src)}.items():
        store.add_edge_type(edge_type, *ends, time=rng.integers(0, 20, src.shape[0]), directed=True)
    store.nodes("user")["x"], store.nodes("item")["x"] = rng.random((30, 3)), rng.random((40, 2))
    store.edges(BUYS)["attr"] = np.arange(src.shape[0])
    return store


@pytest.mark.parametrize("workers", [0, 2])
def test_two_lines_change_in_a_neighbor_loader(data, workers):
    sampler = Sampler(from_pyg(data, directed=True), [5, 3])
    loader = NeighborLoader(
        data, [5, 3], neighbor_sampler=sampler, input_nodes=torch.arange(N), batch_size=30, num_workers=workers
    )
    batches = list(loader)
    assert [batch.batch_size for batch in batches] == [30, 30, 20]
    for batch in batches:
        assert torch.equal(batch.x, data.x[batch.n_id])
        assert torch.equal(batch.n_id[batch.edge_index], data.edge_index[:, batch.e_id])
        assert torch.equal(batch.edge_attr, data.edge_attr[batch.e_id])


def pairs_of(index):
    return set(map(tuple, index.T.tolist()))


@pytest.mark.parametrize("disjoint", [False, True])
@pytest.mark.parametrize("amount", [1, 0.5, 2])
def test_binary_negatives_are_no_edges(data, amount, disjoint):
    sampler = Sampler(from_pyg(data, directed=True), [4], disjoint=disjoint, seed=5)
    loader = LinkNeighborLoader(
        data,
        [4],
        neighbor_sampler=sampler,
        edge_label_index=data.edge_index,
        neg_sampling=NegativeSampling("binary", amount),
        batch_size=64,
    )
    negatives = []
    for number, batch in enumerate(loader):
        given = data.edge_index[:, 64 * number : 64 * number + 64]
        count, wanted = given.shape[1], int(np.ceil(given.shape[1] * amount))
        ends = batch.n_id[batch.edge_label_index]
        assert torch.equal(ends[:, :count], given)
        assert batch.edge_label.tolist() == [1.0] * count + [0.0] * wanted
        assert not pairs_of(ends[:, count:]) & pairs_of(data.edge_index)
        negatives += ends[:, count:].T.tolist()
        if disjoint:  # an edge, and the negatives behind it, are one group
            place = np.arange(count + wanted) % count
            assert np.array_equal(batch.batch[batch.edge_label_index].numpy(), [place, place])
    assert len(set(map(tuple, negatives))) > 0.9 * len(negatives)
    again = next(iter(loader))
    assert again.n_id[again.edge_label_index[:, 64:]].T.tolist() == negatives[: again.edge_label_index.shape[1] - 64]


def test_labels_that_are_given_are_kept(data):
    labels = torch.arange(data.edge_index.shape[1]) % 3
    options = {"edge_label_index": data.edge_index, "edge_label": labels, "batch_size": 50, "neg_sampling": "binary"}
    batch = next(
        iter(LinkNeighborLoader(data, [2], neighbor_sampler=Sampler(from_pyg(data, directed=True), [2]), **options))
    )
    assert batch.edge_label.tolist() == (labels[:50] + 1).tolist() + [0] * 50  # PyG makes room for 0


@pytest.mark.parametrize("disjoint", [False, True])
@pytest.mark.parametrize("amount", [1, 3])
def test_triplets_with_weights(data, amount, disjoint):
    weight = torch.ones(N)
    weight[: N // 2] = 0
    loader = LinkNeighborLoader(
        data,
        [4],
        neighbor_sampler=Sampler(from_pyg(data, directed=True), [4], disjoint=disjoint),
        edge_label_index=data.edge_index,
        neg_sampling=NegativeSampling("triplet", amount, dst_weight=weight),
        batch_size=64,
    )
    drawn = []
    for number, batch in enumerate(loader):
        given = data.edge_index[:, 64 * number : 64 * number + 64]
        assert torch.equal(batch.n_id[batch.src_index], given[0])
        assert torch.equal(batch.n_id[batch.dst_pos_index], given[1])
        wrong = batch.n_id[batch.dst_neg_index].view(given.shape[1], amount)
        assert not pairs_of(torch.stack([given[0].repeat_interleave(amount), wrong.flatten()])) & pairs_of(
            data.edge_index
        )
        if disjoint:
            assert torch.equal(batch.batch[batch.dst_neg_index].view(-1, amount)[:, 0], torch.arange(given.shape[1]))
        drawn.append(wrong.flatten())
    counts = torch.bincount(torch.cat(drawn), minlength=N)
    assert counts[: N // 2].sum() == 0
    assert (counts[N // 2 :] > 0).float().mean() > 0.9


@pytest.mark.parametrize("fanouts", [[3, 2], {BUYS: [3, 2], MADE: [3, 2]}])
@pytest.mark.parametrize("source", ["data", "stores"])
def test_typed_nodes(shop, fanouts, source):
    given = to_pyg(shop) if source == "data" else pyg_stores(shop)
    loader = NodeLoader(given, Sampler(shop, fanouts), input_nodes=("item", torch.arange(40)), batch_size=15)
    for number, batch in enumerate(loader):
        assert (
            batch["item"].n_id[: batch["item"].batch_size].tolist() == list(range(40))[15 * number : 15 * number + 15]
        )
        check_types(shop, batch)
        if source == "data":
            assert torch.equal(batch[BUYS].edge_attr, batch[BUYS].e_id)


def check_types(shop, batch):
    for name in ("user", "item"):
        assert np.array_equal(batch[name].x.numpy(), shop.nodes(name)["x"][batch[name].n_id.numpy()])
    for edge_type in (BUYS, MADE):
        part, edges = batch[edge_type], shop.edge_list(edge_type)
        ends = [batch[name].n_id[part.edge_index[i]].tolist() for i, name in enumerate(edge_type[::2])]
        assert ends == [edges.src[part.e_id].tolist(), edges.dst[part.e_id].tolist()]


@pytest.mark.parametrize("rule", [None, NegativeSampling("binary", 2), NegativeSampling("triplet", 2)])
@pytest.mark.parametrize("temporal", [False, True])
def test_typed_links(shop, rule, temporal):
    edges = shop.edge_list(BUYS)
    index = torch.from_numpy(np.stack([edges.src, edges.dst]).astype(np.int64))
    options = {"edge_label_time": torch.from_numpy(edges.time)} if temporal else {}
    sampler = Sampler(shop, [3, 3], temporal=Temporal() if temporal else None)
    loader = LinkLoader(
        to_pyg(shop), sampler, edge_label_index=(BUYS, index), neg_sampling=rule, batch_size=40, **options
    )
    for number, batch in enumerate(loader):
        given = index[:, 40 * number : 40 * number + 40]
        count = given.shape[1]
        check_types(shop, batch)
        if rule is not None and rule.is_triplet():
            src, dst = batch["user"].src_index, batch["item"].dst_pos_index
            wrong = batch["item"].n_id[batch["item"].dst_neg_index]
            made = torch.stack([given[0].repeat_interleave(2), wrong.flatten()])
            assert not pairs_of(made) & pairs_of(index)
        else:
            src, dst = batch[BUYS].edge_label_index
            rest = torch.stack([batch["user"].n_id[src[count:]], batch["item"].n_id[dst[count:]]])
            assert rest.shape[1] == (0 if rule is None else 2 * count)
            assert not pairs_of(rest) & pairs_of(index)
            src, dst = src[:count], dst[:count]
        assert batch["user"].n_id[src].tolist() == given[0].tolist()
        assert batch["item"].n_id[dst].tolist() == given[1].tolist()
        if temporal:
            when = edges.time[40 * number : 40 * number + 40]
            for kind in (BUYS, MADE):
                group = batch[kind[2]].batch[batch[kind].edge_index[1]].numpy()
                assert (shop.edge_list(kind).time[batch[kind].e_id] < when[group]).all()


def test_temporal_links_and_negatives_have_the_time_of_their_edge(data):
    store = from_pyg(data, directed=True)
    count = data.edge_index.shape[1]
    time = np.random.default_rng(2).integers(0, 30, count)
    timed = GraphStore.from_edges(store.edge_list().src, store.edge_list().dst, num_nodes=N, directed=True, time=time)
    loader = LinkLoader(
        data,
        Sampler(timed, [5], temporal=Temporal()),
        edge_label_index=data.edge_index,
        edge_label_time=torch.from_numpy(time),
        neg_sampling="binary",
        batch_size=50,
    )
    for number, batch in enumerate(loader):
        when = time[50 * number : 50 * number + 50]
        assert batch.edge_label_time.tolist() == [*when, *when]
        group = batch.batch[batch.edge_index[1]].numpy()
        assert (time[batch.e_id] < when[group]).all()


def test_what_cannot_be_done_is_said(data, shop):
    sampler = Sampler(from_pyg(data, directed=True), [2])
    rule = NegativeSampling("binary", 1, src_weight=torch.ones(N))
    options = {"edge_label_index": data.edge_index, "neg_sampling": rule}
    with pytest.raises(InvalidInput, match="leave out src_weight"):
        next(iter(LinkNeighborLoader(data, [2], neighbor_sampler=sampler, **options)))
    rule = NegativeSampling("triplet", 1, dst_weight=torch.ones(3))
    with pytest.raises(InvalidInput, match=rf"mass must have shape \({N},\)"):
        next(iter(LinkNeighborLoader(data, [2], neighbor_sampler=sampler, **{**options, "neg_sampling": rule})))
    full = GraphStore.from_edges([0, 0, 1], [0, 1, 1], directed=True)
    loader = LinkNeighborLoader(
        to_pyg(full), [1], neighbor_sampler=Sampler(full, [1]), neg_sampling=NegativeSampling("triplet"),
        edge_label_index=torch.tensor([[0], [1]]),
    )  # fmt: skip
    with pytest.raises(InvalidInput, match="node 0 is linked to every node"):
        next(iter(loader))
    again = NodeLoader(to_pyg(shop), Sampler(shop, [2]), input_nodes=("item", torch.tensor([1, 1])), batch_size=2)
    with pytest.raises(InvalidInput, match="names a seed twice"):
        next(iter(again))
    with pytest.raises(InvalidInput, match="in-neighbours"):
        Sampler(shop, [2], direction="out")
