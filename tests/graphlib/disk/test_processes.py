"""Forks, threads, other processes, folders that move: what a store object does beside others."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import nearhop
from nearhop.graphlib.disk import folders
from nearhop.graphlib.errors import NotFound, StoreLocked, StoreMissing
from nearhop.graphlib.store.store import GraphStore

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def made(path: Path, nodes: int = 100) -> GraphStore:
    return GraphStore.from_edges([0, 1], [1, 2], num_nodes=nodes).save(path)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "s.nh"


def in_child(run) -> str:
    """What `run` returns in a forked child, or the name of what it raises."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            said = str(run())
        except BaseException as error:
            said = type(error).__name__
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    said = os.read(read, 1 << 16).decode()
    os.close(read)
    return said


@forks
@pytest.mark.parametrize("what", ["close", "append", "commit", "drop"])
def test_a_child_does_not_touch_what_the_parent_changes(path, what):
    store = made(path)
    store.append_edges([5], [6])
    store.nodes.create("c")[:] = 3
    held = [store]

    def run():
        if what == "close":
            store.close()
        elif what == "append":
            store.append_edges([77], [88])
        elif what == "commit":
            store.commit()
        else:
            held.clear()
        return "done"

    assert in_child(run) == {"append": "StoreLocked", "commit": "StoreLocked"}.get(what, "done")
    with pytest.raises(StoreLocked):  # the lock is still the parent's
        nearhop.open(path).append_edges([1], [1])
    store.append_edges([10], [11])
    assert store.commit() == 2
    again = nearhop.open(path)
    again.verify()
    assert again.edge_list().src.tolist() == [0, 1, 5, 10]
    assert (again.nodes["c"] == 3).all()


@forks
def test_a_child_writes_through_an_object_that_had_no_changes(path):
    store = made(path)
    assert in_child(lambda: (store.append_edges([7], [8]), store.commit())[1]) == "2"
    with pytest.raises(StoreLocked, match="at version 2 by now"):
        store.append_edges([1], [1])
    assert nearhop.open(path).num_edges == 3


@forks
def test_the_lock_is_released_although_a_child_lives(path):
    store = made(path)
    store.append_edges([0], [2])
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    try:
        store.commit()
        store.append_edges([1], [0])
        assert store.commit() == 3
        other = nearhop.open(path)
        other.append_edges([1], [0])
        assert other.commit() == 4
    finally:
        os.close(read)
        os.close(write)
        os.waitpid(pid, 0)


@forks
def test_a_lock_dies_with_its_process_although_a_child_of_it_lives(path):
    made(path)
    code = f"""
import os, sys, time, nearhop
store = nearhop.open({str(path)!r})
store.append_edges([1], [2])
if os.fork() == 0:
    os.close(1)
    time.sleep(60)
print("forked", flush=True)
os._exit(0)
"""
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert child.stdout.readline() == "forked\n"
        child.wait()
        store, until = nearhop.open(path), time.monotonic() + 20
        while store.num_edges < 3:
            try:
                store.append_edges([1], [1])
            except StoreLocked:  # the child has not run yet
                assert time.monotonic() < until
                time.sleep(0.01)
        assert store.commit() == 2
    finally:
        child.stdout.close()
        os.killpg(child.pid, 9)


def test_threads_share_one_object(path):
    store = made(path)
    failed: list[str] = []

    def append(source: int) -> None:
        try:
            for target in range(40):
                store.append_edges([source], [target])
                if target % 20 == source:
                    store.nodes[f"c{source}"] = np.full(100, target)
                    store.commit()
        except Exception as error:
            failed.append(repr(error))

    def read() -> None:
        try:
            while not stopped.is_set():
                edges = store.edge_list()
                assert len(edges.src) == len(edges.dst)
                assert store.csr().num_entries >= 4
        except Exception as error:
            failed.append(repr(error))

    stopped = threading.Event()
    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=append, args=(k,)) for k in range(4)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stopped.set()
    reader.join()
    assert failed == []
    store.commit()
    again = nearhop.open(path)
    again.verify()
    assert again.num_edges == store.num_edges == 162
    for source in range(4):
        assert np.sort(again.edge_list().dst[2:][again.edge_list().src[2:] == source]).tolist() == list(range(40))


def test_a_relative_path_means_the_same_store_later(tmp_path, monkeypatch):
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        made(tmp_path / name / "g.nh")
    monkeypatch.chdir(tmp_path / "x")
    store = nearhop.open("g.nh")
    monkeypatch.chdir(tmp_path / "y")
    assert store.path == tmp_path / "x" / "g.nh"
    store.append_edges([0], [2])
    assert store.commit() == 2
    assert nearhop.open(tmp_path / "x" / "g.nh").version == 2
    assert nearhop.open(tmp_path / "y" / "g.nh").version == 1


@pytest.mark.parametrize("changed_before", [False, True])
def test_another_store_in_its_place_is_not_written_to(path, tmp_path, changed_before):
    store = made(path)
    if changed_before:
        store.nodes["x"] = np.zeros(100)
    path.rename(tmp_path / "moved.nh")
    made(path, nodes=9)
    before = sorted(p.name for p in path.rglob("*"))
    change = store.commit if changed_before else lambda: store.append_edges([0], [1])
    with pytest.raises(StoreMissing, match="another store lies in its place"):
        change()
    store.close()
    assert sorted(p.name for p in path.rglob("*")) == before
    assert nearhop.open(path).num_nodes == 9
    assert nearhop.open(tmp_path / "moved.nh").verify()


def test_a_store_that_went_away_says_so(path):
    store = made(path)
    shutil.rmtree(path)
    for call in (lambda: store.append_edges([0], [1]), store.versions, store.verify, store.compact):
        with pytest.raises(StoreMissing, match=r"no longer there|no store at"):
            call()
    assert store.csr().num_entries == 4


@pytest.mark.parametrize("moment", ["list_versions", "read_manifest"])
def test_a_version_dropped_while_it_is_opened(path, monkeypatch, moment):
    """The writer's compaction falls between two steps of `open`: the reader gets the newest version."""
    writer, real = made(path), getattr(folders, moment)

    def slow(*arguments):
        found = real(*arguments)
        monkeypatch.setattr(folders, moment, real)
        writer.nodes["x"] = np.random.default_rng().random(100)
        writer.append_edges([0], [1])
        writer.commit()
        writer.compact(keep=1)
        return found

    monkeypatch.setattr(folders, moment, slow)
    opened = nearhop.open(path)
    assert opened.version == 3
    assert opened.verify()
    old = writer.version
    writer.nodes["x"] = np.zeros(100)
    writer.commit()
    reader = nearhop.open(path)
    late = nearhop.open(path, version=old)
    writer.nodes["x"] = np.ones(100)
    writer.commit()
    writer.compact(keep=1)
    for gone in (reader, late):
        assert gone.nodes["x"].shape == (100,)
        assert gone.csr().num_entries == 6
        with pytest.raises(NotFound, match=r"a compaction dropped it while it was open"):
            gone.verify()
        assert [v.number for v in gone.versions()] == [5]
    with pytest.raises(NotFound, match=f"has no version {old}; versions: 5"):
        nearhop.open(path, version=old)


def test_readers_and_backups_beside_a_writer_that_compacts(path, tmp_path):
    """Every opened version is whole, and so is every copy made by the two recipes of docs/store.md."""
    made(path)
    code = f"""
import numpy as np, nearhop
store = nearhop.open({str(path)!r})
for turn in range(10**6):
    store.append_edges([turn % 100], [1])
    store.nodes["turn"] = np.full(store.num_nodes, store.num_edges)
    store.commit()
    if turn % 3 == 2:
        store.compact(keep=1)
"""
    writer = subprocess.Popen([sys.executable, "-c", code])
    try:
        while (nearhop.open(path).version or 0) < 4:
            time.sleep(0.02)
        for turn in range(12):
            store = nearhop.open(path)
            assert (store.nodes["turn"] == store.num_edges).all()
            with contextlib.suppress(NotFound):  # a compaction dropped it meanwhile, which is said
                store.verify()
            copy = tmp_path / f"copy{turn}.nh"
            if turn % 3 == 0:
                saved = store.save(copy)
                assert (saved.nodes["turn"] == saved.num_edges).all()
                saved.verify()
            store.close()
    finally:
        writer.kill()
        writer.wait()
    nearhop.open(path).verify()


def test_a_copy_of_manifests_first_is_whole(path, tmp_path):
    """The second recipe: manifests, then everything else, while commits go on (but no compaction)."""
    store, copy = made(path), tmp_path / "copy.nh"
    copy.mkdir()
    store.append_edges([3], [4])
    store.nodes["x"] = np.arange(100)
    store.commit()
    shutil.copytree(path / "manifests", copy / "manifests")
    store.append_edges([5], [6])
    store.nodes["x"] = np.zeros(100)
    store.commit()
    shutil.copytree(path, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns("manifests"))
    kept = nearhop.open(copy)
    kept.verify()
    assert (kept.version, kept.num_edges) == (2, 3)
    kept.append_edges([7], [8])
    assert kept.commit() == 3
    nearhop.open(copy).verify()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_sixty_columns_a_thousand_times_with_few_descriptors(path):
    """Nothing waits for the garbage collector: neither descriptors nor maps pile up."""
    import gc
    import resource

    store = GraphStore.from_edges([0, 1], [1, 2], directed=True, weight=[1, 2], time=[1, 2])
    for number in range(60):
        store.nodes[f"c{number}"] = np.full(3, number)
    store.save(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    gc.collect()
    gc.disable()
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, soft), hard))
        before = len(os.listdir("/proc/self/fd"))
        for turn in range(1000):
            with nearhop.open(path) as opened:
                assert opened.nodes[f"c{turn % 60}"][0] == turn % 60
                if turn % 500 == 0:
                    opened.append_edges([0], [1], weight=[1], time=[1])
                    assert len(os.listdir("/proc/self/fd")) <= before + 2
            assert len(os.listdir("/proc/self/fd")) == before
        maps = Path("/proc/self/maps").read_text().count(str(path))
        assert maps < 150  # one store has 74 files
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        gc.enable()
