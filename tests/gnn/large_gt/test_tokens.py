from __future__ import annotations

import numpy as np
import pytest
import torch

import nearhop
from nearhop.gnn.large_gt import TokenLoader
from nearhop.graphlib.errors import InvalidInput, InvalidType, NotFound
from nearhop.sampling import NodeSets
from nearhop.tests.gnn.large_gt.graphs import graph


def test_tokens_are_features_and_contexts_of_the_set():
    store = graph()
    loader = TokenLoader(store, position="pe")
    batch = loader.batch([5, 0, 5])
    sets = store.nodes["node_set"][[5, 0, 5]]
    dense = batch.dense().numpy()
    assert dense.shape == (3, 24, 10)
    for kind, name in enumerate(("x", "x_hop1", "x_hop2")):
        assert (dense[:, 8 * kind : 8 * kind + 8] == store.nodes[name][sets]).all()
    assert (batch.position.numpy() == store.nodes["pe"][[5, 0, 5]]).all()
    assert batch.nodes.tolist() == [5, 0, 5]
    assert batch.num_tokens == 3 * 24
    assert batch.tables[0].shape[0] == len(np.unique(sets))  # every row once
    assert (batch.tables[0][batch.index[:, 0]].numpy() == store.nodes["x"][[5, 0, 5]]).all()


def test_part_of_a_larger_set():
    store = graph()
    assert (
        TokenLoader(store, size=3).batch([7]).dense()[:, :3].numpy() == store.nodes["x"][store.nodes["node_set"][7, :3]]
    ).all()


def test_fresh_sets_per_epoch():
    store = graph()
    sets = NodeSets(store, 8)
    loader = TokenLoader(store, sets=sets)
    for epoch in (0, 3):
        wanted = store.nodes["x"][sets.sample([4, 9], epoch=epoch)]
        assert (loader.batch([4, 9], epoch=epoch).dense()[:, :8].numpy() == wanted).all()
    assert not torch.equal(loader.batch([4], epoch=1).dense(), loader.batch([4], epoch=2).dense())


def test_batches_are_ahead_in_order_and_do_not_depend_on_workers(tmp_path):
    graph().save(tmp_path / "g")
    loader = TokenLoader(nearhop.open(tmp_path / "g"))
    found = []
    for workers in (0, 2):
        found.append([batch.nodes.tolist() for batch in loader.batches(np.arange(100), 32, epoch=2, workers=workers)])
    assert found[0] == found[1]
    assert [len(part) for part in found[0]] == [32, 32, 32, 4]
    assert sorted(node for part in found[0] for node in part) == list(range(100))
    assert loader.report().batches == 8
    plain = [b.nodes.tolist() for b in loader.batches([3, 1, 2], 2, shuffle=False, workers=0)]
    assert plain == [[3, 1], [2]]


def test_halves_and_maps_give_the_same_tokens(tmp_path):
    store = graph()
    wide = TokenLoader(store).batch(np.arange(50))
    saved = store.save(tmp_path / "g")
    mapped = TokenLoader(saved, placement="mmap").batch(np.arange(50))
    assert torch.equal(wide.dense(), mapped.dense())
    half = graph()
    half.nodes["x"] = half.nodes["x"].astype(np.float16)
    nearhop.graphlib.sparse.hop_contexts(half)
    assert TokenLoader(half).batch([1]).tables[1].dtype == torch.float16


def test_an_epoch_costs_the_same_whatever_the_edges():
    """Once the loader is made it holds no adjacency: what it reads are columns."""
    loader = TokenLoader(graph())
    assert not any("djacency" in type(value).__name__ for value in vars(loader).values())


def test_bad_input_is_named():
    store = graph()
    with pytest.raises(InvalidInput, match="has sets of 8 nodes; 9 per set were asked for"):
        TokenLoader(store, size=9)
    with pytest.raises(InvalidInput, match=r"draws 4 nodes per set; take at most those"):
        TokenLoader(store, sets=NodeSets(store, 4), size=9)
    with pytest.raises(NotFound, match="has no contexts of 3 hops"):
        TokenLoader(store, hops=3)
    with pytest.raises(NotFound, match="no node sets in column 'mine'"):
        TokenLoader(store, sets="mine")
    with pytest.raises(InvalidInput, match="draws from another graph"):
        TokenLoader(store, sets=NodeSets(nearhop.GraphStore.from_edges([0], [1]), 4))
    with pytest.raises(InvalidType, match="must hold positional encodings"):
        TokenLoader(store, position="y")
    with pytest.raises(InvalidInput, match="no positional encodings"):
        TokenLoader(store).seeds([0])
    with pytest.raises(InvalidInput, match=r"nodes\[0\] is 120"):
        TokenLoader(store).batch([120])
    store.append_edges([0], [1])
    with pytest.raises(InvalidInput, match="another version of the store"):
        TokenLoader(store)
    store = graph()
    changed = store.nodes["x"].copy()
    changed[0] = 0
    store.nodes["x"] = changed
    with pytest.raises(InvalidInput, match="the contexts of 'x' belong to another version of the store"):
        TokenLoader(store)
