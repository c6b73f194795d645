"""Local augmentation: the generator, the rule that picks it, files, and models that read what it draws."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

import nearhop
from nearhop.gnn import LocalAugmenter
from nearhop.gnn.augmentation import ConditionalVAE, DropoutEnsemble, SplitFirst
from nearhop.gnn.augmentation.pairs import Pairs
from nearhop.gnn.augmentation.uncertainty import uncertainty_of
from nearhop.gnn.nodes import NodeData, NodeTrainer, as_features, normalized_adjacency
from nearhop.gnn.nodes.models import GAT, GCN, GCNII, GRAND
from nearhop.gnn.sparse.propagation import neighbor_sets
from nearhop.gnn.training import Training
from nearhop.graphlib.errors import IndexMismatch, InvalidInput, InvalidType, NotFitted, StoreCorrupt, StoreMissing
from nearhop.tests.support import needs

N, F = 90, 17  # odd, so that the last of 16-bit numbers has no partner


def graph(seed=0, noise=0.05):
    """Three groups: edges mostly inside, and words of their own."""
    rng = np.random.default_rng(seed)
    group = np.arange(N) % 3
    src = rng.integers(0, N, 400)
    dst = np.where(
        rng.random(400) < 0.9, (src // 3 * 3 + 3 * rng.integers(0, N // 3, 400) + src % 3) % N, rng.integers(0, N, 400)
    )
    x = (rng.random((N, F)) < np.where(np.arange(F) % 3 == group[:, None], 0.5, noise)).astype(np.float32)
    store = nearhop.GraphStore.from_edges(src, dst, num_nodes=N)
    store.nodes["x"] = x
    store.nodes["y"] = group
    for name, low in (("train_mask", 0), ("val_mask", 30), ("test_mask", 60)):
        store.nodes[name] = (np.arange(N) >= low) & (np.arange(N) < low + 30)
    return store


def fitted(store=None, **options):
    return LocalAugmenter(**{"epochs": 2, "hidden": 32, "rule": None, **options}).fit(store or graph())


def test_draws_are_the_decoder_of_codes_and_raw_conditions():
    """The condition is the raw column, not the normalised one; rows are normalised after the decoder."""
    store = graph()
    augmenter = fitted(store)
    model, draw = augmenter.model, augmenter.draw(5)
    from nearhop.graphlib.compute.streams import Purpose, generator

    z = torch.from_numpy(generator(0, Purpose.GENERATED, 0, 5).standard_normal((N, 10), np.float32))
    raw = torch.from_numpy(store.nodes["x"])
    with torch.no_grad():
        rows = model.decode(z, raw @ model.decode_condition.weight)
    torch.testing.assert_close(draw.dense(), rows / rows.sum(1, keepdim=True), atol=1e-6, rtol=1e-4)
    plain = fitted(store, normalize=None)
    assert plain.sample().max() <= 1
    assert not torch.allclose(plain.sample()[0].sum(1), torch.tensor(1.0))


def test_samples_are_named_by_seed_and_number():
    augmenter = fitted()
    some = augmenter.sample(3, seed=4)
    assert some.shape == (3, N, F)
    assert torch.equal(augmenter.sample(2, seed=4), some[:2])
    assert not torch.equal(some[0], some[1])
    assert not torch.equal(augmenter.sample(1, seed=5)[0], some[0])
    with pytest.raises(InvalidInput, match="k must be an integer >= 1"):
        augmenter.sample(0)
    with pytest.raises(NotFitted, match="call fit or load first"):
        LocalAugmenter().sample()


def test_generated_features_are_like_those_of_neighbours():
    """Words of the own group are more likely than others, by far more than in a shuffled column."""
    store = graph()
    drawn = fitted(store, epochs=15).sample(4).mean(0)
    own = torch.from_numpy(np.arange(F) % 3 == store.nodes["y"][:, None])
    assert drawn[own].mean() > 3 * drawn[~own].mean()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_draw_multiplies_like_its_matrix(precision):
    augmenter = fitted(precision=precision)
    near = {"atol": 1e-6, "rtol": 1e-5} if precision == "float32" else {"atol": 0.02, "rtol": 0.02}
    weight = torch.randn(F, 4, requires_grad=True)
    held = augmenter.draw(1).held()
    assert torch.equal(held.dense(), augmenter.draw(1).dense())
    for draw in (augmenter.draw(1), augmenter.draw(1).dropped(0.4), held, held.dropped(0.4)):
        rows = draw.dense()
        torch.testing.assert_close(draw @ weight, rows @ weight, **near)
        with torch.no_grad():
            torch.testing.assert_close(draw @ weight, rows @ weight, **near)
        (found,) = torch.autograd.grad((draw @ weight).square().sum(), weight)
        (wanted,) = torch.autograd.grad((rows @ weight).square().sum(), weight)
        torch.testing.assert_close(found, wanted, atol=10 * near["atol"], rtol=10 * near["rtol"])
    dropped = augmenter.draw(1).dropped(0.4).dense()
    assert 0.3 < float((dropped == 0).float().mean()) < 0.5
    torch.testing.assert_close(dropped.mean(), augmenter.draw(1).dense().mean(), atol=0.01, rtol=0.1)


def test_draws_in_parts_are_the_same(monkeypatch):
    from nearhop.gnn.augmentation import generated

    augmenter = fitted()
    whole = augmenter.draw(1).dense()
    monkeypatch.setattr(generated, "_BLOCK_BYTES", 32 * 4 * F)
    other = fitted()
    torch.testing.assert_close(other.draw(1).dense(), whole, atol=1e-6, rtol=1e-5)
    kept = other.draw(1).dropped(0.5).dense() != 0
    assert 0.4 < float(kept.float().mean()) < 0.6
    assert not torch.equal(kept[:32], kept[32:64])


def test_memory_is_used_again_only_when_a_backward_pass_is_done():
    augmenter = fitted()
    weight = torch.randn(F, 4, requires_grad=True)
    one, other = augmenter.draw(1) @ weight, augmenter.draw(2) @ weight
    rows = [augmenter.draw(number).dense() for number in (1, 2)]
    (found,) = torch.autograd.grad(one.sum() + 2 * other.sum(), weight)
    (wanted,) = torch.autograd.grad((rows[0] @ weight).sum() + 2 * (rows[1] @ weight).sum(), weight)
    torch.testing.assert_close(found, wanted)
    assert len(augmenter._pool.rows) == 2
    (augmenter.draw(3) @ weight).sum().backward()
    assert len(augmenter._pool.rows) == 2


def test_pairs_are_read_by_index_and_x_stays_sparse():
    store = graph()
    x = as_features(store.nodes["x"], normalize=None)
    pairs = Pairs(x, neighbor_sets(store))
    sets = neighbor_sets(store).to_scipy()
    assert len(pairs) == sets.nnz
    assert (sets[pairs.condition, pairs.target] == 1).all()
    for features in (x, torch.from_numpy(store.nodes["x"])):
        rows = Pairs(features, neighbor_sets(store)).rows(np.array([3, 0, 3]))
        assert torch.equal(rows, torch.from_numpy(store.nodes["x"][[3, 0, 3]]))
    held = [value for value in vars(pairs).values() if isinstance(value, (np.ndarray, torch.Tensor))]
    assert all(value.ndim == 1 for value in held), "no table of pairs of rows"


def test_the_loss_is_that_of_the_paper():
    torch.manual_seed(0)
    for decoder in ("bernoulli", "gaussian"):
        model = ConditionalVAE(F, hidden=8, decoder=decoder)
        x, c = torch.rand(6, F), torch.rand(6, F)
        torch.manual_seed(1)
        found = model.loss(x, c)
        both = torch.cat([model.encode_target.weight, model.encode_condition.weight])
        bias: Any = model.encode_target.bias
        h = torch.relu(torch.cat([x, c], 1) @ both + bias)
        mean, logvar = model.mean(h), model.log_variance(h)
        torch.manual_seed(1)
        z = mean + torch.exp(logvar / 2) * torch.randn(6, 10)
        made = model.decode(z, model.condition(c))
        if decoder == "bernoulli":
            error = torch.nn.functional.binary_cross_entropy(made, x, reduction="sum")
        else:
            error = ((made - x) ** 2).sum()
        normal = torch.distributions.Normal(0, 1)
        divergence = torch.distributions.kl_divergence(torch.distributions.Normal(mean, torch.exp(logvar / 2)), normal)
        torch.testing.assert_close(found, (error + divergence.sum()) / 6)


def test_both_rules_by_their_definitions():
    torch.manual_seed(0)
    scores, nodes, labels = 3 * torch.randn(7, 20, 4), torch.arange(8), torch.arange(8) % 4
    p = torch.softmax(scores, 2)
    mean = p.mean(0)
    entropy = -(mean * mean.log()).sum(1) + (p * p.log()).sum(2).mean(0)
    assert uncertainty_of(scores, "paper", nodes, labels) == pytest.approx(float(entropy.mean()), rel=1e-4)
    at = torch.arange(8)
    released = -mean[at, labels].log().mean() + p[:, at, labels].log().mean()
    assert uncertainty_of(scores, "released", nodes, labels) == pytest.approx(float(released), rel=1e-4)
    with pytest.raises(InvalidInput, match="'released', 'paper'"):
        uncertainty_of(scores, "bald", nodes, labels)


def test_the_rules_want_opposite_things():
    """Where passes agree, "released" is at its maximum, 0, and "paper" at its minimum, 0."""
    nodes, labels = torch.arange(6), torch.arange(6) % 3
    agree = torch.randn(1, 6, 3).expand(5, -1, -1)
    differ = agree + 5 * torch.randn(5, 6, 3)
    for rule, sign in (("released", -1), ("paper", 1)):
        assert uncertainty_of(agree, rule, nodes, labels) == pytest.approx(0, abs=1e-6)
        assert sign * uncertainty_of(differ, rule, nodes, labels) > 0.05
    assert uncertainty_of(differ, "released", nodes, labels) < 0  # Jensen: never above 0


def test_the_ensemble_keeps_dropout_on():
    store = graph()
    torch.manual_seed(0)
    x, adjacency = as_features(store.nodes["x"]), normalized_adjacency(store)
    judge = DropoutEnsemble(x, adjacency, NodeData.from_store(store), epochs=5)
    assert judge.model.training
    assert judge.uncertainty(x, "paper", 5) > 1e-6
    judge.model.eval()
    assert judge.uncertainty(x, "paper", 5) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("rule", ["released", "paper"])
def test_the_state_of_the_largest_score_behind_the_warm_up_is_kept(rule):
    told = []
    augmenter = LocalAugmenter(epochs=3, hidden=32, rule=rule, check_every=2, passes=4, warmup=12, refit_epochs=1)
    augmenter.fit(graph(), progress=told.append)
    late = {step: score for step, score in augmenter.history if step > 12}
    assert augmenter.kept_step == max(late, key=late.get)
    scored = [state.step for state in told if state.uncertainty is not None]
    assert scored == [step for step, _ in augmenter.history]
    assert all(step % 2 == 0 or step == told[-1].num_steps for step in scored)
    assert [state.step for state in told if state.kept and state.step > 12][-1] == augmenter.kept_step
    assert told[-1].step == told[-1].num_steps == len(told)


def test_a_fit_shorter_than_the_warm_up_keeps_its_best():
    augmenter = LocalAugmenter(epochs=1, hidden=16, check_every=2, passes=2, warmup=10_000).fit(graph())
    scores = dict(augmenter.history)
    assert augmenter.kept_step == max(scores, key=scores.get)


def test_labels_of_nodes_outside_training_are_never_read():
    """The generator is transductive: it reads all features and edges. Of labels, only those of training nodes."""
    store, other = graph(), graph()
    y = store.nodes["y"].copy()
    y[30:] = (y[30:] + 1) % 3
    other.nodes["y"] = y
    options = {"rule": "released", "check_every": 4, "passes": 3, "warmup": 4}
    assert torch.equal(fitted(store, **options).sample(), fitted(other, **options).sample())
    y[:30] = 0
    other.nodes["y"] = y
    assert fitted(store, **options).history != fitted(other, **options).history


def test_the_same_bits_at_any_number_of_threads():
    made = []
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        made.append(fitted(rule="released", check_every=8, passes=3).sample(2))
    torch.set_num_threads(before)
    assert torch.equal(*made)


def test_saved_and_loaded(tmp_path):
    store = graph()
    augmenter = fitted(store, rule="released", check_every=8, passes=3, warmup=4)
    path = str(tmp_path / "generator.npz")
    augmenter.save(path)
    again = LocalAugmenter.load(path, store)
    assert torch.equal(again.sample(2, seed=3), augmenter.sample(2, seed=3))
    assert (again.history, again.kept_step, again.options) == (
        augmenter.history,
        augmenter.kept_step,
        augmenter.options,
    )
    with pytest.raises(StoreMissing):
        LocalAugmenter.load(str(tmp_path / "none.npz"), store)
    changed = graph()
    changed.nodes["x"] = np.roll(store.nodes["x"], 1, axis=0)
    with pytest.raises(IndexMismatch, match="holds others"):
        LocalAugmenter.load(path, changed)
    changed.nodes["narrow"] = store.nodes["x"][:, :5]
    with pytest.raises(IndexMismatch, match=r"column 'narrow' of this store, of shape \(90, 5\)"):
        LocalAugmenter.load(path, changed, "narrow")
    with pytest.raises(NotFitted):
        LocalAugmenter().save(path)


def test_damaged_generators(tmp_path):
    from nearhop.graphlib.checkpoints import load_checkpoint, save_checkpoint

    store, path = graph(), str(tmp_path / "generator.npz")
    fitted(store).save(path)
    arrays, facts = load_checkpoint(path)
    name = "output.weight"
    for parts, told, match in (
        ({k: v for k, v in arrays.items() if k != name}, facts, "lacks array"),
        ({**arrays, name: arrays[name][:3]}, facts, "output.weight is"),
        (arrays, {k: v for k, v in facts.items() if k != "fingerprint"}, "not a whole generator"),
        (arrays, {**facts, "options": {**facts["options"], "hidden": 0}}, "hidden must be"),
        (arrays, {**facts, "options": {**facts["options"], "hidden": 10**12}}, "not a whole checkpoint of this model"),
        (arrays, {**facts, "options": {**facts["options"], "other": 1}}, "not a whole generator"),
        (arrays, {**facts, "history": [1]}, "not a whole generator"),
    ):
        save_checkpoint(path, parts, told)
        with pytest.raises(StoreCorrupt, match=match):
            LocalAugmenter.load(path, store)
    whole = tmp_path / "generator.npz"
    whole.write_bytes(whole.read_bytes()[:-200])
    with pytest.raises(StoreCorrupt):
        LocalAugmenter.load(path, store)


def test_input_that_cannot_be():
    store = graph()
    with pytest.raises(InvalidInput, match="no node column 'z'"):
        LocalAugmenter(rule=None).fit(store, "z")
    store.nodes["wide"] = 3 * store.nodes["x"]
    with pytest.raises(InvalidInput, match=r'in \[0, 3\]. Take decoder="gaussian"'):
        LocalAugmenter(rule=None).fit(store, "wide")
    drawn = LocalAugmenter(rule=None, epochs=1, decoder="gaussian", normalize=None).fit(store, "wide").sample()
    assert drawn.min() < 0
    store.nodes["none"] = np.zeros((store.num_nodes, 0), np.float32)
    with pytest.raises(InvalidType, match=r"features must be real numbers \(n, F\), F at least 1"):
        LocalAugmenter(rule=None).fit(store, "none")
    bare = nearhop.GraphStore.from_edges([0], [1])
    bare.nodes["x"] = np.eye(2, dtype=np.float32)
    with pytest.raises(InvalidInput, match="give data=NodeData"):
        LocalAugmenter().fit(bare)
    for data in (NodeData([0, 1], [0], [], [1]), NodeData(np.zeros(N, int), [], [0], [1])):
        with pytest.raises(InvalidInput, match=f"labels of training nodes of the store's {N} nodes; got NodeData"):
            LocalAugmenter(epochs=1).fit(store, data=data)
    wrapped = fitted(store).wrap(GCN(F, 8, 2, branches=2), as_features(store.nodes["x"]))
    with pytest.raises(InvalidInput, match=f"the model scores {N} nodes, but there are labels for 2"):
        NodeTrainer(wrapped, NodeData([0, 1], [0], [1], []))
    loop = nearhop.GraphStore.from_edges([0], [0], num_nodes=2)
    loop.nodes["x"] = np.eye(2, dtype=np.float32)
    with pytest.raises(InvalidInput, match="no edges between different nodes"):
        LocalAugmenter(rule=None).fit(loop)
    for options, match in (
        ({"rule": "bald"}, "rule must be one of 'released', 'paper', None"),
        ({"decoder": "poisson"}, "decoder must be"),
        ({"precision": "half"}, "precision must be"),
        ({"passes": 1}, "passes must be an integer >= 2"),
        ({"learning_rate": 0}, "learning_rate must be"),
        ({"normalize": "columns"}, "normalize must be"),
    ):
        with pytest.raises(InvalidInput, match=match):
            LocalAugmenter(**options)


def trainer_of(augmenter, store, epochs=10, model=None, seed=0, **options):
    torch.manual_seed(seed)
    x, adjacency = as_features(store.nodes["x"]), normalized_adjacency(store)
    wrapped = augmenter.wrap(model or GCN(F, 4, 3, branches=2), x, adjacency, **options)
    return NodeTrainer(wrapped, NodeData.from_store(store), Training(epochs=epochs, learning_rate=0.05, seed=seed))


def test_the_epoch_is_tested_with_the_features_it_was_judged_with():
    store = graph()
    trainer = trainer_of(fitted(store), store, epochs=25)
    views = {}
    trainer.fit(lambda told: views.setdefault(told.epoch, int(trainer.model.view)))
    assert len(set(views.values())) == 25
    trainer.test()
    assert int(trainer.model.view) == views[trainer.best_epoch]
    assert trainer.judged()["loss"] == trainer.history["val_loss"][trainer.best_epoch]


def test_every_view_has_features_of_its_own(monkeypatch):
    store = graph()
    trainer = trainer_of(fitted(store), store, samples=3)
    seen = []
    draw = trainer.model.augmenter.draw
    monkeypatch.setattr(trainer.model.augmenter, "draw", lambda number: seen.append(number) or draw(number))
    trainer.fit(lambda told: told.epoch == 1)
    assert len(seen) == len(set(seen)) == 2 * (3 + 1)  # of two epochs: three views and a validation


def test_fixed_validation_and_fixed_draws(monkeypatch):
    store = graph()
    for options, training, judging in (
        ({"judged_on": "fixed"}, 20, 1),
        ({"draws": "fixed"}, 1, 0),
    ):
        trainer = trainer_of(fitted(store), store, samples=2, **options)
        seen = {True: set(), False: set()}
        draw = trainer.model.augmenter.draw
        monkeypatch.setattr(
            trainer.model.augmenter,
            "draw",
            lambda number, draw=draw, seen=seen, model=trainer.model: seen[model.training].add(number) or draw(number),
        )
        trainer.fit()
        assert (len(seen[True]), len(seen[False])) == (training, judging)


def test_training_resumes_to_the_same_bits(tmp_path):
    store = graph()
    augmenter = fitted(store)
    whole = trainer_of(augmenter, store)
    whole.fit()
    path = str(tmp_path / "run.npz")
    trainer_of(augmenter, store).fit(lambda told: told.epoch == 4, checkpoint=path)
    resumed = trainer_of(augmenter, store)
    resumed.load(path)
    resumed.fit()
    assert resumed.history == whole.history
    assert resumed.test().correct.tolist() == whole.test().correct.tolist()


def test_a_training_with_another_generator_is_not_taken_up(tmp_path):
    """One of other weights, or of the same weights that draws from another seed."""
    store, path = graph(), str(tmp_path / "run.npz")
    augmenter = fitted(store)
    trainer_of(augmenter, store, epochs=2).fit(checkpoint=path)
    for change, message in (({"seed": 7}, "another model"), ({}, "other inputs")):
        other = fitted(store)
        other.options = dataclasses.replace(other.options, **change)
        other.model.output.bias += not change
        with pytest.raises(IndexMismatch, match=message):
            trainer_of(other, store, epochs=2).load(path)
    kept = str(tmp_path / "generator.npz")
    augmenter.save(kept)
    trainer_of(LocalAugmenter.load(kept, store), store, epochs=2).load(path)


def test_every_way_trains_every_model():
    store = graph()
    augmenter = fitted(store, epochs=6)
    cases = [
        (GCN(F, 4, 3, branches=3), {"branches": 2}),
        (GAT(F, 4, 3, heads=4, branches=2), {}),
        (GCNII(F, 8, 3, num_layers=4, branches=2), {"consistency": 0.0}),
        (GRAND(F, 8, 3, order=2), {"how": "views", "draws": "fixed", "samples": 2}),
        (GCN(2 * F, 8, 3), {"how": "concatenate"}),
        (GCN(F, 8, 3), {"how": "average"}),
    ]
    for model, options in cases:
        trainer = trainer_of(augmenter, store, 40, model, **options)
        trainer.fit()
        assert trainer.test().accuracy > 0.75, type(model).__name__


def test_views_are_judged_on_the_given_features_alone(monkeypatch):
    store = graph()
    trainer = trainer_of(fitted(store), store, model=GRAND(F, 8, 3, order=2), how="views")
    x, adjacency = as_features(store.nodes["x"]), normalized_adjacency(store)
    found = torch.from_numpy(trainer.predict())
    with torch.no_grad():
        torch.testing.assert_close(found, trainer.model.module.eval()(x, adjacency))


@needs("torch_geometric")
def test_layers_and_models_of_pyg():
    from torch_geometric.nn import GCNConv, models

    store = graph()
    augmenter = fitted(store, epochs=6)
    x = torch.from_numpy(store.nodes["x"])
    rows = store.csr()
    index = torch.from_numpy(np.stack([np.repeat(np.arange(N), rows.degrees()), rows.indices])).long()
    data = NodeData.from_store(store)
    for model, how in (
        (SplitFirst([GCNConv(F, 8), GCNConv(F, 8)], GCNConv(16, 3)), "split"),
        (models.GCN(2 * F, 8, 2, 3), "concatenate"),
        (models.GCN(F, 8, 2, 3), "average"),
    ):
        trainer = NodeTrainer(
            augmenter.wrap(model, x, index, how=how, samples=2), data, Training(epochs=30, learning_rate=0.05)
        )
        trainer.fit()
        assert trainer.test().accuracy > 0.75, how


def test_wraps_that_cannot_be():
    store = graph()
    augmenter = fitted(store)
    x, adjacency = as_features(store.nodes["x"]), normalized_adjacency(store)
    model = GCN(F, 4, 3, branches=2)
    for options, match in (
        ({"how": "sum"}, "how must be one of 'split', 'concatenate', 'average', 'views'"),
        ({"branches": 0}, "branches must be an integer >= 1"),
        ({"how": "average", "branches": 2}, "reads one generated matrix"),
        ({"draws": "new"}, 'draws must be "fresh" or "fixed"'),
        ({"judged_on": "new"}, "judged_on must be"),
        ({"samples": 0}, "samples must be"),
    ):
        with pytest.raises(InvalidInput, match=match):
            augmenter.wrap(model, x, adjacency, **options)
    with pytest.raises(InvalidInput, match=r"x has shape \(90, 5\), but the generator was fitted on column 'x'"):
        augmenter.wrap(model, store.nodes["x"][:, :5], adjacency)
    with pytest.raises(NotFitted):
        LocalAugmenter().wrap(model, x, adjacency)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_rows_that_are_made_again_give_the_gradient_of_rows_that_are_kept(monkeypatch, precision):
    from nearhop.gnn.augmentation import generated

    near = 1e-2 if precision == "bfloat16" else 1e-5  # sums of parts are rounded to the type of the rows
    augmenter = LocalAugmenter(rule=None, epochs=1, hidden=16, precision=precision).fit(graph())
    monkeypatch.setattr(generated, "_BLOCK_BYTES", 32 * 4 * F)
    found = []
    for limit in (0, 1 << 30):
        monkeypatch.setattr(generated, "_KEPT_BYTES", limit)
        torch.manual_seed(0)
        draws = [augmenter.draw(number).dropped(0.5) for number in range(3)]
        weight = torch.linspace(-1, 1, F * 3).reshape(F, 3).requires_grad_()
        products = [draw @ weight for draw in draws]
        assert augmenter._pool.taken == (3 if limit else 0)
        loss = sum(product.square().sum() for product in products)
        first = torch.autograd.grad(loss, weight, retain_graph=True)[0]
        assert augmenter._pool.taken == 0
        again = torch.autograd.grad(loss, weight)[0]
        torch.testing.assert_close(again, first, rtol=0, atol=near * float(first.abs().max()))
        found.append(first)
    products = [draw @ weight for draw in draws]
    assert augmenter._pool.taken == 3
    del products, draws
    assert augmenter._pool.taken == 0  # what nobody led back is free again
    torch.testing.assert_close(*found, rtol=0, atol=near * float(found[0].abs().max()))
