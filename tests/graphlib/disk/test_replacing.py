"""One way to write files: whole or not at all, in every room; leftovers of killed writers are found and removed."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import nearhop
from nearhop import ann, embed
from nearhop.ann.formats import write_faiss, write_hnswlib
from nearhop.cli.arrays import write_array, write_arrays, write_table
from nearhop.graphlib.checkpoints import save_checkpoint
from nearhop.graphlib.disk.folders import clean
from nearhop.graphlib.disk.replacing import making_folder, replacing, replacing_stream, scratch_folder
from nearhop.graphlib.disk.temporary import leftovers
from nearhop.graphlib.errors import NearhopError, StoreExists, StoreLocked, StoreMissing, StoreWriteFailed
from nearhop.graphlib.store.store import GraphStore
from nearhop.graphlib.vector_files import write_vecs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits and locks")
RNG = np.random.default_rng(0)
ROWS = RNG.random((2000, 32), dtype=np.float32)
ROOM = 40_000


@pytest.fixture
def small_disk():
    """No file grows beyond `ROOM` bytes: what a full disk looks like to a writer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    kept = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def shrink():
        resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, hard))

    yield shrink
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, kept)


def graph() -> GraphStore:
    store = GraphStore.from_edges(RNG.integers(0, 2000, 9000), RNG.integers(0, 2000, 9000), num_nodes=2000)
    store.nodes["x"] = ROWS
    return store


def index() -> ann.HNSW:
    return ann.HNSW(M=4).add(ROWS)


WRITERS = {
    "out.nh": lambda path: graph().save(path),
    "index.nh": lambda path: ann.Exact().add(ROWS).save(path),
    "hnsw.bin": lambda path: write_hnswlib(index(), path),
    "hnsw.faiss": lambda path: write_faiss(index(), path),
    "rows.fvecs": lambda path: write_vecs(path, ROWS),
    "rows.npy": lambda path: write_array(str(path), ROWS, "x"),
    "rows.npz": lambda path: write_arrays(str(path), {"x": ROWS}),
    "rows.csv": lambda path: write_table(str(path), {"x": ROWS.reshape(-1)}),
    "rows.parquet": lambda path: write_table(str(path), {"x": ROWS.reshape(-1)}),
    "run.npz": lambda path: save_checkpoint(path, {"x": ROWS}, {"epoch": 1}),
    "graphvite.npz": lambda path: embed.GraphVite(dim=32, epochs=1, threads=1, checkpoint=str(path)).fit(graph()),
    "ingested.nh": lambda path: nearhop.ingest((np.arange(50_000) % 999, np.arange(50_000) % 1000), path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_writer_on_a_full_disk_names_its_file_and_leaves_nothing(tmp_path, small_disk, name):
    WRITERS[name](tmp_path / f"warm-{name}")  # libraries are loaded and kernels compiled and kept
    before = sorted(tmp_path.iterdir())
    small_disk()
    with pytest.raises(StoreWriteFailed, match=name.replace(".", r"\.")):
        WRITERS[name](tmp_path / name)
    assert sorted(tmp_path.iterdir()) == before


def test_the_old_file_survives_a_full_disk(tmp_path, small_disk):
    path = tmp_path / "run.npz"
    save_checkpoint(path, {"x": ROWS}, {"epoch": 1})
    before = path.read_bytes()
    small_disk()
    with pytest.raises(StoreWriteFailed, match="what was there before is untouched"):
        save_checkpoint(path, {"x": ROWS + 1}, {"epoch": 2})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_created_column_has_its_room_or_is_refused(tmp_path, small_disk):
    """Without the room being taken beforehand, filling the map would end the process by SIGBUS."""
    store = graph().save(tmp_path / "s.nh")
    made = store.nodes.create("fits", (2,))
    path = next(p for p in (tmp_path / "s.nh" / "segments").iterdir() if p.stat().st_size == 4096 + made.nbytes)
    assert path.stat().st_blocks * 512 >= made.nbytes
    files = len(list((tmp_path / "s.nh" / "segments").iterdir()))
    small_disk()
    with pytest.raises(StoreWriteFailed, match=r"create: .*could not be written"):
        store.nodes.create("big", (256,))
    assert len(list((tmp_path / "s.nh" / "segments").iterdir())) == files
    assert list(store.nodes) == ["x", "fits"]


def _write_half(context, way: str, error: type[BaseException]) -> None:
    with context as given:
        if way == "stream":
            given.write(b"half")
        else:
            (given if way == "file" else given / "x").write_text("half")
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, OSError])
def test_an_exception_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("before")
    told = StoreWriteFailed if error is OSError else error
    ways = {
        "file": (replacing(path), told),
        "stream": (replacing_stream(path), told),
        "folder": (making_folder(tmp_path / "folder"), told),
        "scratch": (scratch_folder(tmp_path), error),
    }
    for way, (context, raised) in ways.items():
        with pytest.raises(raised):
            _write_half(context, way, error)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "taken").write_text("mine")
    (tmp_path / "folder").mkdir()
    for path, options, error in (
        (tmp_path / "taken", {"overwrite": False}, StoreExists),
        (tmp_path / "folder", {}, StoreExists),
        (tmp_path / "nowhere" / "a", {}, StoreMissing),
    ):
        with pytest.raises(error), replacing(path, **options):
            raise AssertionError("must not begin")
    with pytest.raises(StoreExists), replacing(tmp_path / "late", overwrite=False):
        (tmp_path / "late").write_text("first")  # somebody was quicker
    assert (tmp_path / "late").read_text() == "first"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with replacing_stream(tmp_path / "pipe") as stream:
        stream.write(b"through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    long = tmp_path / ("n" * 240)
    with replacing(long) as part:
        part.write_text("long")
    assert long.read_text() == "long"
    assert leftovers(tmp_path) == []


KILLED = """
import os, signal, sys, time
from pathlib import Path
from nearhop.graphlib.disk.replacing import making_folder, replacing, scratch_folder
here = Path(sys.argv[1])
with replacing(here / "a.npz") as part, making_folder(here / "b.nh") as folder, scratch_folder(here) as scratch:
    for path in (part, folder / "segment", scratch / "column"):
        path.write_bytes(bytes(1000))
    (scratch / "spill").mkdir()
    print("ready", flush=True)
    time.sleep(60)
"""


def test_leftovers_of_killed_writers_go_with_the_next_one(tmp_path):
    own = [tmp_path / ".keep.nearhop-notes", tmp_path / "a.npz.part", tmp_path / "b.nh.old"]
    for path in own:
        path.write_text("the user's")
    for how in ("next writer", "clean"):
        child = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == "ready\n"
        alive = sorted(p for p in tmp_path.iterdir() if p not in own)
        assert len(alive) == 3
        assert leftovers(tmp_path) == []
        with replacing(tmp_path / "c.txt") as part:  # what a living writer works on stays
            part.write_text("c")
        assert clean(tmp_path) == (0, 0)
        assert all(path.exists() for path in alive)
        (tmp_path / "c.txt").unlink()
        child.kill()
        child.wait()
        child.stdout.close()
        assert leftovers(tmp_path) == alive
        if how == "clean":
            assert clean(tmp_path) == (3, 3000)
        else:
            GraphStore.from_edges([0], [1]).save(tmp_path / "next.nh")
            shutil.rmtree(tmp_path / "next.nh")
        assert leftovers(tmp_path) == []
        assert not any(path.exists() for path in alive)
    assert [path.read_text() for path in own] == ["the user's"] * 3


def test_temporaries_of_earlier_versions_go_when_they_are_old(tmp_path):
    for name in (".a.nh.partial-0123abcd", ".nearhop-ingest-abcd_123"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "column").write_bytes(bytes(10))
    assert clean(tmp_path) == (0, 0)
    for path in tmp_path.iterdir():
        os.utime(path, (time.time() - 7200, time.time() - 7200))
    GraphStore.from_edges([0], [1]).save(tmp_path / "s.nh")  # a writer leaves them: their own may be slow
    assert clean(tmp_path) == (2, 20)
    assert [p.name for p in tmp_path.iterdir()] == ["s.nh"]


def test_clean_frees_what_no_version_of_a_store_names(tmp_path):
    path = tmp_path / "s.nh"
    store = GraphStore.from_edges([0, 1], [1, 2]).save(path)
    store.nodes["x"] = np.zeros(3)
    store.commit()
    (path / "segments" / ("0" * 32 + ".npy")).write_bytes(bytes(500))
    (path / "manifests" / "0000000009.json.tmp").write_bytes(bytes(7))
    store.nodes["y"] = np.zeros(3)
    with pytest.raises(StoreLocked):
        clean(path)
    store.close()
    assert clean(path) == (2, 507)
    assert [v.number for v in nearhop.open(path).versions()] == [1, 2]
    nearhop.open(path, version=1).verify()
    with pytest.raises(StoreMissing, match="there is no folder"):
        clean(tmp_path / "nowhere")


def test_a_killed_ingest_is_cleaned_up_by_the_next(tmp_path):
    table = tmp_path / "e.csv"
    table.write_text("src,dst\n" + "".join(f"{i},{i + 1}\n" for i in range(200_000)))
    code = f"import nearhop; print('up', flush=True); nearhop.ingest({str(table)!r}, {str(tmp_path / 'a.nh')!r})"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "up\n"
    while not any(p.name.startswith(".") for p in tmp_path.iterdir()) and child.poll() is None:
        time.sleep(0.001)
    child.kill()
    child.wait()
    child.stdout.close()
    if not (tmp_path / "a.nh").exists():
        assert any(p.name.startswith(".") for p in tmp_path.iterdir())
    nearhop.ingest(table, tmp_path / "b.nh")
    assert not [p.name for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_every_error_is_a_nearhop_error():
    assert issubclass(StoreWriteFailed, NearhopError)
    assert issubclass(StoreWriteFailed, OSError)
