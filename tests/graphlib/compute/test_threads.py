"""Loops of kernels on the pool: every turn once, on several threads, interruptible, and never half-finished."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import weakref

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearhop.graphlib.compute import threads as module
from nearhop.graphlib.compute.compiling.ranges import split
from nearhop.graphlib.compute.jit import parallel_kernel
from nearhop.graphlib.compute.threads import Loop, pieces, threads_in_use, threads_now


@parallel_kernel
def count_turns(x, out, workers):
    """Add one to each row's count."""
    rows = x.shape[0]
    for i in numba.prange(rows):
        out[i] += x[i]
        workers[numba.get_thread_id()] += 1


@given(total=st.integers(0, 5000), threads=st.integers(1, 5), slow=st.booleans())
def test_every_turn_runs_once(total, threads, slow):
    done, workers = np.zeros(total, np.int64), set()

    def turns(first, last, worker):
        assert 0 <= first < last <= total
        assert 0 <= worker < threads
        workers.add(worker)
        done[first:last] += 1
        if slow and first < 20:
            time.sleep(0.0005)

    Loop(turns, total, threads).run()
    assert (done == 1).all()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_kernel_gives_the_same_at_any_thread_count(threads):
    x, out, workers = np.arange(3_000_000), np.zeros(3_000_000, np.int64), np.zeros(threads, np.int64)
    with threads_in_use(threads):
        count_turns(x, out, workers)
    assert np.array_equal(out, x)


def test_coarse_turns_run_at_the_same_time():
    """Two turns that wait for each other end only on two threads."""
    meeting = threading.Barrier(2, timeout=30)
    Loop(lambda first, last, worker: meeting.wait(), 2, 2).run()


def test_threads_within_a_piece_are_one():
    seen = []
    Loop(lambda first, last, worker: seen.append(threads_now()), 2, 2).run()
    assert seen == [1, 1]


def test_a_loop_that_is_over_keeps_nothing_alive_while_it_waits_for_a_thread():
    """As on a busy machine: the pool's thread comes to a loop when its caller has long gone on."""
    go, begun = threading.Event(), threading.Event()

    def busy(first, last, worker):
        if worker:
            begun.set()
        go.wait(10)

    def fail(first, last, worker, held):
        raise ValueError

    holder = threading.Thread(target=Loop(busy, 2, 2).run)
    holder.start()
    assert begun.wait(10)
    done, failed = np.zeros(4), np.zeros(4)
    alive = [weakref.ref(done), weakref.ref(failed)]
    try:
        Loop(lambda first, last, worker, held=done: None, 4, 2).run()
        with pytest.raises(ValueError):
            Loop(lambda first, last, worker, held=failed: fail(first, last, worker, held), 4, 2).run()
        del done, failed
        assert [ref() for ref in alive] == [None, None]
    finally:
        go.set()
        holder.join()


def test_what_a_piece_raises_is_raised_when_all_are_done():
    running, ended = threading.Event(), []

    def turns(first, last, worker):
        if first == 0:
            running.wait(30)
            raise ValueError("broken")
        running.set()
        time.sleep(0.05)
        ended.append(first)

    with pytest.raises(ValueError, match="broken"):
        Loop(turns, 2, 2).run()
    assert ended == [1]


SCRIPT = """
import os, signal, sys, threading, time
import numba, numpy as np
from nearhop.graphlib.compute.jit import kernel, parallel_kernel, threads_in_use
from nearhop.graphlib.compute.threads import Stopped, end_with, pieces

@kernel
def work(x, turns):
    value = x
    for _ in range(turns):
        value = (value * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)) ^ (value >> np.uint64(7))
    return value

@parallel_kernel
def work_on_all(out, turns):
    for i in numba.prange(out.shape[0]):
        out[i] = work(out[i], turns)

out = np.zeros(2_000_000, np.uint64)
stop, ended = threading.Event(), threading.Event()

def go():
    if "pieces" in sys.argv:
        for first, last in pieces(out.shape[0]):
            work(np.uint64(first), turns * (last - first))
    else:
        with threads_in_use(int(sys.argv[1])):
            work_on_all(out, turns)

def led():
    try:
        end_with(stop)
        go()
    except Stopped:
        print("stopped")
    ended.set()

turns = 1
go()
turns = 50_000  # a tenth of a millisecond each, some minutes in all
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
begin = time.perf_counter()
try:
    if "thread" in sys.argv:
        threading.Thread(target=led).start()
        ended.wait()
    else:
        go()
except KeyboardInterrupt:
    stop.set()
    if "thread" in sys.argv:
        ended.wait()
    print(time.perf_counter() - begin < 1.5)
"""


@pytest.mark.parametrize("how", [["1"], ["2"], ["1", "thread"], ["2", "thread"], ["1", "pieces"]])
def test_an_interrupt_is_obeyed_within_a_second(how, tmp_path):
    """By kernels that would run for minutes, and that no signal reaches from within."""
    script = tmp_path / "busy.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), *how], capture_output=True, text=True, timeout=60, check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    expected = ["stopped", "True"] if "thread" in how else ["True"]
    assert done.stdout.split() == expected, done.stderr


@given(total=st.integers(0, 5000), step=st.integers(1, 70), slow=st.booleans())
def test_pieces_cover_all_turns_once_and_begin_at_multiples(total, step, slow):
    seen = []
    for first, last in pieces(total, step=step):
        assert first % step == 0
        assert last > first
        seen += range(first, last)
        if slow and first < 100:
            time.sleep(0.0005)
    assert seen == list(range(total))


def test_pieces_follow_the_clock(monkeypatch):
    now = 0.0
    monkeypatch.setattr(module, "perf_counter", lambda: now)
    sizes = []
    for first, last in pieces(100_000_000):
        sizes.append(last - first)
        now += sizes[-1] * 1e-7  # ten million turns a second
    assert sizes[0] == module._FIRST
    assert max(sizes) * 1e-7 == pytest.approx(module._LONG_S, rel=0.01)
    assert len(sizes) < 210


def test_the_loop_may_only_be_the_last_statement():
    def two(x):
        for i in numba.prange(x.shape[0]):
            x[i] = 0
        return x

    with pytest.raises(TypeError, match="ends with its loops"):
        split(two)


@parallel_kernel
def _two_steps(x, doubled, out):
    n = x.shape[0]
    for i in numba.prange(n):
        doubled[i] = 2 * x[i]
    for i in numba.prange(out.shape[0] if n else 0):
        out[i] = doubled[n - 1 - i]


@pytest.mark.parametrize("threads", [1, 2, None])
def test_a_loop_begins_when_the_one_before_has_ended(threads):
    x = np.arange(100_001.0)
    with threads_in_use(threads):
        for call in (_two_steps, _two_steps.at_once):
            doubled, out = np.empty_like(x), np.empty(99_999)
            call(x, doubled, out)
            np.testing.assert_array_equal(out, 2 * x[::-1][:99_999])


def test_turns_of_every_loop_are_counted_and_run_by_themselves():
    x, doubled, out = np.arange(5.0), np.zeros(5), np.zeros(3)
    count, ranged = _two_steps._parts
    assert count(x, doubled, out) == [5, 3]
    ranged(0, 1, 3, 0, x, doubled, out)
    assert doubled.tolist() == [0, 2, 4, 0, 0]
    ranged(1, 2, 3, 0, x, doubled, out)
    assert out.tolist() == [0, 0, 4]
    with pytest.raises(TypeError, match="ends with its loops"):
        split(lambda x: x)


def test_a_forked_child_runs_on_one_thread():
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with threads_in_use(2) as count:
                os.write(writing, f"{count} {threads_now()}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    assert os.waitpid(child, 0)[1] == 0
    assert os.read(reading, 100).decode() == "1 1"


def test_an_even_kernel_that_was_short_runs_in_one_piece_until_an_array_grows():
    @parallel_kernel(even=True)
    def double(parts, out):
        for i in numba.prange(out.shape[0]):
            out[i] = 2 * parts[0][i]

    def calls(size, extra=1):
        x, out, ranges = np.arange(float(size)), np.empty(size), []
        count, ranged = double._parts
        double.__dict__["_parts"] = count, lambda *given: (ranges.append(given[:2]), ranged(*given))
        with threads_in_use(1):
            double((x, np.zeros(extra)), out)
        double.__dict__["_parts"] = count, ranged
        np.testing.assert_array_equal(out, 2 * x)
        return ranges

    calls(100)  # compiles, or reads what was compiled, which may be short
    double.__dict__["_short"] = []
    assert calls(100)[0] == (0, 1)
    assert calls(100) == calls(100, 4) == [(0, 100)]
    assert calls(400) == [(0, 400)]
    assert len(calls(401)) > 1
    assert len(calls(100, 2000)) > 1  # another array is larger
