"""A storage is one class, one file of kernels and one line in the list of names: a toy, and all that an index does."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from nearhop import ann
from nearhop.ann import HNSW, Exact
from nearhop.ann.distances.rows_cpu import row_kind
from nearhop.ann.storage import rows as names
from nearhop.ann.storage.rows import Rows
from nearhop.graphlib.compute.jit import plain_view


class Thirds(NamedTuple):
    """int16 rows that count thirds."""

    data: Any
    unit: float


def _distance(rows, node, query, factor):
    total = np.float32(0)
    for j in range(query.shape[0]):
        difference = np.float32(rows.data[node, j]) * np.float32(rows.unit) - query[j]
        total += difference * difference
    return total


def _own(rows, node, room):
    for j in range(room.shape[0]):
        room[j] = np.float32(rows.data[node, j]) * np.float32(rows.unit)
    return room


def _room(rows):
    return np.empty(rows.data.shape[1], np.float32)


row_kind(Thirds, distance=_distance, own=_own, room=_room)


class ThirdRows(Rows):
    """Coordinates as whole numbers of thirds."""

    dtype = np.int16

    def encoded(self, rows):
        return np.round(3 * rows).astype(np.int16), np.ones(1, np.float32)

    def given(self, kept):
        return (kept / 3).astype(np.float32)

    @property
    def exact(self):
        return Thirds(plain_view(self.kept), 1 / 3)


@pytest.fixture(autouse=True)
def _named(monkeypatch):
    monkeypatch.setitem(names._STORAGES, "thirds", ThirdRows)


def test_a_toy_storage_does_all_that_an_index_does(tmp_path):
    rng = np.random.default_rng(0)
    rows = np.round(3 * rng.normal(size=(900, 12))).astype(np.float32) / 3
    queries = rng.normal(size=(50, 12)).astype(np.float32)
    index = HNSW(M=8, storage="thirds", ef_construction=80).add(rows[:500]).add(rows[500:899])
    index.add(rows[899:])
    assert index.graph.vectors.dtype == np.int16
    truth = Exact().add(rows).search(queries, 10)
    found = index.search(queries, 10, ef_search=150)
    assert (found.ids == truth.ids).mean() > 0.98
    assert np.allclose(found.distances, truth.distances, atol=1e-4)
    assert index.search(queries[0], 10, ef_search=150).ids.tolist() == found.ids[:1].tolist()
    few, some = np.arange(900) % 100 == 0, np.arange(900) % 7 == 0
    for passing in (few, some):
        want = Exact().add(rows).search(queries, 3, filter=passing)
        assert (index.search(queries, 3, filter=passing).ids == want.ids).mean() > 0.95
    assert index.estimate_memory(900, 12).vectors > 0
    index.save(tmp_path / "a.nh")
    opened = ann.load(tmp_path / "a.nh")
    assert opened.search(queries, 10, ef_search=150).ids.tolist() == found.ids.tolist()
    opened.remove(np.arange(300))
    opened.upsert(rows[:50] + 1, np.arange(300, 350))
    assert opened.compact().verify().unreachable == 0
    assert opened.search(rows[10] + 1, 1, ef_search=100).ids.tolist() == [[310]]
    opened.remove(np.arange(350, 900))
    assert opened.compact().search(rows[10] + 1, 1).ids.tolist() == [[310]]
