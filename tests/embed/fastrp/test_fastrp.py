"""FastRP equals its definition, and nothing but its parameters decides a bit of it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearhop import GraphStore
from nearhop.embed import FastRP
from nearhop.graphlib.errors import InvalidInput, InvalidType
from nearhop.tests.reference import fastrp as reference
from nearhop.tests.support import examples


def edges(n=200, m=900, seed=0):
    rng = np.random.default_rng(seed)
    src = np.minimum(rng.integers(0, n, m), rng.integers(0, n, m))  # skewed degrees
    return src, rng.integers(0, n, m), rng.random(m).astype(np.float32) + 0.1


def projection_of(model, n, keys=None):
    """R, made a few columns at a time so that it is not made the way the embedding makes it."""
    projection = model.project(n)
    keys = np.arange(n) if keys is None else keys
    R = np.empty((n, model.dim), np.float32)
    for first in range(0, model.dim, 9):
        few = np.empty((n, min(9, model.dim - first)), np.float32)
        projection.dense(keys, np.ones(n), None, few, first)
        R[:, first : first + 9] = few
    return R


@examples(25)
@given(
    n=st.integers(1, 25),
    m=st.integers(0, 80),
    dim=st.sampled_from([1, 8, 33, 70]),
    weights=st.sampled_from([(0, 0, 1, 6.67), (1,), (0.5, -2), (1, 0, 0), None]),
    beta=st.sampled_from([-0.64, 0.0, 0.5]),
    directed=st.booleans(),
    weighted=st.booleans(),
    normalize=st.booleans(),
    density=st.sampled_from([0.05, 0.5, 1.0]),
    seed=st.integers(0, 50),
)
def test_equals_the_definition(n, m, dim, weights, beta, directed, weighted, normalize, density, seed):
    rng = np.random.default_rng(seed)
    src, dst = rng.integers(0, n, (2, m))
    weight = rng.random(m).astype(np.float32) + 0.1 if weighted else None
    store = GraphStore.from_edges(src, dst, num_nodes=n, directed=directed, weight=weight)
    S = reference.adjacency(n, src, dst, weight=weight, directed=directed)
    model = FastRP(dim, weights, beta, seed=seed, density=density, normalize=normalize, standardize=False)
    got = model.fit_transform(store)
    expected = reference.fastrp(
        S, projection_of(model, n), weights=weights, beta=beta, normalize=normalize, standardize=False
    )
    assert got.dtype == np.float32
    assert got.shape == expected.shape
    # where signs cancel, float32 leaves a rest of the size of rounding, which division by its norm would blow up
    clear = np.ones(n, bool)
    for U in reference.powers(S, projection_of(model, n), beta, 4 if weights is None else len(weights)):
        norms = np.linalg.norm(U, axis=1)
        clear &= (norms > 1e-3 * norms.max(initial=0)) | (norms == 0)
    np.testing.assert_allclose(got[clear], expected[clear], rtol=2e-3, atol=5e-4)
    assert np.isfinite(got).all()


@pytest.mark.parametrize("projection", ["sparse", "gaussian"])
@pytest.mark.parametrize("density", ["sqrt", "achlioptas"])
def test_standardised_result(projection, density):
    src, dst, weight = edges()
    store = GraphStore.from_edges(src, dst, num_nodes=205, weight=weight)
    model = FastRP(96, projection=projection, density=density)
    got = model.fit_transform(store)
    S = reference.adjacency(205, src, dst, weight=weight)
    expected = reference.fastrp(S, projection_of(model, 205), weights=model.weights, beta=model.beta)
    np.testing.assert_allclose(got, expected, atol=5e-3)
    used = S.sum(axis=1) > 0
    assert not used.all()
    assert (got[~used] == 0).all()
    np.testing.assert_allclose(got[used].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(got[used].std(axis=0), 1, atol=1e-4)


def test_projection_has_the_right_density_and_scale():
    for kind, density in [("sparse", 0.07), ("sparse", 0.5), ("gaussian", 1.0)]:
        R = projection_of(FastRP(100, projection=kind, density=density), 2000)
        assert (R != 0).mean() == pytest.approx(density, rel=0.05)
        assert R.mean() == pytest.approx(0, abs=1e-3)
        assert (R.astype(np.float64) ** 2).sum(axis=1).mean() == pytest.approx(1, rel=0.05)
        assert (R != 0).any(axis=1).mean() > 0.99
    half = projection_of(FastRP(100, projection="gaussian"), 2000) * 10
    assert np.abs(half).max() > 3.5
    assert (np.abs(half) < 0.6745).mean() == pytest.approx(0.5, abs=0.01)


def test_listed_and_dense_projection_agree():
    projection = FastRP(70, density=0.07).project(300)
    keys = np.arange(300) * 7
    factor = np.linspace(0.5, 2, 300)
    dense = np.empty((300, 70), np.float32)
    projection.dense(keys, factor, None, dense, 0)
    for first, last in [(0, 70), (0, 32), (32, 70)]:
        entries = projection.entries(keys, factor, first, last)
        listed = np.zeros((300, last - first), np.float32)
        listed[np.repeat(np.arange(300), np.diff(entries.indptr)), entries.columns] = entries.values
        np.testing.assert_array_equal(listed, dense[:, first:last])


def test_a_nodes_row_depends_on_its_key_alone():
    model = FastRP(64, density=0.3, seed=3)
    keys = np.array([5, 900, -4, 2**40])
    few = projection_of(model, 4, keys)
    many = projection_of(model, 1001, np.concatenate([np.arange(997), keys]))
    np.testing.assert_array_equal(few, many[997:])
    np.testing.assert_array_equal(few[0], many[5])
    assert not np.array_equal(few, projection_of(FastRP(64, density=0.3, seed=4), 4, keys))


def test_renumbering_nodes_renumbers_rows():
    src, dst, weight = edges()
    order = np.random.default_rng(1).permutation(200)  # old node v is called order[v]
    keys = np.arange(1000, 1200)
    model = FastRP(48)
    old = model.fit_transform(GraphStore.from_edges(src, dst, num_nodes=200, weight=weight), keys=keys)
    renumbered = GraphStore.from_edges(order[src], order[dst], num_nodes=200, weight=weight)
    new_keys = np.empty(200, np.int64)
    new_keys[order] = keys
    new = model.fit_transform(renumbered, keys=new_keys)
    np.testing.assert_allclose(new[order], old, atol=2e-3)
    assert not np.allclose(model.fit_transform(renumbered)[order], old, atol=0.1)


def digest():
    """Hash of embeddings of a graph large enough for several pieces of work and blocks of statistics."""
    rng = np.random.default_rng(0)
    src, dst = rng.integers(0, 20_000, (2, 60_000))
    store = GraphStore.from_edges(src, dst, num_nodes=20_000, weight=rng.random(60_000).astype(np.float32))
    found = hashlib.sha256()
    for model in (FastRP(40), FastRP(40, (1, 1), projection="gaussian", self_influence=0.5)):
        found.update(model.fit_transform(store).tobytes())
    return found.hexdigest()


def test_same_bits_at_any_number_of_threads():
    code = (
        "import importlib.util as u, sys; s = u.spec_from_file_location('t', sys.argv[1]); "
        "m = u.module_from_spec(s); s.loader.exec_module(m); print(m.digest())"
    )
    found = {digest()}
    for threads in ("1", "4"):
        done = subprocess.run(
            [sys.executable, "-c", code, __file__],
            env={**os.environ, "NUMBA_NUM_THREADS": threads},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        found.add(done.stdout.strip())
    assert len(found) == 1


@pytest.mark.parametrize("weights", [(0, 0, 1, 6.67), None])
@pytest.mark.parametrize("more", [{}, {"self_influence": 2.0}, {"normalize": False}, {"projection": "gaussian"}])
def test_out_of_core_gives_the_same_bits(tmp_path, weights, more):
    src, dst, weight = edges()
    store = GraphStore.from_edges(src, dst, num_nodes=203, weight=weight)
    model = FastRP(100, weights, num_powers=3, **more)
    expected = model.fit_transform(store)
    out = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=np.float32, shape=expected.shape)
    assert model.fit_transform(store, out) is out
    np.testing.assert_array_equal(out, expected)
    out[:] = -1
    model.fit_transform(store, out, tile=32)
    out.flush()
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), expected)
    np.testing.assert_array_equal(model.fit_transform(store, np.empty(expected.shape, np.float32, order="F")), expected)
    np.testing.assert_array_equal(model.fit_transform(store, tile=64), expected)


def test_memory_stays_below_the_estimate(tmp_path):
    import gc
    import tracemalloc

    src, dst, _ = edges(20_000, 60_000)
    store = GraphStore.from_edges(src, dst, num_nodes=20_000)
    model = FastRP(256)
    store.csr()
    out = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=np.float32, shape=(20_000, 256))
    for _ in range(2):  # compile, and load what was compiled
        for warm in ({}, {"out": out, "tile": 32}):
            model.fit_transform(store, **warm)
    gc.collect()
    cases: list[tuple[dict[str, Any], int, int]] = [
        ({"out": out, "tile": 32}, model.estimate_bytes(store, out_of_core=True, tile=32), 5 * 20_000 * 32 * 4),
        ({}, model.estimate_bytes(store), 4 * 20_000 * 256 * 4),
    ]
    for arguments, estimate, most in cases:
        tracemalloc.start()
        model.fit_transform(store, **arguments)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= estimate <= 1.6 * peak
        assert peak < most


@pytest.mark.parametrize("direction", ["out", "in", "both"])
def test_directions(direction):
    src, dst, weight = edges()
    store = GraphStore.from_edges(src, dst, num_nodes=200, weight=weight, directed=True)
    S = reference.adjacency(200, src, dst, weight=weight, directed=direction != "both")
    S = S.T.tocsr() if direction == "in" else S
    model = FastRP(64, (1, 2), direction=direction, standardize=False)
    expected = reference.fastrp(S, projection_of(model, 200), weights=(1, 2), beta=model.beta, standardize=False)
    np.testing.assert_allclose(model.fit_transform(store), expected, atol=1e-4)


def test_weights_matter_and_can_be_ignored():
    src, dst, weight = edges()
    plain = FastRP(32).fit_transform(GraphStore.from_edges(src, dst, num_nodes=200))
    store = GraphStore.from_edges(src, dst, num_nodes=200, weight=weight)
    assert not np.allclose(FastRP(32).fit_transform(store), plain, atol=0.1)
    np.testing.assert_array_equal(FastRP(32, use_weights=False).fit_transform(store), plain)
    doubled = GraphStore.from_edges(src, dst, num_nodes=200, weight=2 * weight)
    np.testing.assert_allclose(FastRP(32).fit_transform(doubled), FastRP(32).fit_transform(store), atol=1e-3)


def test_self_influence_adds_the_nodes_own_row():
    src, dst, _ = edges()
    store = GraphStore.from_edges(src, dst, num_nodes=202)
    parameters: dict[str, Any] = {"dim": 50, "density": 0.3, "standardize": False}
    with_own = FastRP(**parameters, self_influence=3.0).fit_transform(store)
    own = reference.unit_rows(projection_of(FastRP(**parameters), 202).astype(np.float64))
    np.testing.assert_allclose(with_own - FastRP(**parameters).fit_transform(store), 3 * own, atol=1e-3)


def test_features_fill_the_last_columns():
    src, dst, _ = edges()
    store = GraphStore.from_edges(src, dst, num_nodes=200)
    store.nodes["x"] = np.random.default_rng(0).standard_normal((200, 5))
    parameters: dict[str, Any] = {
        "dim": 40,
        "weights": (1, 1),
        "normalize": False,
        "standardize": False,
        "density": 0.2,
    }
    plain = FastRP(**parameters).fit_transform(store)
    mixed = FastRP(**parameters, property_ratio=0.25, features="x").fit_transform(store)
    np.testing.assert_allclose(mixed[:, :30], plain[:, :30], atol=1e-6)
    assert not np.allclose(mixed[:, 30:], plain[:, 30:])
    store.nodes["x"] = 2 * store.nodes["x"]
    doubled = FastRP(**parameters, property_ratio=0.25, features="x").fit_transform(store)
    np.testing.assert_allclose(doubled[:, 30:], 2 * mixed[:, 30:], atol=1e-5)
    tiled = FastRP(**parameters, property_ratio=0.25, features="x").fit_transform(store, tile=32)
    np.testing.assert_array_equal(tiled, doubled)
    store.nodes["x"] = np.full(200, np.nan)
    with pytest.raises(InvalidInput, match="column 'x' is not finite in row 0"):
        FastRP(**parameters, property_ratio=1.0, features="x").fit_transform(store)


def test_empty_and_edgeless_graphs():
    none = np.empty(0, np.int64)
    assert FastRP(16).fit_transform(GraphStore.from_edges(none, none, num_nodes=0)).shape == (0, 16)
    alone = FastRP(16).fit_transform(GraphStore.from_edges(none, none, num_nodes=3))
    assert (alone == 0).all()
    loop = FastRP(16).fit_transform(GraphStore.from_edges([0], [0]))
    assert np.isfinite(loop).all()


def test_the_store_is_not_changed():
    src, dst, weight = edges()
    store = GraphStore.from_edges(src, dst, num_nodes=200, weight=weight)
    before = [np.array(a) for a in (store.csr().indptr, store.csr().indices, store.csr().weight)]
    FastRP(32, keep_powers=True).fit_transform(store)
    for was, now in zip(before, (store.csr().indptr, store.csr().indices, store.csr().weight), strict=True):
        np.testing.assert_array_equal(was, now)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"dim": 0}, r"dim must be in \[1,"),
        ({"dim": 1.5}, "dim must be an integer; got 1.5"),
        ({"weights": ()}, "weights must be a sequence"),
        ({"weights": (0, 0)}, "at least one of weights must not be 0"),
        ({"weights": (1, float("nan"))}, "weights must be in"),
        ({"weights": 3}, "weights must be a sequence"),
        ({"beta": float("inf")}, "beta must be in"),
        ({"beta": "x"}, "beta must be a number; got 'x'"),
        ({"seed": -1}, "seed must be in"),
        ({"threads": 0}, "threads must be a positive integer"),
        ({"density": 0.0}, r"density must be .* in \(0, 1\]; got 0.0"),
        ({"density": "third"}, "density must be one of 'sqrt', 'achlioptas'; got 'third'"),
        ({"projection": "binary"}, "projection must be one of"),
        ({"direction": "up"}, "direction must be one of"),
        ({"property_ratio": 0.5}, "give both property_ratio > 0 and features"),
        ({"features": "x"}, "give both property_ratio > 0 and features"),
        (
            {"property_ratio": 0.5, "features": np.ones((3, 2))},
            "features must be the name of a node column; got numpy's",
        ),
        ({"property_ratio": 1.5, "features": "x"}, "property_ratio must be in"),
        ({"num_powers": 0}, "num_powers must be in"),
    ],
)
def test_wrong_parameters_are_named_when_fitted(parameters, message):
    model = FastRP(**parameters)  # the constructor only stores
    with pytest.raises((InvalidInput, InvalidType), match=message):
        model.fit_transform(GraphStore.from_edges([0, 1], [1, 2]))


def test_wrong_graphs_and_arrays_are_named():
    store = GraphStore.from_edges([0, 1], [1, 2], weight=[1.0, -1.0])
    with pytest.raises(InvalidInput, match="edge weights must be >= 0; the smallest is -1"):
        FastRP(8).fit_transform(store)
    FastRP(8, use_weights=False).fit_transform(store)
    store = GraphStore.from_edges([0, 1], [1, 2])
    with pytest.raises(InvalidInput, match=r"out must have shape \(3, 8\); got \(3, 9\)"):
        FastRP(8).fit_transform(store, np.empty((3, 9), np.float32))
    with pytest.raises(InvalidType, match="out must be a float32 array; got float64"):
        FastRP(8).fit_transform(store, np.empty((3, 8)))
    locked = np.empty((3, 8), np.float32)
    locked.flags.writeable = False
    with pytest.raises(InvalidInput, match="out cannot be written"):
        FastRP(8).fit_transform(store, locked)
    with pytest.raises(InvalidInput, match="tile must be a multiple of 32"):
        FastRP(100).fit_transform(store, tile=10)
    with pytest.raises(InvalidInput, match="keep_powers needs all 100 columns"):
        FastRP(100, keep_powers=True).fit_transform(store, tile=32)
    with pytest.raises(InvalidInput, match=r"keys must have shape \(3,\)"):
        FastRP(8).fit_transform(store, keys=[1, 2])
    with pytest.raises(InvalidType, match="keys must be integers; got dtype float64"):
        FastRP(8).fit_transform(store, keys=[1.0, 2.0, 3.0])
    shop = GraphStore.from_typed(nodes={"u": 2, "i": 2}, edges={("u", "buys", "i"): ([0], [1])})
    with pytest.raises(InvalidInput, match="edges within one node type; got 'u' to 'i'"):
        FastRP(8).fit_transform(shop)
