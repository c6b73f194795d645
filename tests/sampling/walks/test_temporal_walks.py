"""Temporal walks: time only moves on, allowed edges are equally likely, nothing depends on threads or order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from nearhop import GraphStore
from nearhop.graphlib.errors import InvalidInput
from nearhop.sampling.walks import temporal_walks


@given(
    events=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 9)), min_size=1, max_size=50),
    begin=st.one_of(st.none(), st.integers(-1, 11)),
    backward=st.booleans(),
    inclusive=st.booleans(),
    window=st.one_of(st.none(), st.integers(0, 4)),
    directed=st.booleans(),
)
def test_time_only_moves_on(events, begin, backward, inclusive, window, directed):
    src, dst, time = np.array(events).T
    store = GraphStore.from_edges(src, dst, num_nodes=7, time=time, directed=directed)
    walks = temporal_walks(
        store,
        np.arange(7),
        start_time=None if begin is None else np.full(7, begin),
        length=5,
        backward=backward,
        inclusive=inclusive,
        window=window,
    )
    sign = -1 if backward else 1

    def allowed(edge_times, now):
        if now is None:
            return np.ones(len(edge_times), bool)
        gap = sign * (edge_times - now)
        fine = (gap >= 0) if inclusive else (gap > 0)
        return fine if window is None else fine & (gap <= window)

    for walk, times, edges in zip(walks.nodes, walks.times, walks.edge_ids, strict=True):
        now = begin
        for step in range(5):
            here, there, edge = walk[step], walk[step + 1], edges[step]
            out = (dst if backward else src) == here
            if not directed:
                out |= (src == here) | (dst == here)
            if edge < 0:
                assert there == -1
                assert here < 0 or not allowed(time[out], now).any()
                break
            ends = (dst[edge], src[edge]) if backward else (src[edge], dst[edge])
            assert (here, there) == ends or (not directed and (there, here) == ends)
            assert times[step] == time[edge]
            assert allowed(time[edge : edge + 1], now).all()
            now = time[edge]
        assert (edges[step + (edge >= 0) :] == -1).all()


def test_allowed_edges_are_equally_likely():
    store = GraphStore.from_edges(np.zeros(8, int), np.arange(1, 9), time=np.arange(8.0), directed=True)
    walks = temporal_walks(store, np.zeros(12_000, int), start_time=np.full(12_000, 2.5), length=1, window=4, seed=1)
    assert chisquare(np.bincount(walks.nodes[:, 1], minlength=9)[4:8]).pvalue > 1e-4
    assert set(walks.nodes[:, 1].tolist()) == {4, 5, 6, 7}


def test_nothing_depends_on_threads_order_or_batch():
    rng = np.random.default_rng(0)
    store = GraphStore.from_edges(rng.integers(0, 40, 600), rng.integers(0, 40, 600), time=rng.integers(0, 99, 600))
    starts = np.tile(np.arange(40), 5)
    whole = temporal_walks(store, starts, threads=2, length=6)
    assert whole.steps.max() > 3
    for name in ("nodes", "edge_ids", "times"):
        assert np.array_equal(getattr(whole, name), getattr(temporal_walks(store, starts, threads=1, length=6), name))
    part = temporal_walks(store, np.arange(40)[::-1], length=6)
    assert np.array_equal(whole.nodes[:40][::-1], part.nodes)
    assert not np.array_equal(whole.nodes, temporal_walks(store, starts, length=6, epoch=1).nodes)
    assert not np.array_equal(whole.nodes[:40], whole.nodes[40:80])


def test_bad_input_is_named():
    store = GraphStore.from_edges([0, 1], [1, 2], time=[1, 2])
    with pytest.raises(InvalidInput, match="need edge times"):
        temporal_walks(GraphStore.from_edges([0], [1]), [0])
    with pytest.raises(InvalidInput, match=r"start_time must have shape \(1,\)"):
        temporal_walks(store, [0], start_time=[1, 2])
    with pytest.raises(InvalidInput, match=r"start_time\[0\] is nan; times must be finite"):
        temporal_walks(store, [0], start_time=[float("nan")])
    with pytest.raises(InvalidInput, match=r"window must be a finite number >= 0; got -1"):
        temporal_walks(store, [0], window=-1)
    with pytest.raises(InvalidInput, match=r"starts\[0\] is 3"):
        temporal_walks(store, [3])
    assert temporal_walks(store, [], length=3).nodes.shape == (0, 4)


@pytest.mark.parametrize("backward", [False, True])
def test_steps_beyond_64_bits_are_outside_of_a_window(backward):
    begin, far, near = (2**62 + 1, -(2**62) - 2, 2**62 - 5) if backward else (-(2**62) - 1, 2**62 + 2, 5 - 2**62)
    ends = [1, 2], [0, 0]
    store = GraphStore.from_edges(*(ends if backward else ends[::-1]), time=[far, near], directed=True)
    for window, seen in ((10, {2}), (2**70, {1, 2})):
        walks = temporal_walks(
            store, np.zeros(40, int), start_time=np.full(40, begin), length=1, window=window, backward=backward
        )
        assert set(walks.nodes[:, 1].tolist()) == seen
