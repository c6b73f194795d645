"""Ctrl-C and failing disks at any moment of a change: from the link of a manifest on, its version is committed."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nearhop
from nearhop.graphlib.disk import files, folder
from nearhop.graphlib.errors import StoreWriteFailed
from nearhop.graphlib.store.store import GraphStore

OPERATIONS = ("create", "reserve", "write", "sync", "sync_folder", "truncate", "publish", "remove")


@pytest.fixture
def path(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # the machine does not lose power here
    where = tmp_path / "s.nh"
    store = GraphStore.from_edges([0, 1, 2], [1, 2, 0], num_nodes=5, weight=[1, 2, 3]).save(where)
    store.append_edges([0], [3], weight=[4])
    store.commit("a log")
    return where


def change(store: GraphStore) -> None:
    """A change of every kind."""
    store.append_edges([1, 1], [4, 2], weight=[5, 6])
    store.nodes.create("made", (2,))[:] = 7
    store.nodes["text"] = np.array(list("abcde"), np.dtypes.StringDType())
    store.add_edge_type(("node", "near", "node"), [0], [4], exist_ok=True)


def whole(path: Path) -> None:
    """The newest version is version 2 as it was, or version 3 with all of the change."""
    store = nearhop.open(path)
    store.verify()
    assert store.version in (2, 3)
    if store.version == 3:
        assert store.edge_list(("node", "edge", "node")).dst.tolist() == [1, 2, 0, 3, 4, 2]
        assert (store.nodes["made"] == 7).all()
        assert store.nodes["text"].tolist() == list("abcde")
    else:
        assert store.num_edges == 4
        assert list(store.nodes) == []


class Fault:
    """Counts the operations on files and raises at one of them, before it, half way (a write), or behind it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: BaseException, at: int, moment: str) -> None:
        self.count, self._error, self._at, self._moment = 0, error, at, moment
        for name in OPERATIONS:
            monkeypatch.setattr(files, name, self._wrap(name, getattr(files, name)))

    def _wrap(self, name, operation):
        def wrapped(*arguments):
            here = self.count == self._at
            self.count += 1
            if here and self._moment == "before":
                if name == "write":
                    operation(arguments[0], memoryview(arguments[1]).cast("B")[:9])
                raise self._error
            result = operation(*arguments)
            if here:
                raise self._error
            return result

        return wrapped


def operations(path: Path) -> int:
    with pytest.MonkeyPatch.context() as patched:
        fault = Fault(patched, OSError(), -1, "before")
        store = nearhop.open(path)
        change(store)
        store.commit()
    return fault.count


@pytest.mark.parametrize("moment", ["before", "behind"])
@pytest.mark.parametrize("kind", ["interrupt", "disk"])
@pytest.mark.parametrize("then", ["close", "again"])
def test_an_error_at_any_operation_of_a_commit(tmp_path, path, kind, moment, then):
    """Of each operation on files: the store is whole, `close` keeps what is published, and the next commit works."""
    import shutil

    shutil.copytree(path, tmp_path / "count.nh")
    total = operations(tmp_path / "count.nh")
    assert total >= 40
    published = 0
    for at in range(total):
        here = tmp_path / f"{at}.nh"
        shutil.copytree(path, here)
        store = nearhop.open(here)
        error = KeyboardInterrupt() if kind == "interrupt" else OSError(errno.EIO, "Input/output error")
        told = ""
        with pytest.MonkeyPatch.context() as patched:
            Fault(patched, error, at, moment)
            try:
                change(store)
                store.commit("three")
            except (KeyboardInterrupt, StoreWriteFailed) as raised:
                told = str(raised)
        whole(here)
        there = nearhop.open(here).version == 3
        published += there
        if told and kind == "disk":
            assert ("is committed" in told) == there, told
        if then == "again":
            if not there:
                if store.num_edges_of(("node", "edge", "node")) == 4:
                    store.append_edges([1, 1], [4, 2], weight=[5, 6], edge_type=("node", "edge", "node"))
                store.nodes.create("made", (2,))[:] = 7
                store.nodes["text"] = np.array(list("abcde"), np.dtypes.StringDType())
                store.add_edge_type(("node", "near", "node"), [0], [4], exist_ok=True)
            assert store.commit("again") == 3
            assert store.version == 3
            whole(here)
            store.nodes["more"] = np.ones(5)
            assert store.commit("four") == 4
        store.close()
        reopened = nearhop.open(here)
        reopened.verify()
        assert reopened.version == (4 if then == "again" else 3 if there else 2)
        shutil.rmtree(here)
    assert published >= 2


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
@pytest.mark.parametrize("number", range(4))
def test_append_edges_of_several_records_is_all_or_nothing(path, monkeypatch, error, number):
    monkeypatch.setattr(folder, "_RECORDS_AT_ONCE", 2)
    store = nearhop.open(path)
    real, calls = files.write, []

    def failing(descriptor, data):
        calls.append(0)
        if len(calls) == number + 1:
            real(descriptor, memoryview(data).cast("B")[:11])
            raise error
        real(descriptor, data)

    ends = np.arange(8) % 5
    with monkeypatch.context() as patched:
        patched.setattr(files, "write", failing)
        with pytest.raises((KeyboardInterrupt, StoreWriteFailed)):
            store.append_edges(ends, ends, weight=ends)
    assert store.num_edges == 4
    store.append_edges(ends[:3], ends[:3], weight=ends[:3])
    assert store.commit() == 3
    again = nearhop.open(path)
    again.verify()
    assert again.edge_list().src.tolist() == [0, 1, 2, 0, 0, 1, 2]


def test_an_append_interrupted_between_the_log_and_memory(path, monkeypatch):
    """The log then holds edges that the object has not; the next commit writes what the object has."""
    from nearhop.graphlib.store.edges import EdgeSet

    store = nearhop.open(path)
    with monkeypatch.context() as patched:
        patched.setattr(EdgeSet, "append", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            store.append_edges([1], [9], weight=[1])
    assert (store.num_nodes, store.num_edges) == (5, 4)
    store.append_edges([4], [4], weight=[2])
    store.commit()
    again = nearhop.open(path)
    again.verify()
    assert again.edge_list().dst.tolist() == [1, 2, 0, 3, 4]


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: fork")
@pytest.mark.parametrize("tries", [24, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_real_interrupt_at_a_random_moment(tmp_path, tries):
    script = Path(__file__).with_name("interrupt_script.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), str(tries), "1"],
        env={**os.environ, "NUMBA_THREADING_LAYER": "workqueue"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["failures"] == [], done.stderr
    assert outcome["tried"] == tries
