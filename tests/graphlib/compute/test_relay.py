"""Work of two steps a piece: second steps in order, none of them twice, failures and bounds obeyed."""

from __future__ import annotations

import time

import numpy as np
import pytest

from nearhop.graphlib.compute import relay


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("ahead", [None, 1, 3])
def test_second_steps_come_in_order_and_never_overlap(monkeypatch, threads, ahead):
    """However long each step takes; every first step runs once before its second, and its last one after it."""
    monkeypatch.setattr(relay, "threads_now", lambda: threads)
    pauses = np.random.default_rng(0).random((3, 40)) * 1e-3
    drawn, done, inside, left = [], [], [], []
    furthest = 0

    def first(i):
        nonlocal furthest
        furthest = max(furthest, i - len(done))
        time.sleep(pauses[0, i])
        drawn.append(i)

    def second(i):
        assert i in drawn
        inside.append(i)
        assert len(inside) == 1
        time.sleep(pauses[1, i])
        inside.remove(i)
        done.append(i)

    def last(i):
        assert i in done
        time.sleep(pauses[2, i])
        left.append(i)

    relay.relay(40, first, second, last, ahead=ahead)
    assert done == list(range(40))
    assert sorted(drawn) == sorted(left) == done
    assert ahead is None or furthest < ahead


@pytest.mark.parametrize("ahead", [None, 2])
@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_step_that_fails_ends_the_others(monkeypatch, step, ahead):
    monkeypatch.setattr(relay, "threads_now", lambda: 3)
    seen = []

    def work(i):
        seen.append(i)
        time.sleep(1e-3)

    def fail(i):
        if i == 7:
            raise ValueError("seven")
        time.sleep(1e-3)

    with pytest.raises(ValueError, match="seven"):
        relay.relay(10_000, *(fail if at == step else work for at in range(3)), ahead=ahead)
    assert len(seen) < 200
