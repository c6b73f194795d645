"""Commit, versions, locks, compaction and failing disks."""

from __future__ import annotations

import errno
import itertools
import json
import subprocess
import sys
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nearhop
from nearhop.graphlib.disk import files
from nearhop.graphlib.errors import (
    InvalidInput,
    NotFound,
    StoreCorrupt,
    StoreExists,
    StoreLocked,
    StoreMissing,
    StoreReadOnly,
    StoreWriteFailed,
)
from nearhop.graphlib.store.store import GraphStore
from nearhop.tests.support import examples


def small(*, directed: bool = False) -> GraphStore:
    store = GraphStore.from_edges([0, 0, 2, 3], [1, 2, 2, 1], num_nodes=5, directed=directed, weight=[1, 2, 3, 4.5])
    store.nodes["x"] = np.arange(10, dtype=np.float32).reshape(5, 2)
    return store


def same_rows(ours, theirs) -> None:
    for part in ("indptr", "indices", "edge_ids", "weight", "time"):
        mine, other = getattr(ours, part), getattr(theirs, part)
        assert (mine is None) == (other is None)
        if mine is not None:
            np.testing.assert_array_equal(mine, other)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "shop.nh"


def test_everything_comes_back(path):
    store = small(directed=True)
    store.nodes["name"] = np.array(["a", "", "ccc", "ä", "e"])
    store.nodes["when"] = np.arange(5).astype("datetime64[D]")
    store.nodes["flag"] = np.arange(5) % 2 == 0
    store.edges["kind"] = np.arange(4, dtype=np.int16)
    store.set_ids(["v", "w", "x", "y", "zß"])
    store.attributes = {"index": {"M": 16, "names": ["a", None, 1.5]}}
    saved = store.save(path)
    assert saved.path == path
    assert saved.version == 1
    again = nearhop.open(path)
    for name in store.nodes:
        np.testing.assert_array_equal(again.nodes[name], store.nodes[name])
        assert again.nodes[name].dtype == store.nodes[name].dtype
    np.testing.assert_array_equal(again.edges["kind"], store.edges["kind"])
    assert again.lookup(["zß", "v"]).tolist() == [4, 0]
    assert again.attributes == store.attributes
    same_rows(again.csr(), store.csr())
    same_rows(again.csc(), store.csc())
    assert again.verify().files == saved.verify().files > 10


def test_columns_are_maps_that_protect_the_file(path):
    store = small().save(path)
    with pytest.raises(ValueError, match="read-only"):
        store.nodes["x"][:] = -1
    np.testing.assert_array_equal(nearhop.open(path).nodes["x"], small().nodes["x"])
    owner = store.nodes["x"]
    while not isinstance(owner, np.memmap):
        owner = owner.base
    plain = np.load(next(f for f in (path / "segments").iterdir() if np.load(f).shape == (5, 2)), mmap_mode="r")
    assert plain.offset == 4096


def test_commit_is_seen_by_others_only_afterwards(path):
    store = small().save(path)
    store.nodes["y"] = np.ones(5)
    store.append_edges([4], [0], weight=[9])
    assert store.num_edges == 5
    assert store.csr().neighbors(4).tolist() == [0]
    before = nearhop.open(path)
    assert before.num_edges == 4
    assert "y" not in before.nodes
    assert store.commit("a column and an edge") == 2
    assert store.commit() == 2  # nothing changed
    after = nearhop.open(path)
    assert after.num_edges == 5
    assert after.csr().neighbors(4).tolist() == [0]
    assert before.num_edges == 4
    assert [(v.number, v.message, v.num_edges) for v in after.versions()] == [
        (1, "saved", 4),
        (2, "a column and an edge", 5),
    ]


def test_older_versions_open_read_only(path):
    store = small().save(path)
    store.nodes["x"] = np.zeros((5, 3))
    store.commit()
    old = nearhop.open(path, version=1)
    assert old.nodes["x"].shape == (5, 2)
    with pytest.raises(StoreReadOnly, match=r"version 1, which is not the newest"):
        old.nodes["z"] = np.ones(5)
    with pytest.raises(NotFound, match=r"no version 7; versions: 1, 2"):
        nearhop.open(path, version=7)


def test_second_writer_is_told(path):
    first, second = small().save(path), nearhop.open(path)
    first.append_edges([0], [3], weight=[1])
    with pytest.raises(StoreLocked, match=r"is being changed by another process or another open store"):
        second.nodes["x"] = np.zeros(5)
    assert second.nodes["x"].shape == (5, 2)
    code = f"import nearhop, numpy as np; s = nearhop.open({str(path)!r}); s.nodes['x'] = np.zeros(5)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "StoreLocked" in done.stderr
    first.commit()
    with pytest.raises(StoreLocked, match=r"at version 2 by now, and this object holds version 1"):
        second.nodes["x"] = np.zeros(5)
    third = nearhop.open(path)
    third.nodes["x"] = np.zeros(5)
    third.close()
    first.nodes["x"] = np.ones(5)
    assert first.commit() == 3


def test_close_forgets_what_was_not_committed(path):
    with small().save(path) as store:
        store.append_edges([0], [3], weight=[1])
        store.nodes.create("big", (3,))
    assert not any((path / "delta").iterdir())
    again = nearhop.open(path)
    assert again.num_edges == 4
    assert again.compact() == 0
    with pytest.raises(StoreReadOnly, match="was closed"):
        store.nodes["x"] = np.zeros(5)


def test_created_column_is_filled_in_place(path):
    store = small().save(path)
    column = store.nodes.create("z", (2, 3), np.float64)
    column[1] = 5
    store.commit()
    np.testing.assert_array_equal(nearhop.open(path).nodes["z"], column)
    assert nearhop.open(path).verify()


def test_compact_merges_and_frees(path):
    store = small().save(path)
    for extra in range(3):
        store.append_edges([extra, 4], [4, 4], weight=[1, extra])
        store.commit()
    assert list((path / "delta").iterdir())
    assert store.compact() > 0 or store.version == 5
    assert len(store.versions()) == 5
    assert nearhop.open(path, version=3).num_edges == 8
    assert store.compact(keep=1) > 0
    assert [v.number for v in store.versions()] == [5]
    assert not list((path / "delta").iterdir())
    again = nearhop.open(path)
    edges = again.edge_list()
    same_rows(again.csr(), GraphStore.from_edges(edges.src, edges.dst, num_nodes=5, weight=edges.weight).csr())
    assert again.verify()
    with pytest.raises(InvalidInput, match="keep must be at least 1"):
        store.compact(keep=0)


def test_replaced_edge_type_does_not_inherit_the_log(path):
    store = small().save(path)
    near = ("node", "near", "node")
    store.add_edge_type(near, [0, 1], [1, 2])
    store.commit()
    store.append_edges([2], [3], edge_type=near)
    store.append_edges([0], [0], weight=[1], edge_type=("node", "edge", "node"))
    store.commit()
    store.add_edge_type(near, [4], [4], exist_ok=True)
    store.append_edges([3], [3], edge_type=near)
    store.commit()
    again = nearhop.open(path)
    assert again.edge_list(near).src.tolist() == [4, 3]
    assert again.num_edges_of(("node", "edge", "node")) == 5
    assert again.verify()


ends = st.integers(1, 12).flatmap(
    lambda n: st.tuples(
        st.just(n), hnp.arrays(np.int64, st.tuples(st.integers(0, 30), st.just(2)), elements=st.integers(0, n - 1))
    )
)


@examples(30)
@given(
    graph=ends,
    cuts=st.lists(st.integers(0, 30), max_size=4),
    directed=st.booleans(),
    compact=st.booleans(),
    data=st.data(),
)
def test_base_and_delta_give_the_neighbours_of_a_store_built_at_once(
    tmp_path_factory, graph, cuts, directed, compact, data
):
    num_nodes, edges = graph
    time = np.array(data.draw(st.lists(st.integers(-5, 5), min_size=len(edges), max_size=len(edges))), np.int64)
    whole = GraphStore.from_edges(edges[:, 0], edges[:, 1], num_nodes=num_nodes, directed=directed, time=time)
    path = tmp_path_factory.mktemp("delta") / "s.nh"
    bounds = [0, *sorted(min(c, len(edges)) for c in cuts), len(edges)]
    pieces = [slice(a, b) for a, b in itertools.pairwise(bounds)]
    first = edges[pieces[0]]
    store = GraphStore.from_edges(
        first[:, 0], first[:, 1], num_nodes=num_nodes, directed=directed, time=time[pieces[0]]
    )
    store = store.save(path)
    for piece in pieces[1:]:
        store.append_edges(edges[piece, 0], edges[piece, 1], time=time[piece])
        if data.draw(st.booleans()):
            store.commit()
        if data.draw(st.booleans()):
            same_rows(store.csr(), store.csr())
    store.commit()
    if compact:
        store.compact()
    for opened in (store, nearhop.open(path)):
        for side in ("csr", "csc"):
            for order in ("id", "time"):
                same_rows(getattr(opened, side)(order=order), getattr(whole, side)(order=order))
        opened.verify()


@pytest.mark.parametrize("operation", ["create", "write", "sync", "sync_folder", "publish"])
@pytest.mark.parametrize("number", [0, 1, 2, 5])
def test_full_or_failing_disk_loses_nothing(path, monkeypatch, operation, number):
    store = small().save(path)
    real, calls = getattr(files, operation), []

    def failing(*args):
        calls.append(args)
        if len(calls) == number + 1:
            if operation == "write":
                real(args[0], memoryview(args[1]).cast("B")[:7])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*args)

    with monkeypatch.context() as patched:
        patched.setattr(files, operation, failing)
        failed = None
        try:
            store.append_edges([1], [4], weight=[2])
            store.nodes["y"] = np.ones(5)
            store.commit()
        except StoreWriteFailed as error:
            failed = error
    if failed is None:
        assert len(calls) <= number
    else:
        assert "No space left on device" in str(failed)
        assert nearhop.open(path).num_edges in (4, 5)
        nearhop.open(path).verify()
    if failed is not None and nearhop.open(path).version == 1:
        if store.num_edges == 4:
            store.append_edges([1], [4], weight=[2])
        store.nodes["y"] = np.ones(5)
        assert store.commit() == 2
    again = nearhop.open(path)
    assert again.num_edges == 5
    assert again.verify()


def test_failed_save_leaves_nothing(path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "sync", full)
    with pytest.raises(StoreWriteFailed, match="nothing is left of it"):
        small().save(path)
    assert list(path.parent.iterdir()) == []


def test_wrong_places(path, tmp_path):
    with pytest.raises(StoreMissing, match="there is no store at"):
        nearhop.open(path)
    with pytest.raises(StoreMissing, match="is not a nearhop store"):
        nearhop.open(tmp_path)
    small().save(path)
    with pytest.raises(StoreExists, match="nothing was written"):
        small().save(path)
    with pytest.raises(StoreMissing, match="does not exist; make it first"):
        small().save(tmp_path / "no" / "where")
    with pytest.raises(InvalidInput, match="needs a store on disk"):
        small().commit()
    store = nearhop.open(path)
    store.attributes["bad"] = {1, 2}
    with pytest.raises(InvalidInput, match="plain JSON"):
        store.commit()
    (path / "FORMAT").write_text(json.dumps({"format": "nearhop-store", "format_version": 99, "uuid": "x"}))
    with pytest.raises(StoreCorrupt, match="format version 99"):
        nearhop.open(path)


def test_read_only_folder(path):
    store = small().save(path)
    path.joinpath("LOCK").touch()
    path.joinpath("LOCK").chmod(0o444)
    path.chmod(0o555)
    try:
        assert nearhop.open(path).num_edges == 4
        try:
            (path / "probe").touch()
        except OSError:
            with pytest.raises(StoreReadOnly, match="cannot be changed"):
                store.nodes["x"] = np.zeros(5)
    finally:
        path.chmod(0o755)


def test_typed_store_on_disk(path):
    shop = GraphStore.from_typed(
        {"user": 3, "item": 2},
        {
            ("user", "buys", "item"): {"src": [0, 2], "dst": [1, 1], "time": [5, 6]},
            ("user", "knows", "user"): {"src": [0], "dst": [1], "directed": False},
        },
    )
    shop.nodes("item")["price"] = np.array([1.5, 2.5])
    saved = shop.save(path)
    assert saved.csc(("user", "buys", "item")).neighbors(1).tolist() == [0, 2]
    assert saved.csr(("user", "knows", "user")).neighbors(1).tolist() == [0]
    assert nearhop.open(path).nodes("item")["price"].tolist() == [1.5, 2.5]
    assert saved.verify()


def test_estimate_is_what_the_disk_holds(path):
    store = GraphStore.from_edges(np.arange(20000) % 999, np.arange(20000) % 1000, directed=True, time=np.arange(20000))
    store.nodes["x"] = np.ones((1000, 16), np.float32)
    saved = store.save(path)
    held = sum(f.stat().st_size - 4096 for f in (path / "segments").iterdir())
    assert saved.estimate().disk_bytes == store.estimate().disk_bytes == held
