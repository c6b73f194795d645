"""Memory that is used again never changes a result that somebody still holds."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nearhop import GraphStore
from nearhop.graphlib.errors import OutOfMemory
from nearhop.sampling import (
    NegativeSampler,
    NeighborSampler,
    historical_negatives,
    in_batch_negatives,
    metapath_walks,
    random_walks,
    temporal_walks,
)
from nearhop.sampling.scratch import ResultMemory, Scratch


def test_arrays_are_apart_aligned_and_of_the_right_kind():
    memory = ResultMemory()
    a, b, c = memory.arrays((5, np.int64), (0, np.int32), (3, np.float32))
    assert [x.shape for x in (a, b, c)] == [(5,), (0,), (3,)]
    assert [x.dtype for x in (a, b, c)] == [np.int64, np.int32, np.float32]
    assert a.ctypes.data % 8 == c.ctypes.data % 8 == 0
    a[:], c[:] = 7, 1.5
    assert a.tolist() == [7] * 5
    assert c.tolist() == [1.5] * 3


def test_memory_comes_back_only_when_the_last_view_is_gone():
    memory = ResultMemory()
    (first,) = memory.arrays((1000, np.int64))
    first[:] = 1
    where, view = first.ctypes.data, first[10:20].reshape(2, 5)
    del first
    gc.collect()
    (second,) = memory.arrays((1000, np.int64))
    second[:] = 2
    assert second.ctypes.data != where
    assert (view == 1).all()
    del view
    gc.collect()
    (third,) = memory.arrays((1000, np.int64))
    assert third.ctypes.data == where
    third[:] = 3
    (small,) = memory.arrays((3, np.int64))
    small[:] = 4
    assert (second == 2).all()
    assert (third == 3).all()


def test_a_small_result_does_not_hold_a_large_block():
    memory = ResultMemory()
    (large,) = memory.arrays((1_000_000, np.int64))
    where = large.ctypes.data
    del large
    gc.collect()
    (small,) = memory.arrays((10, np.int64))
    assert small.ctypes.data != where


def test_scratch_keeps_what_it_is_asked_to_keep():
    scratch = Scratch(4)
    scratch.array("x", 10)[:] = np.arange(10)
    assert scratch.array("x", 100_000, keep=10)[:10].tolist() == list(range(10))
    assert scratch.array("x", 5, np.int32).dtype == np.int32


def test_marks_are_cleared_before_their_numbers_run_out():
    scratch = Scratch(3)
    scratch.mark[:] = 5
    scratch.base = np.iinfo(np.int32).max - 4
    scratch.forget(3)
    assert scratch.base == 1
    assert (scratch.mark < scratch.base).all()


def test_held_results_stay_as_they_were_while_threads_sample_on():
    rng = np.random.default_rng(0)
    store = GraphStore.from_edges(rng.integers(0, 500, 6000), rng.integers(0, 500, 6000))
    sampler = NeighborSampler(store, [5, 5], seed=1)
    fresh = NeighborSampler(store, [5, 5], seed=1)
    batches = rng.integers(0, 500, (200, 20))
    with ThreadPoolExecutor(4) as pool:
        many = list(pool.map(sampler.sample, batches))
        for _ in pool.map(lambda seeds: sampler.sample(seeds).num_edges, batches):  # results dropped at once
            pass
    for seeds, ours in zip(batches, many, strict=True):
        expected = fresh.sample(seeds)
        for name in ("nodes", "row", "col", "edge_ids", "seed_index"):
            assert np.array_equal(getattr(ours, name), getattr(expected, name))


@pytest.mark.parametrize("num", [1 << 44, (1 << 62) - 1])
def test_sizes_that_no_machine_has_are_refused_before_anything_is_asked_for(num):
    store = GraphStore.from_edges([0, 1, 2, 3], [1, 2, 3, 0], time=np.arange(4))
    sampler = NeighborSampler(store, [num], replace=True)
    asked = [
        lambda: sampler.sample([0]),
        lambda: NegativeSampler(store).sample([0, 1], num),
        lambda: NegativeSampler(store).sample_pairs(num),
        lambda: historical_negatives(store, [0], [9], num),
        lambda: in_batch_negatives([0, 1], num),
        lambda: random_walks(store, [0, 1], length=num),
        lambda: temporal_walks(store, [0, 1], length=num),
        lambda: metapath_walks(store, [0], metapath=[("node", "edge", "node")], length=num),
    ]
    for call in asked:
        with pytest.raises(OutOfMemory, match="more than this machine has"):
            call()
    assert NeighborSampler(store, [2], replace=True).sample([0]).num_edges == 2
