"""Columns of tables in memory and of Parquet that are kept: as they are, or left out by name."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import nearhop
from nearhop.tests.support import needs


def table(values, **more):
    return pa.table({"src": [0, 1], "dst": [1, 0], "k": values, **more})


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ([2**60 + 1, 1], [2**60 + 1, 1]),
        ([2**60 + 1, None], [str(2**60 + 1), ""]),
        ([2**64 + 1, 1], [str(2**64 + 1), "1"]),
        ([-(2**63) - 1, None], [str(-(2**63) - 1), ""]),
    ],
)
def test_whole_decimals_keep_their_digits(values, kept):
    given = table(pa.array([None if value is None else Decimal(value) for value in values]))
    assert nearhop.ingest(given).edges["k"].tolist() == kept


def test_a_sum_of_the_database_keeps_its_digits():
    import duckdb

    rows = duckdb.sql("SELECT 0 AS src, 1 AS dst, sum(x) AS k FROM (VALUES (9007199254740993), (2)) t(x)")
    assert nearhop.ingest(rows).edges["k"].tolist() == [2**53 + 3]


@pytest.mark.parametrize("as_nodes", [False, True])
def test_a_zero_character_at_the_end_is_kept(tmp_path, as_nodes):
    texts = ["a\0", "a"]
    pq.write_table(table(texts), tmp_path / "t.parquet")
    for source in (table(texts), tmp_path / "t.parquet"):
        if as_nodes:
            nodes = pa.table({"id": [0, 1], "k": texts})
            assert nearhop.ingest(source, nodes=nodes).nodes["k"].tolist() == texts
        else:
            assert nearhop.ingest(source).edges["k"].tolist() == texts


def test_durations_of_parquet_are_left_out(tmp_path):
    pq.write_table(table([1, 2], d=pa.array([1, 2], pa.duration("s"))), tmp_path / "t.parquet")
    store = nearhop.ingest(tmp_path / "t.parquet")
    assert list(store.edges) == ["k"]
    assert store.ingest_report.left_out == {"d": "duration[s] cannot be a column of the store"}


@needs("pandas")
def test_periods_are_left_out():
    import pandas as pd

    frame = pd.DataFrame({"src": [0, 1], "dst": [1, 0], "k": pd.period_range("2020-01", periods=2, freq="M")})
    store = nearhop.ingest(frame)
    assert not list(store.edges)
    assert "cannot be a column of the store" in store.ingest_report.left_out["k"]
    assert nearhop.ingest(frame.assign(k=np.arange(2))).edges["k"].tolist() == [0, 1]


@needs("pandas")
def test_sparse_columns_are_read():
    import pandas as pd

    frame = pd.DataFrame({"src": [0, 1], "dst": [1, 0], "k": pd.arrays.SparseArray([0, 7])})
    assert nearhop.ingest(frame).edges["k"].tolist() == [0, 7]


_HALVES = np.array([1, 2.5, -0.1, 65504, 6e-8, np.nan], np.float16)


@pytest.mark.parametrize("kind", ["table", "batch", "file", "stream", "parquet"])
def test_floats_of_16_bits_are_read_wherever_they_stand(tmp_path, kind):
    given = pa.table({"src": range(6), "dst": range(1, 7), "h": _HALVES})
    path = tmp_path / f"edges.{'parquet' if kind == 'parquet' else 'arrow'}"
    source = {"table": given, "batch": given.to_batches()[0]}.get(kind, path)
    if kind == "parquet":
        pq.write_table(given, path)
    elif kind in ("file", "stream"):
        with (pa.ipc.new_file if kind == "file" else pa.ipc.new_stream)(path, given.schema) as writer:
            writer.write_table(given)
    kept = nearhop.ingest(source, tmp_path / "s.nh").edges["h"]
    assert kept.dtype == np.float32
    assert np.array_equal(kept, _HALVES.astype(np.float32), equal_nan=True)


@needs("pandas")
def test_floats_of_16_bits_in_a_frame():
    import pandas as pd

    frame = pd.DataFrame({"src": range(6), "dst": range(1, 7), "h": _HALVES})
    assert np.array_equal(nearhop.ingest(frame).edges["h"], _HALVES.astype(np.float32), equal_nan=True)
    assert nearhop.ingest(frame[:5], weight="h").edge_list().weight.tolist() == _HALVES[:5].tolist()
