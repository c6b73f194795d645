"""nearhop index: added rows leave the attributes of an index as they are, and bring their own or are refused."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from nearhop.cli.index.attributes import joined
from nearhop.graphlib.errors import InvalidType
from nearhop.tests.cli.tables import LARGE, build, column, put

TEXT = np.dtypes.StringDType()


def held(folder):
    """The bytes of every file but the lock."""
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file() and path.name != "LOCK"}


DAY = np.array(["9999-01-01", "NaT"], "M8[D]")
EXACT: dict[str, Any] = {
    "small integers": (np.array([1, -2], np.int8), np.array([3], np.int64), np.int8),
    "wider integers": (np.array([1, -2], np.int8), np.array([300], np.int64), np.int64),
    "unsigned": (np.array([1, 2]), np.array([2**64 - 1], np.uint64), np.uint64),
    "whole floats": (np.array([LARGE]), np.array([7.0]), np.int64),
    "fractions": (np.array([1, 2]), np.array([0.5, np.nan]), np.float64),
    "small beside floats": (np.array([0.5, np.nan]), np.array([7]), np.float64),
    "float32": (np.array([0.5], np.float32), np.array([0.1]), np.float64),
    "fixed text": (np.array(["a"]), np.array(["longer\0", ""], TEXT), TEXT),
    "days": (DAY, np.array(["2020-01-01", "NaT"], "M8[ns]"), "M8[D]"),
    "moments": (np.array(["2020-01-01"], "M8[D]"), np.array(["2020-01-01T00:00:01"], "M8[ns]"), "M8[ns]"),
}


@pytest.mark.parametrize("case", EXACT)
def test_joined_values_stay_what_they_are(case):
    old, new, dtype = EXACT[case]
    both = joined(Path("i.nh"), {"a": old}, {"a": new})["a"]
    assert both.dtype == np.dtype(dtype)
    for part, given in ((both[: len(old)], old), (both[len(old) :], new)):
        assert part.astype(given.dtype).tolist() == given.tolist() or np.array_equal(part, given, equal_nan=True)


NANOSECOND = np.array(["2020-01-01T00:00:00.000000001"], "M8[ns]")
REFUSED = {
    "dates": (DAY, NANOSECOND),
    "dates the other way": (NANOSECOND, DAY),
    "integers and floats": (np.array([LARGE]), np.array([0.5])),
    "floats and integers": (np.array([0.5]), np.array([LARGE])),
    "the largest integer and floats": (np.array([0.5]), np.array([2**64 - 1], np.uint64)),
    "signs": (np.array([-1]), np.array([2**64 - 1], np.uint64)),
    "infinity": (np.array([LARGE]), np.array([np.inf])),
    "dates and integers": (DAY, np.array([5])),
    "integers and text": (np.array([5]), np.array(["5"], TEXT)),
    "booleans and integers": (np.array([True]), np.array([5])),
}


@pytest.mark.parametrize("case", REFUSED)
def test_values_that_no_dtype_holds_are_refused(case):
    old, new = REFUSED[case]
    names = [("text" if part.dtype.kind == "T" else str(part.dtype)) for part in (old, new)]
    with pytest.raises(InvalidType) as raised:
        joined(Path("i.nh"), {"a": old}, {"a": new})
    assert f"attribute 'a' of i.nh holds {names[0]} and {names[1]}, " in str(raised.value)
    assert "convert one of them, or make both text" in str(raised.value)


def test_rows_of_other_lengths_are_refused():
    with pytest.raises(InvalidType, match=r"attribute 'a' of i.nh has rows of shapes \(2,\) and \(\)"):
        joined(Path("i.nh"), {"a": np.ones((3, 2))}, {"a": np.ones(3)})


@pytest.mark.parametrize("kind", ["exact", "cann"])
def test_a_refused_addition_changes_nothing(kind, run):
    far = pa.array([datetime.date(9999, 1, 1)] * 3)
    put("t.parquet", a=far, id=[0, 0, 0])
    ids = ("--ids", "id") if kind == "cann" else ()
    options = (*ids, "--set", "radius=4") if kind == "cann" else ()
    assert run("index", "build", "t.parquet", "--kind", kind, "--out", "i.nh", *options)[0] == 0
    kept = held("i.nh")
    for wrong in (pa.array([1, 2], pa.timestamp("ns")), pa.array([1, 2])):
        put("m.parquet", 2, 3, a=wrong, id=[0, 0])
        code, _, err = run("index", "add", "i.nh", "m.parquet", *ids)
        assert (code, "attribute 'a' of i.nh holds datetime64[D] and " in err) == (3, True)
        assert held("i.nh") == kept


def test_attributes_that_an_index_lacks_are_named(run):
    put("t.parquet", a=[1, 2, 3])
    assert build(run)[0] == 0
    put("m.parquet", 2, 3, a=[4, 5], price=[1.5, 2.5])
    code, _, err = run("index", "add", "i.nh", "m.parquet")
    assert code == 0
    assert "note: the rows of i.nh have no price; left out: build the index anew to have them" in err
    assert column().tolist() == [1, 2, 3, 4, 5]
    put("n.parquet", 1, 5)
    code, _, err = run("index", "add", "i.nh", "n.parquet")
    assert code == 3
    assert "have attributes a; the source has not: add them to it as columns beside the vectors" in err
    assert len(column()) == 5


def test_attributes_beside_an_index_without_any_are_named(run):
    for out, said in (("p.nh", "the rows of p.nh have no price"), ("p.bin", "hnswlib files hold no attributes")):
        put("t.parquet")
        assert run("index", "build", "t.parquet", "--out", out)[0] == 0
        put("m.parquet", 2, 3, price=[1.5, 2.5])
        more = ("--metric", "l2") if out == "p.bin" else ()
        code, _, err = run("index", "add", out, "m.parquet", *more)
        assert (code, said in err, "left out: " in err) == (0, True, True)


def test_points_of_colours_that_an_index_lacks_are_named(run):
    put("t.parquet", id=[0, 0, 1])
    built = run("index", "build", "t.parquet", "--kind", "cann", "--ids", "id", "--set", "radius=4", "--out", "c.nh")
    assert built[0] == 0
    put("m.parquet", 2, 3, id=[0, 1], price=[1.5, 2.5])
    code, _, err = run("index", "add", "c.nh", "m.parquet", "--ids", "id")
    assert (code, "the points of c.nh have no price; left out" in err) == (0, True)
