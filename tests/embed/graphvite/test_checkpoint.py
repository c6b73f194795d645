"""Checkpoints: a resumed run equals one that was never interrupted, and nothing foreign or damaged is taken."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from nearhop.embed import GraphVite
from nearhop.embed.graphvite import train
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


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("partitions", [1, 3])
def test_resumed_within_a_pool_equals_uninterrupted(tmp_path, monkeypatch, optimizer, partitions):
    """Whatever the turn that a run was stopped before, in whichever pool, and again after that."""
    monkeypatch.setattr(train, "_TURN", 20_000)  # several turns a diagonal
    store, _ = two_groups()
    options = {**OPTIONS, "optimizer": optimizer, "partitions": partitions}
    whole = GraphVite(**options).fit(store)
    path = tmp_path / "run.npz"
    trained, turns = train.CpuTrainer.train, 0

    def stopped_after(count):
        """A trainer that sees the stop of an interrupt before turn `count` of each pool that reaches it."""

        def train_some(self, pool, rate, slope, begin=0, stop=None):
            checks = iter(range(begin, 1 << 30))

            class Late:
                def is_set(self):
                    nonlocal turns
                    turns = max(turns, next(checks))
                    return turns >= count

            found = trained(self, pool, rate, slope, begin, Late())
            if found.stopped is not None:
                os.kill(os.getpid(), signal.SIGINT)
            return found

        return train_some

    for count, pool in ((1, 0), (3, 0), (5, 0)):
        turns = 0
        monkeypatch.setattr(train.CpuTrainer, "train", stopped_after(count))
        model = GraphVite(**options, checkpoint=path)
        with pytest.raises(KeyboardInterrupt):
            model.resume(store) if path.exists() else model.fit(store)
        about = json.loads(bytes(np.load(path)["about"]).decode())
        assert (about["format"], about["pools"], about["turn"], about["on"]) == (2, pool, count, "cpu")
    monkeypatch.setattr(train.CpuTrainer, "train", trained)
    resumed = GraphVite(**options).resume(store, path)
    np.testing.assert_array_equal(resumed.vertex_, whole.vertex_)
    np.testing.assert_array_equal(resumed.context_, whole.context_)
    forged = dict(np.load(path))
    forged["about"] = np.frombuffer(json.dumps({**about, "on": "cuda"}).encode(), np.uint8)
    np.savez(path, **forged)
    with pytest.raises(IndexMismatch, match="was interrupted within a pool on 'cuda'"):
        GraphVite(**options).resume(store, path)


INTERRUPT = """
import os, signal, sys, threading, time
import numpy as np, nearhop
rng = np.random.default_rng(0)
store = nearhop.GraphStore.from_edges(rng.integers(0, 50_000, 400_000), rng.integers(0, 50_000, 400_000))
from nearhop.embed import GraphVite, SkipGram
kind, deterministic = sys.argv[1], sys.argv[2] == "deterministic"
make = {
    "GraphVite": lambda s: GraphVite("deepwalk", 256, pool_size=s, epochs=10_000, deterministic=deterministic),
    "SkipGram": lambda s: SkipGram(256, window=20, num_walks=1000, deterministic=deterministic),
}[kind]
small = nearhop.GraphStore.from_edges(rng.integers(0, 500, 4000), rng.integers(0, 500, 4000))
first = make(100_000)
first.epochs, first.num_walks = 10, 2
first.fit(small)  # compiles
threading.Timer(float(sys.argv[3]), os.kill, (os.getpid(), signal.SIGINT)).start()
begin = time.perf_counter()
try:
    make(30_000_000).fit(store)
except KeyboardInterrupt:
    late = time.perf_counter() - begin - float(sys.argv[3])
    print("late" if late > 1.5 else "obeyed", f"{late:.2f} s after the signal", file=sys.stderr)
    print("late" if late > 1.5 else "obeyed")
"""


@pytest.mark.parametrize("mode", ["deterministic", "lock-free"])
@pytest.mark.parametrize(("kind", "after"), [("GraphVite", 1.0), ("SkipGram", 3.0)])
def test_an_interrupt_is_obeyed_within_a_second(tmp_path, kind, mode, after):
    """While a pool of thirty million samples is made, and while walks of a large graph are trained."""
    script = tmp_path / "run.py"
    script.write_text(INTERRUPT)
    done = subprocess.run(
        [sys.executable, str(script), kind, mode, str(after)], capture_output=True, text=True, timeout=120, check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert done.stdout.split() == ["obeyed"], done.stderr
