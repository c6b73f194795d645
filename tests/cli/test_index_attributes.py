"""nearhop index: attributes follow their rows with the very values, or the error says why not."""

from __future__ import annotations

import datetime
import decimal
from pathlib import Path

import pyarrow as pa
import pytest

import nearhop
from nearhop.tests.cli.tables import LARGE, build, column, put


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        (pa.array(["red", "blue", "red"]).dictionary_encode(), ["red", "blue", "red"]),
        (pa.array([LARGE, 2, 5]), [LARGE, 2, 5]),
        (pa.array([LARGE, 2, LARGE]).dictionary_encode(), [LARGE, 2, LARGE]),
        (pa.array([2**64 - 1, 2, 5], pa.uint64()), [2**64 - 1, 2, 5]),
        (pa.array([2**53, None, 5]), [2.0**53, float("nan"), 5.0]),
        (pa.array([1.5, None, 5]).dictionary_encode(), [1.5, float("nan"), 5.0]),
        (pa.array([datetime.date(9999, 1, 1), None, datetime.date(1, 1, 1)]), ["9999-01-01", "NaT", "0001-01-01"]),
        (pa.array([True, False, True]), [True, False, True]),
        (pa.array(["a", "", "a\0"], pa.large_string()), ["a", "", "a\0"]),
    ],
)
def test_values_of_a_table_are_kept(values, kept, run):
    put("t.parquet", a=values)
    code, _, err = build(run)
    assert (code, err) == (0, "")
    found = column()
    found = found.astype(str) if found.dtype.kind == "M" else found
    assert repr(found.tolist()) == repr(kept)  # nan is not itself


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pa.array(["red", None, "blue"]).dictionary_encode(), "its string has no word for that; fill it"),
        (pa.array(["red", None, "blue"]), "its string has no word for that; fill it"),
        (pa.array([True, None, False]), "its bool has no word for that; fill it"),
        (pa.array([LARGE, None, 5]), "its integers beyond 2^53 are not exact beside NaN"),
        (pa.array([LARGE, None, 5]).dictionary_encode(), "its integers beyond 2^53 are not exact beside NaN"),
    ],
)
def test_a_missing_value_is_named(values, message, run):
    put("t.parquet", a=values)
    code, _, err = build(run)
    assert code == 3
    assert "t.parquet: column 'a' has no value in row 1" in err
    assert message in err
    assert not Path("i.nh").exists()


@pytest.mark.parametrize("values", [["a", None, "b"], [1, None, 2]])
def test_an_id_is_not_missing(values, run):
    for ids in (pa.array(values), pa.array(values).dictionary_encode()):
        put("t.parquet", a=ids)
        code, _, err = build(run, "i.nh", "--ids", "a")
        assert (code, "column 'a' has no value in row 1" in err, "--ids needs one for every vector" in err) == (
            3, True, True,
        )  # fmt: skip


def test_ids_of_a_dictionary(run):
    put("t.parquet", a=pa.array(["x", "y", "z"]).dictionary_encode())
    assert build(run, "i.nh", "--ids", "a")[0] == 0
    with nearhop.open("i.nh") as store:
        assert store.ids("node").tolist() == ["x", "y", "z"]


def test_columns_that_are_left_out_are_named(run):
    odd = {"tags": [[1], [2], [3]], "cost": [decimal.Decimal("1.5")] * 3, "empty": pa.nulls(3), "fine": [1, 2, 3]}
    put("t.parquet", **odd)
    code, _, err = build(run, "i.nh", "--column", "v")
    assert code == 0
    assert "left out, as attributes are numbers, booleans, dates and text: tags (list<" in err
    assert "cost (decimal128(2, 1)), empty (null)" in err
    assert column("fine").tolist() == [1, 2, 3]
    code, _, err = run("index", "bench", "t.parquet", "--column", "v", "--queries", "t.parquet", "--kinds", "exact")
    assert "left out" not in err


def test_names_of_the_columns_of_an_index_are_taken(run):
    put("t.parquet", dead=[1, 2, 3])
    code, _, err = build(run)
    assert (code, "attributes cannot be called dead: the index has columns of its own" in err) == (3, True)
    assert not Path("i.nh").exists()


def test_a_parameter_that_the_kind_does_not_know_is_refused(run):
    put("t.parquet", a=[1, 2, 3])
    code, _, err = run("index", "build", "t.parquet", "--out", "i.nh", "--set", "efconstruction=5")
    assert code == 3
    assert "--set efconstruction: an index of kind hnsw takes metric, M, ef_construction" in err
