"""The lock of an index: held inside its blocks and nowhere else, wherever an interrupt falls."""

from __future__ import annotations

import dis
import signal
import sys
import threading

import numpy as np
import pytest

from nearhop import ann
from nearhop.ann.locking import HeldBack, SharedLock
from nearhop.graphlib.errors import InvalidInput
from nearhop.tests.support import meanwhile

LOOKED_AT = {"RESUME", "CALL", "CALL_FUNCTION_EX", "JUMP_BACKWARD"}  # where the interpreter looks for signals


def interrupted_at(step, call):
    """Run `call` with Ctrl-C at the step-th place of the lock's code where a signal may be noticed; whether it was."""
    last, left = {}, [step]

    def trace(frame, event, argument):
        frame.f_trace_opcodes = True
        if event == "opcode" and "locking" in frame.f_code.co_filename:
            before, last[frame] = last.get(frame), dis.opname[frame.f_code.co_code[frame.f_lasti]]
            if before in LOOKED_AT:
                left[0] -= 1
                if not left[0]:
                    sys.settrace(None)
                    signal.raise_signal(signal.SIGINT)
        return trace

    outer = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(outer)
    return left[0] <= 0


def read(lock):
    with lock.reading():
        pass


def change(lock):
    with lock.writing(), lock.changing():
        pass


def in_a_thread(call):
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(20)
    return not thread.is_alive()


@pytest.mark.parametrize("call", [read, change])
@pytest.mark.parametrize("known", [False, True])
def test_an_interrupt_anywhere_leaves_nothing_held(call, known):
    step, before = 1, signal.getsignal(signal.SIGINT)
    while True:
        lock = SharedLock()
        if known:
            read(lock)
        hit = interrupted_at(step, lambda lock=lock: call(lock))
        assert in_a_thread(lambda lock=lock: change(lock)), step
        assert in_a_thread(lambda lock=lock: read(lock)), step
        change(lock)
        assert signal.getsignal(signal.SIGINT) is before, step
        if not hit:
            break
        step += 1
    assert step > (20 if call is change else 0)


def test_a_change_that_another_exception_broke_off_is_cleared_away():
    lock = SharedLock()
    read(lock)
    with lock.writing():
        lock.changing().__enter__()  # and no exit
    assert in_a_thread(lambda: None)
    waiting = threading.Thread(target=change, args=(lock,), daemon=True)
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    read(lock)  # the same thread comes again
    waiting.join(20)
    assert not waiting.is_alive()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_interrupted_searches_leave_an_index_that_can_be_changed():
    rows = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    index = ann.HNSW(M=4, ef_construction=10, threads=1).add(rows)
    index.search(rows[0], 3)

    def stop(*_):
        raise KeyboardInterrupt

    before, delays = signal.signal(signal.SIGALRM, stop), np.random.default_rng(1).uniform(5e-5, 5e-4, 300)
    hits = 0
    try:
        for delay in delays:
            try:
                signal.setitimer(signal.ITIMER_REAL, delay)
                while True:
                    index.search(rows[0], 3)
            except KeyboardInterrupt:
                hits += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert hits == 300
    assert in_a_thread(lambda: index.remove([5]))
    assert len(index) == 299


def test_a_reader_may_read_again_while_a_change_waits():
    lock, inside, log = SharedLock(), threading.Event(), []

    def nested():
        with lock.reading():
            inside.set()
            while not lock._is_wanted:
                pass
            with lock.reading():
                log.append("read twice")

    def changed():
        inside.wait(20)
        change(lock)
        log.append("changed")

    threads = [threading.Thread(target=call, daemon=True) for call in (nested, changed)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert log == ["read twice", "changed"]


def test_readers_that_come_during_a_change_wait_for_it():
    lock, log = SharedLock(), []
    with lock.writing():
        with lock.changing():
            threads = [threading.Thread(target=lambda: (read(lock), log.append("read")), daemon=True) for _ in range(3)]
            for thread in threads:
                thread.start()
            threads[0].join(0.1)
            assert log == []
            read(lock)  # the changing thread itself may read
        for thread in threads:
            thread.join(20)
    assert log == ["read"] * 3


def test_a_change_from_inside_a_call_is_refused():
    lock = SharedLock()
    with lock.writing(), lock.steady(), pytest.raises(InvalidInput, match="from inside one of its own calls"):
        lock.writing()
    with lock.reading(), pytest.raises(InvalidInput, match="from inside one of its own calls"):
        lock.writing()
    change(lock)


@pytest.mark.parametrize("make", [ann.HNSW, pytest.param(lambda: ann.Faiss("Flat"), id="Faiss")])
def test_a_callback_may_search_and_not_change(make, tmp_path):
    if make is not ann.HNSW:
        pytest.importorskip("faiss")
    rows = np.random.default_rng(0).normal(size=(600, 8)).astype(np.float32)
    index, told = make().add(rows[:100]), []

    def progress(done, total):
        told.append(len(index.search(rows[0], 3).ids))
        for call in (lambda: index.add(rows[:1], ids=[10**6]), lambda: index.remove([0]), index.compact):
            with pytest.raises(InvalidInput, match="progress callback"):
                call()
        if len(told) == 1:
            index.save(tmp_path / "part")

    index.add(rows[100:], progress=progress)
    assert len(index) == 600
    assert told
    assert 100 <= len(ann.load(tmp_path / "part")) <= 600


def rows_of(count):
    return np.random.default_rng(count).normal(size=(count, 8)).astype(np.float32)


KINDS = {
    "Exact": (lambda: ann.Exact(threads=1), rows_of),
    "IVFFlat": (lambda: ann.IVFFlat(nlist=4, threads=1), rows_of),
    "NeuralLSH": (lambda: ann.NeuralLSH(nlist=2, hidden=8, rounds=1, epochs=1, threads=1), rows_of),
    "HNSW": (lambda: ann.HNSW(M=4, ef_construction=10, threads=1), rows_of),
    "LSH": (
        lambda: ann.LSH(ann.MinHash(16, threads=1), bands=8, threads=1),
        lambda count: [[i, i + 1, i + 2] for i in range(count)],
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_index_that_changes_holds_the_lock(kind, monkeypatch):
    make, rows = KINDS[kind]
    index = make().add(rows(200))
    seen = []

    class Watched(SharedLock):
        def reading(self):
            seen.append("reading")
            return super().reading()

        def writing(self):
            seen.append("writing")
            return super().writing()

        def changing(self):
            seen.append("changing")
            return super().changing()

    index._lock = Watched()
    for call, wanted in (
        (lambda: index.search(rows(2), 3), {"reading"}),
        (lambda: index.add(rows(5)[:5]), {"writing", "changing"}),
        (lambda: index.remove([3]), {"writing", "changing"}),
        (index.compact, {"writing", "changing"}),
    ):
        seen.clear()
        call()
        assert set(seen) >= wanted, kind


@pytest.mark.parametrize("kind", KINDS)
def test_searches_beside_changes_see_whole_states(kind):
    make, rows = KINDS[kind]
    given = rows(1200)
    index = make().add(given[:200])

    def search():
        found = index.search(given[:20], 3)
        assert not (found.ids >= 1200).any(), "rows that nobody gave"
        assert not (found.counts > 3).any()
        if kind in ("Exact", "LSH"):
            assert found.ids[:, 0].tolist() == list(range(20)), "a row that nobody touched was not found"

    with meanwhile(search):
        for start in range(200, 1200, 200):
            index.add(given[start : start + 200], ids=np.arange(start, start + 200))
            index.remove(np.arange(start, start + 100))
            index.compact()
    assert len(index) == 700


def test_what_is_held_back_comes_once():
    def twice():
        with HeldBack(), HeldBack():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        twice()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
