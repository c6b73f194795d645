"""User ids of rows: look-ups while rows come and go, and text in every place that takes or returns ids."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nearhop
from nearhop import ann
from nearhop.ann import HNSW, LSH, Exact, IVFFlat
from nearhop.ann.formats import write_faiss, write_hnswlib, write_hnswlib_flat
from nearhop.ann.ids import RowIds, as_ids
from nearhop.graphlib.errors import InvalidInput, InvalidType, NotFound

KINDS: dict[str, Any] = {"hnsw": lambda: HNSW(M=4, ef_construction=20), "exact": Exact, "ivf": lambda: IVFFlat(nlist=2)}
ROWS = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
NAMES = [f"item {i}" for i in range(58)] + ["日本", "a" * 300]


@pytest.mark.parametrize("text", [False, True])
def test_look_ups_follow_a_model_through_random_changes(text, monkeypatch):
    monkeypatch.setattr("nearhop.ann.ids._FEW", 20)  # so that tables are made anew now and then
    rng = np.random.default_rng(0)
    rows, held, count = RowIds(), {}, 0
    name = (lambda i: f"n{i}") if text else int

    def pick(ids):
        return as_ids("test", [name(i) for i in ids]) if len(ids) else np.empty(0, rows.values.dtype)

    for _ in range(300):
        used = set(held.values())
        if rng.random() < 0.4 and held:
            gone = rng.choice(list(held), min(len(held), int(rng.integers(1, 9))), replace=False).tolist()
            assert rows.remove(pick(gone)) == len(gone)
            for i in gone:
                del held[i]
            continue
        new = rng.choice(200, int(rng.integers(1, 9)), replace=False).tolist()
        free = [row for row in range(count) if row not in used][: rng.integers(0, 5)]
        places = free[: len(new)] + list(range(count, count + len(new) - len(free[: len(new)])))
        count = max(count, max(places) + 1)
        rows.place(np.array(places), pick(new), replacing=True)
        held.update(zip(new, places, strict=True))
        found = rows.positions(pick(range(200)))
        assert found.tolist() == [held.get(i, -1) for i in range(200)]
        assert (rows.num_live, len(rows)) == (len(held), count)
        assert rows.num_dead == rows.dead.sum()
        assert (rows.live == ~rows.dead).all()


def test_arrays_that_were_given_are_never_written_to():
    values, dead = np.arange(5), np.array([True, False, False, False, False])
    for change in (lambda rows: rows.place(np.array([0]), np.array([9])), lambda rows: rows.remove([3])):
        rows = RowIds(values, dead)
        change(rows)
        assert rows.num_live == (5 if 9 in rows.values else 3)
        assert (values.tolist(), dead.tolist()) == ([0, 1, 2, 3, 4], [True, False, False, False, False])


@pytest.mark.parametrize("kind", KINDS)
def test_text_ids_in_every_call(kind, tmp_path):
    index = KINDS[kind]().add(ROWS, ids=NAMES)
    found = index.search(ROWS, 3)
    assert found.ids.dtype == np.dtypes.StringDType()
    assert found.ids[:, 0].tolist() == NAMES
    some = np.array(["item 3", "日本", "nobody"])
    for given in (some, some.astype(object), some.tolist(), [some] * 60):
        few = index.search(ROWS, 3, filter=given)
        assert set(few.ids.ravel().tolist()) == {"item 3", "日本", ""}
        assert (few.counts == 2).all()
    assert index.remove(["日本", "item 5"]) == 2
    with pytest.raises(NotFound, match="id 'item 5' is not in the index"):
        index.remove(["item 5"])
    assert "日本" not in index.search(ROWS, 60).ids
    index.save(tmp_path / "a.nh")
    loaded = ann.load(tmp_path / "a.nh")
    assert len(loaded) == 58
    assert loaded.search(ROWS, 5).ids.tolist() == index.search(ROWS, 5).ids.tolist()
    loaded.add(ROWS[:1], ids=["日本"])
    assert "日本" in loaded.search(ROWS[0], 2).ids
    loaded.compact()
    assert sorted(loaded.ids.tolist()) == sorted({*NAMES} - {"item 5"})
    with pytest.raises(InvalidType, match="ids of this index are text; got integers"):
        index.add(ROWS[:1], ids=[7])
    with pytest.raises(InvalidType, match="ids of this index are text; got integers"):
        index.search(ROWS, 3, filter=[1, 2])
    with pytest.raises(InvalidInput, match="text ids, which do not continue"):
        index.add(ROWS[:1])
    with pytest.raises(InvalidInput, match="id 'item 7' is in the index already"):
        index.add(ROWS[:1], ids=["item 7"])
    with pytest.raises(InvalidInput, match="id 'x' is given twice"):
        index.add(ROWS[:2], ids=["x", "x"])


def test_ids_of_one_kind_and_only_where_they_can_be_held(tmp_path):
    with pytest.raises(InvalidType, match="ids of this index are integers; got text"):
        Exact().add(ROWS).add(ROWS[:1], ids=["a"])
    with pytest.raises(InvalidType, match="ids must be integers, or all text"):
        Exact().add(ROWS[:2], ids=[1.5, 2.5])
    with pytest.raises(InvalidType, match="ids must be integers, or all text"):
        Exact().add(ROWS[:2], ids=np.array(["a", 1], object))
    with pytest.raises(InvalidType, match="holds integer ids; got text"):
        LSH().add(np.zeros((2, 128), np.uint32), ids=["a", "b"])
    named = HNSW(M=4).add(ROWS, ids=NAMES)
    exact = Exact().add(ROWS, ids=NAMES)
    writes: list[Any] = [write_hnswlib, write_faiss, write_hnswlib_flat, write_faiss]
    for write, index in zip(writes, (named, named, exact, exact), strict=True):
        with pytest.raises(InvalidInput, match="hold integer ids and this index has text ids"):
            write(index, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(InvalidType, match="text, of which there are no ranges"):
        named.search(ROWS, 1, filter=range(3))


def test_hnsw_of_text_ids_lives_on(tmp_path):
    index = HNSW(M=4, ef_construction=20).add(ROWS[:50], ids=NAMES[:50])
    index.upsert(ROWS[50:], [*NAMES[:5], *NAMES[50:55]])
    assert len(index) == 55
    assert index.search(ROWS[50:], 1).ids[:, 0].tolist() == [*NAMES[:5], *NAMES[50:55]]
    within = index.search_within(ROWS[50], 1e-6)
    assert within.ids.tolist() == [NAMES[0]]
    assert index.explain(ROWS[50], k=3).missed.tolist() == []
    assert index.tune(0.9, k=3) > 0
    index.remove(NAMES[10:40])
    index.add(ROWS[10:20], ids=[f"deleted {i}" for i in range(10)])  # like the names deleted rows get in a file
    index.save(tmp_path / "a.nh")
    loaded = ann.load(tmp_path / "a.nh")
    assert sorted(loaded.ids[~loaded._rows.dead].tolist()) == sorted(index.ids[~index._rows.dead].tolist())
    with pytest.raises(NotFound):
        loaded.remove(["deleted .0"])
    empty = HNSW().add(np.empty((0, 3)), ids=[])
    assert (len(empty), empty.search(np.zeros((1, 3)), 2).counts.tolist()) == (0, [0])


def test_a_store_of_text_ids_is_spoken_on_request(tmp_path):
    store = nearhop.GraphStore.from_edges(np.arange(59), np.arange(1, 60))
    store.nodes["x"], store.nodes["year"] = ROWS, np.arange(60)
    store.set_ids(NAMES)
    assert HNSW.from_store(store, "x").search(ROWS[4], 1).ids.tolist() == [[4]]
    index = HNSW.from_store(store, "x", text_ids=True, M=4)
    assert index.search(ROWS[58], 1).ids.tolist() == [["日本"]]
    index.save_into(store, "near")
    attached = HNSW.attach(store.save(tmp_path / "s.nh"), "near")
    for one in (index, attached):
        few = one.search(ROWS[58], 5, filter=["year < 3"])
        assert sorted(few.ids[0].tolist()) == ["", "", *NAMES[:3]]
        assert one.search(ROWS[58], 5, filter=[np.array(["日本"])]).counts.tolist() == [1]
    attached.remove(["日本"])
    attached.add(ROWS[58:59], ids=["new"])
    assert attached.search(ROWS[58], 1).ids.tolist() == [["new"]]
    assert attached.search(ROWS[58], 1, filter="year >= 57").ids[0, 0] in ("item 57", "a" * 300)


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_told_apart_to_their_last_character(kind, tmp_path):
    names = ["a\0", "a", "a\0\0", "b\0"]
    index = KINDS[kind]().add(ROWS[:4], names)
    index.save(tmp_path / "i.nh")
    for each in (index, ann.load(tmp_path / "i.nh")):
        assert each.ids.tolist() == names
        assert each.search(ROWS[:4], 1).ids.ravel().tolist() == names
        assert each.search(ROWS[:1], 4, filter=np.array(["a\0", "b\0"], np.dtypes.StringDType())).counts.tolist() == [2]
    assert index.remove(["a\0"]) == 1
    assert index.search(ROWS[:1], 4).ids.ravel().tolist().count("a") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_ids_are_not_mixed(kind):
    for given, told in (
        (["a", 1], r"ids must be integers, or all text; number 1 is 1"),
        ([1, "a"], r"ids must be integers, or all text; number 0 is 1"),
        ([True, 2], r"ids must be integers, or all text; number 0 is True"),
    ):
        with pytest.raises(InvalidType, match=told):
            KINDS[kind]().add(ROWS[:2], given)
    with pytest.raises(InvalidInput, match=r"number 1, .* is not valid Unicode"):
        KINDS[kind]().add(ROWS[:2], ["a", "\ud800"])
    with pytest.raises(InvalidInput, match=r"number 0, .* is not valid Unicode"):
        KINDS[kind]().add(ROWS[:1], np.array(["\ud800"]))
