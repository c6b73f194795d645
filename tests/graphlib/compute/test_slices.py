"""Slices cover everything once, follow the clock, and let Ctrl-C through."""

from __future__ import annotations

import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from nearhop.graphlib.compute import slices as module
from nearhop.graphlib.compute.slices import slices


@given(total=st.integers(0, 5000), cost=st.floats(1e-3, 1e7), step=st.integers(1, 70))
def test_slices_cover_all_items_once_and_begin_at_blocks(total, cost, step):
    parts = list(slices(total, cost, step=step))
    assert [item for part in parts for item in range(part.start, part.stop)] == list(range(total))
    assert all(part.start % step == 0 for part in parts)
    assert all(part.stop > part.start for part in parts)


def test_small_work_is_one_slice_and_long_work_follows_the_clock(monkeypatch):
    assert len(list(slices(100_000, 5))) == 1
    now = 0.0
    monkeypatch.setattr(module.time, "perf_counter", lambda: now)
    sizes = []
    for part in slices(2_000_000, 100):
        sizes.append(part.stop - part.start)
        now += sizes[-1] * 1e-5  # a hundred thousand items a second
    assert sizes[0] == round(module._FIRST / 100)
    assert all(abs(size - 10_000) <= 1 for size in sizes[1:-1])
    assert max(sizes) <= 10_001


def test_a_stopped_worker_gets_no_more_slices():
    stop = threading.Event()
    seen = []
    for part in slices(100, 1e6, stop=stop):
        seen.append(part)
        time.sleep(0.001)
        if len(seen) == 2:
            stop.set()
    assert len(seen) == 2
    assert list(slices(100, stop=stop)) == []
