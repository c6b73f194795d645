"""Columns of text and masked arrays: what goes in comes out, or is refused by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import nearhop
from nearhop.graphlib.disk.manifest import canonical_json, manifest_path, read_manifest
from nearhop.graphlib.errors import InvalidInput, InvalidType, NotFound, StoreCorrupt
from nearhop.graphlib.store.store import GraphStore

TEXT = np.dtypes.StringDType()
WORDS = ["", "Orléans", "a\0", "long " * 5000, "日本", "x"]


def store_of_text() -> GraphStore:
    store = GraphStore.from_edges([0, 1, 2], [3, 4, 5])
    store.nodes["name"] = np.array(WORDS, TEXT)
    store.edges["kind"] = np.array(["likes", "", "sells"], TEXT)
    return store


def test_text_comes_back(tmp_path):
    store = store_of_text()
    assert store.nodes["name"].dtype == TEXT
    saved = store.save(tmp_path / "s.nh")
    for opened in (saved, nearhop.open(tmp_path / "s.nh")):
        assert opened.nodes["name"].tolist() == WORDS
        assert opened.edges["kind"].tolist() == ["likes", "", "sells"]
        assert opened.nodes["name"].dtype == TEXT
        assert not opened.nodes["name"].flags.writeable
        assert opened.verify()
        assert "name: text[6]" in repr(opened)
        assert opened.describe()["nodes"]["node"]["columns"] == {"name": "text[6]"}
        assert opened.where("name = 'x'").tolist() == [5]
    assert saved.estimate().disk_bytes == store.estimate().disk_bytes


def test_text_is_written_once_and_lengthened(tmp_path):
    store = store_of_text().save(tmp_path / "s.nh")
    before = set((tmp_path / "s.nh" / "segments").iterdir())
    store.append_edges([0], [7])
    store.edges.pad("kind")
    store.nodes.pad("name", fill="new")
    store.commit()
    store.attributes["a"] = 1
    store.commit()
    assert len(set((tmp_path / "s.nh" / "segments").iterdir()) - before) == 4
    again = nearhop.open(tmp_path / "s.nh")
    assert again.edges["kind"].tolist() == ["likes", "", "sells", ""]
    assert again.nodes["name"].tolist() == [*WORDS, "new", "new"]
    again.save(tmp_path / "copy.nh").verify()
    assert nearhop.open(tmp_path / "copy.nh").nodes["name"].tolist() == [*WORDS, "new", "new"]


@pytest.mark.parametrize(
    "given",
    [
        WORDS,
        np.array(WORDS, object),
        np.array(WORDS, np.dtypes.StringDType(na_object=None)),
        tuple(WORDS),
    ],
    ids=["list", "objects", "nullable", "tuple"],
)
def test_texts_of_every_origin(given):
    store = store_of_text()
    store.nodes["name"] = given
    assert store.nodes["name"].tolist() == WORDS


def test_pandas_text():
    pandas = pytest.importorskip("pandas")
    store = store_of_text()
    store.nodes["name"] = pandas.Series(WORDS)
    assert store.nodes["name"].tolist() == WORDS
    with pytest.raises(InvalidType, match=r"column 'name' holds Python objects: .* at row 2; give missing texts"):
        store.nodes["name"] = pandas.Series(["a", "b", None, "d", "e", "f"])


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (np.array(["a", None, "c"], object), InvalidType, r"None at row 1; give missing texts a value, such as \"\""),
        (np.array(["a", "b", None], np.dtypes.StringDType(na_object=None)), InvalidType, "None at row 2"),
        (np.array(["a", 7, "c"], object), InvalidType, "7 at row 1; allowed are numbers"),
        (np.array(["a", "\ud800", "c"], object), InvalidInput, "the text at row 1 is not valid Unicode"),
        (np.array([["a"], ["b"], ["c"]], TEXT), InvalidInput, "a column of text has one dimension"),
        (np.frombuffer(b"\xff\xff\xff\x7f" * 3, "U1"), InvalidInput, r"beyond U\+10FFFF"),
        (np.ma.array([1, 2, 3], mask=[0, 0, 1]), InvalidInput, "column 'c' is a masked array, and its row 2 is masked"),
        (np.ma.array(np.zeros((3, 2)), mask=[[0, 0], [0, 1], [0, 0]]), InvalidInput, "its row 1 is masked"),
        (np.zeros((3,) + (1,) * 32), InvalidInput, "has 33 dimensions; a column has at most 32"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(given, error, message):
    store = GraphStore.from_edges([0, 1], [1, 2])
    with pytest.raises(error, match=message):
        store.nodes["c"] = given
    assert "c" not in store.nodes


def test_masks_are_refused_for_edges_and_ids_too():
    masked = np.ma.array([1, 2, 3], mask=[0, 1, 0])
    for call in (
        lambda: GraphStore.from_edges(masked, [0, 1, 2]),
        lambda: GraphStore.from_edges([0, 1, 2], [0, 1, 2], weight=masked),
        lambda: GraphStore.from_edges([0, 1, 2], [0, 1, 2], time=masked),
        lambda: GraphStore.from_edges([0, 1, 2], [0, 1, 2]).set_ids(masked),
    ):
        with pytest.raises(InvalidInput, match="masked array, and its row 1 is masked"):
            call()
    store = GraphStore.from_edges([0, 1], [1, 2])
    store.nodes["c"] = np.ma.array([1, 2, 3])  # nothing is masked
    assert store.nodes["c"].tolist() == [1, 2, 3]


def test_ids_keep_zero_characters():
    store = GraphStore.from_edges([0, 1], [1, 2])
    store.set_ids(["a\0", "a", "b"])
    assert store.lookup(["a"]).tolist() == [1]
    with pytest.raises(InvalidInput, match=r"user id number 1, .* is not valid Unicode"):
        store.set_ids(["a", "\ud800", "b"])


def test_a_store_without_text_stays_of_version_one(tmp_path):
    GraphStore.from_edges([0], [1]).save(tmp_path / "old.nh")
    store_of_text().save(tmp_path / "new.nh")
    for name, version in (("old.nh", 1), ("new.nh", 2)):
        body = json.loads(manifest_path(tmp_path / name, 1).read_bytes())["body"]
        assert body["format_version"] == version
        assert json.loads((tmp_path / name / "FORMAT").read_text())["format_version"] == 1


def test_damaged_text_is_noticed(tmp_path):
    store_of_text().save(tmp_path / "s.nh")
    entry = read_manifest(tmp_path / "s.nh", 1).nodes["node"].columns["name"]
    for part, place, message in (
        (entry.bytes, 4096 + 3, "is not UTF-8"),
        (entry.offsets, 4096 + 15, "do not lie within"),
    ):
        path = tmp_path / "damaged.nh"
        shutil.copytree(tmp_path / "s.nh", path)
        with open(path / "segments" / part.file, "r+b") as stream:
            stream.seek(place)
            stream.write(b"\xff")
        with pytest.raises(StoreCorrupt, match=rf"damaged\.nh, column 'name': .*{message}"):
            _ = nearhop.open(path).nodes["name"]
        with pytest.raises(StoreCorrupt, match=part.file):
            nearhop.open(path).verify()
        shutil.rmtree(path)


@pytest.mark.parametrize(
    "forge",
    [
        lambda body: body.update(format_version=1),
        lambda body: body.update(format_version=3),
        lambda body: body["nodes"][0]["columns"]["name"].pop("bytes"),
        lambda body: body["nodes"][0]["columns"]["name"].update(bytes=body["nodes"][0]["columns"]["name"]["offsets"]),
        lambda body: body["nodes"][0]["columns"]["name"].update(offsets=None),
        lambda body: body["nodes"][0]["columns"].update(name=[]),
        lambda body: body["nodes"][0].update(count=5),
    ],
)
def test_forged_entries_of_text_are_refused(tmp_path, forge):
    import hashlib

    store_of_text().save(tmp_path / "s.nh")
    path = manifest_path(tmp_path / "s.nh", 1)
    body = json.loads(path.read_bytes())["body"]
    forge(body)
    digest = hashlib.sha256(canonical_json(body)).hexdigest()
    path.write_text(json.dumps({"sha256": digest, "body": body}))
    with pytest.raises(StoreCorrupt, match=r"s\.nh"):
        nearhop.open(tmp_path / "s.nh")


def test_columns_handed_out_are_read_only_or_land_at_commit(tmp_path):
    store = GraphStore.from_edges([0, 1], [1, 2])
    store.nodes["x"] = np.zeros(3)
    store.nodes["x"][0] = 1  # in memory: the column itself
    path = tmp_path / "s.nh"
    store = store.save(path)
    with pytest.raises(ValueError, match="read-only"):
        store.nodes["x"][0] = 7
    store.nodes["y"] = np.zeros(3)
    store.nodes["y"][2] = 5  # staged: lands at the commit
    made = store.nodes.create("z", (2,))
    made[1] = 6
    view = made[2:]
    store.commit()
    for name in ("x", "y", "z"):
        with pytest.raises(ValueError, match="read-only"):
            store.nodes[name][0] = 7
    with pytest.raises(ValueError, match="read-only"):
        made[0] = 99
    view[:] = 99  # taken before the commit: its pages are private by now
    assert store.nodes["x"] is store.nodes["x"]
    again = nearhop.open(path)
    assert again.verify()
    assert [again.nodes[n].tolist() for n in "xyz"] == [[1, 0, 0], [0, 0, 5], [[0, 0], [6, 6], [0, 0]]]
    store.nodes["x"] = store.nodes["x"] * 2
    store.commit()
    assert nearhop.open(path).nodes["x"].tolist() == [2, 0, 0]


def test_the_golden_store_with_text_opens():
    golden = Path(__file__).parents[2] / "golden" / "format-2"
    store = nearhop.open(golden)
    assert store.verify().version == 2
    assert store.nodes["name"].tolist() == WORDS
    assert store.edges["kind"].tolist() == ["likes", "", "sells", "gives"]


def test_user_ids_are_told_apart_to_their_last_character(tmp_path):
    store = nearhop.GraphStore.from_edges([0, 1], [1, 2])
    store.set_ids(["a\0", "a", "b"])
    store.save(tmp_path / "s.nh")
    for each in (store, nearhop.open(tmp_path / "s.nh")):
        assert each.lookup(["a\0", "a", "b"]).tolist() == [0, 1, 2]
        with pytest.raises(NotFound, match="user id 'b"):
            each.lookup(["b\0"])
    store.append_edges(["a\0"], ["b"])
    assert store.edge_list().src.tolist() == [0, 1, 0]
    with pytest.raises(InvalidType, match="number 0 is True"):
        store.set_ids([True, False, 2])
    with pytest.raises(InvalidType, match="number 1 is 7"):
        store.lookup(["a", 7])
