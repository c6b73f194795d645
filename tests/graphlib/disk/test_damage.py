"""Damaged and hostile stores give a NearhopError that names the file: no crash, hang, huge allocation or wrong data."""

from __future__ import annotations

import hashlib
import json
import resource
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nearhop
from nearhop.graphlib.disk.manifest import canonical_json
from nearhop.graphlib.errors import NearhopError, StoreCorrupt
from nearhop.graphlib.store.store import GraphStore
from nearhop.tests.support import ROOT


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A store with every kind of part: ids, columns, weight, time, log, a second edge type, attributes."""
    path = tmp_path_factory.mktemp("made") / "s.nh"
    rng = np.random.default_rng(0)
    store = GraphStore.from_edges(
        *rng.integers(0, 30, (2, 80)), num_nodes=30, directed=True, weight=rng.random(80), time=np.arange(80)
    )
    store.nodes["x"] = rng.random((30, 4), dtype=np.float32)
    store.edges["kind"] = np.arange(80, dtype=np.int8)
    store.set_ids([f"user {i}" for i in range(30)])
    store.attributes = {"made": "for tests"}
    store.add_edge_type(("node", "near", "node"), [0, 1], [2, 3], directed=False, positions=True)
    saved = store.save(path)
    saved.append_edges([1, 2], [3, 4], weight=[1, 2], time=[90, 91], edge_type=("node", "edge", "node"), positions=True)
    saved.commit("log")
    saved.append_edges([5], [6], weight=[1], time=[92], edge_type=("node", "edge", "node"), positions=True)
    saved.commit("log 2")
    return path


def contents(path: Path) -> list[Any]:
    """Everything a user can read."""
    store = nearhop.open(path)
    edge = ("node", "edge", "node")
    read: list[Any] = [
        store.describe()["nodes"],
        store.attributes,
        np.asarray(store.ids()).tolist(),
        store.lookup(["user 3"]),
    ]
    read += [store.nodes["x"].copy(), store.edge_list(edge).src.copy(), store.csr(edge).indices.copy()]
    read += [np.array(store.csc(edge).weight), store.csr(("node", "near", "node")).indices.copy()]
    return read


def same(a: list[Any], b: list[Any]) -> bool:
    return all(np.array_equal(x, y) if isinstance(x, np.ndarray) else x == y for x, y in zip(a, b, strict=True))


def cases(made: Path, count: int, seed: int):
    """Damaged bytes of one file at a time: flips, cuts, growth, zeroed runs, noise; spread over all files."""
    rng = np.random.default_rng(seed)
    targets = [made / "FORMAT", *sorted((made / "manifests").iterdir())[-1:], *sorted((made / "delta").iterdir())]
    targets += sorted((made / "segments").iterdir())
    # a segment's header is read on open, its data by verify(); manifest and log deserve most of the cases
    weights = np.array([4, 40, 20, *[1.5] * (len(targets) - 3)])
    for _ in range(count):
        target = targets[rng.choice(len(targets), p=weights / weights.sum())]
        data = bytearray(target.read_bytes())
        kind = rng.integers(6)
        at = int(rng.integers(len(data)))
        if kind <= 1:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            del data[at:]
        elif kind == 3:
            data[at:at] = rng.bytes(int(rng.integers(1, 40)))
        elif kind == 4:
            stop = min(len(data), at + int(rng.integers(1, 60)))
            data[at:stop] = bytes(stop - at)
        else:
            stop = min(len(data), at + int(rng.integers(1, 60)))
            data[at:stop] = rng.bytes(stop - at)
        yield target, bytes(data)


def survive(made: Path, count: int, seed: int) -> dict[str, int]:
    before = contents(made)
    kept: dict[Path, bytes] = {}
    outcome = {"refused": 0, "unnamed": 0, "harmless": 0}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for target, data in cases(made, count, seed):
        original = kept.setdefault(target, target.read_bytes())
        target.write_bytes(data)
        try:
            nearhop.open(made).verify()
            after = contents(made)
        except NearhopError as error:
            outcome["refused" if str(made) in str(error) else "unnamed"] += 1
        else:
            # bytes behind the committed end of the log, or a change that means the same
            assert same(before, after), (target, len(data))
            outcome["harmless"] += 1
        finally:
            target.write_bytes(original)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 500_000  # KiB
    assert outcome["unnamed"] == 0
    return outcome


def test_damaged_files_are_refused(made):
    outcome = survive(made, 4_000, seed=1)
    assert outcome["refused"] > 0.9 * 4_000


@pytest.mark.slow
def test_damaged_files_are_refused_at_length(made):
    outcome = survive(made, 60_000, seed=2)
    assert outcome["refused"] > 0.9 * 60_000


def forge(path: Path, change) -> None:
    """Change the newest manifest and sign it again, as an attacker would."""
    file = sorted((path / "manifests").iterdir())[-1]
    body = json.loads(file.read_text())["body"]
    change(body)
    digest = hashlib.sha256(canonical_json(body)).hexdigest()
    file.write_text(json.dumps({"sha256": digest, "body": body}))


def forged_segment(key: str, value):
    def change(body) -> None:
        body["nodes"][0]["columns"]["x"][key] = value

    return change


HOSTILE = {
    "path in a segment name": forged_segment("file", "../../../../etc/passwd"),
    "object dtype": forged_segment("dtype", "|O8"),
    "structured dtype": forged_segment("dtype", [["a", "<f4"]]),
    "huge shape": forged_segment("shape", [1 << 61, 4]),
    "negative shape": forged_segment("shape", [-1, 4]),
    "boolean count": lambda body: body["nodes"][0].update(count=True),
    "huge count": lambda body: body["edges"][0].update(count=1 << 61),
    "base beyond count": lambda body: body["edges"][0].update(base=10**6),
    "log path": lambda body: body["log"].update(file="../FORMAT"),
    "too many records": lambda body: body["log"].update(records=10**9),
    "edges of no node type": lambda body: body["edges"][0].update(type=["a", "b", "c"]),
    "type listed twice": lambda body: body["nodes"].append(body["nodes"][0]),
    "no nodes key": lambda body: body.pop("nodes"),
    "text for a list": lambda body: body.update(edges="none"),
    "attributes not an object": lambda body: body.update(attributes=[1]),
    "another version": lambda body: body.update(version=9),
    "another store": lambda body: body.update(uuid="0" * 32),
    "future format": lambda body: body.update(format_version=2),
    "rows of another graph": lambda body: body["edges"][0].update(csr=body["edges"][1]["csr"]),
    "ids for a column": lambda body: body["nodes"][0]["ids"].update(order=body["nodes"][0]["columns"]["x"]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_forged_manifests_are_refused(made, tmp_path, name):
    path = tmp_path / "s.nh"
    shutil.copytree(made, path)
    forge(path, HOSTILE[name])
    with pytest.raises(StoreCorrupt, match=r"s\.nh"):
        contents(path)


def overwrite(path: Path, array: np.ndarray, which) -> None:
    """Replace the data of the one segment whose array equals `array`."""
    for file in (path / "segments").iterdir():
        held = np.load(file, mmap_mode="r+")
        if held.dtype == array.dtype and held.shape == array.shape and (held == array).all():
            which(held)
            held.flush()
            return
    raise AssertionError("no such segment")


@pytest.mark.parametrize("part", ["indices", "edge_ids", "indptr"])
@pytest.mark.parametrize("value", [-1, 10**6, 2**31 - 1])
def test_adjacency_out_of_range_never_reaches_a_kernel(made, tmp_path, part, value):
    path = tmp_path / "s.nh"
    shutil.copytree(made, path)
    for side in ("csr", "csc"):
        rows = getattr(nearhop.open(made, version=1), side)(("node", "edge", "node"))
        overwrite(path, getattr(rows, part), lambda held: held.__setitem__(7, value))
    for side in ("csr", "csc"):
        with pytest.raises(StoreCorrupt, match=r"s\.nh"):
            getattr(nearhop.open(path), side)(("node", "edge", "node"))


def test_ends_and_ids_out_of_range_are_refused(made, tmp_path):
    path = tmp_path / "s.nh"
    shutil.copytree(made, path)
    whole = nearhop.open(made, version=1)
    overwrite(path, whole.edge_list(("node", "edge", "node")).src, lambda held: held.__setitem__(0, 99))
    with pytest.raises(StoreCorrupt, match=r"a source is outside 0\.\.29"):
        nearhop.open(path, version=1).edge_list(("node", "edge", "node"))
    ids = whole._node_types["node"].ids
    assert ids is not None
    order = ids.arrays["order"]
    overwrite(path, order, lambda held: held.__setitem__(0, held[1]))
    with pytest.raises(StoreCorrupt, match="not a permutation"):
        nearhop.open(path).lookup(["user 1"])


def test_missing_files_are_named(made, tmp_path):
    for folder in ("segments", "delta"):
        path = tmp_path / folder
        shutil.copytree(made, path)
        gone = sorted((path / folder).iterdir())[0]
        gone.unlink()
        with pytest.raises(StoreCorrupt, match=f"{gone.name} is missing"):
            nearhop.open(path)
    path = tmp_path / "manifests"
    shutil.copytree(made, path)
    for file in (path / "manifests").iterdir():
        file.unlink()
    with pytest.raises(StoreCorrupt, match="holds no version"):
        nearhop.open(path)


def test_damaged_newest_version_says_how_to_open_the_one_before(made, tmp_path):
    path = tmp_path / "s.nh"
    shutil.copytree(made, path)
    newest = sorted((path / "manifests").iterdir())[-1]
    newest.write_bytes(newest.read_bytes()[:-100])
    with pytest.raises(StoreCorrupt, match=r"open\(path, version=2\) opens another version"):
        nearhop.open(path)
    assert nearhop.open(path, version=2).num_edges == 84


@pytest.mark.parametrize(
    "content", [b"version https://git-lfs.github.com/spec/v1\n", b"<!doctype html><html>", b"", b"[" * 10**5]
)
def test_other_files_in_place_of_a_manifest(made, tmp_path, content):
    path = tmp_path / "s.nh"
    shutil.copytree(made, path)
    sorted((path / "manifests").iterdir())[-1].write_bytes(content)
    with pytest.raises(StoreCorrupt, match=r"0000000003\.json"):
        nearhop.open(path)


@pytest.mark.skipif(sys.byteorder == "big", reason="written on a little-endian machine")
def test_golden_stores_still_open():
    """Stores written by the first release of each format version."""
    golden = ROOT / "tests" / "golden"
    store = nearhop.open(golden / "format-1")
    assert store.verify().version == 3
    assert store.num_nodes == 5
    assert np.asarray(store.ids()).tolist() == ["ann", "bob", "cem", "dae", "eva"]
    assert store.csr(("node", "edge", "node")).neighbors(0).tolist() == [1, 2, 4]
    assert np.asarray(store.edge_list(("node", "edge", "node")).time).tolist() == [10, 20, 30, 40, 50]
    assert store.nodes["x"].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    assert store.attributes == {"made": "by format version 1"}
    assert [v.message for v in store.versions()] == ["first", "an appended edge", "a column"]
