"""Tables in, from everywhere, and what is wrong with them by row."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

import nearhop
from nearhop.blocking import CandidatePairs, NGramBlocker, Records, load, match_rows
from nearhop.graphlib.errors import InvalidInput, InvalidType, NotFound
from nearhop.tests.support import needs

GIVEN = {"id": [4, 9, 1], "name": ["Sony radio", "lamp", "tin  kettle"], "price": ["3.5", None, ""]}


def same(records):
    assert records.keys.tolist() == [4, 9, 1]
    assert records.texts() == ["Sony radio 3.5", "lamp", "tin  kettle"]
    assert records.record(1) == {"name": "lamp", "price": ""}


def test_files_and_frames(tmp_path):
    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq

    same(Records.of(GIVEN, key="id"))
    given = pa.table(GIVEN)
    same(Records.of(given, key="id"))
    pq.write_table(given, tmp_path / "t.parquet")
    same(Records.of(tmp_path / "t.parquet", key="id"))
    lines = "id|name|price\n4|Sony radio|3.5\n9|lamp|\n1|tin  kettle|\n"
    (tmp_path / "t.csv").write_text(lines)
    same(Records.of(tmp_path / "t.csv", key="id", delimiter="|"))
    with gzip.open(tmp_path / "t.csv.gz", "wt") as stream:
        stream.write(lines)
    same(Records.of(str(tmp_path / "t.csv.gz"), key="id", delimiter="|"))
    (tmp_path / "t.tsv").write_text(lines.replace("|", "\t"))
    same(Records.of(tmp_path / "t.tsv", key="id"))
    same(Records.of(duckdb.sql("select * from given").order("id = 1, id"), key="id"))
    same(
        Records.of(
            {name: np.array(values, object if name != "id" else int) for name, values in GIVEN.items()}, key="id"
        )
    )
    chosen = Records.of(GIVEN, key="id", columns=["name"])
    assert list(chosen.columns) == ["name"]
    assert Records.of({"name": ["a", "b"]}).keys.tolist() == [0, 1]


@needs("pandas")
def test_pandas():
    import pandas as pd

    same(Records.of(pd.DataFrame({**GIVEN, "price": ["3.5", None, np.nan]}), key="id"))


@needs("polars")
def test_polars():
    import polars as pl

    same(Records.of(pl.DataFrame(GIVEN), key="id"))


def test_stores_in_and_out():
    store = nearhop.GraphStore()
    store.add_node_type("item", 3)
    store.set_ids(["x", "y", "z"], "item")
    store.nodes("item")["year"] = np.array([1999, 2001, 2005])
    records = Records.of((store, "item"))
    assert records.keys.tolist() == ["x", "y", "z"]
    assert records.texts() == ["1999", "2001", "2005"]
    pairs = CandidatePairs(
        np.array([0, 2]), np.array([1, 0]), np.array([0.5, 0.25], "f"), np.array([0, 1], "i"), records.keys,
        np.array([7, 8, 9]),
    )  # fmt: skip
    pairs.add_to(store, ("item", "may_be", "offer"))
    assert store.num_nodes_of("offer") == 3
    assert store.ids("offer").tolist() == [7, 8, 9]
    assert store.csr(("item", "may_be", "offer")).neighbors(2).tolist() == [0]
    assert store.edges(("item", "may_be", "offer"))["rank"].tolist() == [0, 1]
    with pytest.raises(InvalidInput, match="pairs of two tables cannot be edges"):
        pairs.add_to(store, ("item", "may_be", "item"))


def test_pairs_are_written_whole(tmp_path):
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    found = np.array([[1, -1], [0, -1], [1, -1]])
    left = Records.of({"id": ["a", "b", "c"], "t": ["x"] * 3}, key="id")
    pairs = CandidatePairs.of_lists(found, np.ones((3, 2), "f"), left, left, one_table=True)
    assert [pairs.left.tolist(), pairs.right.tolist(), pairs.rank.tolist()] == [[0, 1], [1, 2], [0, 0]]
    assert pairs.num_possible == 3
    for name, read in (("p.parquet", pq.read_table), ("p.csv", pc.read_csv)):
        pairs.save(tmp_path / name)
        assert read(tmp_path / name).select(["left", "right"]).to_pylist() == [
            {"left": "a", "right": "b"}, {"left": "b", "right": "c"},
        ]  # fmt: skip
    with pytest.raises(InvalidInput, match=r"written as \.csv or \.parquet; got p\.txt"):
        pairs.save(tmp_path / "p.txt")


def test_mistakes_name_the_row(tmp_path):
    with pytest.raises(InvalidInput, match=r"record 9 \(row 1\) has no text in 'name'"):
        Records.of({"id": [4, 9], "name": ["a", "  "]}, key="id")
    with pytest.raises(InvalidInput, match="rows 0 and 2 have the same key 4"):
        Records.of({"id": [4, 9, 4], "name": ["a", "b", "c"]}, key="id")
    with pytest.raises(InvalidInput, match="row 1 has no key"):
        Records.of({"id": ["x", None], "name": ["a", "b"]}, key="id")
    with pytest.raises(InvalidType, match=r"keys must all be integers or all text; got float 1\.5"):
        Records.of({"id": [2, 1.5], "name": ["a", "b"]}, key="id")
    with pytest.raises(NotFound, match="there is no column 'key'; it has 'id', 'name'"):
        Records.of({"id": [4], "name": ["a"]}, key="key")
    with pytest.raises(NotFound, match="there is no column 'title'"):
        Records.of({"id": [4], "name": ["a"]}, key="id", columns=["title"])
    with pytest.raises(InvalidInput, match="nothing to compare"):
        Records.of({"id": [4]}, key="id")
    with pytest.raises(InvalidInput, match="equally long"):
        Records.of({"id": [4], "name": []})
    with pytest.raises(NotFound, match="there is no file"):
        Records.of(tmp_path / "none.csv")
    (tmp_path / "x.txt").write_text("a")
    with pytest.raises(InvalidInput, match=r"x\.txt: tables end in"):
        Records.of(tmp_path / "x.txt")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(InvalidInput, match=r"x\.parquet cannot be read as a table"):
        Records.of(tmp_path / "x.parquet")
    with pytest.raises(InvalidType, match="records come from a path"):
        Records.of(3)
    left = Records.of({"id": [4, 9], "name": ["a", "b"]}, key="id")
    with pytest.raises(NotFound, match="matches, side right: row 1 names key 7, which no record has"):
        match_rows([(4, 9), (9, 7)], left, left)
    with pytest.raises(InvalidInput, match="row 0 matches record 4 with itself"):
        match_rows([(4, 4)], left)
    with pytest.raises(InvalidInput, match="row 0 is"):
        match_rows([(4,)], left)
    with pytest.raises(InvalidInput, match="there are none"):
        match_rows([], left)
    assert match_rows([("9", "4"), (4, 9)], left).tolist() == [[0, 1]]
    with pytest.raises(InvalidInput, match="rows 0 and 2 have the same key 4"):
        left.joined(Records.of({"id": [4], "name": ["z"]}, key="id"))


def put(path, data):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def test_names_of_files_are_names(tmp_path, monkeypatch):
    """Not patterns, partitions or somebody's home."""
    right = "id,name\n1,right\n"
    monkeypatch.chdir(tmp_path)
    for name in ("a[1].csv", "s*.csv", "name=x/e.csv", "year=20/e.csv"):
        put(tmp_path / name.replace("[1]", "1").replace("*", "x").replace("=", ""), "id,name\n9,wrong\n")
        found = Records.of(put(tmp_path / name, right), key="id")
        assert (found.keys.tolist(), found.columns) == ([1], {"name": ["right"]})
    put(tmp_path / "~.csv", right)
    assert Records.of("~.csv", key="id").columns == {"name": ["right"]}


def test_cells_are_what_the_file_says(tmp_path):
    def read(data, **options):
        found = Records.of(put(tmp_path / "t.csv", data), key="id", **options)
        return found.keys.tolist(), found.columns["name"]

    assert read("id,name\n007,x\n7,y\n") == (["007", "7"], ["x", "y"])
    assert read("id,name\n18446744073709551615,x\n7,y\n") == (["18446744073709551615", "7"], ["x", "y"])
    assert read(b"\xef\xbb\xbfid,name\n1,NULL\n2,NA\n") == ([1, 2], ["NULL", "NA"])
    assert read("id,name\n1,caf\u00e9\n".encode("utf-16")) == ([1], ["caf\u00e9"])
    assert read("id,name\n1,caf\u00e9\n".encode("latin-1"), encoding="latin-1") == ([1], ["caf\u00e9"])
    assert read('# about\n\nid;name\n1;"two\nlines, here"\n') == ([1], ["two\nlines, here"])
    assert read("id,name\n#1,C#\n", comment="") == (["#1"], ["C#"])
    for data, told in (
        ("id,name\n1,a\n2,b,more\n", "t.csv, line 3: .* has 3 columns where 2 are expected"),
        ("id,name\n1,caf\u00e9\n".encode("latin-1"), 'line 2: not utf-8; .*encoding="latin-1"'),
        ("id,name\n1,a\x00b\n", "line 2 holds a zero byte"),
        ("id,name,name\n1,a,b\n", "column names must differ"),
        ("", "holds no rows"),
        ("id,name\n#1,C#\n", "may be a comment or a row"),
    ):
        with pytest.raises(InvalidInput, match=told):
            read(data)
    with pytest.raises(InvalidInput, match="there is no option 'delim'; allowed are header, delimiter"):
        read("id,name\n1,a\n", delim=",")
    put(tmp_path / "two.csv", "radio,lamp set\nold radio,lamp\n")
    with pytest.raises(InvalidInput, match="say header=True or header=False"):
        Records.of(tmp_path / "two.csv")
    assert Records.of(tmp_path / "two.csv", header=False).texts() == ["radio lamp set", "old radio lamp"]
    with pytest.raises(InvalidInput, match="is an HTML page"):
        Records.of(put(tmp_path / "page.csv.gz", b"<html>gone</html>"))
    whole = gzip.compress(b"id,name\n1,a\n")
    with pytest.raises(InvalidInput, match="is not a whole gzip file"):
        Records.of(put(tmp_path / "half.csv.gz", whole[:-6]))


def test_values_that_are_not_text(tmp_path):
    with pytest.raises(InvalidInput, match="row 1 has key 18446744073709551615, of more than 64 bits"):
        Records.of({"id": np.array([3, 2**64 - 1], np.uint64), "name": ["a", "b"]}, key="id")
    with pytest.raises(InvalidType, match="column 'name' holds bytes b'a'; allowed are text"):
        Records.of({"name": [b"a"]})
    with pytest.raises(InvalidInput, match=r"column 'name' must be one-dimensional; got shape \(2, 3\)"):
        Records.of({"name": np.zeros((2, 3))})
    with pytest.raises(InvalidInput, match=r"column 'name' of row 1, .* is not valid Unicode"):
        Records.of({"name": ["a", "\ud800"]})
    with pytest.raises(InvalidInput, match=r"the key of row 0, .* is not valid Unicode"):
        Records.of({"id": ["\ud800"], "name": ["a"]}, key="id")


@needs("pandas")
def test_missing_values_of_pandas():
    import pandas as pd

    frame = pd.DataFrame({"id": [1, 2], "name": pd.array(["a", pd.NA], "string"), "more": ["x", "y"]})
    assert Records.of(frame, key="id").columns == {"name": ["a", ""], "more": ["x", "y"]}
    assert Records.of(dict(frame), key="id").columns == {"name": ["a", ""], "more": ["x", "y"]}
    with pytest.raises(InvalidInput, match="row 1 has no key"):
        Records.of(pd.DataFrame({"id": pd.array([1, pd.NA], "Int64"), "name": ["a", "b"]}), key="id")
    with pytest.raises(InvalidInput, match="has columns 'name' and 'name'"):
        Records.of(pd.DataFrame([["a", "b"]], columns=["name", "name"]))


@needs("polars")
def test_frames_that_are_not_there_yet():
    import polars as pl

    assert Records.of(pl.LazyFrame(GIVEN), key="id").texts() == Records.of(GIVEN, key="id").texts()
    with pytest.raises(InvalidType, match="column 'name' holds lists; allowed are text"):
        Records.of(pl.DataFrame({"name": [[1], [2]]}))


def test_keys_that_only_look_like_integers(tmp_path):
    """A text file's integers are integers; what int() would refuse or change stays text; text elsewhere is text."""
    import pyarrow as pa
    import pyarrow.feather
    import pyarrow.parquet

    names = ["radio", "lamp"]

    def read(keys):
        lines = "".join(f"{key},{name}\n" for key, name in zip(keys, names, strict=True))
        return Records.of(put(tmp_path / "t.csv", "id,name\n" + lines), key="id").keys.tolist()

    for keys in (["--1", "2"], ["007", "7"], ["+1", "2"], ["-0", "2"], ["\u0663", "3"], ["-", "2"], ["1", "2"]):
        given = {"id": keys, "name": names}
        pyarrow.parquet.write_table(pa.table(given), tmp_path / "t.parquet")
        pyarrow.feather.write_feather(pa.table(given), str(tmp_path / "t.arrow"))
        for source in (given, pa.table(given), tmp_path / "t.parquet", str(tmp_path / "t.arrow")):
            assert Records.of(source, key="id").keys.tolist() == keys
        assert keys == ["1", "2"] or read(keys) == keys
    assert read(["-1", "2"]) == [-1, 2]
    for keys in ([np.int64(-1), np.uint8(2)], [-1, np.int32(2)]):
        assert Records.of({"id": keys, "name": names}, key="id").keys.tolist() == [-1, 2]


def test_tables_of_text_keys_are_joined_in_any_order(tmp_path):
    made = [Records.of({"id": keys, "name": ["radio", "lamp"]}, key="id") for keys in (["1", "x"], ["7", "8"])]
    for one, other in (made, made[::-1]):
        blocker = NGramBlocker().index(one).add(other)
        blocker.save(tmp_path / one.keys[0])
        for each in (blocker, load(tmp_path / one.keys[0])):
            assert each.query(made[1], k=4).right_keys.tolist() == [*one.keys, *other.keys]


def test_matches_of_integer_keys_are_written_as_integers():
    names = ["radio", "lamp", "kettle"]
    numbers = Records.of({"id": [7, 8, -(1 << 63)], "name": names}, key="id")
    texts = Records.of({"id": ["007", "8", "7"], "name": names}, key="id")
    assert match_rows([("7", "007"), (8, "8"), (str(-(1 << 63)), "7")], numbers, texts).tolist() == [
        [0, 0], [1, 1], [2, 2],
    ]  # fmt: skip
    for key in ("007", "--7", "+7", "-0", "7.0", "\u0667", "", str(1 << 63), "9" * 30):
        with pytest.raises(NotFound, match=r"side left: row 1 names key '.*', which no record has; the table's keys a"):
            match_rows([("8", "8"), (key, "8")], numbers, texts)
        with pytest.raises(NotFound, match=r"side left: row 1 names key"):
            match_rows([(8, "8"), (key, "8")], numbers, texts)
    with pytest.raises(NotFound, match="side right: row 0 names key 7, which no record has; the table's keys are text"):
        match_rows([(7, 7)], numbers, texts)


@pytest.mark.parametrize("unit", ["D", "s", "us", "ns"])
def test_dates_are_read_as_dates_in_any_unit(unit):
    days = np.array(["2020-01-02", "NaT", "2021-05-06"], f"datetime64[{unit}]")
    wanted = ["2020-01-02", "", "2021-05-06"] if unit == "D" else ["2020-01-02 00:00:00", "", "2021-05-06 00:00:00"]
    assert Records.of({"name": ["a", "b", "c"], "day": days}).columns["day"] == wanted
    store = nearhop.GraphStore.from_edges([0], [1], num_nodes=3)
    store.nodes["name"], store.nodes["raw"] = np.array(["a", "b", "c"]), np.array([b"x", b"y", b"z"])
    store.nodes["day"] = days
    assert Records.of((store, "node")).columns == {"name": ["a", "b", "c"], "day": wanted}


def test_dates_that_python_has_not_are_text():
    days = np.array(["20000-01-01", "2020-01-01", "NaT"], "datetime64[s]")
    assert Records.of({"day": days, "n": [1, 2, 3]}).columns["day"] == [
        "20000-01-01T00:00:00",
        "2020-01-01T00:00:00",
        "",
    ]
    fine = np.array(["2020-01-01T00:00:00.000000001"], "datetime64[ns]")
    assert Records.of({"day": fine}).columns["day"] == ["2020-01-01T00:00:00.000000001"]
