"""NAT: what it reads, what it writes, and that it learns from joint neighbourhoods."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import nearhop
from nearhop.graphlib.errors import InvalidInput, InvalidType

torch = pytest.importorskip("torch", reason="needs torch")

from nearhop.gnn import NAT, NATConfig  # noqa: E402, torch is optional
from nearhop.gnn.temporal.splits import Events, time_split  # noqa: E402
from nearhop.gnn.temporal.trainer import TemporalTrainer, TrainOptions  # noqa: E402

SMALL = {"sizes": (1, 8, 6), "self_dim": 6, "hidden_dim": 8}


def events_of(num_nodes, count, seed=0):
    rng = np.random.default_rng(seed)
    src, dst = rng.integers(0, num_nodes, (2, count))
    return src, dst, np.sort(rng.random(count) * 1000), np.arange(count)


def model_of(num_nodes=30, seed=0, **options):
    torch.manual_seed(seed)
    return NAT(num_nodes, **{**SMALL, **options})


def watch(model, columns, size=20):
    """Let the model score and observe a stream; returns all scores."""
    scores = []
    model.eval()
    with torch.no_grad():
        for start in range(0, columns[0].shape[0], size):
            src, dst, time, names = (c[start : start + size] for c in columns)
            scores.append(torch.cat([s.flatten() for s in model(src, dst, dst[::-1, None], time=time)]).numpy())
            model.observe(src, dst, time=time, edge_ids=names)
    return scores


@pytest.mark.parametrize("compat", ["paper", "released"])
def test_order_within_a_batch_changes_nothing(compat):
    columns = events_of(30, 120)
    one, two = model_of(compat=compat), model_of(compat=compat)
    watch(one, columns)
    with torch.no_grad():
        for start in range(0, 120, 20):
            mixed = start + np.random.default_rng(start).permutation(20)
            src, dst, time, names = (c[mixed] for c in columns)
            two.eval()(src, dst, dst[:, None], time=time)
            two.observe(src, dst, time=time, edge_ids=names)
    states = one.state(), two.state()
    assert set(states[0]) == set(states[1])
    for name in states[0]:
        np.testing.assert_allclose(states[0][name], states[1][name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_scores_see_earlier_batches_only():
    columns = events_of(30, 100)
    whole = watch(model_of(), columns)
    changed = [c.copy() for c in columns]
    changed[0][60:], changed[1][60:] = columns[1][60:], (columns[0][60:] + 3) % 30
    other = watch(model_of(), changed)
    for batch in range(3):
        np.testing.assert_array_equal(whole[batch], other[batch])
    assert np.abs(whole[4] - other[4]).max() > 1e-4
    late = [*columns[:2], columns[2] + np.where(np.arange(100) % 20 > 0, 1e-3, 0), columns[3]]
    np.testing.assert_array_equal(whole[0], watch(model_of(), late)[0])  # only a batch's first time is read


def test_observing_without_scoring_writes_the_same():
    columns = events_of(30, 100)
    one, two = model_of(), model_of()
    watch(one, columns)
    for start in range(0, 100, 20):
        src, dst, time, names = (c[start : start + 20] for c in columns)
        two.observe(src, dst, time=time, edge_ids=names)
    for name, array in one.state().items():
        np.testing.assert_allclose(array, two.state()[name], rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("compat", ["paper", "released"])
def test_scores_of_other_moments_change_nothing(compat):
    """Someone who ranks candidates for a later moment, and then observes the next events."""
    columns = events_of(30, 40)
    states = []
    for ask in (False, True):
        model = model_of(compat=compat)
        watch(model, columns)
        if ask:
            model(np.arange(30), np.arange(30)[::-1], np.zeros((30, 1), np.int64), time=np.full(30, 1e6))
        model.observe([0, 1], [2, 3], time=[1001.0, 1002.0], edge_ids=[40, 41])
        states.append(model.state())
    for name in states[0]:
        np.testing.assert_array_equal(states[0][name], states[1][name], err_msg=name)


def test_a_batch_of_nothing_has_no_scores():
    positive, negative = model_of()([], [], np.empty((0, 3), np.int64), time=[])
    assert (positive.shape, negative.shape) == ((0,), (0, 3))


def test_restored_state_goes_on_as_if_never_stopped():
    columns = events_of(30, 100)
    straight, resumed = model_of(), model_of()
    expected = watch(straight, columns)
    watch(resumed, [c[:60] for c in columns])
    kept = resumed.state()
    fresh = model_of()
    fresh.load_state(kept)
    for mine, theirs in zip(watch(fresh, [c[60:] for c in columns]), expected[3:], strict=True):
        np.testing.assert_array_equal(mine, theirs)
    fresh.reset()
    np.testing.assert_array_equal(watch(fresh, columns)[0], expected[0])


def test_last_event_decides_the_other_end():
    model = model_of(5)
    model.observe([0, 1, 3], [1, 2, 0], time=[1.0, 2.0, 3.0], edge_ids=[0, 1, 2])
    assert model.last_other[[0, 1, 2, 3]].tolist() == [3, 2, 1, 0]
    assert model.cache.edge_ids[:4, 0].tolist() == [2, 1, 1, 2]


def test_what_was_read_is_what_is_stored():
    """A second meeting keeps the updated value of the slot and the updated vector; a first one starts at zero."""
    model = model_of(6)
    model.observe([0, 0], [1, 2], time=[0.0, 1.0], edge_ids=[0, 1])
    read = model._recall(np.array([0, 1]), 2.0)
    model.observe([0], [1], time=[2.0], edge_ids=[2])
    cache = model.cache
    (slot,) = cache.starts[1] + cache.find([0], [1], hop=1)
    assert np.abs(cache.values[0, slot]).max() > 0
    np.testing.assert_allclose(cache.values[0, slot], read.value[read.slots.read.place[0, slot]].detach(), rtol=1e-6)
    np.testing.assert_allclose(model.self_rep[:2], read.self_rep.detach(), rtol=1e-6)
    (other,) = cache.starts[1] + cache.find([0], [2], hop=1)
    assert np.abs(cache.values[0, other]).max() == 0
    (far,) = cache.starts[2] + cache.find([1], [2], hop=2)  # copied with the value that 0 had for it
    np.testing.assert_allclose(cache.values[1, far], read.value[read.slots.read.place[0, other]].detach(), rtol=1e-6)


def test_event_at_time_zero_is_an_event():
    for encoding in ("since", "absolute"):
        model = model_of(4, time_encoding=encoding)
        model.observe([0], [1], time=[0.0], edge_ids=[0])
        read = model._recall(np.array([0, 2]), 0.0)
        assert read.self_rep[0].abs().max() > 0
        assert read.self_rep[1].abs().max() == 0
        assert read.value[1].abs().max() > 0  # the slot of 1 in the table of 0


def test_gradients_reach_every_weight():
    columns = events_of(30, 60)
    model = model_of(edge_features=np.random.default_rng(0).random((60, 3)), node_features=np.eye(30)[:, :4])
    watch(model, [c[:40] for c in columns])
    src, dst, time, _ = (c[40:] for c in columns)
    positive, negative = model.train()(src, dst, dst[:, None], time=time)
    (positive.sum() - 2 * negative.sum()).backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().max() > 0, name


def test_edge_and_node_features_are_read():
    columns = events_of(30, 60)
    features = np.zeros((60, 2), np.float32)
    base = watch(model_of(edge_features=features, node_features=features[:30]), columns)
    features[7] = 9
    for changed in ({"edge_features": features, "node_features": 0 * features[:30]},
                    {"edge_features": 0 * features, "node_features": features[:30]}):  # fmt: skip
        found = watch(model_of(**changed), columns)
        assert max(np.abs(a - b).max() for a, b in zip(base, found, strict=True)) > 1e-4


def test_without_features_nothing_is_padded():
    model = model_of()
    assert model.slot_update.widths == (6, 4, 0)
    assert model.readout.widths == (16, 4, 0)


def test_released_differs_where_the_sheet_says_so():
    config = NATConfig(compat="released", sizes=(1, 4))
    assert (config.readout, config.time_encoding, config.time_dim, config.second_hop, config.hash) == (
        "sum", "absolute", 1, "update", "quadratic",
    )  # fmt: skip
    assert NATConfig(compat="released", readout="attention").readout == "attention"
    assert NATConfig().readout == "attention"


def test_vectors_apply_the_last_event():
    model = model_of(10)
    assert np.abs(model.vectors(now=0.0)).max() == 0
    model.observe([0], [1], time=[5.0], edge_ids=[0])
    found = model.vectors(now=6.0)
    assert (np.abs(found).max(axis=1) > 0).tolist() == [True, True] + [False] * 8
    np.testing.assert_allclose(model.vectors([1], now=6.0), found[1:2], rtol=1e-5)


def test_learns_common_neighbours():
    """Nodes of four groups meet inside their group only: later meetings are between nodes with common neighbours."""
    rng = np.random.default_rng(0)
    group = rng.integers(0, 4, 2000)
    src, dst = group * 20 + rng.integers(0, 20, (2, 2000))
    store = nearhop.GraphStore.from_edges(src, dst, num_nodes=80, time=np.arange(2000), directed=True)
    events = Events.from_store(store)
    results = {}
    for name, sizes in {"caches": (1, 16, 8), "no caches": (1,)}.items():
        torch.manual_seed(0)
        trainer = TemporalTrainer(
            NAT(80, **{**SMALL, "sizes": sizes}), events, time_split(events), TrainOptions(epochs=2, learning_rate=1e-2)
        )
        trainer.fit()
        results[name] = trainer.test().ap
    assert results["caches"] > 0.68
    assert results["caches"] > results["no caches"] + 0.05


def test_errors():
    with pytest.raises(InvalidInput, match="NAT has no option 'width'"):
        NAT(4, width=3)
    with pytest.raises(InvalidInput, match="readout must be one of 'attention', 'sum'; got 'mean'"):
        NATConfig(readout="mean")
    with pytest.raises(InvalidInput, match="compat must be one of 'paper', 'released'; got 'mine'"):
        NATConfig(compat="mine")
    with pytest.raises(InvalidInput, match="self_dim must be an integer >= 1; got 0"):
        NATConfig(self_dim=0)
    for options, said in (({"seed": "a"}, "seed must be an integer"), ({"sizes": 5}, "sizes must list slots per hop")):
        with pytest.raises(InvalidInput, match=said):
            NATConfig(**options)
    assert NATConfig(sizes=[np.int64(1), 8]) == NATConfig(sizes=(1, 8))
    with pytest.raises(InvalidInput, match=r"edge_ids\[0\] is 18446744073709551615, but edge ids are >= 0"):
        NAT(4).observe([0], [1], time=[0.0], edge_ids=np.array([2**64 - 1], np.uint64))  # it was no event
    with pytest.raises(InvalidInput, match=r"node_features must have shape \(4, d\); got \(3, 2\)"):
        NAT(4, node_features=np.zeros((3, 2)))
    with pytest.raises(InvalidInput, match=r"negatives \(n, q\); got \(1,\), \(1,\), \(1,\)"):
        NAT(4)([0], [1], [2], time=[0.0])
    with pytest.raises(InvalidInput, match=r"dst\[0\] is 4, but nodes are 0..3"):
        NAT(4)([0], [4], [[2]], time=[0.0])


def test_events_without_features_or_moments_are_refused_at_the_door():
    """They were remembered, and failed or gave nan when they were read."""
    model = model_of(edge_features=np.ones((3, 2)))
    model.observe([0], [2], time=[1.0], edge_ids=[2])
    before = model.state()
    for edge_ids, match in (([3], r"edge_ids\[0\] is 3, but edge ids are 0\.\.2, the rows of edge_features"),
                            ([-1], r"edge_ids\[0\] is -1"), ([0.5], "edge_ids must hold integers"),
                            ([0, 1], r"edge_ids must have shape \(1,\)"),
                            (np.ma.array([0], mask=[1]), "edge_ids is a masked array")):  # fmt: skip
        with pytest.raises((InvalidInput, InvalidType), match=match):
            model.observe([0], [2], time=[2.0], edge_ids=edge_ids)
    for time, match in (
        ([np.nan], r"time\[0\] is nan"),
        ([np.inf], "finite"),
        ([1.0, 2.0], r"shape \(1,\)"),
    ):
        with pytest.raises(InvalidInput, match=match):
            model.observe([0], [2], time=time, edge_ids=[1])
        with pytest.raises(InvalidInput, match=match):
            model([0], [2], [[3]], time=time)
    for now in (np.nan, np.inf, "1", None):
        with pytest.raises(InvalidInput, match="now must be a finite number"):
            model.vectors(now=now)
    with pytest.raises(InvalidInput, match="batch_size must be an integer >= 1; got 0"):
        model.vectors(now=3.0, batch_size=0)
    assert all(np.array_equal(part, before[name]) for name, part in model.state().items())
    with pytest.raises(InvalidInput, match=r"edge_ids\[0\] is -1, but edge ids are >= 0"):
        model_of().observe([0], [2], time=[1.0], edge_ids=[-1])


@pytest.mark.parametrize("name", ["edge_features", "node_features"])
def test_features_are_finite_numbers(name):
    good = np.ones((30, 2))
    for value in (np.nan, np.inf, 1e300):
        bad = good.copy()
        bad[7, 1] = value
        with pytest.raises(InvalidInput, match=f"{name} must be finite in float32; row 7 is"):
            model_of(**{name: bad})
    with pytest.raises(InvalidInput, match=f"{name} is a masked array"):
        model_of(**{name: np.ma.array(good, mask=good == 1)})
    with pytest.raises(InvalidType, match=f"{name} must be real numbers"):
        model_of(**{name: good.astype(str)})


def test_package_loads_torch_only_when_asked():
    code = "import sys, nearhop.gnn, nearhop.gnn.temporal.baselines; print('torch' in sys.modules, dir(nearhop.gnn))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("False [")
    assert "'NAT'" in done.stdout


def test_missing_torch_names_the_install_line():
    code = (
        "import sys; sys.modules['torch'] = None\nfrom nearhop.graphlib.errors import MissingExtra\n"
        "try:\n    from nearhop.gnn import NAT\nexcept MissingExtra as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "nearhop[torch]"' in done.stdout
