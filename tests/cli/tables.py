"""Parquet tables of vectors with columns beside them, and the indexes that commands make of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pyarrow import parquet

import nearhop

LARGE = 2**53 + 1


def put(name, count=3, start=0, **columns):
    rows = np.eye(8, dtype=np.float32)[start : start + count]
    parquet.write_table(pa.table({"v": pa.array(list(rows)), **columns}), name)


def column(name="a", path="i.nh"):
    with nearhop.open(path) as store:
        return np.asarray(store.nodes("node")[name])


def build(run, out="i.nh", *more):
    return run("index", "build", "t.parquet", "--kind", "exact", "--out", out, *more)
