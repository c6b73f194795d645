"""Columns one behind the other: every value comes out as it went in, or none."""

from __future__ import annotations

import numpy as np
import pytest

import nearhop
from nearhop.graphlib.errors import InvalidType
from nearhop.graphlib.ingest.append import append
from nearhop.graphlib.joining import joined
from nearhop.graphlib.store.union import disjoint_union


def moments(unit, *texts):
    return np.array(texts, f"M8[{unit}]")


@pytest.mark.parametrize(
    ("old", "new", "dtype"),
    [
        (np.array([5, 2**60]), np.array([7.0]), "int64"),
        (np.array([5]), np.array([7.5, np.nan]), "float64"),
        (np.array([0.5], "f4"), np.array([0.25]), "float32"),
        (np.array([0.5], "f4"), np.array([0.1]), "float64"),
        (np.array([-1]), np.array([2], "u8"), "int64"),
        (moments("us", "2020-01-01"), moments("ns", "2020-01-02", "NaT"), "datetime64[us]"),
        (moments("us", "2020-01-01"), moments("ns", "2020-01-02T00:00:00.000000001"), "datetime64[ns]"),
        (np.array(["a"]), np.array(["bc\0", ""], np.dtypes.StringDType()), "StringDType()"),
        (np.array([[1, 2]]), np.array([[3.0, 4.0]]), "int64"),
        (np.array([1]), np.array([2**64 - 1], "u8"), "uint64"),
        (np.array([1, 2]), np.empty(0, np.dtypes.StringDType()), "int64"),
        (np.empty(0, np.int64), np.array([0.5]), "float64"),
    ],
)
def test_values_survive(old, new, dtype):
    whole = joined("k", [old, new])
    assert str(whole.dtype) == dtype
    for given, found in ((old, whole[: len(old)]), (new, whole[len(old) :])):
        assert all(a == b or (a != a and b != b) for a, b in zip(given.ravel(), found.ravel(), strict=True))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (np.array([2**53 + 1]), np.array([0.5]), r"int64 and float64.*9007199254740993 in row 0"),
        (np.array([-1]), np.array([1, 2**63 + 1], "u8"), r"int64 and uint64.* -1 in row 0"),
        (moments("us", "9999-12-31"), moments("ns", "2020-01-01T00:00:00.000000001"), "9999-12-31T.* in row 0"),
        (np.array([1]), np.array(["1"]), "do not go into one column"),
        (np.array([1]), moments("s", "2020-01-01"), "do not go into one column"),
        (np.array([1j]), np.array([1]), "do not go into one column"),
        (np.array([True]), np.array([1]), "bool and int64, which do not go into one column"),
        (np.array(["9999-12-31"], "M8[D]"), moments("ns", "2020-01-01T00:00:00.000000001"), "9999-12-31 in row 0"),
        (np.ones((2, 3)), np.ones((2, 2)), r"rows of shapes \(3,\) and \(2,\)"),
    ],
)
def test_what_one_column_cannot_hold_is_refused(old, new, told):
    with pytest.raises(InvalidType, match=told):
        joined("k", [old, new])


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ("9999-12-31", "2020-01-01 00:00:00.123456789", None),
        ("9007199254740993", "7\n2,1,", None),
        ("5", "7\n2,1,", [5.0, 7.0, np.nan]),
        ("2020-01-01 00:00:00.000000001", "2020-01-02", ["2020-01-01T00:00:00.000000001", "2020-01-02"]),
    ],
)
def test_append_leaves_what_is_there(tmp_path, first, second, kept):
    for name, cell in (("a", first), ("b", second)):
        (tmp_path / f"{name}.csv").write_text(f"src,dst,k\n1,2,{cell}\n")
    store = nearhop.ingest(tmp_path / "a.csv", tmp_path / "s.nh")
    before = store.edges["k"].copy()
    if kept is None:
        with pytest.raises(InvalidType, match=r"append: edge column 'k' holds .* neither has room"):
            append(store, tmp_path / "b.csv")
        assert store.num_edges == 1
        assert store.edges["k"].tolist() == before.tolist()
        return
    append(store, tmp_path / "b.csv")
    np.testing.assert_array_equal(store.edges["k"], np.array(kept, store.edges["k"].dtype))


def test_a_union_leaves_columns_as_they_are():
    one, two = (nearhop.GraphStore.from_edges([0], [1]) for _ in range(2))
    one.nodes["k"], two.nodes["k"] = np.array([2**53 + 1, 0]), np.array([0.5, 1])
    with pytest.raises(InvalidType, match="node column 'k' holds int64 and float64"):
        disjoint_union([one, two], columns=["k"])
