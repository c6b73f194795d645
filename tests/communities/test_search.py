"""Communities: planted ones are found, rankings follow their definitions, measures equal other libraries'."""

from __future__ import annotations

from dataclasses import astuple

import networkx as nx
import numpy as np
import pytest
import scipy.sparse

import nearhop
from nearhop import GraphStore
from nearhop.ann.lsh.index import LSH
from nearhop.ann.minhash.minhash import MinHash
from nearhop.communities import quality
from nearhop.communities.agreement import adjusted_rand_index, normalized_mutual_information, recall_area
from nearhop.communities.detection import detect
from nearhop.communities.pictures.picture import Picture
from nearhop.communities.quality import (
    community_quality,
    entries_of,
    modularity,
    symmetric_matrix,
)
from nearhop.communities.search import CommunitySearch
from nearhop.graphlib.errors import IndexMismatch, InvalidInput, InvalidType, NotFound
from nearhop.tests.support import data_file, needs


def planted(groups=4, size=30, inside=0.5, outside=0.03, seed=0, ids=None, order=None):
    """An undirected graph of equal groups; node i is in group i // size."""
    n = groups * size
    rng = np.random.default_rng(seed)
    left, right = np.triu_indices(n, 1)
    chance = np.where(left // size == right // size, inside, outside)
    kept = rng.random(len(left)) < chance
    left, right = left[kept], right[kept]
    if order is not None:
        place = np.argsort(order)
        left, right = place[left], place[right]
    store = GraphStore.from_edges(left, right, num_nodes=n)
    if ids is not None:
        store.set_ids(ids if order is None else ids[order])
    return store


@pytest.mark.parametrize("method", ["average", "minrank", "pagerank", "exact"])
def test_planted_groups_are_found(method):
    search = CommunitySearch(planted())
    ids, scores = search.search([0, 7, 12], size=27, method=method)
    # Three rounds from all nodes spread rank over the whole active set: the paper's weakest ranking, too.
    assert (ids < 30).mean() > (0.8 if method == "pagerank" else 0.9)
    assert not np.isin(ids, [0, 7, 12]).any()
    assert len(np.unique(ids)) == 27
    if method != "minrank":
        assert (np.diff(scores) <= 0).all()


def test_rankings_follow_their_definitions():
    search = CommunitySearch(planted(seed=3), 64, bands=32, seed=4)
    seeds = np.array([3, 11, 40])
    active = np.setdiff1d(search.index.candidates(seeds), seeds)
    J = MinHash(64).similarity(search.index.signatures).astype(np.float64)
    mean = J[active][:, seeds].mean(axis=1)
    order = np.lexsort((active, -mean))[:20]
    found = search.search(seeds, 20)
    assert found.ids.tolist() == active[order].tolist()
    assert found.scores.tolist() == pytest.approx(mean[order])

    members, expected = list(seeds), []
    for _ in range(15):  # the mean over all members so far, taken anew each time
        waiting = [v for v in active if v not in members]
        members.append(max(waiting, key=lambda v: (round(J[v, members].mean(), 9), -v)))
        expected.append(members[-1])
    assert search.search(seeds, 15, "minrank").ids.tolist() == expected

    nodes = np.r_[seeds, active]
    A = J[np.ix_(nodes, nodes)]
    A = A / A.sum(axis=0)
    rank = np.ones(len(nodes))
    for _ in range(3):
        rank = 0.9 * A @ rank
        rank[:3] += (len(nodes) - rank.sum()) / 3
    best = np.lexsort((active, -rank[3:]))[:20]
    assert search.search(seeds, 20, "pagerank").scores.tolist() == pytest.approx(rank[3:][best], rel=1e-5)


@pytest.mark.parametrize("method", ["average", "minrank", "pagerank", "exact"])
def test_results_do_not_depend_on_node_order_or_threads(method):
    ids = np.array([f"brand {i:03d}" for i in range(120)])
    order = np.random.default_rng(5).permutation(120)
    one = CommunitySearch(planted(ids=ids), threads=1).search(ids[[4, 9]], 40, method)
    other = CommunitySearch(planted(ids=ids, order=order), threads=2).search(ids[[9, 4, 4]], 40, method)
    assert one.ids.tolist() == other.ids.tolist()
    assert one.scores.tobytes() == other.scores.tobytes()


def test_a_kept_index_answers_as_the_first_one_did(tmp_path):
    store = planted(seed=6)
    first = CommunitySearch(store, 64, bands=32, seed=9)
    first.index.save(tmp_path / "a.lsh")
    again = CommunitySearch(store, index=LSH.load(tmp_path / "a.lsh"))
    for method in ("average", "minrank", "pagerank", "exact"):
        one, other = first.search([3, 40], 25, method), again.search([3, 40], 25, method)
        assert one.ids.tolist() == other.ids.tolist()
        assert one.scores.tobytes() == other.scores.tobytes()
    for others in (planted(seed=7), planted(3, seed=6)):  # other edges, fewer nodes
        with pytest.raises(IndexMismatch, match="make it anew"):
            CommunitySearch(others, index=first.index)
    first.index.remove([5])
    with pytest.raises(IndexMismatch, match="119 sets in 120 rows"):
        CommunitySearch(store, index=first.index)


def test_bipartite_stores_describe_the_nodes_that_are_followed():
    fans = np.repeat(np.arange(60), 3)
    brands = np.tile([0, 1, 2], 60) + 3 * (fans >= 30)
    store = GraphStore.from_typed({"fan": 60, "brand": 7}, {("fan", "follows", "brand"): (fans, brands)})
    assert sorted(CommunitySearch(store).search([3], 5).ids.tolist()) == [4, 5]
    assert len(CommunitySearch(store, direction="out").search([0], 100).ids) == 29
    with pytest.raises(InvalidInput, match="no seed has a neighbour"):
        CommunitySearch(store).search([6], 5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: s.search([999], 5), NotFound, "node 999 is not in the store"),
        (lambda s: s.search([], 5), InvalidInput, "at least one seed"),
        (lambda s: s.search([0], 0), InvalidInput, "size must be an integer >= 1"),
        (lambda s: s.search([0], 5, "walktrap"), InvalidInput, "method must be one of 'average'"),
    ],
)
def test_bad_searches_are_named(call, error, message):
    search = CommunitySearch(planted(2, 10))
    with pytest.raises(error, match=message):
        call(search)


@pytest.mark.parametrize(
    ("library", "method"),
    [
        *(pytest.param("igraph", m, marks=needs("igraph")) for m in ("leiden", "louvain", "label_propagation")),
        pytest.param("leidenalg", "leiden", marks=needs("leidenalg")),
        *(("sknetwork", m) for m in ("leiden", "louvain", "label_propagation")),
    ],
)
def test_detect_finds_planted_groups(library, method):
    if library == "sknetwork":
        pytest.importorskip("sknetwork")
    ids = np.arange(120) * 3 + 1
    order = np.random.default_rng(2).permutation(120)
    store, truth = planted(outside=0.01, ids=ids), np.arange(120) // 30
    found = detect(store, method=method, library=library, seed=3)
    floor = 0.8 if method == "label_propagation" else 0.95  # propagation may join two of the four groups
    assert normalized_mutual_information(found.labels, truth) > floor
    assert found.modularity == pytest.approx(modularity(store, found.labels))
    assert (np.diff(found.sizes) <= 0).all()
    assert np.bincount(found.labels).tolist() == found.sizes.tolist()
    moved = detect(planted(outside=0.01, ids=ids, order=order), method=method, library=library, seed=3)
    assert moved.labels.tolist() == found.labels[order].tolist()


def test_communities_of_a_similarity_graph_in_a_store_of_two_types():
    rng = np.random.default_rng(0)
    fans = np.repeat(np.arange(300), 8)
    brands = rng.integers(0, 10, len(fans)) + 10 * (fans // 100)  # three tastes, ten brands each
    store = GraphStore.from_typed({"fan": 300, "brand": 30}, {("fan", "follows", "brand"): (fans, brands)})
    store.nodes("brand")["taste"] = np.arange(30) // 10
    similar = ("brand", "similar", "brand")
    signatures = MinHash().fit_transform(store, edge_type=("fan", "follows", "brand"), direction="in")
    LSH(MinHash(), bands=64).add(signatures).similarity_graph(0.1).add_to(store, similar)
    found = detect(store, edge_type=similar)
    assert adjusted_rand_index(found.labels, np.arange(30) // 10) == 1
    assert found.modularity == pytest.approx(modularity(store, found.labels, edge_type=similar))
    assert community_quality(store, range(10), edge_type=similar).conductance < 0.1
    assert len(Picture.of_partition(store, found, edge_type=similar).names) == 30
    with pytest.raises(InvalidInput, match="joins nodes of two types"):
        detect(store, edge_type=("fan", "follows", "brand"))


def test_modularity_equals_networkx():
    rng = np.random.default_rng(0)
    src, dst = rng.integers(0, 30, (2, 120))  # self-loops and parallel edges
    weight = rng.uniform(0.5, 2, 120).astype(np.float32)
    store = GraphStore.from_edges(src, dst, num_nodes=30, weight=weight, directed=True)
    labels = rng.integers(0, 4, 30)
    graph = nx.MultiGraph()
    graph.add_nodes_from(range(30))
    graph.add_weighted_edges_from(zip(src.tolist(), dst.tolist(), weight.tolist(), strict=True))
    groups = [set(np.flatnonzero(labels == g).tolist()) for g in range(4)]
    for resolution in (1.0, 0.4):
        expected = nx.algorithms.community.modularity(graph, groups, resolution=resolution)
        assert modularity(store, labels, resolution=resolution) == pytest.approx(expected)


@needs("sklearn")
def test_agreement_equals_scikit_learn():
    from sklearn import metrics

    rng = np.random.default_rng(0)
    for x, y in [(rng.integers(0, 5, 80), rng.integers(0, 3, 80)), ([0, 0, 1], [0, 1, 2]), ([1, 1], [2, 2])]:
        assert normalized_mutual_information(x, y) == pytest.approx(metrics.normalized_mutual_info_score(x, y))
        assert adjusted_rand_index(x, y) == pytest.approx(metrics.adjusted_rand_score(x, y))


def test_quality_equals_networkx():
    store = planted(3, 15, inside=0.4, outside=0.1, seed=7)
    edges = store.edge_list()
    graph = nx.Graph(zip(edges.src.tolist(), edges.dst.tolist(), strict=True))
    members = list(range(15))
    inside = graph.subgraph(members)
    found = community_quality(store, members)
    assert found.conductance == pytest.approx(nx.cut_size(graph, members) / nx.volume(graph, members))
    assert found.separability == pytest.approx(inside.number_of_edges() / nx.cut_size(graph, members))
    assert found.density == pytest.approx(nx.density(inside))
    assert found.clustering == pytest.approx(nx.average_clustering(inside))


def test_cohesiveness_sees_two_halves():
    two = nx.disjoint_union(nx.complete_graph(8), nx.complete_graph(8))
    two.add_edge(0, 8)
    matrix = nx.to_scipy_sparse_array(two)
    assert community_quality(matrix, range(16)).cohesiveness == pytest.approx(1 / 57)
    assert community_quality(nx.to_scipy_sparse_array(nx.complete_graph(8)), range(8)).cohesiveness > 0.5
    lonely = community_quality(matrix, [3])
    assert (lonely.density, lonely.clustering, lonely.cohesiveness) == (0.0, 0.0, 1.0)


def test_weighted_clustering_of_a_triangle():
    weight = np.array([1.0, 2.0, 4.0])
    matrix = scipy.sparse.coo_array((weight, ([0, 1, 0], [1, 2, 2])), shape=(3, 3)).tocsr()
    expected = np.mean([8 / (4 * 4), 8 / (4 * 2), 8 / (4 * 8)])  # w_01 w_12 w_02 over max w times the wedge at i
    assert community_quality(matrix, [0, 1, 2]).clustering == pytest.approx(expected)


@pytest.mark.parametrize("directed", [True, False])
def test_quality_of_a_store_reads_the_rows_of_the_members_only(directed, monkeypatch):
    rng = np.random.default_rng(4)
    ends = rng.integers(0, 40, (2, 300))  # loops and parallel edges
    store = GraphStore.from_edges(*ends, num_nodes=41, directed=directed, weight=rng.random(300).astype(np.float32))
    members = [3, 9, 22, 5, 40]  # 40 is isolated
    whole = community_quality(symmetric_matrix(store, loops=False), members)
    read = []
    monkeypatch.setattr(
        quality, "entries_of", lambda rows, nodes: read.append(nodes.tolist()) or entries_of(rows, nodes)
    )
    assert astuple(community_quality(store, members)) == pytest.approx(astuple(whole))
    assert read == [sorted(members)] * (2 if directed else 1)


def test_recall_area():
    assert recall_area(range(10), range(10)) == pytest.approx(0.5)
    assert recall_area(range(12), range(12), every=5) == pytest.approx(0.5 * 10 / 12)  # the last record is at 10
    assert recall_area([], [1, 2]) == 0
    assert recall_area([9, 9, 1, 2], [1, 2], until=4) == pytest.approx((0.25 + 0.75) / 4)
    assert recall_area([1, 2, 9, 9], [1, 2], until=4, every=2) == pytest.approx(0.25 + 0.5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: detect(s, method="walktrap"), InvalidInput, "method must be one of"),
        (lambda s: detect(s, library="graph-tool"), InvalidInput, "library must be one of"),
        (lambda s: detect(s, resolution=0), InvalidInput, "resolution must be a number above 0"),
        (lambda s: detect([[0, 1]]), InvalidType, "GraphStore or a SciPy sparse matrix; got list"),
        (lambda s: modularity(s, [0, 1]), InvalidInput, r"one label per node \(20\); got \(2,\)"),
        (lambda s: community_quality(s, [20]), InvalidInput, r"0\.\.19"),
        (lambda s: adjusted_rand_index([0], [0, 1]), InvalidInput, "got 1 and 2"),
        (lambda s: recall_area([1], []), InvalidInput, "no members"),
        (lambda s: recall_area([1], [1, 2], every=5), InvalidInput, r"every must be in 1\.\.2"),
    ],
)
def test_bad_input_is_named(call, error, message):
    store = planted(2, 10)
    with pytest.raises(error, match=message):
        call(store)


def test_departments_of_email_eu_core():
    """Two restarts of the protocol of examples/brands_on_a_laptop.py; all twenty give 0.343 and 0.318."""
    data_file("communities/email-Eu-core.txt")
    store = nearhop.datasets.load("email-eu-core")
    departments = store.nodes["y"]
    search = CommunitySearch(store, 100, bands=50)
    rng = np.random.default_rng(1)
    areas = {"average": [], "minrank": []}
    for department in np.flatnonzero(np.bincount(departments) >= 25):
        members = np.flatnonzero(departments == department)
        for _ in range(2):
            seeds = rng.choice(members, 5, replace=False)
            for method, found in areas.items():
                ranking = search.search(seeds, len(members) - 5, method).ids
                found.append(recall_area(ranking, np.setdiff1d(members, seeds), every=5))
    assert np.mean(areas["average"]) == pytest.approx(0.341, abs=0.02)
    assert np.mean(areas["minrank"]) == pytest.approx(0.319, abs=0.03)
