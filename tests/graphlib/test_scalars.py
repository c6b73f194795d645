"""Integers and numbers of NumPy are integers and numbers for every argument; booleans of either kind are neither."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import nearhop
from nearhop.communities.local.diffusion import FlowSolver
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
    for value in (True, np.False_, "0.5", None, 1j):
        assert not is_number(value)
    assert not is_finite(np.nan)
    with pytest.raises(InvalidInput, match="n must be at most 5; got 6"):
        integer("n", np.int64(6), 1, 5)


CALLS = {
    "threads": lambda n: resolve_threads(n(1)),
    "repeats": lambda n: evaluate(POINTS, LABELS, train_ratios=(0.5,), repeats=n(2), max_steps=n(50)).micro_mean.item(),
    "fanouts": lambda n: NeighborSampler(STORE, [n(2)], seed=n(1)).sample([3, 4]).nodes.tolist(),
    "negatives": lambda n: NegativeSampler(STORE, power=n(1)).sample([1, 2], n(3)).tolist(),
    "walks": lambda n: random_walks(STORE, [0, 5], length=n(4)).tolist(),
    "hop": lambda n: NCache(5, sizes=(n(1), n(4))).table(n(1)).shape,
    "passes": lambda n: FlowSolver(max_passes=n(3)).max_passes,
    "nodes": lambda n: nearhop.GraphStore.from_edges([0], [1], num_nodes=n(9)).num_nodes,
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_integers_of_numpy_do_as_those_of_python(name):
    plain = CALLS[name](int)
    for kind in (np.int64, np.int32, np.uint8):
        assert CALLS[name](kind) == plain
    with pytest.raises(NearhopError):
        CALLS[name](lambda _: True)
