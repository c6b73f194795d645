"""Threads that add, remove, upsert, compact, save and search at once, while calls fail and processes die midway."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback

import numpy as np
import pytest

from nearhop import ann
from nearhop.ann import HNSW
from nearhop.graphlib.disk import files
from nearhop.graphlib.errors import NearhopError

ABSENT, PRESENT, CHANGING = 0, 1, 2
IDS, DIM = 1200, 8


class Fault(Exception):
    """What a test throws into a call."""


def vectors_of(ids, versions):
    """The vector of an id's version: always the same, and another for every pair."""
    keys = (np.asarray(ids, np.float64) + 0.001 * np.asarray(versions))[:, None]
    return np.sin(keys * np.linspace(100, 900, DIM)).astype(np.float32)


class Owner:
    """The ids that one writer changes, and what they are known to be."""

    def __init__(self, index, ids, seed):
        self.index, self.ids = index, ids
        self.state, self.epoch, self.version = (np.zeros(IDS, np.int64) for _ in range(3))
        self.rng = np.random.default_rng(seed)
        self.faults = 0

    def failing(self):
        """A progress callback that raises sooner or later, or never."""
        left = self.rng.integers(0, 8)

        def progress(done, total):
            nonlocal left
            left -= 1
            if left < 0:
                raise Fault

        return progress

    def pick(self, state, most):
        held = self.ids[self.state[self.ids] == state]
        return self.rng.choice(held, min(len(held), int(self.rng.integers(1, most))), replace=False)

    def step(self):
        kind = self.rng.choice(["add", "remove", "upsert", "compact"], p=[0.4, 0.3, 0.25, 0.05])
        if kind == "compact":
            self.guarded(lambda progress: self.index.compact(progress=progress))
            return
        some = self.pick(PRESENT if kind == "remove" else ABSENT, 120)
        if kind == "upsert":
            some = np.concatenate([some, self.pick(PRESENT, 60)])
        if not len(some):
            return
        new = np.zeros(len(some), np.int64) if kind == "remove" else self.version[some] + 1
        before, self.state[some] = self.state[some].copy(), CHANGING
        self.epoch[some] += 1  # after the state, as it is read before it
        if kind == "remove":
            assert self.index.remove(some) == len(some)
            self.state[some] = ABSENT
            return
        call = self.index.add if kind == "add" else self.index.upsert
        whole = self.guarded(lambda progress: call(vectors_of(some, new), some, progress=progress))
        inside, held = self.looked_up(some)
        if whole:
            assert inside.all(), "a row whose call returned is not there"
            assert np.array_equal(held, vectors_of(some, new)), "a row has another vector than the call gave it"
        else:
            was = before == PRESENT
            assert inside[was].all(), "a failed upsert lost a row"
            old, fresh = vectors_of(some, self.version[some]), vectors_of(some, new)
            took = (held == fresh).all(axis=1)
            assert (took | (held == old).all(axis=1))[inside].all(), "a row has a vector that nobody gave it"
            new = np.where(inside & took, new, self.version[some])
        self.version[some] = new
        self.state[some] = np.where(inside, PRESENT, ABSENT)

    def guarded(self, call):
        try:
            call(self.failing())
        except Fault:
            self.faults += 1
            return False
        return True

    def looked_up(self, ids):
        with self.index._lock.writing():
            rows = self.index._rows.positions(np.asarray(ids))
            held = self.index._graph.vectors[np.maximum(rows, 0)].copy()
        return rows >= 0, held


def search(index, owners, rng):
    """One search whose every result must have been there at some time while it ran."""
    epoch, state, version = (sum(getattr(o, name) for o in owners) for name in ("epoch", "state", "version"))
    stable = np.flatnonzero(state == PRESENT)
    queries = rng.normal(size=(8, DIM)).astype(np.float32)
    found = index.search(queries, 5, ef_search=30)
    some = rng.choice(stable, min(20, len(stable)), replace=False)
    few = index.search(queries[:1], max(1, len(some)), filter=some)
    later = sum(o.epoch for o in owners)
    latest = sum(o.version for o in owners)
    kept = some[later[some] == epoch[some]]
    assert np.isin(kept, few.ids[0]).all(), "a row that nobody touched was not found"
    for place, (distances, ids, count) in enumerate(zip(found.distances, found.ids, found.counts, strict=True)):
        assert (ids[count:] == -1).all()
        ids, distances = ids[:count], distances[:count]
        assert ((ids >= 0) & (ids < IDS)).all(), "an id that nobody gave"
        assert not ((state[ids] == ABSENT) & (epoch[ids] == later[ids])).any(), "a removed row came back"
        for i, distance in zip(ids.tolist(), distances.tolist(), strict=True):
            ages = range(int(version[i]), int(latest[i]) + 2)
            true = ((vectors_of([i] * len(ages), np.array(ages)) - queries[place]) ** 2).sum(axis=1)
            assert np.abs(true - distance).min() < 1e-3, "a distance does not belong to its id"


def save(index, folder, turn):
    """Save while changes wait, with a disk that fails or a process that dies, and open what is whole."""
    path = folder / f"index-{turn}.nh"
    with index._lock.writing():
        live = len(index)
        if turn % 3 == 1 and live:  # an empty index is not saved
            child = os.fork()
            if child == 0:  # dies where the folder would get its name
                try:
                    files.rename = lambda *_: os._exit(77)
                    index.save(path)
                except BaseException:
                    traceback.print_exc()
                finally:
                    os._exit(1)
            end = time.monotonic() + 120
            while (status := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < end:
                time.sleep(0.01)
            if status[0] == 0:
                os.kill(child, signal.SIGKILL)
            assert os.waitstatus_to_exitcode(status[1]) == 77
            assert not path.exists()
        if turn % 3 == 2:
            kept = files.rename
            try:
                files.rename = _no_space
                with pytest.raises(NearhopError):
                    index.save(path)
            finally:
                files.rename = kept
            assert not path.exists()
        if not live:
            return
        index.save(path)
    loaded = ann.load(path)
    assert loaded.verify().live == live


def _no_space(*_):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("seconds", [4, pytest.param(60, marks=pytest.mark.slow)], ids=["short", "minute"])
def test_nothing_that_returned_is_lost(seconds, tmp_path):
    index = HNSW(M=6, ef_construction=30, threads=1).add(vectors_of(np.arange(0, IDS, 2), 0), ids=np.arange(0, IDS, 2))
    owners = [Owner(index, np.arange(k, IDS, 2), seed=k) for k in range(2)]
    owners[0].state[::2] = PRESENT
    failures, turns = [], dict.fromkeys(("first", "second", "search", "save"), 0)
    end = time.monotonic() + seconds

    def run(name, step):
        try:
            while not failures and (time.monotonic() < end or min(turns.values()) < 3):
                step()
                time.sleep(0.002)  # a thread that never waits starves the others of the interpreter's lock
                turns[name] += 1
        except BaseException as error:
            failures.append(error)

    rng = np.random.default_rng(9)
    work = {
        "first": owners[0].step,
        "second": owners[1].step,
        "search": lambda: search(index, owners, rng),
        "save": lambda: save(index, tmp_path, turns["save"]),
    }
    threads = [threading.Thread(target=run, args=item) for item in work.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    assert sum(o.faults for o in owners) > 0
    index.add(vectors_of([IDS], 0), ids=[IDS])  # a change that ends well joins what failed ones cut off
    stats = index.verify()
    state, version = (sum(getattr(o, name) for o in owners) for name in ("state", "version"))
    inside = np.flatnonzero(state == PRESENT)
    assert (stats.live, stats.unreachable) == (len(inside) + 1, 0)
    rows = index._rows.positions(inside)
    assert (rows >= 0).all()
    assert np.array_equal(index.graph.vectors[rows], vectors_of(inside, version[inside]))
