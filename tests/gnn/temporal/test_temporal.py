"""Temporal evaluation: splits without leaks, negatives by their rules, metrics as elsewhere, exact resume."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nearhop
from nearhop.embed.progress import TrainingDiverged
from nearhop.gnn.temporal.baselines import CommonNeighbours, EdgeBank
from nearhop.gnn.temporal.metrics import LinkScores, average_precision, reciprocal_ranks, roc_auc
from nearhop.gnn.temporal.negatives import TemporalNegatives
from nearhop.gnn.temporal.splits import Events, inductive_split, time_split
from nearhop.gnn.temporal.trainer import TemporalTrainer, TrainOptions, evaluate, replay
from nearhop.graphlib.errors import IndexMismatch, InvalidInput, InvalidType, NotFitted, StoreCorrupt, StoreMissing
from nearhop.tests.support import needs


def events_of(num_nodes=30, count=300, seed=0):
    rng = np.random.default_rng(seed)
    src, dst = rng.integers(0, num_nodes, (2, count))
    time = rng.integers(0, count // 2, count)
    return Events.from_store(nearhop.GraphStore.from_edges(src, dst, num_nodes=num_nodes, time=time, directed=True))


def test_events_are_in_order_and_keep_their_edge():
    store = nearhop.GraphStore.from_edges([0, 1, 2], [1, 2, 0], time=[3, 1, 1], directed=True)
    events = Events.from_store(store)
    assert events.edge_ids.tolist() == [1, 2, 0]
    assert events.src.tolist() == [1, 2, 0]
    assert repr(events) == "Events(3 among 3 nodes, time 1..3)"
    assert len(events.take(np.array([2]))) == 1
    with pytest.raises(InvalidInput, match="events need edge times"):
        Events.from_store(nearhop.GraphStore.from_edges([0], [1]))


@given(st.integers(10, 400), st.integers(0, 1000))
def test_time_split_divides_by_time(count, seed):
    events = events_of(20, count, seed)
    split = time_split(events)
    parts = [split.train, split.val, split.test]
    np.testing.assert_array_equal(np.concatenate(parts), np.arange(count))
    low, high = np.quantile(events.time, [0.7, 0.85])
    assert (events.time[split.train] <= low).all()
    assert ((events.time[split.val] > low) & (events.time[split.val] <= high)).all()
    assert (events.time[split.test] > high).all()


@given(st.integers(60, 400), st.integers(0, 1000))
def test_inductive_split_hides_nodes(count, seed):
    events = events_of(20, count, seed)
    split, plain = inductive_split(events, seed=seed), time_split(events)
    hidden = set(split.masked.tolist())
    touched = [{int(events.src[i]), int(events.dst[i])} & hidden for i in range(count)]
    assert not any(touched[i] for i in [*split.train, *split.val])
    assert all(touched[i] for i in split.test)
    pairs = [(split.train, plain.train, False), (split.val, plain.val, False), (split.test, plain.test, True)]
    for mine, whole, keep in pairs:
        assert mine.tolist() == [i for i in whole.tolist() if bool(touched[i]) == keep]
    np.testing.assert_array_equal(split.replay, np.concatenate([plain.train, plain.val]))
    later = np.concatenate([plain.val, plain.test])
    assert hidden <= set(events.src[later].tolist()) | set(events.dst[later].tolist())
    assert len(hidden) == int(0.1 * len(set(events.src.tolist()) | set(events.dst.tolist())))


def test_split_errors():
    events = events_of()
    with pytest.raises(InvalidInput, match="quantiles must rise between 0 and 1,"):
        time_split(events, (0.9, 0.8))
    for wrong in ((0.5,), "ab", (0.1, "x")):
        with pytest.raises(InvalidInput, match="quantiles must rise between 0 and 1,"):
            time_split(events, wrong)
    for share in (1.5, "a"):
        with pytest.raises(InvalidInput, match="share must be between 0 and 1; got"):
            inductive_split(events, share=share)
    with pytest.raises(InvalidInput, match=r"share=0.01 of 30 nodes, .* hides none, so that there is nothing to test"):
        inductive_split(events, share=0.01)
    with pytest.raises(InvalidInput, match="there are no events to divide"):
        time_split(events.take(np.arange(0)))


@pytest.mark.parametrize("collisions", ["allow", "refuse"])
def test_random_negatives(collisions):
    events = events_of(6, 300)
    pool = np.arange(100)
    sampler = TemporalNegatives(events, pool, num=40, collisions=collisions, seed=3)
    drawn = sampler.draw(np.arange(300))
    rows = list(zip(events.src, events.dst, events.time, strict=True))
    met = [{int(v) for u, v, t in rows if (u, t) == (source, time)} for source, _, time in rows]
    collide = np.mean([[w in met[i] for w in drawn[i]] for i in range(300)])
    if collisions == "refuse":
        assert collide == 0
    else:
        assert collide > 0.1
        counts = np.bincount(drawn.ravel(), minlength=6)
        assert np.abs(counts / counts.sum() - 1 / 6).max() < 0.02
    some = np.array([5, 250, 7])
    np.testing.assert_array_equal(sampler.draw(some), drawn[some])
    assert (sampler.draw(some, epoch=1) != drawn[some]).any()


def test_pool_limits_destinations():
    store = nearhop.GraphStore.from_edges([0] * 4, [1, 2, 3, 3], time=[0, 1, 2, 3], directed=True)
    events = Events.from_store(store)
    drawn = TemporalNegatives(events, np.array([0, 1]), num=50, collisions="allow").draw(np.arange(4))
    assert set(drawn.ravel()) == {1, 2}
    forced = TemporalNegatives(events, np.array([0]), num=3).draw(np.array([0]))
    assert forced.tolist() == [[1, 1, 1]]  # nothing else is left to draw


def test_historical_and_inductive_negatives():
    events = events_of(15, 400, seed=2)
    split = time_split(events)
    past = TemporalNegatives(events, np.arange(400), kind="historical", num=8).draw(split.test)
    new = TemporalNegatives(events, np.arange(400), kind="inductive", train=split.train, num=8).draw(split.test)
    trained = {(int(events.src[i]), int(events.dst[i])) for i in split.train}
    fresh_found = 0
    for i, rows, fresh in zip(split.test, past, new, strict=True):
        source = events.src == events.src[i]
        before = set(events.dst[source & (events.time < events.time[i])].tolist())
        now = set(events.dst[source & (events.time == events.time[i])].tolist())
        if before - now:
            assert set(rows.tolist()) <= before - now
        candidates = {v for v in before - now if (int(events.src[i]), v) not in trained}
        if candidates:
            fresh_found += 1
            assert set(fresh.tolist()) <= candidates
    assert fresh_found > 10


def test_negative_errors():
    events = events_of()
    with pytest.raises(InvalidInput, match="kind must be one of 'random', 'historical', 'inductive'; got 'hard'"):
        TemporalNegatives(events, np.arange(3), kind="hard")
    with pytest.raises(InvalidInput, match="collisions must be one of"):
        TemporalNegatives(events, np.arange(3), collisions="maybe")
    with pytest.raises(InvalidInput, match="inductive negatives need train"):
        TemporalNegatives(events, np.arange(3), kind="inductive")
    with pytest.raises(InvalidInput, match="the pool has no events"):
        TemporalNegatives(events, np.arange(0))


@pytest.mark.parametrize(
    ("positions", "error", "said"),
    [
        ([10**7], InvalidInput, r"\[0\] is 10000000, but events are 0..299"),
        ([0, -1], InvalidInput, r"\[1\] is -1, but events are 0..299"),
        ([1.5], InvalidType, "must hold integer event positions"),
        (np.ones(5, bool), InvalidInput, r"a mask of events must have shape \(300,\)"),
    ],
)
def test_positions_are_events(positions, error, said):
    """Positions beyond the stream were read from memory beyond it."""
    events = events_of()
    negatives = TemporalNegatives(events, np.arange(300))
    for call in (
        negatives.draw,
        lambda given: TemporalNegatives(events, given),
        lambda given: TemporalNegatives(events, np.arange(3), kind="inductive", train=given),
        lambda given: evaluate(EdgeBank(), events, given, negatives),
        lambda given: replay(EdgeBank(), events, given),
    ):
        with pytest.raises(error, match=said):
            call(positions)
    mask = np.arange(300) >= 250
    np.testing.assert_array_equal(negatives.draw(mask), negatives.draw(np.arange(250, 300)))
    assert evaluate(EdgeBank(), events, mask, negatives) == evaluate(EdgeBank(), events, np.arange(250, 300), negatives)


@pytest.mark.parametrize("size", [0, -1, 2.5])
def test_batches_hold_events(size):
    """Batches of less than nothing left all events out."""
    events = events_of()
    trainer = trainer_of(epochs=1)
    trainer.fit()
    for call in (
        lambda: evaluate(EdgeBank(), events, np.arange(9), TemporalNegatives(events, np.arange(9)), batch_size=size),
        lambda: replay(EdgeBank(), events, np.arange(9), batch_size=size),
        lambda: trainer.test(batch_size=size),
    ):
        with pytest.raises(InvalidInput, match=f"batch_size must be an integer >= 1; got {size}"):
            call()


@needs("sklearn")
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 6), st.integers(0, 1000))
def test_metrics_equal_scikit_learns(positives, negatives, levels, seed):
    from sklearn.metrics import average_precision_score, roc_auc_score

    rng = np.random.default_rng(seed)
    positive, negative = rng.integers(0, levels, positives) + 0.5, rng.integers(0, levels, negatives) + 0.5
    labels = np.repeat([1, 0], [positives, negatives])
    scores = np.concatenate([positive, negative])
    assert average_precision(positive, negative) == pytest.approx(average_precision_score(labels, scores))
    assert roc_auc(positive, negative) == pytest.approx(roc_auc_score(labels, scores))


def test_ranks_and_batches():
    positive, negative = np.array([2.0, 1.0]), np.array([[1.0, 0.0], [1.0, 3.0]])
    np.testing.assert_allclose(reciprocal_ranks(positive, negative), [1.0, 0.4])
    scores = LinkScores.of([positive[:1], positive[1:]], [negative[:1], negative[1:]])
    assert scores.ap_batch == pytest.approx((1.0 + 1 / 3) / 2)
    assert scores.mrr == pytest.approx(0.7)
    assert scores.num_links == 2
    assert scores.ap != pytest.approx(scores.ap_batch)
    assert np.isnan(LinkScores.of([], []).ap)


def test_edge_bank_and_common_neighbours():
    bank, window, either = EdgeBank(), EdgeBank(window=2.0), EdgeBank(directed=False)
    for model in (bank, window, either):
        model.observe([0, 1], [1, 2], time=[0.0, 5.0], edge_ids=[0, 1])
        assert model([1], [2], [[0]], time=[6.0])[0].tolist() == [1.0]
    assert bank([0], [1], [[2]], time=[6.0])[0].tolist() == [1.0]
    assert window([0], [1], [[2]], time=[6.0])[0].tolist() == [0.0]
    assert bank([1], [0], [[0]], time=[6.0])[0].tolist() == [0.0]
    assert either([1], [0], [[0]], time=[6.0])[0].tolist() == [1.0]
    bank.reset()
    assert bank([0], [1], [[2]], time=[6.0])[0].tolist() == [0.0]
    common = CommonNeighbours()
    common.observe([0, 2, 0, 2], [1, 1, 3, 3], time=[0.0] * 4, edge_ids=range(4))
    assert common([0], [2], [[1]], time=[1.0])[0].tolist() == [2.0]
    assert common([0], [2], [[1]], time=[1.0])[1].tolist() == [[0.0]]
    common.reset()
    assert common([0], [2], [[1]], time=[1.0])[0].tolist() == [0.0]
    for wrong in (0, "a"):
        with pytest.raises(InvalidInput, match="window must be a time above 0"):
            EdgeBank(window=wrong)


def test_baselines_read_whole_events_in_any_order():
    window = EdgeBank(window=5.0)
    window.observe([0, 0], [1, 1], time=[10.0, 3.0], edge_ids=[0, 1])
    assert window([0], [1], [[2]], time=[12.0])[0].tolist() == [1.0]
    for model in (window, CommonNeighbours()):
        assert [part.shape for part in model([], [], np.empty((0, 3), int), time=[])] == [(0,), (0, 3)]
        for src, dst, negatives, time, said in (
            ([0], [1, 2], [[2]], [1.0], "one per event"),
            ([0, 1], [1, 2], [[2]], [1.0, 2.0], "a row for each of 2 events"),
            ([0], [1], [2], [1.0], r"negatives must have shape \(n, q\)"),
            ([0], [1], [[2]], [np.nan], r"times must be finite; time\[0\] is not"),
        ):
            with pytest.raises(InvalidInput, match=said):
                model(src, dst, negatives, time=time)
        with pytest.raises(InvalidInput, match="times must be finite"):
            model.observe([0], [1], time=[np.nan], edge_ids=[0])


class Spy:
    """Remembers which events had been observed when each was scored."""

    def __init__(self):
        self.seen, self.at = [], {}

    def __call__(self, src, dst, negatives, *, time):
        for t in time:
            self.at[float(t)] = len(self.seen)
        return np.zeros(len(src)), np.zeros(np.shape(negatives))

    def observe(self, src, dst, *, time, edge_ids, epoch=0):
        self.seen.extend(edge_ids.tolist())


def test_no_event_is_observed_before_its_batch_is_scored():
    store = nearhop.GraphStore.from_edges(np.arange(50), np.arange(1, 51), time=np.arange(50), directed=True)
    events, spy = Events.from_store(store), Spy()
    evaluate(spy, events, np.arange(7, 50), TemporalNegatives(events, np.arange(50)), batch_size=8)
    assert spy.seen == list(range(7, 50))
    assert all(spy.at[float(i)] == (i - 7) // 8 * 8 for i in range(7, 50))


def trainer_of(**options):
    torch = pytest.importorskip("torch", reason="needs torch")
    from nearhop.gnn import NAT

    events = events_of(20, 240)
    torch.manual_seed(0)
    model = NAT(20, sizes=(1, 8, 4), self_dim=6, hidden_dim=8)
    defaults = {"epochs": 3, "batch_size": 20, "learning_rate": 1e-2}
    return TemporalTrainer(model, events, time_split(events), TrainOptions(**{**defaults, **options}))


@pytest.mark.parametrize("pause", [1, 5, 9, 20])
def test_resumed_training_equals_training_that_never_stopped(tmp_path, pause):
    straight = trainer_of()
    straight.fit()
    told = []
    stopped = trainer_of()
    stopped.fit(lambda progress: told.append(progress) or len(told) == pause)
    assert not stopped.finished
    stopped.save(str(tmp_path / "run.npz"))
    resumed = trainer_of()
    resumed.load(str(tmp_path / "run.npz"))
    assert (resumed.epoch, resumed.batch) == (stopped.epoch, stopped.batch)
    resumed.fit()
    assert resumed.history == straight.history
    assert resumed.best_epoch == straight.best_epoch
    for name, part in straight.best.items():
        np.testing.assert_array_equal(resumed.best[name], part, err_msg=name)
    assert resumed.test() == straight.test()
    assert resumed.test("historical", num=2) == straight.test("historical", num=2)
    assert resumed.test("historical", num=2) != resumed.test()


def test_training_stops_early_and_tests_the_best_epoch():
    trainer = trainer_of(epochs=30, patience=2, tolerance=10.0)  # nothing is ever ten times better
    trainer.fit()
    assert trainer.finished
    assert trainer.epoch == 3
    assert trainer.best_epoch == 0
    first = trainer_of(epochs=1)
    first.fit()
    assert first.test() == trainer.test()


def test_a_split_that_cannot_choose_an_epoch():
    """No score is greater than nan: the first epoch was kept."""
    made = trainer_of()
    for name in ("train", "val"):
        split = dataclasses.replace(made.split, **{name: made.split.val[:0]})
        with pytest.raises(InvalidInput, match=f"has no {name} events.*other quantiles"):
            TemporalTrainer(made.model, made.events, split, made.options)


def test_other_events_features_or_splits_are_not_taken_up(tmp_path):
    path = str(tmp_path / "run.npz")
    first = trainer_of()
    first.fit(lambda told: told.val is not None)
    first.save(path)
    events, split = first.events, first.split
    other = dataclasses.replace(events, time=events.time + 1.0)
    for made, what in ((TemporalTrainer(trainer_of().model, other, split, first.options), "other events"),
                       (TemporalTrainer(trainer_of().model, events, dataclasses.replace(split, test=split.test[1:]),
                                        first.options), "other split")):  # fmt: skip
        with pytest.raises(IndexMismatch, match=f"{what}. Give what it was trained from"):
            made.load(path)
        assert made.epoch == 0
    trainer_of().load(path)


def test_trainer_errors(tmp_path):
    trainer = trainer_of()
    with pytest.raises(NotFitted, match="no epoch is complete"):
        trainer.test()
    with pytest.raises(StoreMissing, match="there is no checkpoint"):
        trainer.load(str(tmp_path / "none.npz"))
    path = tmp_path / "run.npz"
    trainer.save(str(path))
    with pytest.raises(InvalidInput, match="was trained with"):
        trainer_of(epochs=4).load(str(path))
    whole = path.read_bytes()
    for damaged in (b"", b"version https://git-lfs", whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(StoreCorrupt, match="is not a checkpoint, or is damaged"):
            trainer.load(str(path))
    with pytest.raises(InvalidInput, match="patience must be an integer >= 1; got 0"):
        TrainOptions(patience=0)
    for wrong, said in (
        ({"monitor": "f1"}, "monitor must be a field of LinkScores that is a score; got 'f1'"),
        ({"monitor": "num_links"}, "monitor must be a field"),
        ({"collisions": "maybe"}, "collisions must be one of 'allow', 'refuse'; got 'maybe'"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number > 0; got nan"),
        ({"tolerance": float("nan")}, "tolerance must be a finite number; got nan"),
        ({"seed": "a"}, "seed must be an integer"),
    ):
        with pytest.raises(InvalidInput, match=said):
            TrainOptions(**wrong)


def test_a_loss_that_is_not_finite_stops_training_and_can_be_saved(tmp_path):
    """What is saved then is the state before that batch, and a file that can be read."""
    trainer, path = trainer_of(learning_rate=1e30), str(tmp_path / "run.npz")
    with pytest.raises(TrainingDiverged, match="the loss of epoch 0, batch 1 became nan; use a learning_rate below"):
        trainer.fit()
    trainer.save(path)
    trainer_of(learning_rate=1e30).load(path)


def test_looking_at_the_test_set_leaves_training_as_it_was():
    """Weights, memory and draws of a trainer that was tested after every epoch are those of one that was not."""
    histories = []
    for look in (False, True):
        trainer = trainer_of(patience=3)
        while not trainer.finished:
            trainer.fit(lambda told: told.val is not None)
            if look:
                trainer.test("random" if trainer.epoch % 2 else "historical")
        histories.append((trainer.history, {name: part.tobytes() for name, part in trainer._state().items()}))
    assert histories[0] == histories[1]


def test_options_take_numpy_integers(tmp_path):
    trainer = trainer_of(epochs=np.int64(2), batch_size=np.int32(20))
    trainer.fit()
    trainer.save(str(tmp_path / "run.npz"))
    trainer_of(epochs=2).load(str(tmp_path / "run.npz"))
    with pytest.raises(InvalidInput, match="epochs must be an integer >= 1; got True"):
        TrainOptions(epochs=True)


def changed(arrays, name, array):
    return {**arrays, name: array} if array is not None else {n: a for n, a in arrays.items() if n != name}


def spoiled_checkpoints(arrays):
    """Checkpoints of which one array is of another shape or dtype, missing, unknown, or out of range."""
    for name in (n for n in arrays if n != "facts.json"):
        array = arrays[name]
        yield name, changed(arrays, name, None)
        yield name, changed(arrays, name, array.reshape(-1)[:0].copy())
        yield name, changed(arrays, name, np.concatenate([array.reshape(-1), array.reshape(-1)]))
        yield name, changed(arrays, name, array.astype(np.float16))
    for name, value in (
        ("model.memory.cache.keys", 1 << 20),
        ("model.memory.cache.keys", -7),
        ("best.memory.cache.keys", 1 << 20),
        ("model.memory.cache.edge_ids", -9),
        ("model.memory.cache.times", np.nan),
        ("model.memory.last_other", 1 << 40),
        ("best.memory.last_other", -1),
        ("model.memory.generator", 255),
        ("adam.0.step", np.nan),
    ):
        spoiled = arrays[name].copy()
        spoiled[...] = value
        yield f"{name}={value}", changed(arrays, name, spoiled)
    for name in ("adam.99.exp_avg", "adam.x", "other", "model.weights.more"):
        yield name, changed(arrays, name, np.zeros(3, np.float32))


def spoiled_facts(facts):
    yield from (changed(facts, name, None) for name in facts if name != "origin")
    yield {**facts, "origin": [1]}
    yield {**facts, "origin": {**facts["origin"], "modules": 3}}
    yield from ({**facts, "epoch": value} for value in (-1, "1", 10**30))
    yield from ({**facts, "history": value} for value in ([0.5, "x"], [], 3))
    yield from ({**facts, "best_epoch": value} for value in (-1, 7))
    yield {**facts, "batch": 1 << 40}
    yield {**facts, "loss": "x"}


def test_checkpoints_are_checked_whole_before_anything_changes(tmp_path):
    import json

    path = tmp_path / "run.npz"
    told = []
    stopped = trainer_of()
    stopped.fit(lambda progress: told.append(progress) or len(told) == 15)
    stopped.save(str(path))
    with np.load(path) as file:
        arrays = dict(file)
    facts = json.loads(arrays["facts.json"].tobytes())
    trainer = trainer_of()
    before = {name: part.tobytes() for name, part in trainer._state().items()}
    cases = [*spoiled_checkpoints(arrays)]
    for new in spoiled_facts(facts):
        cases.append((str(new), {**arrays, "facts.json": np.frombuffer(json.dumps(new).encode(), np.uint8)}))
    for what, spoiled in cases:
        np.savez(path, **spoiled)
        with pytest.raises((StoreCorrupt, InvalidInput), match=r"run\.npz"):
            trainer.load(str(path))
        now = {name: part.tobytes() for name, part in trainer._state().items()}
        assert now == before, what
        assert (trainer.epoch, trainer.batch, trainer.best, trainer.history) == (0, 0, {}, []), what
        assert not trainer.optimizer.state_dict()["state"], what
    np.savez(path, **arrays)
    trainer.load(str(path))
    trainer.fit()
    straight = trainer_of()
    straight.fit()
    assert trainer.history == straight.history


@pytest.mark.parametrize("edge_dim", [0, 24])
def test_training_gives_the_same_bits_at_any_number_of_threads(edge_dim):
    torch = pytest.importorskip("torch", reason="needs torch")
    from nearhop.gnn import NAT

    events, before = events_of(300, 900), torch.get_num_threads()
    features = np.random.default_rng(1).random((900, edge_dim), np.float32) if edge_dim else None
    found = []
    try:
        for threads in (1, 2, 3, 4):
            torch.set_num_threads(threads)
            torch.manual_seed(0)
            options = TrainOptions(epochs=1, batch_size=150, learning_rate=1e-2)
            trainer = TemporalTrainer(NAT(300, edge_features=features), events, time_split(events), options)
            trainer.fit()
            assert torch.get_num_threads() == threads
            found.append({name: part.tobytes() for name, part in trainer.best.items()} | {"scores": trainer.test()})
    finally:
        torch.set_num_threads(before)
    assert found[1] == found[0]
    assert found[2] == found[0]
    assert found[3] == found[0]
