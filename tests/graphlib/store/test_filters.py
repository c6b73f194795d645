"""SQL conditions: the same answer as NumPy, and no way to do anything but ask."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nearhop
from nearhop.graphlib.errors import InvalidInput, InvalidType, NotFound
from nearhop.graphlib.store.filters import _as_arrow, where

N = 50


@pytest.fixture(scope="module")
def store():
    rng = np.random.default_rng(3)
    made = nearhop.GraphStore.from_edges(np.arange(N - 1), np.arange(1, N))
    made.nodes["year"] = rng.integers(1990, 2025, N).astype(np.int32)
    made.nodes["score"] = np.where(np.arange(N) % 7 == 0, np.nan, rng.random(N)).astype(np.float32)
    made.nodes["country"] = np.array(["FR", "DE", "it's"])[rng.integers(0, 3, N)]
    made.nodes["open"] = rng.random(N) < 0.5
    made.nodes["day"] = np.datetime64("2020-01-01") + np.arange(N)
    made.nodes["x"] = rng.random((N, 3))
    made.nodes["two words"] = np.arange(N, dtype=np.uint8)
    made.nodes["half"] = np.arange(N, dtype=np.float16)
    made.nodes["code"] = np.array([b"a", b"b"])[np.arange(N) % 2]
    return made


CASES = {
    "year >= 2010": lambda c: c["year"] >= 2010,
    "YEAR BETWEEN 2000 AND 2010 AND open": lambda c: (c["year"] >= 2000) & (c["year"] <= 2010) & c["open"],
    "country = 'FR' OR country = 'it''s'": lambda c: (c["country"] == "FR") | (c["country"] == "it's"),
    "country IN ('DE', 'FR') AND NOT open": lambda c: (c["country"] != "it's") & ~c["open"],
    "day > DATE '2020-01-20'": lambda c: c["day"] > np.datetime64("2020-01-20"),
    '"two words" % 2 = 0': lambda c: c["two words"] % 2 == 0,
    "isnan(score)": lambda c: np.isnan(c["score"]),
    "half < 10 -- only the first": lambda c: c["half"] < 10,
    "code = 'b'": lambda c: c["code"] == b"b",
    "id < 5": lambda c: np.arange(N) < 5,
    "nodes.year = 2000": lambda c: c["year"] == 2000,
    "year::VARCHAR LIKE '199%'": lambda c: c["year"] < 2000,
    "abs(year - 2000) <= 3": lambda c: abs(c["year"] - 2000) <= 3,
    "1 = 1": lambda c: np.ones(N, bool),
    "NULL::BOOLEAN": lambda c: np.zeros(N, bool),
    "CASE WHEN year > 2000 THEN true END": lambda c: c["year"] > 2000,
    "list_sum(list_transform([1, 2], lambda i: i + year)) > 4003": lambda c: 2 * c["year"] + 3 > 4003,
}


@pytest.mark.parametrize("sql", CASES)
def test_agrees_with_numpy(store, sql):
    expected = CASES[sql](dict(store.nodes.items()))
    positions = store.where(sql)
    assert positions.dtype == np.int64
    assert np.array_equal(positions, np.flatnonzero(expected))
    bitmap = store.where(sql, as_bitmap=True)
    assert bitmap.dtype == bool
    assert np.array_equal(bitmap, expected)


@settings(max_examples=20)
@given(st.lists(st.integers(-5, 5), max_size=8), st.integers(-5, 5))
def test_any_values(values, limit):
    store = nearhop.GraphStore.from_edges([], [], num_nodes=len(values))
    store.nodes["v"] = np.array(values, np.int64)
    assert where(store, f"v < {limit}").tolist() == [i for i, v in enumerate(values) if v < limit]


def test_order_of_many_rows():
    store = nearhop.GraphStore.from_edges([], [], num_nodes=700_000)
    store.nodes["v"] = np.random.default_rng(0).integers(0, 100, 700_000)
    assert np.array_equal(where(store, "v = 7"), np.flatnonzero(store.nodes["v"] == 7))


def test_user_ids_and_types():
    store = nearhop.ingest([("ann", "bob"), ("bob", "cy")])
    assert where(store, "id >= 'bob'").tolist() == [1, 2]
    store.add_node_type("item", 3)
    store.nodes("item")["price"] = np.array([3.0, 1.0, 2.0])
    assert where(store, "price > 1.5", node_type="item").tolist() == [0, 2]
    store.nodes("item")["id"] = np.array([7, 8, 9])
    assert where(store, "id = 8", node_type="item").tolist() == [1]
    with pytest.raises(NotFound, match="no node type"):
        where(store, "true", node_type="other")


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("year > 1; DROP TABLE nodes", "is not an SQL condition"),
        ("year > 1) FROM nodes WHERE (true", "must be one condition"),
        ("true) UNION SELECT (true", "must be one condition"),
        ("true), (true", "must be one condition"),
        ("true) ORDER BY (year", "must be one condition"),
        ("year IN (SELECT 1)", "holds subqueries"),
        ("EXISTS (SELECT * FROM read_csv('/etc/passwd'))", "holds subqueries"),
        ("(SELECT count(*) FROM 'secret.parquet') > 0", "holds subqueries"),
        ("read_text('/etc/passwd') IS NULL", "read_text"),
        ("count(*) > 1", "aggregates"),
        ("max(year) > 1", "aggregates"),
        ("unnest([true, false])", "UNNEST"),
        ("row_number() OVER () = 1", "holds window functions"),
        ("year > ?", "holds parameters"),
        ("COLUMNS(*) > 1", r"holds \*|columns"),
        ("year", "gives INTEGER, not a condition"),
        ("'x'", "gives VARCHAR, not a condition"),
        (" ", "is not an SQL condition"),
        ("year >", "is not an SQL condition"),
        ("year > 'abc'", "abc"),
        ("/* ", "is not an SQL condition"),
    ],
)
def test_refused(store, sql, message):
    with pytest.raises(InvalidInput, match=message):
        where(store, sql)


def test_unknown_columns_are_told_with_those_that_exist(store):
    with pytest.raises(NotFound, match=r"no one-dimensional node column 'yaer'; columns: .*country.*year"):
        where(store, "yaer > 2")
    with pytest.raises(NotFound, match="'x'; columns"):
        where(store, "x > 2")
    with pytest.raises(InvalidType, match="must be SQL text; got int"):
        where(store, 3)


def test_names_that_sql_cannot_tell_apart():
    store = nearhop.GraphStore.from_edges([0], [1])
    store.nodes["Year"], store.nodes["year"], store.nodes["v"] = np.array([1, 2]), np.array([3, 4]), np.array([5, 6])
    with pytest.raises(InvalidInput, match="several columns are called 'year'"):
        where(store, "year > 1")
    assert where(store, "v > 5").tolist() == [1]


def test_numbers_are_read_in_place():
    values = np.arange(1000, dtype=np.float64)
    address = _as_arrow(values).buffers()[1].address
    assert address == values.__array_interface__["data"][0]
