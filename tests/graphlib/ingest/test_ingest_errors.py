"""Bad rows are named by file, line and value, and nothing half-made stays behind."""

from __future__ import annotations

import gzip
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import nearhop
from nearhop.graphlib.errors import IngestError, InvalidInput
from nearhop.graphlib.ingest.duckdb import meant

ingest: Any = nearhop.ingest

HEAD = "src,dst,w,t\n"
GOOD = "1,2,0.5,10\n"
FAR = 21_000  # beyond the rows by which kinds are judged


@pytest.mark.parametrize(
    ("row", "options", "message"),
    [
        ("1,x,1,1", {}, r"line {line}: dst 'dst' is 'x', not an integer"),
        ("1.5,2,1,1", {}, r"line {line}: src 'src' is '1\.5', not an integer id"),
        ("1,,1,1", {}, r"line {line}: dst 'dst' is NULL; every edge needs both ends"),
        ("99999999999999999999,1,1,1", {}, r"line {line}: src 'src' is '9+', not an integer id"),
        ("-3,1,1,1", {"ids": "positions"}, r"line {line}: src 'src' is -3, which is negative"),
        ("1,2,nan,1", {"weight": "w"}, r"line {line}: weight 'w' is 'nan'; every edge needs a finite weight"),
        ("1,2,1e300,1", {"weight": "w"}, r"line {line}: weight 'w' is '1e300'; every edge needs a finite weight"),
        ("1,2,inf,1", {"weight": "w"}, r"line {line}: weight 'w' is 'inf'"),
        ("1,2,heavy,1", {"weight": "w"}, r"line {line}: weight .*'heavy'"),
        ("1,2,,1", {"weight": "w"}, r"line {line}: weight 'w' is NULL"),
        ("1,2,1,", {"time": "t"}, r"line {line}: time 't' is NULL"),
        ("1,2,1,9", {"time": "t", "sorted": True}, r"line {line}: time 't' is 9, earlier than the row before"),
        ("1,2,1", {}, r"line {line}: .* has 3 columns where 4 are expected"),
    ],
)
@pytest.mark.parametrize("before", [40, FAR])
def test_bad_rows_of_a_csv(tmp_path, row, options, message, before):
    path = tmp_path / "e.csv"
    path.write_text(HEAD + GOOD * before + row + "\n" + GOOD * 3)
    with pytest.raises(IngestError, match=r"e\.csv, " + message.format(line=before + 2)):
        ingest(path, tmp_path / "out.nh", **options)
    assert [p.name for p in tmp_path.iterdir()] == ["e.csv"]


def test_kept_columns_do_not_lose_cells(tmp_path):
    (tmp_path / "e.csv").write_text(HEAD + GOOD * FAR + "1,2,,1\n1,2,heavy,1\n")
    with pytest.raises(IngestError, match=rf"line {FAR + 3}: column 'w' is 'heavy', where it holds float before"):
        ingest(tmp_path / "e.csv")


def test_lines_are_counted_over_comments_blank_lines_and_quotes(tmp_path):
    with gzip.open(tmp_path / "e.txt.gz", "wt") as out:
        out.write('# a\n# b\nsrc,dst,note\n1,2,"two\nlines"\n# c\n\n3,4,x\n5,,y\n')
    with pytest.raises(IngestError, match=r"e\.txt\.gz, line 9: dst 'dst' is NULL"):
        ingest(tmp_path / "e.txt.gz")


def test_bad_rows_of_several_files(tmp_path):
    pq.write_table(pa.table({"src": [1, 2], "dst": [2, 3]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"src": [1, None], "dst": [2, 3]}), tmp_path / "b.parquet")
    with pytest.raises(IngestError, match=r"b\.parquet, row 1: src 'src' is NULL"):
        ingest(tmp_path)
    (tmp_path / "a.csv").write_text("src,dst\n1,2\n")
    (tmp_path / "b.csv").write_text("src,dst\n1,2\n1,\n")
    with pytest.raises(IngestError, match=r"b\.csv, line 3: dst 'dst' is NULL"):
        ingest(tmp_path / "*.csv")


def test_bad_values_of_arrays():
    with pytest.raises(IngestError, match="row 1: src 'src' is nan, not an integer id"):
        ingest({"src": np.array([1.0, np.nan]), "dst": np.array([1, 2])})
    with pytest.raises(IngestError, match=r"row 0: dst 'dst' is 0\.5, not an integer id"):
        ingest({"src": np.array([1.0, 2.0]), "dst": np.array([0.5, 2])})
    with pytest.raises(IngestError, match="row 1: src 'src' is 18446744073709551615, not an integer id"):
        ingest({"src": np.array([1, 2**64 - 1], np.uint64), "dst": np.array([1, 2])})
    with pytest.raises(IngestError, match=r"row 1: weight 'w' is inf"):
        ingest({"src": np.array([1, 2]), "dst": np.array([1, 2]), "w": np.array([1, np.inf])}, weight="w")
    with pytest.raises(IngestError, match="holds bool"):
        ingest({"src": np.array([True]), "dst": np.array([1])})
    with pytest.raises(IngestError, match=r"row 1: 3 is not a pair"):
        ingest([(1, 2), 3])
    with pytest.raises(IngestError, match="mixes kinds"):
        ingest([(1, 2), ("a", 3)])


def test_mostly_integers_is_a_damaged_integer_column():
    table = pa.table({"src": ["1", "2", "3", "4"], "dst": ["2", "3", "oops", "1"]})
    with pytest.raises(IngestError, match=r"row 2: dst 'dst' is 'oops', but 3 of 4 ids are integers"):
        ingest(table)
    assert ingest(table, ids="map").ids().tolist() == ["1", "2", "3", "4", "oops"]
    with pytest.raises(IngestError, match="stored as text"):
        ingest(pa.table({"src": ["1"], "dst": ["2"]}), ids="positions")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("e.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git-lfs pointer"),
        ("e.csv", b"<!DOCTYPE html>\n<html>", "HTML page"),
        ("e.csv", b"PAR1\x15\x04", "binary file"),
        ("e.csv", b"", "holds no rows"),
        ("e.csv", b"# only\n# comments\n", "holds no rows"),
        ("e.csv", b"alone\nalone\n", "seems to have one column"),
        ("e.csv", b"src,SRC\n1,2\n", "column names must differ"),
        ("e.csv.gz", b"\x1f\x8b\x08\x00broken", "cannot be unpacked"),
        ("e.parquet", b"PAR1 not really", "could not be read"),
        ("e.arrow", b"ARROW1 not really", "not an Arrow IPC file"),
        ("e.arrow", b"whatever", "could not be read|not an Arrow IPC file"),
        ("e.npy", b"\x93NUMPY\x01\x00", "cannot be read as NumPy data"),
        ("e.npz", b"PK nothing", "cannot be read"),
    ],
)
def test_files_that_are_something_else(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(IngestError, match=message):
        ingest(tmp_path / name, tmp_path / "out.nh")
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_pickles_are_not_loaded(tmp_path):
    np.save(tmp_path / "e.npy", np.array([[1, None]], object), allow_pickle=True)
    with pytest.raises(IngestError, match="cannot be read as NumPy data"):
        ingest(tmp_path / "e.npy")


def test_names_are_quoted(tmp_path):
    odd = tmp_path / "it's; odd.csv"
    odd.write_text('"a ""b""",x\'y\n1,2\n3,0\n')
    store = ingest(odd, src='a "b"', dst="x'y")
    assert store.edge_list().src.tolist() == [1, 3]


def test_an_interrupted_ingest_leaves_nothing(tmp_path):
    def stop(what, done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest((np.arange(9), np.arange(9)), tmp_path / "out.nh", progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_duckdb_reads_is_ctrl_c():
    """DuckDB tells it as RuntimeError("Query interrupted"), which is no complaint about the data."""
    assert isinstance(meant(RuntimeError("Query interrupted")), KeyboardInterrupt)
    assert isinstance(meant(duckdb.ConversionException("no number")), IngestError)


@pytest.mark.parametrize("pair", [False, True])
def test_masked_entries_are_refused_by_their_row(pair):
    masked, plain = np.ma.array([0, 1, 2], mask=[0, 1, 0]), np.array([1, 2, 0])
    with pytest.raises(InvalidInput, match=r"src.* is a masked array, and its row 1 is masked"):
        nearhop.ingest((masked, plain) if pair else {"src": masked, "dst": plain})
    assert nearhop.ingest({"src": np.ma.array(plain), "dst": plain}, directed=True).num_edges == 3
