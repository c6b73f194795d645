"""Vectors from CSV: every row is read, or the error names the row and the cell."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from nearhop.cli.arrays import read_vectors
from nearhop.graphlib.errors import InvalidInput

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
        b",b\n1,2\n3,4\n5,6\n",
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
    wide = np.arange(600_000).reshape(2, -1)
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
