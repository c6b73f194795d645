"""A store that holds an index beside its graph embeds, samples, converts and counts as one that does not."""

from __future__ import annotations

import numpy as np
import pytest

import nearhop
from nearhop.ann import HNSW, LSH, MinHash
from nearhop.communities import CommunitySearch, detect
from nearhop.embed import FastRP, GraphVite, SkipGram, evaluate_links, split_links
from nearhop.gnn.temporal.splits import Events
from nearhop.graphlib import convert
from nearhop.graphlib.errors import InvalidInput, NotFound
from nearhop.graphlib.sparse import topological_levels
from nearhop.sampling import NegativeSampler, NeighborSampler, TypedNeighborSampler, random_walks
from nearhop.sampling.loaders import NodeLoader
from nearhop.tests.support import needs

EDGE = ("node", "edge", "node")
N = 60


def plain(directed: bool = False) -> nearhop.GraphStore:
    rng = np.random.default_rng(0)
    src, dst = np.sort(rng.choice(N, (240, 2)), axis=1).T
    apart = src < dst
    store = nearhop.GraphStore.from_edges(
        src[apart], dst[apart], num_nodes=N, time=np.arange(apart.sum()), directed=directed
    )
    store.nodes["x"] = rng.random((N, 8), np.float32)
    return store


@pytest.fixture(scope="module")
def pair():
    alone, among = plain(), plain()
    for name, storage in (("hnsw", "int8"), ("other", "float32")):
        HNSW.from_store(among, "x", metric="cosine", M=2, storage=storage, seed=0).save_into(among, name)
    assert len(among.link_types) > 3
    return alone, among


def both(pair, run):
    one, two = (run(store) for store in pair)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


def test_counts(pair):
    alone, among = pair
    for name in ("num_nodes", "num_edges", "node_types", "edge_types", "directed"):
        assert getattr(alone, name) == getattr(among, name)
    lines = repr(among).splitlines()
    assert lines[:3] == repr(alone).splitlines()
    links = sum(among.num_edges_of(link) for link in among.indexes["hnsw"].links)
    assert lines[3] == f"  index hnsw: hnsw over x, cosine, {links:,} links"
    assert among.describe()["nodes"] == alone.describe()["nodes"]
    assert set(among.indexes["hnsw"].columns) == {"hnsw_level", "hnsw_scale", "hnsw_code"}
    assert among.indexes["hnsw"].basis == "hnsw_code_basis"


def test_embeddings(pair):
    both(pair, lambda s: [FastRP(16, features="x", property_ratio=0.25).fit_transform(s)])
    both(pair, lambda s: [GraphVite(dim=8, epochs=30, direction="out", deterministic=True).fit(s).vertex_])
    both(pair, lambda s: [SkipGram(8, num_walks=2, direction="out", deterministic=True).fit(s).vertex_])
    both(pair, lambda s: [evaluate_links(split_links(s, 0.2), s.nodes["x"], candidates=5).auc])


def test_samples(pair):
    both(pair, lambda s: [NeighborSampler(s, [3, 2], seed=1).sample([1, 2]).nodes])
    both(pair, lambda s: [TypedNeighborSampler(s, [3, 2], seed=1).sample({"node": [1, 2]}).nodes["node"]])
    both(pair, lambda s: [random_walks(s, [0, 1], length=5, seed=2), NegativeSampler(s).sample(np.arange(N), 3)])
    both(pair, lambda s: [(e := Events.from_store(s)).src, e.time])
    both(pair, lambda s: [MinHash(16).fit_transform(s)])
    both(pair, lambda s: CommunitySearch(s, 32, bands=16).search([5], 5))
    both([plain(True), with_index(plain(True))], lambda s: [topological_levels(s).level])


def with_index(store):
    HNSW.from_store(store, "x", M=4, seed=0).save_into(store, "hnsw")
    return store


@needs("sknetwork")
def test_detection(pair):
    both(pair, lambda s: [detect(s, method="louvain", library="sknetwork").labels])


def test_conversions(pair):
    both(pair, lambda s: [convert.to_scipy(s).toarray()])


@needs("networkx")
def test_networkx(pair):
    one, two = (convert.to_networkx(store) for store in pair)
    assert one.nodes(data=True)[3].keys() == two.nodes(data=True)[3].keys() == {"x"}
    assert list(one.edges) == list(two.edges)


@needs("torch_geometric")
def test_torch(pair):
    from nearhop.interop import Sampler, pyg_stores

    one, two = (convert.to_pyg(store) for store in pair)
    assert one.keys() == two.keys()
    assert convert.to_pyg(pair[1], pair[1].link_types[0]).num_edges == pair[1].num_edges_of(pair[1].link_types[0])
    (kept, edges), (kept_too, edges_too) = (pyg_stores(store) for store in pair)
    assert kept.get_all_tensor_attrs() == kept_too.get_all_tensor_attrs()
    assert edges.get_all_edge_attrs() == edges_too.get_all_edge_attrs()
    assert not Sampler(pair[1], [2])._typed

    def loaded(store):
        loader = NodeLoader(store, [3, 2], batch_size=16, workers=0)
        return [part for batch in loader for part in (batch.n_id.numpy(), batch.x.numpy())]

    both(pair, loaded)


def test_links_are_edges_where_they_are_named(pair):
    _, among = pair
    link = among.link_types[0]
    assert among.is_directed(link)
    assert FastRP(8).fit_transform(among, edge_type=link).shape == (N, 8)
    assert GraphVite(dim=8, epochs=1).fit(among, edge_type=link).vertex_.shape == (N, 8)
    assert SkipGram(8, num_walks=1).fit(among, edge_type=link).vertex_.shape == (N, 8)
    assert split_links(among, 0.3, edge_type=link).edge_type == link
    assert NeighborSampler(among, [2], edge_type=link).sample([0]).num_edges == 2
    assert TypedNeighborSampler(among, {link: [2]}).sample({"node": [0]}).num_edges == 2
    with pytest.raises(InvalidInput, match=r"links of index 'hnsw'; drop the index"):
        among.drop(edge_type=link)


@pytest.mark.parametrize("stored", [False, True])
def test_dropping(tmp_path, stored):
    store = plain()
    if stored:
        store = store.save(tmp_path / "s.nh")
    store.edges["w"] = np.ones(store.num_edges)
    store.add_edge_type(("node", "like", "node"), [0, 1], [1, 2])
    with_index(store)
    if stored:
        store.commit()
        store.append_edges([3], [4], edge_type=("node", "like", "node"))
        store.commit()
    store.drop(index="hnsw")
    store.drop(column="x")
    store.drop(column="w", of=EDGE)
    store.drop(edge_type=("node", "like", "node"))
    assert (list(store.nodes), list(store.edges), store.edge_types, store.indexes) == ([], [], (EDGE,), {})
    for wrong in (
        {"index": "hnsw"},
        {"column": "x"},
        {"edge_type": ("node", "like", "node")},
        {"column": "w", "of": EDGE},
    ):
        with pytest.raises(NotFound):
            store.drop(**wrong)
    for wrong in ({}, {"index": "a", "column": "b"}, {"index": "a", "of": "node"}):
        with pytest.raises(InvalidInput):
            store.drop(**wrong)
    if stored:
        store.commit()
        store.append_edges([0], [1], time=[0])
        store.commit()
        assert store._folder.manifest.log is not None  # later appends still go to the log
        again = nearhop.open(store.path)
        assert (list(again.nodes), again.edge_types, again.num_edges) == ([], (EDGE,), store.num_edges)
        assert again.verify().version == 5
        assert nearhop.open(store.path, version=3).indexes["hnsw"].column == "x"


def test_columns_that_indexes_need_stay():
    store = with_index(plain())
    for column in ("x", "hnsw_level"):
        with pytest.raises(InvalidInput, match="drop the index first"):
            store.drop(column=column)


@pytest.mark.parametrize(
    "listed", [None, 5, [], {"hnsw": 5}, {"hnsw": {}}, {"hnsw": {"node_type": "gone"}}, {"a": {"node_type": 5}}]
)
def test_attributes_that_are_no_indexes_do_no_harm(listed):
    store = with_index(plain())
    store.attributes["indexes"] = listed
    assert store.indexes == {}
    assert store.num_edges > plain().num_edges  # then they are edges like others
    with_index(store)
    assert store.num_edges == plain().num_edges


def test_a_search_over_signatures_stays_the_same(pair):
    both(pair, lambda s: [LSH(MinHash(32), bands=16).add(MinHash(32).fit_transform(s)).search_ids([3], k=4).ids])
