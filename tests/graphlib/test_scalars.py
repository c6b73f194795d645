"""Integers and numbers of NumPy are integers and numbers for every argument; booleans of either kind are neither."""

from __future__ import annotations

from fractions import Fraction
from tempfile import TemporaryDirectory

import numpy as np
import pytest

import nearhop
from nearhop import ann, blocking
from nearhop.ann import HNSW, NeuralLSH
from nearhop.blocking import NGramBlocker
from nearhop.communities.local.diffusion import FlowSolver
from nearhop.embed import FastRP, GraphVite, SkipGram
from nearhop.embed.evaluation import evaluate
from nearhop.graphlib.compute.threads import resolve_threads
from nearhop.graphlib.errors import InvalidInput, NearhopError
from nearhop.graphlib.scalars import integer, is_finite, is_integer, is_number
from nearhop.sampling import NCache, NegativeSampler, NeighborSampler, random_walks

STORE = nearhop.GraphStore.from_edges(np.arange(30), np.arange(1, 31))
LABELS = np.arange(40) % 2
POINTS = np.random.default_rng(0).random((40, 3)) + LABELS[:, None]


def test_what_is_an_integer():
    value: object
    for value in (3, np.int8(3), np.uint64(3)):
        assert is_integer(value)
        assert is_number(value)
        assert type(integer("n", value, 1)) is int
    for value in (True, np.True_, 3.0, np.float32(3), "3", None, np.array([3])):
        assert not is_integer(value)
        with pytest.raises(InvalidInput, match=r"n must be an integer >= 1; got "):
            integer("n", value, 1)
    for value in (0.5, np.float16(0.5), Fraction(1, 2), np.float64(0.5)):
        assert is_number(value)
        assert is_finite(value)
    wide = HNSW(M=np.uint8(200), ef_construction=np.uint8(255)).add(POINTS)
    assert (type(wide.M), wide.graph.links.shape[1]) == (int, 400)
    for made in (SkipGram(dim=np.uint8(200)), GraphVite(dim=np.uint8(200)), FastRP(dim=np.uint8(200))):
        assert type(made.dim) is int
    for value in (True, np.False_, "0.5", None, 1j):
        assert not is_number(value)
    assert not is_finite(np.nan)
    with pytest.raises(InvalidInput, match="n must be at most 5; got 6"):
        integer("n", np.int64(6), 1, 5)


def saved(made, n):
    """What an index or a blocker finds after it was saved and opened."""
    with TemporaryDirectory() as folder:
        if isinstance(made, NGramBlocker):
            made.index({"name": ["radio", "lamp", "lamps"]}).save(f"{folder}/a")
            return blocking.load(f"{folder}/a").query({"name": ["lamp"]}, k=n(1)).right.tolist()
        made.add(POINTS).save(f"{folder}/a.nh")
        return ann.load(f"{folder}/a.nh").search(POINTS, n(2)).ids.tolist()


def kept_attributes(given):
    with TemporaryDirectory() as folder:
        store = nearhop.GraphStore.from_edges([0], [1])
        store.attributes.update(given)
        return repr(store.save(f"{folder}/s.nh").attributes)


CALLS = {
    "threads": lambda n: resolve_threads(n(1)),
    "repeats": lambda n: evaluate(POINTS, LABELS, train_ratios=(0.5,), repeats=n(2), max_steps=n(50)).micro_mean.item(),
    "fanouts": lambda n: NeighborSampler(STORE, [n(2)], seed=n(1)).sample([3, 4]).nodes.tolist(),
    "negatives": lambda n: NegativeSampler(STORE, power=n(1)).sample([1, 2], n(3)).tolist(),
    "walks": lambda n: random_walks(STORE, [0, 5], length=n(4)).tolist(),
    "hop": lambda n: NCache(5, sizes=(n(1), n(4))).table(n(1)).shape,
    "passes": lambda n: FlowSolver(max_passes=n(3)).max_passes,
    "lists": lambda n: saved(NeuralLSH(nlist=n(2), nprobe=n(1), hidden=n(8), epochs=n(1), rounds=n(2)), n),
    "graph": lambda n: saved(HNSW(M=n(4), ef_construction=n(9), ef_search=n(7), seed=n(3)), n),
    "blocker": lambda n: saved(NGramBlocker(width=n(2)), n),
    "attributes": lambda n: kept_attributes({"a": {"b": [n(1)]}}),
    "nodes": lambda n: nearhop.GraphStore.from_edges([0], [1], num_nodes=n(9)).num_nodes,
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_integers_of_numpy_do_as_those_of_python(name):
    plain = CALLS[name](int)
    for kind in (np.int64, np.int32, np.uint8):
        assert CALLS[name](kind) == plain
    if name != "attributes":  # true is a value of JSON
        with pytest.raises(NearhopError):
            CALLS[name](lambda _: True)
