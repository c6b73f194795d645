"""Vectors from CSV: every row is read, or the error names the row and the cell."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from nearhop import ann
from nearhop.cli.arrays import read_vectors
from nearhop.cli.index.sources import read_source
from nearhop.graphlib.errors import InvalidInput, NotFound

THREE = [[1, 2], [3, 4], [5, 6]]


def read(tmp_path, data, name="v.csv"):
    (tmp_path / name).write_bytes(data)
    return read_vectors(str(tmp_path / name))


@pytest.mark.parametrize(
    "data",
    [
        b"1,2\n3,4\n5,6\n",
        b"\xef\xbb\xbf1,2\n3,4\n5,6\n",
        b'\xef\xbb\xbf"1","2"\r\n3,4\r\n5,6\r\n',
        b'"1","2"\n"3","4"\n"5","6"\n',
        b'"1"\t"2"\n3\t4\n5\t6\n',
        b"\n1,2\n3,4\n5,6\n",
        b"\r\n\r\n1,2\r\n3,4\r\n5,6\r\n",
        b"1,2\r3,4\r5,6\r",
        b"1,2\r3,4\r5,6",
        b"1;2\n3;4\n5;6\n",
        b"1 2\n3 4\n5 6",
        b"0x1,0x2\n0x3,0x4\n5,6\n",
        b" 1, 2\n3,4\n5,6\n",
        b"a,b\n1,2\n3,4\n5,6\n",
        b"\xef\xbb\xbfa,b\n1,2\n3,4\n5,6\n",
        b"\na,b\r1,2\r3,4\r5,6\r",
        b'"a, x"\tb\n1\t2\n3\t4\n5\t6\n',
        b'"a\nx",b\n1,2\n3,4\n5,6\n',
    ],
)
def test_every_row_is_read(data, tmp_path, monkeypatch):
    assert read(tmp_path, data).tolist() == THREE
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    assert read_vectors("-").tolist() == THREE


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"1,\n3,4\n", "the first row is neither numbers nor names: its cell 2 is empty"),
        (b"1,NA\n3,4\n", "the first row is neither numbers nor names: its cell 2 is 'NA'"),
        (b"NA,NA\n3,4\n", "the first row is neither numbers nor names: its cell 1 is 'NA'"),
        (b",\n3,4\n", "the first row is neither numbers nor names: its cell 1 is empty"),
        (b",0,1\n0,1,2\n1,3,4\n", "its cell 1 is empty; put numbers into all cells of it, or names"),
        (b"x,2\n3,4\n", "its cell 1 is 'x'"),
        (b'"1","x"\n3,4\n', "its cell 2 is 'x'"),
        (b"\xef\xbb\xbf1,x\n3,4\n", "its cell 2 is 'x'"),
        (b"1,5;2\n3,5;4\n", "its cell 2 is '5;2'"),
        (b",b\n0,2\n1,4\n", "the first column has no name, as that of row numbers which pandas writes"),
        (b"0,1,2\n3,4,5\n", "the first row is 0, 1, 2, which pandas writes above columns without names"),
        (b'"0";"1";"2";"3"\n3;4;5;6\n', "the first row is 0, 1, 2, ..., which pandas writes"),
        (b"1,2\n3,\n", "column 'f1' has no value in row 1 "),
        (b"1,2\n3,NA\n", "column 'f1' has no value in row 1 "),
        (b"a,b\n1,2\n3,4\nx,5\n", "column 'a' has 'x' in row 2 "),
        (b"1,2\n3\n", "is not a table of numbers"),
        ("1,2\n3,4\n".encode("utf-16"), "is UTF-16, and a CSV file of numbers must be UTF-8"),
    ],
)
def test_a_row_that_is_no_vector_is_named(data, message, tmp_path):
    with pytest.raises(InvalidInput, match=message.replace("(", r"\(")):
        read(tmp_path, data)


def test_nan_is_a_number_and_names_alone_are_no_vector(tmp_path):
    found = read(tmp_path, b"nan,2\n3,4\n")
    assert found.shape == (2, 2)
    assert np.isnan(found[0, 0])
    with pytest.raises(InvalidInput, match="column 'a' holds null, and vectors are numbers"):
        read(tmp_path, b"a,b\n")


def test_a_first_row_of_many_cells(tmp_path):
    wide = 1 + np.arange(600_000).reshape(2, -1)
    data = b"\n".join(",".join(map(str, row)).encode() for row in wide.tolist())
    assert (read(tmp_path, data) == wide).all()


def test_numbers_of_a_parquet_table_without_a_value_are_named(tmp_path):
    parquet.write_table(pa.table({"a": [1, 2, None], "b": [1.5, 2.0, 3.0]}), tmp_path / "v.parquet")
    with pytest.raises(InvalidInput, match="column 'a' has no value in row 2 "):
        read_vectors(str(tmp_path / "v.parquet"))


def test_ids_to_remove_are_all_read(told, tmp_path):
    np.save(tmp_path / "v.npy", np.eye(4, dtype=np.float32))
    told("index", "build", "v.npy", "--kind", "exact", "--out", "i.nh")
    (tmp_path / "gone.csv").write_bytes(b"\xef\xbb\xbf0\n2\n")
    assert told("index", "remove", "i.nh", "--ids", "gone.csv")["removed"] == 2


def test_what_is_taken_for_coordinates_is_said(tmp_path, capsys):
    assert read(tmp_path, b"0,1\n1,2\n").tolist() == [[0, 1], [1, 2]]
    assert "the first row is 0, 1; read as a vector" in capsys.readouterr().err
    assert read(tmp_path, b"id,x0,x1\n7,1,2\n").tolist() == [[7, 1, 2]]
    assert "a vector is 3 columns, id, x0, x1; --ids names a column" in capsys.readouterr().err
    for quiet in (b"x0,x1\n1,2\n", b"1,2\n3,4\n", b"0.0,1.0,2.0\n3,4,5\n"):
        read(tmp_path, quiet)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["v.csv", "v.tsv", "v.parquet"])
def test_ids_are_a_column_of_a_table_of_numbers(name, told, tmp_path):
    table = pd.DataFrame({"x0": [1.0, 2.0], "id": [9_007_199_254_740_993, -4], "x1": [5.0, 6.0]})
    if name.endswith("parquet"):
        table.to_parquet(tmp_path / name)
    else:
        table.to_csv(tmp_path / name, sep="," if name.endswith("csv") else "\t", index=False)
    told("index", "build", name, "--kind", "exact", "--ids", "id", "--out", "i.nh")
    index = ann.load(tmp_path / "i.nh")
    assert (index.dim, index.ids.tolist()) == (2, [9_007_199_254_740_993, -4])
    assert index.search([[2, 6]], 1).ids.tolist() == [[-4]]


@pytest.mark.parametrize(
    "given", [["007", "7"], ["NA", "nan"], ["1e3", "2"], ["-0", "0"], [" 1", "1"], ["9" * 19, "1"]]
)
def test_ids_of_a_csv_are_as_they_are_written(given, told, tmp_path):
    (tmp_path / "v.csv").write_text("id,x,y\n" + "".join(f"{name},{i},1\n" for i, name in enumerate(given)))
    told("index", "build", "v.csv", "--kind", "exact", "--ids", "id", "--out", "i.nh")
    assert ann.load(tmp_path / "i.nh").ids.tolist() == given


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"id,x\n,1\n", "column 'id' is empty in row 0"),
        (b'id,x\n1,2\n"",3\n', "column 'id' is empty in row 1"),
        (b"id,x,id\n1,2,3\n", "has two columns 'id'"),
        (b"id\n1\n", "has no column beside 'id'"),
        (b"x,y\n1,2\n", "nor a column of"),
    ],
)
def test_ids_of_a_csv_that_are_none_are_named(data, message, tmp_path):
    (tmp_path / "v.csv").write_bytes(data)
    with pytest.raises((InvalidInput, NotFound), match=message):
        read_source(str(tmp_path / "v.csv"), None, "id")


def test_an_index_of_pandas_is_no_coordinate(tmp_path):
    pd.DataFrame({"x": [1.0, 2.0]}, index=[7, 9]).to_parquet(tmp_path / "v.parquet")
    with pytest.raises(InvalidInput, match="'__index_level_0__' is an index of pandas and no coordinate"):
        read_vectors(str(tmp_path / "v.parquet"))
    assert read_source(str(tmp_path / "v.parquet"), None, "__index_level_0__").ids.tolist() == [7, 9]
