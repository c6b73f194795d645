"""New nodes, and the search for weights and beta."""

from __future__ import annotations

import numpy as np
import pytest

from nearhop import GraphStore
from nearhop.embed import FastRP, tune
from nearhop.graphlib.errors import InvalidInput, InvalidType, NotFitted


def make(n=150, m=600, *, directed=False, weighted=True, seed=0):
    rng = np.random.default_rng(seed)
    src, dst = rng.integers(0, n - 3, (2, m))  # the last three nodes have no edges
    low, high = (src, dst) if directed else (np.minimum(src, dst), np.maximum(src, dst))
    once = np.unique(low * n + high, return_index=True)[1]  # the order of parallel edges would decide a rounding
    src, dst, m = src[once], dst[once], len(once)
    weight = rng.random(m).astype(np.float32) if weighted else None
    store = GraphStore.from_edges(src, dst, num_nodes=n, directed=directed, weight=weight)
    store.nodes["x"] = rng.standard_normal((n, 3)).astype(np.float32)
    return store


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"weights": (1.0,)},
        {"weights": (1, 0, 2), "normalize": False},
        {"weights": None, "num_powers": 2},
        {"self_influence": 1.5},
        {"projection": "gaussian", "standardize": False},
        {"property_ratio": 0.5, "features": "x", "self_influence": 1.0},
        {"use_weights": False},
        {"direction": "in"},
    ],
)
@pytest.mark.parametrize("weighted", [True, False])
def test_a_known_node_given_its_own_edges_gets_its_own_vector(parameters, weighted):
    store = make(weighted=weighted, directed="direction" in parameters)
    model = FastRP(48, (0, 0, 1, 6.67), **parameters) if "weights" not in parameters else FastRP(48, **parameters)
    expected = model.fit_transform(store)
    model.fit(store)
    rows = store.csc() if parameters.get("direction") == "in" else store.csr()
    src = np.repeat(np.arange(150), np.diff(rows.indptr))
    order = np.random.default_rng(1).permutation(len(src))
    got = model.transform(
        src[order],
        rows.indices[order],
        num_new=150,
        weight=rows.weight[order] if weighted else None,
        keys=np.arange(150),
        features=store.nodes["x"],
    )
    np.testing.assert_array_equal(got, expected)


def test_new_nodes_lie_near_their_neighbours():
    store = make()
    model = FastRP(256, (1, 1), keep_powers=True)
    known = model.fit_transform(store)
    new = model.transform([0, 0, 2], [5, 6, 9], num_new=4, weight=[1, 1, 1])
    assert new.shape == (4, 256)
    assert (new[1] == 0).all()
    assert (new[3] == 0).all()
    unit = known / np.maximum(np.linalg.norm(known, axis=1, keepdims=True), 1e-9)
    neighbours = set(store.csr().neighbors(5)) | set(store.csr().neighbors(6)) | {5, 6}
    nearest = np.argsort(-unit @ new[0])[:5]
    assert len(neighbours & set(nearest.tolist())) >= 2


def test_transform_errors():
    store = make()
    with pytest.raises(NotFitted, match="call fit, or fit_transform with keep_powers=True"):
        FastRP(8).transform([0], [1])
    model = FastRP(8)
    model.fit(store)
    with pytest.raises(InvalidInput, match=r"dst must name nodes of the fitted graph, 0\.\.149; got 150"):
        model.transform([0], [150], weight=[1])
    with pytest.raises(InvalidInput, match="src and dst must have equal lengths; got 2 and 1"):
        model.transform([0, 1], [1], weight=[1])
    with pytest.raises(InvalidInput, match="give `weight`"):
        model.transform([0], [1])
    with pytest.raises(InvalidInput, match=r"num_new must be an integer >= 3"):
        model.transform([2], [1], num_new=2, weight=[1])
    with pytest.raises(InvalidInput, match="src must be >= 0; got -1"):
        model.transform([-1], [1], weight=[1])
    with pytest.raises(InvalidType, match="dst must be a 1-D integer array"):
        model.transform([0], [1.5], weight=[1])
    model.fit_transform(store)  # forgets the powers
    with pytest.raises(NotFitted):
        model.transform([0], [1], weight=[1])
    mixed = FastRP(8, property_ratio=0.5, features="x", self_influence=1.0).fit(store)
    with pytest.raises(InvalidInput, match="give `features`"):
        mixed.transform([0], [1], weight=[1])
    with pytest.raises(InvalidInput, match="have 3 features; the new ones have 2"):
        mixed.transform([0], [1], weight=[1], features=np.ones((1, 2)))


def test_no_edges_at_all():
    model = FastRP(8).fit(make(weighted=False))
    assert model.transform([], []).shape == (0, 8)
    assert (model.transform([], [], num_new=2) == 0).all()


def test_tune_scores_what_fastrp_gives():
    store = make()
    seen = []

    def score(embedding):
        seen.append(embedding.copy())
        return len(seen) % 5

    weights, betas = [(0, 1, 2), (1, 1), (0, 0, 0, 3)], (-0.5, 0.25)
    result = tune(
        store,
        score,
        weights=weights,
        betas=betas,
        model=FastRP(40, seed=7),
    )
    settings = [(w, beta) for beta in betas for w in weights]
    for (w, beta), embedding, trial in zip(settings, seen, result.trials, strict=True):
        np.testing.assert_array_equal(embedding, FastRP(40, w, beta, seed=7).fit_transform(store))
        assert trial.weights == w
        assert trial.beta == beta
    assert result.best == result.trials[3]
    assert result.best_params == {"weights": (0, 1, 2), "beta": 0.25}
    assert result.table().splitlines()[2].startswith("| 0, 1, 2 | 0.25 | 4.0000")
    assert FastRP(8, **result.best_params).fit_transform(store).shape == (150, 8)


def test_tune_computes_each_power_once_per_beta(monkeypatch):
    from nearhop.embed.fastrp import tuning
    from nearhop.embed.fastrp.powers import sweep

    calls = []

    def counted(*arguments, **options):
        calls.append(1)
        return sweep(*arguments, **options)

    monkeypatch.setattr(tuning, "sweep", counted)
    tune(make(), lambda e: 0.0, betas=(-0.5, 0.0), model=FastRP(8))
    assert len(calls) == 2


def test_tune_errors():
    store = make()
    with pytest.raises(InvalidType, match="score must be callable"):
        tune(store, 3)
    with pytest.raises(InvalidInput, match="at least one weights and one beta; got 1 and 0"):
        tune(store, lambda e: 0.0, weights=[(1,)], betas=())
    with pytest.raises(InvalidInput, match="score returned nan for weights"):
        tune(store, lambda e: float("nan"), model=FastRP(8))
    with pytest.raises(InvalidInput, match="beta must be in"):
        tune(store, lambda e: 0.0, betas=(float("nan"),))
