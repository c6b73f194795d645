from __future__ import annotations

import numpy as np
import pytest
import torch

import nearhop
from nearhop.gnn.large_gt import LargeGT, LargeGTConfig, TokenLoader
from nearhop.gnn.nodes import NodeData, NodeTrainer
from nearhop.gnn.training import Training
from nearhop.graphlib.errors import InvalidInput, InvalidType
from nearhop.graphlib.sparse import hop_contexts
from nearhop.sampling import NodeSets
from nearhop.tests.gnn.large_gt.graphs import data, graph

SMALL = {"hidden": 16, "num_centroids": 8, "global_dim": 6}


def model(store, *, mode="full", seed=0, sets="node_set", **options):
    torch.manual_seed(seed)
    tokens = TokenLoader(store, sets=sets, position="pe" if mode == "full" else None)
    return LargeGT(tokens, 3, LargeGTConfig(**{**SMALL, "mode": mode, **options}))


def state(made):
    return {name: part.clone() for name, part in made.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("mode", ["full", "local"])
def test_it_learns(mode):
    store = graph(300)
    trainer = NodeTrainer(model(store, mode=mode), data(store), Training(epochs=25, learning_rate=3e-3, batch_size=50))
    trainer.model.prepare(trainer.data.train)
    trainer.fit()
    assert trainer.test().accuracy > 0.85


@pytest.mark.parametrize("mode", ["full", "local"])
def test_both_ways_give_the_same_scores(mode):
    store = graph()
    made = model(store, mode=mode).eval()
    batch = made.batch(np.arange(120))
    with torch.no_grad():
        torch.testing.assert_close(made(batch), made(batch, plain=True), rtol=1e-4, atol=1e-4)


def test_permuting_nodes_permutes_scores():
    order = np.random.default_rng(3).permutation(120)
    store, other = graph(), graph(order=order)
    other.nodes["node_set"] = order[store.nodes["node_set"]].astype(np.int32)[np.argsort(order)]
    one, two = model(store).eval(), model(other).eval()
    two.load_state_dict(one.state_dict())
    with torch.no_grad():
        found = two(two.batch(order))
        torch.testing.assert_close(found, one(one.batch(np.arange(120))), rtol=1e-3, atol=1e-4)


def test_test_labels_do_not_reach_training():
    store = graph()
    split = data(store)
    labels = split.labels.copy()
    labels[split.test] = (labels[split.test] + 1) % 3
    states = []
    for y in (split.labels, labels):
        trainer = NodeTrainer(
            model(store), NodeData(y, split.train, split.val, split.test), Training(epochs=3, batch_size=20)
        )
        trainer.model.prepare(split.train)
        trainer.fit()
        states.append(state(trainer.model))
    assert same(*states)


def test_features_out_of_reach_do_not_reach_training():
    """A node is what lies within two steps, and their two: the features of another component change nothing."""
    one = graph(60)
    edges, y = one.edge_list(), np.tile(one.nodes["y"], 2)
    both = [np.concatenate([ends, ends + 60]) for ends in (edges.src, edges.dst)]
    split = NodeData(y, np.arange(30), np.arange(30, 60), np.arange(60, 120))
    states = []
    for change in (0, 5):
        store = nearhop.GraphStore.from_edges(*both)
        x = np.tile(one.nodes["x"], (2, 1))
        x[60:] += change
        store.nodes["x"], store.nodes["pe"] = x, np.tile(one.nodes["pe"], (2, 1))
        hop_contexts(store)
        NodeSets(store, 8).write()
        trainer = NodeTrainer(model(store), split, Training(epochs=2, batch_size=16))
        trainer.model.prepare(split.train)
        trainer.fit()
        states.append(state(trainer.model))
    assert same(*states)


def test_only_training_nodes_are_assigned():
    store = graph()
    split = data(store)
    made = model(store)
    made.prepare(split.train)
    trainer = NodeTrainer(made, split, Training(epochs=2, batch_size=16))
    trainer.fit()
    assigned = np.flatnonzero(trainer.model.attend.codebook.assignment.numpy() >= 0)
    assert (assigned == split.train).all()
    released = model(store, compat="released")
    assert (released.attend.codebook.assignment >= 0).all()


@pytest.mark.parametrize("fresh", [False, True])
def test_a_stopped_training_goes_on_to_the_same_bits(tmp_path, fresh):
    store = graph()
    split = data(store)
    options = Training(epochs=4, batch_size=16, workers=1)

    def trainer():
        made = model(store, sets=NodeSets(store, 8) if fresh else "node_set")
        made.prepare(split.train)
        return NodeTrainer(made, split, options)

    whole = trainer()
    whole.fit()
    stopped = trainer()
    path = str(tmp_path / "run.npz")
    stopped.fit(lambda told: told.epoch == 1 and told.batch == 2 and told.val is None, checkpoint=path)
    resumed = trainer()
    resumed.load(path)
    assert (resumed.epoch, resumed.batch) == (1, 2)
    resumed.fit()
    assert same(state(whole.model), state(resumed.model))
    assert whole.test().accuracy == resumed.test().accuracy


def test_the_same_bits_at_any_thread_count():
    store = graph()
    before, states = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            trainer = NodeTrainer(model(store), data(store), Training(epochs=2, batch_size=24, workers=threads))
            trainer.fit()
            states.append(state(trainer.model))
    finally:
        torch.set_num_threads(before)
    assert same(*states)


def test_a_batch_of_one_node_trains():
    store = graph()
    trainer = NodeTrainer(model(store), data(store), Training(epochs=1, batch_size=59))  # 60 = 59 + 1
    trainer.fit()
    assert all(torch.isfinite(part).all() for part in trainer.model.parameters())


def test_the_codebook_is_scored_by_k_means():
    store = graph(300)
    made = model(store)
    made.prepare(np.arange(300))
    ours, best = made.distortion(np.arange(300))
    assert ours == pytest.approx(best, rel=0.02)
    assert model(store).distortion(np.arange(300))[0] > ours


def test_bad_input_is_named():
    store = graph()
    with pytest.raises(InvalidInput, match="global_dim = 6; the loader has none"):
        LargeGT(TokenLoader(store), 3, LargeGTConfig(**SMALL))
    with pytest.raises(InvalidInput, match="global_dim = 64; the loader has 6 wide"):
        LargeGT(TokenLoader(store, position="pe"), 3)
    with pytest.raises(InvalidInput, match='mode="local" has no codebook'):
        model(store, mode="local").distortion([0])
    for options, message in (
        ({"hidden": 0}, "hidden must be an integer >= 1"),
        ({"mode": "global"}, "mode must be one of 'full', 'local'"),
        ({"compat": "paper"}, "compat must be one of None, 'released'"),
        ({"dropout": 1.0}, r"dropout must be a number in \[0, 1\)"),
        ({"momentum": 0}, r"momentum must be a number in \(0, 1\)"),
        ({"seed": "a"}, "seed must be an integer"),
    ):
        with pytest.raises(InvalidInput, match=message):
            LargeGTConfig(**options)
    made = model(store)
    with pytest.raises(InvalidInput, match=f"the model scores {store.num_nodes} nodes, but there are labels for 2"):
        NodeTrainer(made, NodeData([0, 1], [0], [1], []))
    for call in (lambda size: made.vectors([0, 1], batch_size=size), lambda size: made.prepare([0], batch_size=size)):
        for size in (0, -3):  # a negative one gave no vectors
            with pytest.raises(InvalidInput, match=f"batch_size must be an integer >= 1; got {size}"):
                call(size)
    with pytest.raises(InvalidInput, match="a mean over nodes; give at least one"):
        made.distortion([])
    with pytest.raises(InvalidInput, match="num_classes must be an integer >= 1; got 0"):
        LargeGT(made.tokens, 0, made.config)
    with pytest.raises(InvalidType, match="takes a TokenLoader and a LargeGTConfig; got nearhop's GraphStore"):
        LargeGT(store, 3)
    config = LargeGTConfig(hidden=np.int64(8), dropout=np.float32(0.5))
    assert (type(config.hidden), type(config.dropout)) == (int, float)
