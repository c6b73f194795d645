from __future__ import annotations

import itertools
import os
import signal
import sys
from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

import nearhop
from nearhop.graphlib.disk import files
from nearhop.graphlib.errors import InvalidInput, NotFound
from nearhop.sampling import NodeSets, check_node_sets
from nearhop.sampling.subgraphs import node_sets as module
from nearhop.tests.reference.contexts import candidates

FOLLOW, TRY = (512, 1), (0, 1)  # all walks are followed; as many tries as there are walks


def way(monkeypatch, chosen):
    monkeypatch.setattr(module, "_TRY", chosen[1])
    monkeypatch.setattr(module, "_MANY", chosen[0])


def small(directed):
    """Parallel edges, self-loops, an isolated node, a hub, nodes of one neighbour."""
    src = [0, 0, 0, 0, 1, 1, 2, 3, 4, 4, 5, 5, 5, 6, 7]
    dst = [1, 2, 2, 3, 2, 4, 5, 3, 5, 6, 0, 7, 1, 8, 0]
    return nearhop.GraphStore.from_edges(src, dst, num_nodes=10, directed=directed)


def drawn(store, node, size, epochs, **options):
    sets = NodeSets(store, size, **options)
    return np.stack([sets.sample([node], epoch=epoch)[0] for epoch in range(epochs)])


@pytest.mark.parametrize("chosen", [FOLLOW, TRY], ids=["follow", "try"])
@pytest.mark.parametrize(("directed", "direction"), [(False, "out"), (True, "out"), (True, "in")])
def test_every_candidate_is_as_likely_as_the_square_says(monkeypatch, chosen, directed, direction):
    """Any place of a set is uniform over L = N1 ++ N2, the columns of A and of A·A, with multiplicity."""
    way(monkeypatch, chosen)
    store, tested = small(directed), 0
    sampler = NodeSets(store, 4, direction=direction)
    every = np.stack([sampler.sample(np.arange(9), epoch=epoch) for epoch in range(2000)])
    for node in range(9):
        L, sets = candidates(store, node, direction=direction), every[:, node]
        assert (sets[:, 0] == node).all()
        values, multiplicity = np.unique(L, return_counts=True)
        if L.shape[0] < 3:
            continue
        assert np.isin(sets[:, 1:], values).all()
        for place in (1, 3):
            found = [(sets[:, place] == value).sum() for value in values]
            assert chisquare(found, multiplicity * 2000 / L.shape[0]).pvalue > 1e-4
            tested += 1
    assert tested >= 10


@pytest.mark.parametrize("chosen", [FOLLOW, TRY], ids=["follow", "try"])
def test_whole_sets_are_as_likely_as_without_replacement(monkeypatch, chosen):
    way(monkeypatch, chosen)
    store = small(False)
    L = candidates(store, 7)
    expected: Counter[tuple[int, ...]] = Counter()
    for places in itertools.combinations(range(L.shape[0]), 3):
        expected[tuple(sorted(L[list(places)].tolist()))] += 1
    sets = drawn(store, 7, 4, 4000)
    found = Counter(tuple(sorted(row[1:].tolist())) for row in sets)
    assert set(found) <= set(expected)
    total = sum(expected.values())
    assert chisquare([found[k] for k in expected], [4000 * v / total for v in expected.values()]).pvalue > 1e-4


def test_both_ways_agree_on_a_larger_graph(monkeypatch):
    """Inclusion counts over many nodes: no candidate of one way is none of the other, and means agree."""
    rng = np.random.default_rng(0)
    store = nearhop.GraphStore.from_edges(rng.integers(0, 60, 400) ** 2 // 60, rng.integers(0, 60, 400))
    counts = []
    for chosen in (FOLLOW, TRY):
        way(monkeypatch, chosen)
        sets = NodeSets(store, 12)
        counts.append(np.zeros((60, 60)))
        for epoch in range(400):
            rows = sets.sample(np.arange(60), epoch=epoch)
            np.add.at(counts[-1], (np.repeat(np.arange(60), 11), rows[:, 1:].ravel()), 1)
    expected = np.zeros((60, 60))
    for node in range(60):
        L = candidates(store, node)
        if L.shape[0] >= 11:
            np.add.at(expected[node], L, 400 * 11 / L.shape[0])
    big = expected > 0
    assert big.sum() > 500
    for found in counts:
        z = (found[big] - expected[big]) / np.sqrt(expected[big])
        assert np.abs(z).max() < 5
        assert abs(z.mean()) < 0.1


def test_tries_that_run_out_are_followed(monkeypatch):
    """A node whose 400 walks lead to one another's ends: most tries fail, and the answer is that of following."""
    store = nearhop.GraphStore.from_edges(*np.nonzero(np.ones((20, 20), int)), directed=True)
    way(monkeypatch, (0, 399))  # a budget of one try
    short = NodeSets(store, 30).sample(np.arange(20))
    way(monkeypatch, FOLLOW)
    assert (short == NodeSets(store, 30).sample(np.arange(20))).all()


def test_few_candidates_are_repeated_in_order():
    store = nearhop.GraphStore.from_edges([0, 1], [1, 2])
    sets = NodeSets(store, 9).sample([2])
    assert candidates(store, 2).tolist() == [1, 0, 2]
    assert sets.tolist() == [[2, 1, 0, 2, 1, 0, 2, 1, 0]]


def test_nodes_without_candidates():
    store = nearhop.GraphStore.from_edges([0], [1], num_nodes=30, directed=True)
    assert NodeSets(store, 4, isolated="self").sample([5]).tolist() == [[5, 5, 5, 5]]
    assert NodeSets(store, 4).sample([0]).tolist() == [[0, 1, 1, 1]]  # N2 is empty: node 1 has no edges out
    found = drawn(store, 5, 4, 1000)
    assert all(len(set(row[1:].tolist())) == 3 for row in found)  # distinct
    assert chisquare(np.bincount(found[:, 1], minlength=30)).pvalue > 1e-4
    few = NodeSets(nearhop.GraphStore.from_edges([], [], num_nodes=2), 6).sample([1])
    assert few.shape == (1, 6)
    assert few.max() < 2


def test_sets_depend_on_node_seed_and_epoch_alone():
    rng = np.random.default_rng(1)
    store = nearhop.GraphStore.from_edges(rng.integers(0, 500, 3000), rng.integers(0, 500, 3000))
    whole = NodeSets(store, 17, threads=1).sample(np.arange(500), epoch=3)
    assert (NodeSets(store, 17, threads=2).sample(np.arange(500), epoch=3) == whole).all()
    order = rng.permutation(500)
    parts = [NodeSets(store, 17).sample(part, epoch=3) for part in np.array_split(order, 7)]
    assert (np.concatenate(parts) == whole[order]).all()
    assert (NodeSets(store, 17, seed=1).sample(np.arange(500), epoch=3) != whole).any()
    assert (NodeSets(store, 17).sample(np.arange(500), epoch=4) != whole).any()


def test_tries_and_threads_agree(monkeypatch):
    way(monkeypatch, TRY)
    rng = np.random.default_rng(1)
    store = nearhop.GraphStore.from_edges(rng.integers(0, 300, 3000), rng.integers(0, 300, 3000))
    one, two = (NodeSets(store, 17, threads=t).sample(np.arange(300)) for t in (1, 2))
    assert (one == two).all()


def test_written_sets_are_those_that_are_sampled(tmp_path):
    rng = np.random.default_rng(2)
    store = nearhop.GraphStore.from_edges(rng.integers(0, 200, 900), rng.integers(0, 200, 900)).save(tmp_path / "g")
    sets = NodeSets(store, 8, seed=5)
    sets.write("k8", epoch=2)
    store.commit()
    table = check_node_sets(nearhop.open(tmp_path / "g"), "k8", 8)
    assert (table == sets.sample(np.arange(200), epoch=2)).all()
    assert table.dtype == np.int32


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: fork")
def test_a_killed_write_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "sync", lambda descriptor: None)
    monkeypatch.setattr(np.memmap, "flush", lambda array: None)
    monkeypatch.setattr(module, "_PIECE", 40 * 7)  # 7 sets at a time
    rng = np.random.default_rng(2)
    graph = nearhop.GraphStore.from_edges(rng.integers(0, 200, 900), rng.integers(0, 200, 900))
    wanted = NodeSets(graph, 8).sample(np.arange(200))
    for point in (1, 9, 28):
        graph.save(tmp_path / str(point))
        child = os.fork()
        if child == 0:
            calls = itertools.count(1)
            NodeSets(nearhop.open(tmp_path / str(point)), 8).write(
                progress=lambda done, total, calls=calls, point=point: (
                    os.kill(os.getpid(), signal.SIGKILL) if next(calls) == point else None
                )
            )
            os._exit(0)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        store = nearhop.open(tmp_path / str(point))
        seen = []
        NodeSets(store, 8).write(progress=lambda done, total, to=seen: to.append(done))
        assert len(seen) == 29 - (point - 1)
        assert (store.nodes["node_set"] == wanted).all()
        store.close()


def test_bad_input_is_named(tmp_path):
    store = small(False)
    with pytest.raises(InvalidInput, match="size must be an integer >= 1; got 0"):
        NodeSets(store, 0)
    with pytest.raises(InvalidInput, match="direction must be one of 'out', 'in'; got 'both'"):
        NodeSets(store, 3, direction="both")
    with pytest.raises(InvalidInput, match="isolated must be one of"):
        NodeSets(store, 3, isolated="none")
    with pytest.raises(InvalidInput, match=r"seeds\[1\] is 10"):
        NodeSets(store, 3).sample([0, 10])
    with pytest.raises(InvalidInput, match="memory_limit is 1,048,576 bytes; drawing node sets of 10 nodes needs"):
        NodeSets(store, 3).write(memory_limit=1 << 20)
    with pytest.raises(NotFound, match=r"write them with NodeSets\(store, 3\)"):
        check_node_sets(store, "node_set", 3)
    NodeSets(store, 4).write()
    with pytest.raises(InvalidInput, match="has sets of 4 nodes; 9 per set were asked for: take at most 4"):
        check_node_sets(store, "node_set", 9)
    store.append_edges([0], [4])
    with pytest.raises(InvalidInput, match="another version of the store: the edges have changed"):
        check_node_sets(store)
    shop = nearhop.GraphStore.from_typed({"a": 2, "b": 2}, {("a", "to", "b"): ([0], [1])})
    with pytest.raises(InvalidInput, match="one node type at both ends"):
        NodeSets(shop, 3)


@pytest.mark.parametrize("nodes", [0, 1])
def test_small_graphs(nodes):
    store = nearhop.GraphStore.from_edges([], [], num_nodes=nodes)
    assert NodeSets(store, 3).sample(np.arange(nodes)).tolist() == [[0, 0, 0]] * nodes
    assert NodeSets(store, 1).sample(np.arange(nodes)).tolist() == [[0]] * nodes
