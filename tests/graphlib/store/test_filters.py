"""SQL conditions: the same answer as NumPy, and no way to do anything but ask."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nearhop
from nearhop.graphlib.errors import InvalidInput, InvalidType, NotFound
from nearhop.graphlib.store.filters import _as_arrow, where
from nearhop.tests.support import examples, interrupted_after

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


@examples(20)
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


def test_a_missing_number_is_null_to_every_condition():
    store = nearhop.GraphStore.from_edges([], [], num_nodes=5)
    store.nodes["price"] = np.array([5, np.nan, 30, np.inf, np.nan])
    store.nodes["half"] = store.nodes["price"].astype(np.float16)
    store.nodes["day"] = np.array(["2020-01-01", "NaT", "2021-01-01", "NaT", "2022-01-01"], "datetime64[s]")
    for name in ("price", "half"):
        for condition, expected in {
            "{} > 20": [2, 3],
            "{} < 20": [0],
            "{} <> 5": [2, 3],
            "NOT {} = 5": [2, 3],
            "{0} = {0}": [0, 2, 3],
            "{} IN (5, 30)": [0, 2],
            "{} NOT IN (5, 30)": [3],
            "{} BETWEEN 0 AND 99": [0, 2],
            "{} IS NULL": [1, 4],
            "isnan({})": [1, 4],
            "isnan({} * 2)": [1, 4],
            "coalesce({}, 0) = 0": [1, 4],
            "greatest({}, 0) > 20": [2, 3],
        }.items():
            found = where(store, condition.format(name)).tolist()
            assert found == expected, condition
    assert where(store, "day > DATE '2000-01-01'").tolist() == [0, 2, 4]
    assert where(store, "day IS NULL").tolist() == [1, 3]


@pytest.mark.parametrize(
    "call",
    [
        "repeat('x', 3000000000) = 'x'", "system.main.repeat('x', 3000000000) = 'x'",
        "lpad('x', 3000000000, 'y') = 'x'",
        "len(range(3000000000)) > 1", "len(generate_series(1, 3000000000)) > 1", "list_resize([1], 3000000000) = [1]",
        "printf('%3000000000d', 1) = 'x'", "format('{:>3000000000}', 1) = 'x'", "replace(country, 'F', 'x') = 'x'",
        "list_reduce(['a', 'b', 'c'], lambda a, b: a || a || b) = 'x'", "current_setting('memory_limit') = 'x'",
        "getenv('HOME') = 'x'", "getvariable('x') = 1", "version() = 'x'", "now() > DATE '2020-01-01'",
        "random() > 0.5", "current_date() > DATE '2020-01-01'", "current_database() = 'x'", "current_user() = 'x'",
        "sleep_ms(10000) = 1",
        "pg_sleep(10) IS NULL", "nextval('s') = 1", "error('x') = 1", "gen_random_uuid() IS NULL",
        "setseed(0.5) IS NULL",
        "hive_partition_component('a', 'b') = 'x'", "write_log('x') IS NULL", "json_serialize_sql('SELECT 1') IS NULL",
        "factorial(1000000) > 1", "levenshtein(country, 'x') > 1", "year! > 1", "stats(year) = 'x'",
    ],
)  # fmt: skip
def test_functions_that_reach_out_or_grow_without_bound_are_refused(store, call):
    with pytest.raises(InvalidInput, match=r"which is not a function that only compares or computes"):
        where(store, call)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("#1 > 1", "holds positions of columns"),
        ("NULL::INTEGER[100000] IS NULL", "casts to an array"),
        ("list_transform([1], lambda a: list_sum(list_transform([1], lambda b: a + b))) = [2]", "none within another"),
        ("list_filter(['a'], lambda a: a || a = 'aa') = ['a']", "joins no texts beside them"),
        ("NOT " * 3000 + "true", "nested too deeply|is not an SQL condition|depth"),
        ("(" * 3000 + "true" + ")" * 3000, "nested too deeply|is not an SQL condition|depth"),
        ("true" + " AND true" * 30_000 + " AND x", "nested too deeply|depth|column 'x'"),
    ],
)
def test_conditions_are_bounded(store, sql, message):
    with pytest.raises((InvalidInput, NotFound), match=message) as caught:
        where(store, sql)
    assert len(str(caught.value)) < 1000


def test_a_condition_that_takes_long_is_given_up():
    store = nearhop.GraphStore.from_edges([], [], num_nodes=300_000)
    store.nodes["year"] = np.arange(300_000)
    begun = time.monotonic()
    slow = "year::VARCHAR"
    for _ in range(60):
        slow = f"sha256({slow})"
    with pytest.raises(InvalidInput, match=r"took longer than timeout_s=0\.2 and was given up"):
        where(store, f"{slow} = 'x'", timeout_s=0.2)
    assert time.monotonic() - begun < 30
    for wrong in (0, -1, True, np.nan, "1"):
        with pytest.raises(InvalidInput, match="timeout_s must be a number of seconds > 0"):
            where(store, "true", timeout_s=wrong)


def test_long_lists_answer_as_short_ones_do():
    rng = np.random.default_rng(0)
    store = nearhop.GraphStore.from_edges([], [], num_nodes=500)
    store.nodes["small"] = rng.integers(0, 300, 500).astype(np.uint8)
    store.nodes["two words"] = rng.integers(-300, 300, 500)
    store.nodes["name"] = rng.integers(0, 300, 500).astype(str)
    store.nodes["odd"] = np.array(["it's", "a, b", "IN (1, 2)", "x"])[rng.integers(0, 4, 500)]
    store.nodes["real"] = np.where(rng.random(500) < 0.2, np.nan, rng.integers(0, 300, 500))
    numbers = rng.integers(-400, 400, 150).tolist()
    listed, quoted = ", ".join(map(str, numbers)), ",".join(f"'{n}'" for n in numbers)
    for sql, expected in {
        f"small IN ({listed})": np.isin(store.nodes["small"], numbers),
        f"SMALL not in ({listed})": ~np.isin(store.nodes["small"], numbers),
        f'"two words" IN ({listed}) AND small > 5': np.isin(store.nodes["two words"], numbers)
        & (store.nodes["small"] > 5),
        f"NOT (name IN ({quoted}))": ~np.isin(store.nodes["name"], [str(n) for n in numbers]),
        f"id IN ({listed})": np.isin(np.arange(500), numbers),
        f"odd IN ('it''s', 'a, b', {quoted})": np.isin(store.nodes["odd"], ["it's", "a, b"]),
        f"real IN ({listed})": np.isin(store.nodes["real"], numbers),
        f"real NOT IN ({listed})": ~np.isin(store.nodes["real"], numbers) & ~np.isnan(store.nodes["real"]),
        f"odd = 'IN (1, 2)' OR odd = 'small IN ({listed})'": store.nodes["odd"] == "IN (1, 2)",
        f"small < 9 -- name IN ({listed})": store.nodes["small"] < 9,
        f"nodes.small IN ({listed})": np.isin(store.nodes["small"], numbers),
        f"small::INT + 1 IN ({listed})": np.isin(store.nodes["small"].astype(int) + 1, numbers),
        f"small IN ({listed}, {10**30})": np.isin(store.nodes["small"], numbers),
    }.items():
        assert np.array_equal(where(store, sql, as_bitmap=True), expected), sql[:60]
    with pytest.raises(NotFound, match="column 'nobody'"):
        where(store, f"nobody IN ({listed})")
    with pytest.raises(InvalidInput, match=r"small IN \(.{10,300} \.\.\.'"):
        where(store, f"small IN ({listed}) + 'x'")


def test_a_long_list_is_compared_with_all_that_stands_before_it():
    rng = np.random.default_rng(5)
    store = nearhop.GraphStore.from_edges([], [], num_nodes=300)
    store.nodes["x"], store.nodes["b"] = rng.integers(0, 200, 300), np.arange(300) % 3
    store.nodes["t"] = store.nodes["x"].astype(str)
    x, b, numbers = store.nodes["x"], store.nodes["b"], range(80)
    listed, quoted = ", ".join(map(str, numbers)), ", ".join(f"'{n}'" for n in numbers)
    for sql, expected in {
        f"b + x IN ({listed})": np.isin(b + x, numbers),
        f"x - b IN ({listed}) AND x IN ({listed})": np.isin(x - b, numbers) & np.isin(x, numbers),
        f"- x IN ({listed})": x == 0,
        f"b * -- AND (\n x IN ({listed})": np.isin(b * x, numbers),
        f'b + /* OR */ "x" NOT IN ({listed})': ~np.isin(b + x, numbers),
        f"'1' || t IN ({quoted})": np.isin(np.char.add("1", x.astype(str)), [str(n) for n in numbers]),
        f"(x IN ({listed})) OR NOT x IN ({listed})": np.ones(300, bool),
        f"b=1AND/**/x IN ({listed})": (b == 1) & np.isin(x, numbers),
        f"CASE WHEN x IN ({listed}) THEN b = 1 ELSE x % 150 IN ({listed}) END": np.where(
            np.isin(x, numbers), b == 1, np.isin(x % 150, numbers)
        ),
    }.items():
        assert np.array_equal(where(store, sql, as_bitmap=True), expected), sql[:60]


def test_a_list_of_a_hundred_thousand_takes_a_moment():
    store = nearhop.GraphStore.from_edges([], [], num_nodes=100_000)
    begun = time.process_time()
    found = where(store, f"id IN ({', '.join(map(str, range(0, 200_000, 2)))})")
    assert time.process_time() - begun < 1.0  # parsed as constants: four seconds
    assert np.array_equal(found, np.arange(0, 100_000, 2))


def test_ctrl_c_is_not_taken_for_a_wrong_condition():
    store = nearhop.GraphStore.from_edges([], [], num_nodes=300_000)
    store.nodes["year"] = np.arange(300_000)
    slow = "year::VARCHAR"
    for _ in range(60):
        slow = f"sha256({slow})"
    with interrupted_after(0.5), pytest.raises(KeyboardInterrupt):
        where(store, f"{slow} = 'x'", timeout_s=60)
