"""Loops of kernels on the pool: every turn once, on several threads, interruptible, and never half-finished."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearhop.graphlib.compute.jit import parallel_kernel
from nearhop.graphlib.compute.ranges import split
from nearhop.graphlib.compute.threads import Loop, threads_in_use, threads_now


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
import os, signal, threading, time
import numpy as np
from nearhop.graphlib.compute.threads import Loop
def turns(first, last, worker):
    time.sleep(0.0001 * (last - first))
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
begin = time.perf_counter()
try:
    Loop(turns, 1_000_000, {threads}).run()
except KeyboardInterrupt:
    print(time.perf_counter() - begin < 1.5)
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupt_is_obeyed_within_a_second(threads):
    """Of a loop of a hundred seconds."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(threads=threads)], capture_output=True, text=True, timeout=60, check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert done.stdout.strip() == "True", done.stderr


def test_the_loop_may_only_be_the_last_statement():
    def two(x):
        for i in numba.prange(x.shape[0]):
            x[i] = 0
        return x

    with pytest.raises(TypeError, match="ends with its one loop"):
        split(two)


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
