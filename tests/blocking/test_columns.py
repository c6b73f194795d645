"""What is compared: the columns that a blocker names, of whatever a table comes as."""

from __future__ import annotations

import json

import pytest

from nearhop.blocking import EmbeddingBlocker, MinHashBlocker, NGramBlocker, Records, Union, load
from nearhop.graphlib.errors import IndexMismatch, InvalidInput, InvalidType, NotFound

TABLE = {"id": [1, 2, 3], "name": ["sony radio", "sony radio x", "desk lamp"], "junk": ["qqq", "zzz", "qqq"]}
WITHOUT = {name: TABLE[name] for name in ("name", "junk")}


def linked(pairs):
    return list(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True))


@pytest.mark.parametrize(
    "make",
    [
        NGramBlocker,
        MinHashBlocker,
        EmbeddingBlocker,
        lambda columns: Union([NGramBlocker(columns=columns)]),
        lambda columns: Union([Union([MinHashBlocker(columns=columns), NGramBlocker(columns=columns)], cut=True)]),
    ],
)
def test_records_are_compared_by_the_columns_that_are_named(make):
    for column, pair in (("name", (0, 1)), ("junk", (0, 2))):
        alone = {column: TABLE[column]}
        wanted = make(columns=None).block(Records.of({"id": TABLE["id"], **alone}, key="id"), k=1)
        assert pair in linked(wanted)
        for table in (Records.of(TABLE, key="id"), WITHOUT):
            found = make(columns=[column]).block(table, k=1)
            assert (linked(found), found.score.tolist()) == (linked(wanted), wanted.score.tolist())
            found = make(columns=[column]).index(table).query(table, k=3)
            assert found.score.tolist() == make(columns=None).index(alone).query(alone, k=3).score.tolist()
        fitted = make(columns=[column]).fit(
            Records.of(TABLE, key="id"), matches=[tuple(TABLE["id"][row] for row in pair)]
        )
        assert fitted._depth(None, 1.0) == 1


def test_members_of_a_union_grow_by_their_columns():
    both = Union([NGramBlocker(columns=["name"]), NGramBlocker(columns=["junk"])])
    pairs = both.index(WITHOUT).query(WITHOUT, k=1)
    assert linked(pairs.chosen(pairs.left == 1)) == [(1, 1)]
    table = Records.of(TABLE, key="id")
    more = Records.of({"id": [4], "name": ["garden hose"], "junk": ["yyy"]}, key="id")
    both.index(table).add(more)
    asked = Records.of({"id": [9], "name": ["garden hose"], "junk": ["zzz"]}, key="id")
    assert sorted(both.query(asked, k=1).right.tolist()) == [1, 3]


def test_columns_and_keys_of_records():
    table = Records.of(TABLE, key="id")
    assert Records.of(table) is table
    assert Records.of(table, columns=["name", "junk"]) is table
    some = Records.of(table, columns=["junk"])
    assert (some.keys.tolist(), some.columns) == ([1, 2, 3], {"junk": TABLE["junk"]})
    with pytest.raises(NotFound, match="the left table: there is no column 'colour'; it has 'name', 'junk'"):
        NGramBlocker(columns=["colour"]).block(table, table, k=1)
    with pytest.raises(InvalidInput, match="the table is Records, and their keys are chosen when they are made"):
        Records.of(table, key="name")
    with pytest.raises(InvalidInput, match=r"record 2 \(row 1\) has no text in 'b'"):
        Records.of(Records.of({"id": [1, 2], "a": ["x", "y"], "b": ["x", ""]}, key="id"), columns=["b"])
    for given in (table, TABLE):
        with pytest.raises(InvalidType, match=r"columns must be a sequence of names; got the text 'name'; give \['nam"):
            Records.of(given, columns="name")


COLOURS = {"id": [1, 2, 3], "colour": ["desk lamp", "garden hose", "sony radio"]}


@pytest.mark.parametrize(
    "make", [NGramBlocker, MinHashBlocker, EmbeddingBlocker, lambda: Union([NGramBlocker(), MinHashBlocker()])]
)
def test_other_columns_are_refused_without_fit_too(make, tmp_path):
    table, colours = Records.of(TABLE, key="id"), Records.of(COLOURS, key="id")
    blocker = make().index(table)
    told = r"the left table has columns \['colour'\], and the index has \['name', 'junk'\]; give tables of the same"
    with pytest.raises(IndexMismatch, match=told):
        blocker.query(colours, k=1)
    with pytest.raises(IndexMismatch, match="the new records has columns"):
        blocker.add(colours)
    blocker.save(tmp_path / "m")
    with pytest.raises(IndexMismatch, match=told):
        load(tmp_path / "m").query(colours, k=1)
    with pytest.raises(IndexMismatch, match=r"the left table has columns \['colour'\], and the right one has \['name'"):
        make().block(colours, table, k=1)
    with pytest.raises(IndexMismatch, match="the right one has"):
        make().fit(colours, table, [(1, 1)])
    assert blocker.compared == ["name", "junk"]
    assert len(blocker.index(colours).query(colours, k=1))  # another table is another index
    assert len(blocker.block(table, k=1))
    assert blocker.compared == ["name", "junk"]
    assert make().compared is None


def test_a_saved_blocker_names_its_columns(tmp_path):
    table = Records.of(TABLE, key="id")
    NGramBlocker(columns=["name"]).index(table).save(tmp_path / "m")
    opened = load(tmp_path / "m")
    assert opened.query(table, k=1).right.tolist() == [0, 1, 2]
    with pytest.raises(NotFound, match="there is no column 'name'; it has 'colour'"):
        opened.query(Records.of(COLOURS, key="id"), k=1)


def test_files_of_before_are_opened(tmp_path):
    """They have no schema without `fit`, and of Records more columns than the blocker names."""
    table = Records.of(TABLE, key="id")
    for number, (blocker, change) in enumerate((
        (NGramBlocker(), {"schema": None}),
        (NGramBlocker().fit(table, matches=[(1, 2)]), {"parameters": {"columns": ["name"]}}),
    )):  # fmt: skip
        blocker.index(table).save(tmp_path / str(number))
        path = tmp_path / str(number) / "blocker.json"
        about = json.loads(path.read_text())
        about |= {name: {**about[name], **new} if isinstance(new, dict) else new for name, new in change.items()}
        path.write_text(json.dumps(about))
        assert load(path.parent).query(table, k=1).right.tolist() == [0, 1, 2]
        with pytest.raises((IndexMismatch, NotFound)):
            load(path.parent).query(Records.of(COLOURS, key="id"), k=1)
