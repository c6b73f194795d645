"""Lists of as many numbers in every row, and arrays of two dimensions, become columns of vectors; others are told."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import nearhop
from nearhop.ann import HNSW
from nearhop.graphlib.errors import IngestError, InvalidInput, InvalidType
from nearhop.graphlib.ingest import table as tables
from nearhop.graphlib.ingest.append import append
from nearhop.tests.support import needs

N, D = 3000, 5
VECTORS = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)
ENDS = {"src": pa.array(np.arange(N)), "dst": pa.array((np.arange(N) + 1) % N)}


def lists(values, kind=None, *, none=(), fixed=False):
    kind = kind or pa.float32()
    rows = [None if i in none else row.tolist() for i, row in enumerate(values)]
    return pa.array(rows, pa.list_(kind, values.shape[1]) if fixed else pa.list_(kind))


@pytest.fixture(params=["memory", "disk"])
def ingest(request, tmp_path, monkeypatch):
    """Reads a thousand rows at a time."""
    monkeypatch.setattr(tables, "_NUMBERS_AT_ONCE", 1)
    path = None if request.param == "memory" else tmp_path / "store.nh"
    return lambda source, **given: nearhop.ingest(source, path, **given)


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("ids", ["integer", "text"])
def test_vectors_of_nodes_and_edges_come_out_as_they_went_in(ingest, ids, fixed):
    missing = set(range(1500)) | {N - 1}  # a whole batch lacks its vectors
    order = np.random.default_rng(1).permutation(N)
    nodes = {
        "id": pa.array(order),
        "near": lists(VECTORS, fixed=fixed),
        "wide": lists(VECTORS.astype(np.float64), pa.float64(), none=missing, fixed=fixed),
        "bits": lists(VECTORS > 0, pa.bool_(), fixed=fixed),
    }
    edges = {**ENDS, "counts": lists((100 * VECTORS).astype(np.int16), pa.int16(), fixed=fixed)}
    if ids == "text":
        edges |= {end: pa.array([f"n{i}" for i in ENDS[end].to_pylist()]) for end in ("src", "dst")}
        nodes["id"] = pa.array([f"n{i}" for i in order])
    store = ingest(pa.table(edges), nodes=pa.table(nodes))
    at = store.lookup(nodes["id"].to_pylist()) if ids == "text" else order
    assert store.nodes["near"].dtype == np.float32
    np.testing.assert_array_equal(store.nodes["near"][at], VECTORS)
    np.testing.assert_array_equal(store.nodes["bits"][at], VECTORS > 0)
    np.testing.assert_array_equal(store.edges["counts"], (100 * VECTORS).astype(np.int16))
    wide = VECTORS.astype(np.float64)
    wide[sorted(missing)] = np.nan
    np.testing.assert_array_equal(store.nodes["wide"][at], wide)
    report = store.ingest_report
    assert report.nodes["near"] == f"vectors of {D}" == report.kept["counts"]
    assert not report.left_out


def test_vectors_of_parquet_are_indexed_where_they_lie(tmp_path):
    pq.write_table(pa.table(ENDS), tmp_path / "edges.parquet")
    pq.write_table(pa.table({"id": ENDS["src"], "near": lists(VECTORS)}), tmp_path / "nodes.parquet")
    store = nearhop.ingest(tmp_path / "edges.parquet", tmp_path / "s.nh", nodes=tmp_path / "nodes.parquet")
    found = HNSW.from_store(store, "near").search(VECTORS[7:8], k=1)
    assert found.ids.tolist() == [[7]]


@pytest.mark.parametrize(
    ("column", "why"),
    [
        (pa.array([[1.0], [1.0, 2.0], [1.0]]), "DOUBLE[] of 1 to 2 numbers"),
        (pa.array([[1.0, None], [1.0, 2.0], [1.0, 2.0]]), "DOUBLE[] with NULL in 1 of them"),
        (pa.array([[1], None, [2]]), "BIGINT[] with NULL in 1 of them"),
        (pa.array([[], [], []], pa.list_(pa.float32())), "FLOAT[] without a number"),
        (pa.array([None, None, None], pa.list_(pa.float32())), "FLOAT[] without a number"),
        (pa.array([["a"], ["b"], ["c"]]), "VARCHAR[]"),
        (pa.array([[[1.0]], [[2.0]], [[3.0]]]), "DOUBLE[][]"),
    ],
)
def test_other_lists_are_left_out_with_a_word_or_refused_where_they_are_asked_for(column, why):
    edges = pa.table({"src": [0, 1, 2], "dst": [1, 2, 0], "x": column})
    store = nearhop.ingest(edges)
    assert store.ingest_report.left_out == {"x": f"{why} cannot be a column of the store"}
    assert "x" not in store.edges
    nodes = pa.table({"id": [0, 1, 2], "x": column})
    assert nearhop.ingest(edges, nodes=nodes).ingest_report.left_out["nodes: x"].startswith(why)
    with pytest.raises(IngestError, match=r"column 'x' holds other .*; allowed are integer, .*, text, vector"):
        nearhop.ingest(edges, columns=["x"])


def test_lists_are_judged_by_all_rows_and_ragged_ones_by_the_first(monkeypatch):
    monkeypatch.setattr(tables, "SAMPLE_ROWS", 10)
    late = [[1.0, 2.0]] * (N - 1) + [[1.0]]
    early = [[1.0], [1.0, 2.0], *[[1.0, 2.0, 3.0]] * (N - 2)]
    absent = [None] * 20 + [[1.0, 2.0]] * (N - 20)
    edges = pa.table({**ENDS, "late": late, "early": early, "absent": absent})
    asked = []
    monkeypatch.setattr(tables, "rows", lambda *given, whole=tables.rows: asked.append(given[1]) or whole(*given))
    store = nearhop.ingest(edges)
    assert store.ingest_report.left_out == {
        "late": "DOUBLE[] of 1 to 2 numbers cannot be a column of the store",
        "early": "DOUBLE[] of 1 to 3 numbers cannot be a column of the store",
    }
    assert sum('"early"' in sql for sql in asked if "len(" in sql) == 1
    assert np.isnan(store.edges["absent"][:20]).all()
    assert (store.edges["absent"][20:] == [1, 2]).all()


def test_vectors_are_no_ends_weights_or_times_and_can_be_text():
    edges = pa.table({**ENDS, "x": lists(VECTORS)})
    for role in ("weight", "time"):
        with pytest.raises(IngestError, match=rf"{role} column 'x' holds vector \(FLOAT\[\]\)"):
            nearhop.ingest(edges, **{role: "x"})
    text = nearhop.ingest(edges, types={"x": "text"}).edges["x"]
    assert text[0].startswith("[0.1257")


def test_vectors_go_on_behind_those_of_a_store(tmp_path):
    edges = pa.table({**ENDS, "x": lists(VECTORS)})
    store = nearhop.ingest(edges, tmp_path / "s.nh")
    append(store, edges)
    np.testing.assert_array_equal(store.edges["x"], np.concatenate([VECTORS, VECTORS]))
    with pytest.raises(InvalidType, match="edge column 'x' has rows of shapes"):
        append(store, pa.table({**ENDS, "x": lists(VECTORS[:, :2])}))
    assert store.num_edges == 2 * N


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int64, np.bool_])
def test_arrays_of_two_dimensions(tmp_path, dtype):
    rows = np.asfortranarray((10 * VECTORS).astype(dtype))
    plain = {end: np.asarray(values) for end, values in ENDS.items()}
    wanted = rows.astype(np.float32) if dtype == np.float16 else rows
    for source in (plain | {"x": rows}, {end: values.astype(str) for end, values in plain.items()} | {"x": rows}):
        np.testing.assert_array_equal(nearhop.ingest(source).edges["x"], wanted)
    store = nearhop.ingest(plain, nodes={"id": np.arange(N)[::-1], "x": rows})
    np.testing.assert_array_equal(store.nodes["x"], wanted[::-1])
    np.savez(tmp_path / "edges.npz", **plain, x=rows, y=np.zeros((2, 2)))
    store = nearhop.ingest(tmp_path / "edges.npz")
    np.testing.assert_array_equal(store.edges["x"], wanted)
    assert store.ingest_report.notes == ["arrays of another shape are left out: y"]


@pytest.mark.parametrize("other", [np.zeros((N, 0)), np.zeros((N, 2, 2)), np.zeros((N - 1, 2)), np.full((N, 1), "a")])
def test_arrays_that_are_no_columns(other):
    with pytest.raises(InvalidInput, match="one-dimensional, or two-dimensional of numbers, and equally long"):
        nearhop.ingest({end: np.asarray(values) for end, values in ENDS.items()} | {"x": other})


@needs("pandas")
def test_vectors_of_a_frame():
    import pandas as pd

    frame = pd.DataFrame({"id": np.arange(N), "x": list(VECTORS)})
    np.testing.assert_array_equal(nearhop.ingest(pa.table(ENDS), nodes=frame).nodes["x"], VECTORS)


def test_halves_in_lists_and_wide_decimals():
    halves = VECTORS.astype(np.float16)
    for fixed in (True, False):
        store = nearhop.ingest(pa.table({**ENDS, "h": lists(halves, pa.float16(), fixed=fixed)}))
        np.testing.assert_array_equal(store.edges["h"], halves.astype(np.float32))
    wide = pa.table({"src": [0], "dst": [1], "w": pa.array([1], pa.decimal256(50, 3))})
    with pytest.raises(IngestError, match=r"column 'w' holds decimals of 256 bits .*cast it to decimal128"):
        nearhop.ingest(wide)
