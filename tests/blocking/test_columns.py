"""What is compared: the columns that a blocker names, of whatever a table comes as."""

from __future__ import annotations

import pytest

from nearhop.blocking import EmbeddingBlocker, MinHashBlocker, NGramBlocker, Records, Union
from nearhop.graphlib.errors import InvalidInput, InvalidType, NotFound

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
