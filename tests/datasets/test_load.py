"""Every dataset has the counts that were taken from its files by hand, and the columns that its page promises."""

from __future__ import annotations

import functools
import pickle
import warnings

import numpy as np
import pytest

from nearhop import datasets
from nearhop.tests.support import data_file, data_folder, needs

# nodes, edges, features, classes
COUNTS = {
    "cora": (2708, 5278, 1433, 7),
    "citeseer": (3327, 4552, 3703, 6),
    "pubmed": (19717, 44324, 500, 3),
    "pubmed-temporal": (19717, 44335, 0, 3),
    "nell": (65755, 125775, 5414, 210),
    "blogcatalog": (10312, 333983, 0, 39),
    "ppi": (3890, 37845, 0, 50),
    "wikipedia": (4777, 92295, 0, 40),
    "dblp": (51264, 127968, 0, 60),
    "amazon-photo": (7650, 119081, 745, 8),
    "amazon-computers": (13752, 245861, 767, 10),
    "coauthor-cs": (18333, 81894, 6805, 15),
    "coauthor-physics": (34493, 247962, 8415, 5),
    "cora-ml": (2995, 8158, 2879, 7),
    "email-eu-core": (1005, 25571, 0, 42),
    "polblogs": (1224, 16715, 0, 2),
    "football": (115, 613, 0, 12),
    "karate": (34, 78, 0, 2),
    "ego-facebook": (4039, 88234, 0, 0),
    "ego-twitter": (81306, 1342310, 0, 0),
    "mnist-knn": (12000, 194178 // 2, 0, 10),
    "chameleon": (890, 8854, 2325, 5),
    "actor": (7600, 26659, 932, 5),
    "minesweeper": (10000, 39402, 7, 2),
    "usair": (332, 2126, 0, 0),
    "ns": (1589, 2742, 0, 0),
    "pb": (1222, 16714, 0, 0),
    "yeast": (2375, 11693, 0, 0),
    "celegans": (297, 2148, 0, 0),
    "power": (4941, 6594, 0, 0),
    "router": (5022, 6258, 0, 0),
    "ecoli": (1805, 14660, 0, 0),
    "facebook-page": (22470, 171002, 4714, 4),
    "github": (37700, 289003, 0, 2),
    "cornell5": (18660, 790777, 0, 2),
    "johnshopkins55": (5180, 186586, 0, 2),
    "threads-ask-ubuntu": (125602, 187157, 0, 0),
    "threads-math-sx": (176445, 1089307, 0, 0),
    "jodie-wikipedia": (9227, 157474, 0, 0),
    "uci": (1899, 59835, 0, 0),
    "enron": (184, 125235, 0, 0),
    "collegemsg": (1899, 59835, 0, 0),
    "sx-mathoverflow": (24818, 506550, 0, 0),
    "bitcoin-otc": (5881, 35592, 0, 0),
    "contact-high-school": (327, 189928, 0, 0),
    "mnist": (63000, 0, 784, 10),
    "sift": (62500, 0, 128, 0),
    "glove-twitter-25": (13887, 0, 25, 0),
    "digits": (1797, 0, 64, 10),
}
# graphs, classes, average nodes, average edges
COLLECTIONS = {
    "mutag": (188, 2, 17.93, 19.79),
    "ptc": (344, 2, 25.56, 25.96),
    "proteins": (1113, 2, 39.06, 72.82),
    "nci1": (4110, 2, 29.87, 32.30),
    "enzymes": (600, 6, 32.63, 62.14),
    "imdb-binary": (1000, 2, 19.77, 96.53),
    "imdb-multi": (1500, 3, 13.00, 65.94),
}
LARGE = {"coauthor-cs", "coauthor-physics"}  # dense features; not kept


@functools.lru_cache(maxsize=60)
def load(name):
    for path in datasets.info(name).files:
        data_file(path)
    return datasets.load(name, data_folder())


def num_classes(store):
    if "num_classes" in store.attributes:
        return store.attributes["num_classes"]
    if "y" not in store.nodes:
        return 0
    y = store.nodes["y"]
    return y.shape[1] if y.ndim == 2 else len(np.unique(y[y >= 0]))


def test_every_dataset_is_counted_here():
    circuits = [name for name in datasets.names() if datasets.info(name).kind == "circuit"]  # tests/datasets/circuits
    assert sorted([*COUNTS, *COLLECTIONS, *circuits]) == datasets.names()


@pytest.mark.parametrize("name", COUNTS)
def test_counts(name):
    if name == "digits":
        pytest.importorskip("sklearn")
    store = load.__wrapped__(name) if name in LARGE else load(name)
    card = datasets.info(name)
    features = store.nodes["x"].shape[1] if "x" in store.nodes else 0
    assert (store.num_nodes, store.num_edges, features) == COUNTS[name][:3]
    if name != "pubmed-temporal":
        assert num_classes(store) == COUNTS[name][3]
    assert (card.nodes, card.edges, card.features, card.classes) == COUNTS[name]
    assert store.directed == card.directed
    assert store.attributes["dataset"] == name
    if "y" in store.nodes:
        y = store.nodes["y"]
        assert y.dtype == (np.int64 if y.ndim == 1 else np.uint8)
        assert y.min() >= -1
        assert y.max() < card.classes


@pytest.mark.parametrize("name", COLLECTIONS)
def test_collections(name):
    store = load(name)
    graphs, classes, nodes, edges = COLLECTIONS[name]
    labels = store.attributes["graph_labels"]
    assert len(labels) == graphs
    assert sorted(set(labels)) == list(range(classes))
    assert round(store.num_nodes / graphs, 2) == nodes
    assert round(store.num_edges / graphs, 2) == edges
    graph = store.nodes["graph"]
    assert np.array_equal(np.unique(graph), np.arange(graphs))
    ends = store.edge_list()
    assert (graph[ends.src] == graph[ends.dst]).all()
    assert store.nodes["tag"].shape == (store.num_nodes,)


@pytest.mark.parametrize(("name", "classes"), [("cora", 7), ("citeseer", 6), ("pubmed", 3)])
def test_planetoid_split(name, classes):
    store = load(name)
    train, val, test = (store.nodes[f"{part}_mask"] for part in ("train", "val", "test"))
    assert (train.sum(), val.sum(), test.sum()) == (20 * classes, 500, 1000)
    assert not (train & val).any()
    assert not (train & test).any()
    assert not (val & test).any()
    assert np.bincount(store.nodes["y"][train]).tolist() == [20] * classes
    assert (store.nodes["y"][test] >= 0).all()


def test_citeseer_has_nodes_without_label_and_features():
    store = load("citeseer")
    without = np.flatnonzero(store.nodes["y"] < 0)
    assert len(without) == 15
    assert not store.nodes["x"][without].any()
    assert not store.nodes["has_x"][without].any()


def test_features_are_those_of_the_pickles():
    x = load("cora").nodes["x"]
    data = data_file("planetoid/ind.cora.tx").read_bytes()
    with warnings.catch_warnings(action="ignore"):  # SciPy moved the module that this file names
        tx = pickle.loads(data, encoding="latin1")  # noqa: S301 - a known file
    index = np.array(data_file("planetoid/ind.cora.test.index").read_text().split(), int)
    assert x.dtype == np.uint8
    assert np.array_equal(x[index], tx.toarray())


def test_partial_features_are_marked():
    pubmed, nell = load("pubmed"), load("nell")
    assert pubmed.nodes["has_x"].sum() == 1060
    assert pubmed.nodes["x"].dtype == np.float32
    assert nell.nodes["has_x"].sum() == 8922 + 969
    assert (nell.nodes["train_mask"].sum(), nell.nodes["test_mask"].sum()) == (105, 969)
    assert (nell.nodes["y"] >= 0).sum() == 105 + 969
    assert "val_mask" not in nell.nodes


def test_pubmed_times_are_those_of_the_citing_paper():
    store = load("pubmed-temporal")
    edges = store.edge_list()
    assert np.array_equal(edges.time, store.nodes["time"][edges.src])
    assert (edges.time.min(), edges.time.max()) >= (0, 1)
    assert edges.time.max() <= 45


@pytest.mark.parametrize(("name", "pairs"), [("blogcatalog", 14476), ("ppi", 6640), ("wikipedia", 6770)])
def test_multi_label_pairs(name, pairs):
    assert load(name).nodes["y"].sum() == pairs


@pytest.mark.parametrize("name", ["chameleon", "actor", "minesweeper"])
def test_ten_splits_share_out_all_nodes(name):
    store = load(name)
    masks = [store.nodes[f"{part}_mask"] for part in ("train", "val", "test")]
    assert all(mask.shape == (store.num_nodes, 10) and mask.dtype == bool for mask in masks)
    assert (sum(mask.astype(int) for mask in masks) == 1).all()


def test_class_sizes():
    assert np.bincount(load("github").nodes["y"]).tolist() == [27961, 9739]
    kinds = load("facebook-page").attributes["classes"]
    assert kinds == ["company", "government", "politician", "tvshow"]
    facebook = load("facebook-page")
    assert kinds[facebook.nodes["y"][0]] == "tvshow"
    ends = facebook.edge_list()
    assert (ends.src == ends.dst).sum() == 179
    assert (load("johnshopkins55").nodes["y"] == -1).any()


def test_email_is_directed_with_loops():
    ends = load("email-eu-core").edge_list()
    assert (ends.src == ends.dst).sum() == 642


@pytest.mark.parametrize("name", ["jodie-wikipedia", "uci", "enron", "contact-high-school"])
def test_streams_are_in_order_of_time(name):
    time = load(name).edge_list().time
    assert time.dtype == np.int64
    assert (np.diff(time) >= 0).all()


def test_uci_and_collegemsg_are_the_same_events():
    uci, messages = load("uci").edge_list(), load("collegemsg").edge_list()
    assert np.array_equal(uci.time, np.sort(messages.time) - messages.time.min())


def test_bipartite_stream():
    store = load("jodie-wikipedia")
    pages = store.nodes["is_page"]
    ends = store.edge_list()
    assert pages.sum() == 1000
    assert not pages[ends.src].any()


def test_ids_with_gaps_become_user_ids():
    store = load("sx-mathoverflow")
    ends, ids = store.edge_list(), store.ids()
    assert [ids[ends.src[0]], ids[ends.dst[0]], ends.time[0]] == [1, 4, 1254192988]
    assert load("uci").ids() is None


def test_signed_ratings():
    ends = load("bitcoin-otc").edge_list()
    assert (ends.weight.min(), ends.weight.max()) == (-10, 10)
    assert ends.time.dtype == np.float64
    assert ends.time[0] == 1289241911.72836


def test_contacts_project_to_the_known_pairs():
    ends = load("contact-high-school").edge_list()
    pairs = np.sort(np.stack([ends.src, ends.dst]), axis=0)
    assert len(np.unique(pairs, axis=1).T) == 5818


def test_threads_count_what_two_users_share():
    """Against a plain loop over the file."""
    store = load("threads-ask-ubuntu")
    import gzip
    from collections import Counter
    from itertools import combinations

    folder = "large/threads-ask-ubuntu/threads-ask-ubuntu-"
    parts = ("nverts", "simplices", "times")
    sizes, members, times = (
        list(map(int, gzip.decompress(data_file(f"{folder}{part}.txt.gz").read_bytes()).split())) for part in parts
    )
    shared: Counter = Counter()
    first: dict = {}
    at = 0
    for size, time in zip(sizes, times, strict=True):
        for pair in combinations(sorted(members[at : at + size]), 2):
            if pair[0] != pair[1]:
                shared[pair] += 1
                first[pair] = min(time, first.get(pair, time))
        at += size
    ends, ids = store.edge_list(), store.ids()
    pairs = list(zip(ids[ends.src].tolist(), ids[ends.dst].tolist(), strict=True))
    assert dict(zip(pairs, ends.weight.tolist(), strict=True)) == shared
    assert dict(zip(pairs, ends.time.tolist(), strict=True)) == first


def test_glove_words_are_ids():
    store = load("glove-twitter-25")
    the = store.nodes["x"][store.lookup(["the"])[0]]
    assert the.dtype == np.float32
    assert np.allclose(the[:3], [-0.010167, 0.020194, 0.21473])


def test_mnist_parts():
    store = load("mnist")
    assert store.nodes["x"].dtype == np.uint8
    assert (store.nodes["train_mask"].sum(), store.nodes["test_mask"].sum()) == (60000, 3000)
    assert store.nodes["y"][:5].tolist() == [5, 0, 4, 1, 9]
    assert store.nodes["y"][60000:60005].tolist() == [7, 2, 1, 0, 4]
    assert 33.2 < store.nodes["x"][:60000].mean() < 33.5  # 0.1307 * 255


def test_sift_images():
    image = load("sift").nodes["image"]
    assert np.bincount(image).tolist() == [2500] * 25


def test_mnist_neighbor_weights():
    ends = load("mnist-knn").edge_list()
    assert (ends.src < ends.dst).all()
    assert (ends.weight > 0).all()


@needs("networkx")
@pytest.mark.parametrize("name", ["football", "polblogs"])
def test_gml_agrees_with_networkx(name):
    import gzip

    import networkx

    store = load(name)
    text = data_file(datasets.info(name).files[0]).read_bytes()
    text = gzip.decompress(text) if text[:2] == b"\x1f\x8b" else text
    graph = networkx.parse_gml(text.decode().splitlines(), label="id")
    ends = store.edge_list()
    ours = {frozenset(pair) for pair in zip(ends.src.tolist(), ends.dst.tolist(), strict=True)}
    assert ours == {frozenset(pair) for pair in graph.edges()}
    values = [graph.nodes[node]["value"] for node in sorted(graph)]
    assert [store.attributes["classes"][code] for code in store.nodes["y"]] == values
    assert list(store.ids()) == [graph.nodes[node]["label"] for node in sorted(graph)]


@needs("networkx")
def test_karate_agrees_with_networkx():
    import networkx

    graph, store = networkx.karate_club_graph(), datasets.load("karate")
    ends = store.edge_list()
    assert {frozenset(p) for p in zip(ends.src.tolist(), ends.dst.tolist(), strict=True)} == set(
        map(frozenset, graph.edges())
    )
    assert [graph.nodes[node]["club"] == "Officer" for node in range(34)] == store.nodes["y"].astype(bool).tolist()
