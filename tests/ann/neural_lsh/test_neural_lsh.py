"""Learned lists: exact when all are scanned, better than k-means lists, and the protocol of every index."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import nearhop
from nearhop import ann
from nearhop.ann import Exact, IVFFlat, NeuralLSH
from nearhop.ann.neural_lsh.learning import placed
from nearhop.graphlib.errors import IndexMismatch, InvalidInput, NotFitted, StoreCorrupt
from nearhop.tests.support import needs

pytestmark = needs("torch")
METRICS = ["l2", "ip", "cosine"]
FEW = {"hidden": 24, "rounds": 1, "epochs": 2}


def rows_of(count, dim=10, seed=0, inner=3):
    """Rows near a curved surface of `inner` dimensions."""
    rng = np.random.default_rng(seed)
    inside, turn = rng.normal(size=(count, inner)), np.random.default_rng(9)
    bent = np.tanh(inside @ turn.normal(size=(inner, 24))) @ turn.normal(size=(24, dim))
    return (bent + 0.05 * rng.normal(size=(count, dim))).astype(np.float32)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("storage", ["int8", "float32"])
@pytest.mark.parametrize("nlist", [12, (3, 4)])
def test_all_lists_are_exact_and_more_lists_find_more(metric, storage, nlist):
    vectors, queries, ids = rows_of(1500), rows_of(60, seed=1), np.arange(1500) * 2
    index = NeuralLSH(metric, nlist=nlist, storage=storage, **FEW).add(vectors, ids)
    truth = Exact(metric).add(vectors, ids).search(queries, 10)
    assert ann.recall(index.search(queries, 10, nprobe=12), truth) >= (1 if storage == "float32" else 0.995)
    shares = [ann.recall(index.search(queries, 10, nprobe=p), truth) for p in (1, 2, 4)]
    assert shares == sorted(shares)
    assert shares[2] > 0.85
    assert index.list_sizes.sum() == 1500
    one = index.search(queries, 10, nprobe=4, threads=1)
    apart = [index.search(query, 10, nprobe=4).ids[0].tolist() for query in queries]
    assert one.ids.tolist() == index.search(queries, 10, nprobe=4).ids.tolist() == apart


def test_lists_are_better_than_those_of_kmeans():
    vectors, queries = rows_of(4000, 24, inner=8), rows_of(400, 24, 1, inner=8)
    truth = Exact().add(vectors).search(queries, 10)
    index, plain = NeuralLSH(nlist=16, hidden=96, epochs=3).add(vectors), IVFFlat(nlist=16).add(vectors)
    assert index.list_sizes.max() <= 1.3 * 250
    sizes = plain.list_sizes[plain._nearest_lists(queries, 16, None)].cumsum(axis=1).mean(axis=0)
    recalls = [ann.recall(plain.search(queries, 10, nprobe=p), truth) for p in range(1, 17)]
    for options, better in (({"nprobe": 2}, 0), ({"coverage": 0.5}, 0.02), ({"coverage": 0.8}, 0.03)):
        candidates = index.candidate_counts(queries, **options).mean()
        found = ann.recall(index.search(queries, 10, **options), truth)
        assert found > np.interp(candidates, sizes, recalls) + better, options


def test_coverage_scans_more_where_the_network_is_less_certain():
    vectors = rows_of(1200)
    index = NeuralLSH(nlist=12, **FEW).add(vectors)
    chances = index.probabilities(vectors[:50])
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-5)
    most = -np.sort(-chances, axis=1)
    wanted = 1 + (np.cumsum(most, axis=1) < 0.7).sum(axis=1)
    order = np.argsort(-chances, axis=1, kind="stable")
    expected = [index.list_sizes[order[i, :n]].sum() for i, n in enumerate(wanted)]
    assert index.candidate_counts(vectors[:50], coverage=0.7).tolist() == expected
    assert index.search(vectors[:50], 1000, coverage=0.1).counts.min() == 1000  # asked again until there are enough
    for rule in ("coverage", "min_share"):
        with pytest.raises(InvalidInput, match=rule + r" must be in \(0, 1\]; got 1.5"):
            index.search(vectors[:1], 1, **{rule: 1.5})


def test_min_share_scans_the_lists_that_are_worth_their_rows():
    vectors = rows_of(1200)
    index = NeuralLSH(nlist=12, storage="float32", **FEW).fit(vectors).add(vectors[:900])
    asked, sizes = vectors[900:960], index.list_sizes
    shares = index.probabilities(asked) * (75 / sizes)
    wanted = shares >= 0.1
    wanted[np.arange(60), shares.argmax(axis=1)] = True
    assert index.candidate_counts(asked, min_share=0.1).tolist() == (wanted @ sizes).tolist()
    assert index.candidate_counts(asked, min_share=1).tolist() == sizes[shares.argmax(axis=1)].tolist()
    found = index.search(asked, 5, min_share=0.1)
    for query, chosen, ids in zip(asked, wanted, found.ids, strict=True):
        inside = np.flatnonzero(chosen[index._lists])
        order = np.argsort(((vectors[inside] - query) ** 2).sum(axis=1))
        assert ids.tolist() == inside[order[:5]].tolist()
    capped = index.candidate_counts(asked, min_share=0.1, nprobe=2)
    assert (capped <= index.candidate_counts(asked, min_share=0.1)).all()
    both = index.candidate_counts(asked, min_share=0.1, coverage=0.3)
    assert (both <= index.candidate_counts(asked, min_share=0.1)).all()
    assert index.search(asked, 900, min_share=0.5).counts.min() == 900  # asked again until there are enough


@pytest.mark.parametrize("metric", METRICS)
def test_add_remove_compact_save(metric, tmp_path):
    vectors, queries = rows_of(800), rows_of(40, seed=2)
    index = NeuralLSH(metric, nlist=8, nprobe=8, **FEW).fit(vectors).add(vectors[:500]).add(vectors[500:])
    index.remove(np.arange(0, 800, 2))
    truth = Exact(metric).add(vectors[1::2], ids=np.arange(1, 800, 2)).search(queries, 3)
    assert ann.recall(index.search(queries, 3), truth) >= 0.98
    index.save(tmp_path / "a.nh")
    loaded = ann.load(tmp_path / "a.nh")
    assert (loaded.nlist, loaded.nprobe, loaded.metric, len(loaded), loaded.dim) == (8, 8, metric, 400, 10)
    assert loaded.search(queries, 3, nprobe=2).ids.tolist() == index.search(queries, 3, nprobe=2).ids.tolist()
    assert index.compact().search(queries, 3).ids.tolist() == loaded.search(queries, 3).ids.tolist()
    assert loaded.add(rows_of(5, seed=3)).ids[-5:].tolist() == [800, 801, 802, 803, 804]
    bitmap = np.zeros(len(index.ids), bool)
    bitmap[[5, 77]] = True
    found = index.search(queries, 4, nprobe=1, filter=bitmap)
    assert found.counts.tolist() == [2] * 40
    assert set(found.ids[:, :2].ravel().tolist()) == set(index.ids[[5, 77]].tolist())


def test_saved_indexes_need_no_torch(tmp_path):
    vectors = rows_of(400)
    index = NeuralLSH(nlist=(2, 4), nprobe=3, **FEW).add(vectors, ids=[f"r{i}" for i in range(400)])
    index.save(tmp_path / "a.nh")
    np.save(tmp_path / "v.npy", vectors)
    code = (
        "import sys, numpy as np; sys.modules['torch'] = None\n"
        "from nearhop import ann\n"
        f"v = np.load({str(tmp_path / 'v.npy')!r}); index = ann.load({str(tmp_path / 'a.nh')!r})\n"
        "print(index.search(v[:9], 2).ids.tolist())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == str(index.search(vectors[:9], 2).ids.tolist())


def test_a_seed_is_a_model_at_any_thread_count():
    vectors = rows_of(600)
    one, two = (NeuralLSH(nlist=6, threads=threads, **FEW).add(vectors) for threads in (1, 2))
    other = NeuralLSH(nlist=6, seed=1, **FEW).add(vectors)
    weights = [[layer.tobytes() for layer in index._chooser.root.layers] for index in (one, two, other)]
    assert weights[0] == weights[1] != weights[2]
    assert one._lists.tolist() == two._lists.tolist()


def test_training_leaves_torch_as_it_was():
    import torch

    torch.manual_seed(3)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    NeuralLSH(nlist=4, **FEW).fit(rows_of(100))
    assert torch.equal(before, torch.random.get_rng_state())
    assert threads == torch.get_num_threads()


def test_rows_go_where_all_queries_near_them_look():
    chances = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]], np.float32)
    links = np.array([[0, 1], [1, 0], [2, 1], [3, -1]])
    assert placed(chances, links, (0, 4)).tolist() == [0, 0, 1, 1]
    # Row 0 is asked for by three queries: two look first into part 0 and one never; all look into part 1 at some time.
    chances = np.array([[0.7, 0.3, 0.0], [0.7, 0.3, 0.0], [0.0, 0.3, 0.7]], np.float32)
    assert placed(chances, np.array([[0], [0], [0]]), (0, 3))[0] == 1
    rising = np.linspace(0.2, 0.4, 40, dtype=np.float32)
    parts = placed(np.stack([rising, 0.6 - rising], axis=1)[:, ::-1].copy(), np.arange(40)[:, None], (18, 22))
    assert 18 <= parts.sum() <= 22
    assert (np.diff(parts) >= 0).all()  # the rows at one end to one part
    drawn = np.random.default_rng(0).dirichlet([8, 4, 1], 300).astype(np.float32)
    sizes = [np.bincount(placed(drawn, np.arange(300)[:, None], (low, 300)), minlength=3).min() for low in (0, 85)]
    assert sizes[0] < 20  # hardly any query looks into the third part first
    assert sizes[1] >= 85
    told = []
    NeuralLSH(nlist=4, hidden=8, rounds=2, epochs=3).fit(rows_of(80), progress=lambda *now: told.append(now))
    assert told == [(i, 6) for i in range(1, 7)]


@pytest.mark.parametrize("depth", [0, 1])
def test_depths_and_copies_of_one_row(depth):
    copies = np.repeat(rows_of(4), 30, axis=0)
    index = NeuralLSH(nlist=4, nprobe=4, depth=depth, **FEW).add(copies)
    assert index.search(copies[::30], 30).distances.max() < 1e-6


def test_mistakes_are_named(tmp_path):
    with pytest.raises(NotFitted, match="call fit"):
        NeuralLSH().probabilities(rows_of(1))
    with pytest.raises(InvalidInput, match="9 vectors are too few for 4 lists; give 16, or fewer lists"):
        NeuralLSH(nlist=4).add(rows_of(9))
    for wrong, message in (
        ({"nlist": 1}, "nlist must be an integer >= 2; got 1"),
        ({"nlist": (2, 3, 4)}, "nlist must be an integer >= 2 or a pair"),
        ({"storage": "int4"}, "storage must be one of 'int8', 'float32'; got 'int4'"),
        ({"partitioner": "metis"}, "partitioner must be one of"),
        ({"neighbors": 0}, "neighbors must be an integer >= 1; got 0"),
        ({"imbalance": -0.5}, "imbalance must be a number >= 0; got -0.5"),
    ):
        with pytest.raises(InvalidInput, match=message):
            NeuralLSH(**wrong).add(rows_of(40))
    index = NeuralLSH(nlist=4, **FEW).add(rows_of(60))
    with pytest.raises(InvalidInput, match="holds rows already"):
        index.fit(rows_of(60))
    with pytest.raises(IndexMismatch, match="width 3 but the index has dim 10"):
        index.add(np.ones((2, 3)))
    index.nlist = 5
    with pytest.raises(IndexMismatch, match="nlist was 4 and is now 5"):
        index.search(rows_of(1), 1)


@pytest.mark.parametrize("name", ["lists", "layers", "list", "network0_layer1", "network0_layer0", "code_basis", "dim"])
def test_damaged_stores_are_refused(name, tmp_path):
    NeuralLSH(nlist=4, **FEW).add(rows_of(300)).save(tmp_path / "a.nh")
    store = nearhop.open(tmp_path / "a.nh")
    if name == "list":
        store.nodes("node")["list"] = np.full(300, 4)
    elif name in ("lists", "layers", "dim"):
        store.attributes["index"][name] = {"lists": [1 << 40], "layers": 1, "dim": 9}[name]
    else:
        table = store.nodes(name)["row"]
        store.nodes(name)["row"] = np.full_like(table, np.nan) if name.endswith("0") else table[:, 1:].copy()
    with pytest.raises(StoreCorrupt, match=r"a\.nh"):
        NeuralLSH._opened(store)


@pytest.mark.parametrize("rows", [32, 96, 288])
def test_schedules_of_any_length(rows):
    """288 rows are nine steps of one epoch and one round, whose warm-up ends at its first step."""
    index = NeuralLSH(nlist=2, hidden=8, epochs=1, rounds=1).add(rows_of(rows))
    assert index.search(rows_of(rows), 1).ids.shape == (rows, 1)
