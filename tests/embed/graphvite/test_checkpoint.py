"""Checkpoints: a resumed run equals one that was never interrupted, and nothing foreign or damaged is taken."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from nearhop.embed import GraphVite
from nearhop.embed.graphvite.run import parts_of
from nearhop.graphlib.disk import files
from nearhop.graphlib.errors import IndexMismatch, InvalidInput, StoreCorrupt, StoreMissing, StoreWriteFailed
from nearhop.tests.embed.skipgram.test_skipgram import two_groups
from nearhop.tests.support import ROOT, needs

OPTIONS = {"dim": 20, "epochs": 40, "pool_size": 3000, "deterministic": True, "partitions": 2}


def stop_after(pools):
    seen = []

    def progress(state):
        seen.append(state)
        if len(seen) == pools:
            raise KeyboardInterrupt

    return progress


def interrupted(path, pools=3, **options):
    store, _ = two_groups()
    model = GraphVite(**OPTIONS, **options, checkpoint=path, progress=stop_after(pools))
    with pytest.raises(KeyboardInterrupt):
        model.fit(store)
    return store, model


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_resumed_equals_uninterrupted(tmp_path, optimizer):
    path = tmp_path / "run.npz"
    store, model = interrupted(path, optimizer=optimizer)
    assert model.vertex_.any()
    assert [file.name for file in tmp_path.iterdir()] == ["run.npz"]
    whole = GraphVite(**OPTIONS, optimizer=optimizer).fit(store)
    assert not np.array_equal(whole.vertex_, model.vertex_)
    seen = []
    resumed = GraphVite(**OPTIONS, optimizer=optimizer, progress=seen.append).resume(store, path)
    np.testing.assert_array_equal(resumed.vertex_, whole.vertex_)
    np.testing.assert_array_equal(resumed.context_, whole.context_)
    assert seen[0].done > 3 * 3000
    assert seen[-1].done >= seen[-1].total
    finished = GraphVite(**OPTIONS, optimizer=optimizer, checkpoint=path).resume(store)
    again = GraphVite(**OPTIONS, optimizer=optimizer, checkpoint=path).resume(store)
    np.testing.assert_array_equal(finished.vertex_, again.vertex_)


def test_foreign_checkpoints_are_refused(tmp_path):
    path = tmp_path / "run.npz"
    store, _ = interrupted(path)
    other, _ = two_groups(seed=1)
    with pytest.raises(IndexMismatch, match=r"is a checkpoint of another graph \(60 nodes; this one has 60\)"):
        GraphVite(**OPTIONS).resume(other, path)
    with pytest.raises(IndexMismatch, match="trained with dim=20, this model has dim=24"):
        GraphVite(**{**OPTIONS, "dim": 24}).resume(store, path)
    with pytest.raises(IndexMismatch, match="trained with seed=0, this model has seed=1"):
        GraphVite(**OPTIONS, seed=1).resume(store, path)
    with pytest.raises(StoreMissing, match="there is no checkpoint at"):
        GraphVite(**OPTIONS).resume(store, tmp_path / "none.npz")
    with pytest.raises(InvalidInput, match="resume needs the path of a checkpoint"):
        GraphVite(**OPTIONS).resume(store)


def test_damaged_checkpoints_are_refused(tmp_path):
    path = tmp_path / "run.npz"
    store, _ = interrupted(path)
    good = path.read_bytes()
    arrays = dict(np.load(path))
    evil = {"about": np.array([{"a": 1}], object)}
    for name, content in {
        "cut.npz": good[: len(good) // 2],
        "empty.npz": b"",
        "page.npz": b"<!doctype html>",
        "flipped.npz": good[:2000] + bytes([good[2000] ^ 255]) + good[2001:],
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(StoreCorrupt, match=name):
            GraphVite(**OPTIONS).resume(store, tmp_path / name)
    np.save(tmp_path / "single.npy", np.zeros(3))
    changes = [
        {"vertex": arrays["vertex"][:-1]},
        {"vertex": arrays["vertex"].astype(np.float64)},
        {"about": np.frombuffer(b"[]", np.uint8)},
        {"about": np.frombuffer(b'{"done": -1, "pools": 0}', np.uint8)},
        evil,
    ]
    for i, change in enumerate(changes):
        np.savez(tmp_path / f"changed{i}.npz", **{**arrays, **change})
        with pytest.raises(StoreCorrupt, match="is not a whole checkpoint"):
            GraphVite(**OPTIONS).resume(store, tmp_path / f"changed{i}.npz")
    np.savez(tmp_path / "less.npz", about=arrays["about"], vertex=arrays["vertex"])
    with pytest.raises(StoreCorrupt, match="context"):
        GraphVite(**OPTIONS).resume(store, tmp_path / "less.npz")
    with pytest.raises(StoreCorrupt, match="single array"):
        GraphVite(**OPTIONS).resume(store, tmp_path / "single.npy")


def test_saved_while_training(tmp_path):
    path = tmp_path / "run.npz"
    store, _ = two_groups()
    sizes = []

    def progress(state):
        sizes.append(path.exists())

    GraphVite(**OPTIONS, checkpoint=path, checkpoint_every_s=1e-9, progress=progress).fit(store)
    assert not sizes[0]
    assert all(sizes[1:])


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_control_c_saves(tmp_path):
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # some shells ignore it
        "from nearhop.tests.embed.skipgram.test_skipgram import two_groups; from nearhop.embed import GraphVite\n"
        "GraphVite(dim=20, epochs=10**9, pool_size=20000, checkpoint='run.npz', progress=print).fit(two_groups()[0])"
    )
    path = [str(ROOT.parent), os.environ.get("PYTHONPATH", "")]
    with subprocess.Popen(
        [sys.executable, "-u", "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline().startswith("TrainingProgress")
        time.sleep(0.2)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    assert child.returncode != 0
    assert "KeyboardInterrupt" in err
    with np.load(tmp_path / "run.npz", allow_pickle=False) as saved:
        assert saved["vertex"].shape == (60, 32)
        assert saved["vertex"].any()


@needs("tensorboard")
def test_tensorboard_scalars(tmp_path):
    store, _ = two_groups()
    GraphVite(**OPTIONS, tensorboard=str(tmp_path / "board")).fit(store)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "board"))
    events.Reload()
    tags = events.Tags()
    assert {"train/loss", "train/samples_per_second"} <= set(tags["tensors"]) | set(tags["scalars"])


def test_numpy_integers_are_integers(tmp_path):
    path = tmp_path / "run.npz"
    store, _ = two_groups()
    numbers = {name: np.int64(value) if type(value) is int else value for name, value in OPTIONS.items()}
    given = GraphVite(**numbers, checkpoint=path).fit(store)
    plain = GraphVite(**OPTIONS).fit(store)
    np.testing.assert_array_equal(given.vertex_, plain.vertex_)
    np.testing.assert_array_equal(GraphVite(**OPTIONS).resume(store, path).vertex_, plain.vertex_)
    assert parts_of(GraphVite(partitions=np.int64(4)), 200) == 4


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    store, _ = interrupted(path)
    whole = path.read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "replace", full)
    with pytest.raises(StoreWriteFailed, match=r"run\.npz could not be written"):
        GraphVite(**OPTIONS, checkpoint=path).resume(store)
    assert path.read_bytes() == whole
    assert [file.name for file in tmp_path.iterdir()] == ["run.npz"]
