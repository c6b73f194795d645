"""Sorts for kernels against NumPy's."""

from __future__ import annotations

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearhop.graphlib.compute.sorting_cpu import first_not_below, holds, order_by_count, sort_words, stable_order


@given(hnp.arrays(np.int32, st.integers(0, 200), elements=st.integers(-5, 5)))
def test_the_order_is_the_stable_one(keys):
    assert np.array_equal(stable_order(keys), np.argsort(keys, kind="stable"))


def test_long_arrays_of_other_dtypes():
    rng = np.random.default_rng(0)
    for keys in (rng.random(5000).astype(np.float32), rng.integers(0, 9, 5001), rng.integers(0, 2**63, 70, np.uint64)):
        assert np.array_equal(stable_order(keys), np.argsort(keys, kind="stable"))


@given(hnp.arrays(np.int64, st.integers(0, 400), elements=st.integers(-(2**63), 2**63 - 1)))
def test_words_are_sorted_in_place(words):
    expected = np.sort(words)
    sort_words(words)
    assert np.array_equal(words, expected)


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(-1, 51))
def test_rising_integers_hold_what_they_hold(words, asked):
    rising = np.unique(np.array(words, np.int64))
    assert holds(rising, 0, len(rising), asked) == (asked in words)
    assert first_not_below(rising, 0, len(rising), asked) == np.searchsorted(rising, asked)


@pytest.mark.parametrize(("count", "most"), [(9000, 30), (300, 7), (4, 9), (1, 1), (0, 4)])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_keys_are_counted_and_their_places_put_in_order(count, most, dtype):
    keys = np.random.default_rng(0).integers(0, most, count).astype(dtype)
    firsts, order = np.zeros(most + 1, np.int64), np.empty(count, np.int64)
    order_by_count(keys, firsts, order)
    assert (order == np.argsort(keys, kind="stable")).all()
    assert (np.diff(firsts) == np.bincount(keys, minlength=most)).all()
