"""Nothing takes the first edge type for the one that is meant, or counts nodes of other types."""

from __future__ import annotations

import numpy as np
import pytest

import nearhop
from nearhop.communities import CommunitySearch, community_quality, detect, modularity
from nearhop.embed import FastRP, GraphVite, SkipGram, split_links
from nearhop.gnn.temporal.splits import Events
from nearhop.sampling import NegativeSampler, NeighborSampler, NodeLoader, count_visits
from nearhop.tests.support import needs

N = 40
EDGE = ("node", "edge", "node")


@pytest.fixture(scope="module")
def pair():
    """A graph alone, and the same graph in a store where other types come first."""
    rng = np.random.default_rng(0)
    src, dst = rng.integers(0, N, (2, 160))
    time = np.arange(160)
    alone = nearhop.GraphStore.from_edges(src, dst, num_nodes=N, time=time, directed=True)
    among = nearhop.GraphStore.from_typed(
        {"user": 7, "node": N, "last": 90},
        {
            ("user", "likes", "node"): {"src": [0, 1], "dst": [2, 3], "time": [9, 9]},
            ("last", "knows", "last"): {"src": [80], "dst": [81], "directed": False},
            EDGE: {"src": src, "dst": dst, "time": time},
        },
    )
    for store in (alone, among):
        store.nodes["x"] = np.arange(N, dtype=np.float32)[:, None]
        store.set_ids(np.arange(N) + 100, "node")
    among.nodes("last")["x"] = np.zeros((90, 1), np.float32)
    return alone, among


def both(pair, run):
    one, two = (run(store) for store in pair)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


def test_embeddings(pair):
    both(pair, lambda s: [FastRP(16, features="x", property_ratio=0.25).fit_transform(s)])
    both(pair, lambda s: [GraphVite(dim=8, epochs=30, deterministic=True).fit(s).vertex_])
    both(pair, lambda s: [SkipGram(8, num_walks=2, deterministic=True).fit(s).vertex_])


def test_links_and_events(pair):
    def splits(store):
        split = split_links(store, 0.2)
        return [split.src, split.dst, split.train.edge_list().src, [split.train.num_nodes]]

    both(pair, splits)
    both(pair, lambda s: [(e := Events.from_store(s)).src, e.dst, e.time, [e.num_nodes]])


@needs("sknetwork")
def test_communities(pair):
    def measured(store):
        found = detect(store, library="sknetwork")
        quality = community_quality(store, [0, 1, 2])
        return [found.labels, [modularity(store, found.labels)], list(vars(quality).values())]

    both(pair, measured)
    both(pair, lambda s: CommunitySearch(s, 32, bands=16, edge_type=EDGE).search([105], 5))
    both(pair, lambda s: CommunitySearch(s, 32, bands=16).search([105], 5))


@needs("torch_geometric")
def test_samples_and_loaders(pair):
    both(pair, lambda s: [NegativeSampler(s).sample(np.arange(N), 3)])

    def visited(store):
        return [count_visits(store, NeighborSampler(store, [3, 2]), [[0, 1], [2]])]

    both(pair, visited)

    def loaded(store):
        loader = NodeLoader(store, NeighborSampler(store, [3, 2]), batch_size=16, workers=0)
        return [part for batch in loader for part in (batch.n_id.numpy(), batch.x.numpy(), batch.edge_index.numpy())]

    both(pair, loaded)


def test_the_command_line(pair, tmp_path, monkeypatch):
    from nearhop.cli import _run

    monkeypatch.chdir(tmp_path)
    for name, store in zip(("alone.nh", "among.nh"), pair, strict=True):
        store.save(name).close()
        for words in (
            ["embed", "fastrp", name, "--dim", "8", "--weights", "1,1", "--direction", "both"],
            ["index", "build", name, "--column", "fastrp"],
            ["embed", "skipgram", name, "--dim", "8", "--num-walks", "1", "--deterministic", "--unweighted"],
            ["community", "search", name, "105", "--size", "3", "--out", "f.csv"],
        ):
            assert _run(words, debug=True) == 0
    one, two = (nearhop.open(name).nodes("node") for name in ("alone.nh", "among.nh"))
    for column in ("fastrp", "skipgram"):
        np.testing.assert_array_equal(one[column], two[column])
