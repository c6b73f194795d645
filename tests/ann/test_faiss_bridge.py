"""FAISS's own indexes behind the protocol, against exact search and FAISS itself."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

import nearhop
from nearhop import ann
from nearhop.ann import Exact, Faiss
from nearhop.graphlib.errors import (
    IndexMismatch,
    InvalidInput,
    MissingExtra,
    NotFitted,
    NotFound,
    StoreCorrupt,
    StoreExists,
    StoreMissing,
)
from nearhop.tests.support import needs

pytestmark = needs("faiss")
DIM, N = 16, 500
# factory, and the least recall@5 at full effort against exact search
FACTORIES = {
    "Flat": 1, "HNSW16": 0.97, "IVF4,Flat": 1, "IVF4,PQ4x4": 0.1, "HNSW16,SQ8": 0.9, "PCA8,IVF4,Flat": 0.1,
    "OPQ4,IVF4,PQ4x4": 0.1, "PQ4x4": 0.1, "NSG16": 0.9, "Flat,RFlat": 1, "IVF4,SQ8": 0.9, "IDMap,Flat": 1,
}  # fmt: skip


def rows_of(count=N, seed=0):
    return np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)


def effort(index):
    return {"ef_search": {"ef_search": 100}, "nprobe": {"nprobe": 4}}.get(index.knob, {})


@pytest.fixture(autouse=True)
def one_thread():
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    yield
    faiss.omp_set_num_threads(before)


@pytest.mark.parametrize("factory", FACTORIES)
def test_the_protocol_holds_for_any_factory(factory, tmp_path):
    vectors, ids = rows_of(), np.arange(N)[::-1] * 3
    metric = "cosine" if factory in ("HNSW16", "IVF4,PQ4x4", "IDMap,Flat") else "l2"
    index = Faiss(factory, metric, threads=1).add(vectors, ids)
    queries = rows_of(30, seed=1)
    options = effort(index)
    truth = Exact(metric).add(vectors, ids).search(queries, 5)
    found = index.search(queries, 5, **options)
    overlap = (found.ids[:, :, None] == truth.ids[:, None, :]).any(axis=1).mean()
    assert overlap >= FACTORIES[factory]
    if FACTORIES[factory] == 1:
        np.testing.assert_allclose(found.distances, truth.distances, rtol=1e-4, atol=1e-4)
    some = ids[:40]
    narrow = index.search(queries, 5, filter=some, **options)
    assert set(narrow.ids[narrow.ids >= 0]) <= set(some)
    assert (narrow.counts > 0).all()
    assert index.search(queries, 3, filter=np.arange(N) < 2, **options).counts.max() <= 2
    assert (len(index), index.dim) == (N, DIM)
    index.remove(truth.ids[0])
    assert not set(index.search(queries[0], 5, **options).ids[0]) & set(truth.ids[0])
    with pytest.raises(InvalidInput, match=r"compact\(\) first"):
        index.save(tmp_path / "a.faiss")
    index.compact()
    assert len(index) == N - 5
    after = index.search(queries, 5, **options)
    assert not set(after.ids[0]) & set(truth.ids[0])
    index.save(tmp_path / "a.faiss")
    loaded = Faiss.load(tmp_path / "a.faiss")
    assert (loaded.metric, len(loaded)) == (metric, N - 5)
    again = loaded.search(queries, 5, **options)
    assert (again.ids == after.ids).mean() > 0.98
    np.testing.assert_allclose(again.distances, after.distances, rtol=1e-3, atol=1e-3)


def test_a_bitmap_per_query_and_padding():
    index = Faiss("IVF4,Flat").add(rows_of(), ids=np.arange(N) + 7)
    mask = np.zeros((3, N), bool)
    mask[0, 5] = mask[1, [6, 8]] = True
    found = index.search(rows_of(3, seed=1), 4, filter=mask, nprobe=4)
    assert found.counts.tolist() == [1, 2, 0]
    assert found.ids[0].tolist() == [12, -1, -1, -1]
    assert np.isinf(found.distances[2]).all()
    assert Faiss().search(np.empty((0, 4)), 2).ids.shape == (0, 2)


def test_ids_inside_an_inverted_file_are_kept(tmp_path):
    import faiss

    vectors = rows_of()
    made = faiss.index_factory(DIM, "IVF4,PQ4x4")
    made.train(vectors)
    made.add_with_ids(vectors, np.arange(N) * 10 - 50)
    faiss.write_index(made, str(tmp_path / "a.faiss"))
    index = ann.load(tmp_path / "a.faiss", metric="l2", dim=DIM)
    assert isinstance(index, Faiss)
    made.nprobe = 4
    expected = made.search(vectors[:20], 4)[1]
    assert index.search(vectors[:20], 4, nprobe=4).ids.tolist() == expected.tolist()
    index.add(vectors[:2] + 100, ids=[1, 2])
    assert index.search(vectors[:2] + 100, 1, nprobe=4, filter=[1, 2]).counts.tolist() == [1, 1]
    index.remove(expected[0])
    index.compact()
    assert not set(index.search(vectors[:1], 4, nprobe=4).ids[0]) & set(expected[0])
    index.save(tmp_path / "b.faiss")
    assert sorted(Faiss.load(tmp_path / "b.faiss").ids) == sorted(index.ids)


def test_a_stores_column_is_trained_on_where_it_lies(tmp_path, monkeypatch):
    import faiss

    store = nearhop.GraphStore.from_edges(np.array([0]), np.array([1]), num_nodes=N)
    store.nodes["x"] = rows_of()
    store.set_ids(np.arange(N) + 900)
    stored = store.save(tmp_path / "s.nh")
    column = stored.nodes["x"]
    seen = []
    for verb in ("train", "add"):
        given = getattr(faiss.IndexIVFPQ, verb)

        def watched(self, rows, *rest, given=given, verb=verb):
            seen.append((verb, np.shares_memory(rows, column), len(rows)))
            return given(self, rows, *rest)

        monkeypatch.setattr(faiss.IndexIVFPQ, verb, watched)
    steps = []
    index = Faiss.from_store(stored, "x", factory="IVF4,PQ4x4", threads=1, progress=lambda *at: steps.append(at))
    assert seen == [("train", True, N), ("add", True, N)]
    assert steps == [(N, N)]
    assert index.search(column[3], 1, nprobe=4).ids.min() >= 900
    assert len(Faiss.from_store(stored, "x", factory="IVF4,PQ4x4", train_rows=300, threads=1)) == N
    assert seen[2] == ("train", False, 300)


def test_parameters_and_options():
    index = Faiss("IVF4,Flat", parameters={"nprobe": 3}).add(rows_of())
    assert index.index.nprobe == 3
    assert index.knob == "nprobe"
    assert Faiss("HNSW8").knob is None
    with pytest.raises(InvalidInput, match="a IndexIVFFlat has no ef_search"):
        index.search(rows_of(1), 1, ef_search=10)
    with pytest.raises(InvalidInput, match="factory 'Nonsense9': FAISS says: "):
        Faiss("Nonsense9").add(rows_of())
    with pytest.raises(InvalidInput, match="device must be 'cpu' or 'cuda'"):
        Faiss("Flat", device="tpu").add(rows_of())
    with pytest.raises(NotFitted):
        _ = Faiss().index
    with pytest.raises(NotFitted):
        Faiss().save("never.faiss")
    with pytest.raises(IndexMismatch, match="width 3 but the index has dim 16"):
        index.search(np.ones((1, 3)), 1)
    with pytest.raises(NotFound):
        index.remove([N])
    with pytest.raises(InvalidInput, match="holds rows already"):
        index.fit(rows_of())
    assert "IndexIVFFlat, 500 vectors" in repr(index)


def test_files(tmp_path):
    index = Faiss("Flat").add(rows_of())
    index.save(tmp_path / "a.faiss")
    with pytest.raises(StoreExists):
        index.save(tmp_path / "a.faiss")
    index.save(tmp_path / "a.faiss", overwrite=True)
    with pytest.raises(StoreMissing):
        Faiss.load(tmp_path / "none.faiss")
    (tmp_path / "cut.faiss").write_bytes((tmp_path / "a.faiss").read_bytes()[:500])
    with pytest.raises(StoreCorrupt, match=r"cut\.faiss: FAISS cannot read it"):
        Faiss.load(tmp_path / "cut.faiss")
    assert {p.name for p in tmp_path.iterdir()} == {"a.faiss", "cut.faiss"}


def test_without_faiss_the_install_line_is_named(tmp_path, monkeypatch):
    Faiss("IVF4,PQ4x4", threads=1).add(rows_of()).save(tmp_path / "a.faiss")
    real = importlib.import_module

    def missing(name, *rest):
        if name == "faiss":
            raise ModuleNotFoundError("No module named 'faiss'", name="faiss")
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(MissingExtra, match=r"a FAISS index needs faiss.*pip install \"nearhop\[faiss\]\""):
        ann.load(tmp_path / "a.faiss")
    with pytest.raises(MissingExtra):
        Faiss().add(rows_of())


def test_a_gpu_needs_a_faiss_with_one(monkeypatch):
    import faiss

    monkeypatch.delattr(faiss, "StandardGpuResources", raising=False)
    with pytest.raises(MissingExtra, match="nearhop\\[faiss-gpu\\]"):
        Faiss("Flat", device="cuda").add(rows_of())


@pytest.mark.parametrize("factory", ["Flat", "HNSW8", "IVF4,Flat", "LSH"])
def test_a_k_beyond_the_rows_asks_faiss_for_the_rows_alone(factory, monkeypatch):
    rows = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    index = Faiss(factory, parameters={"nprobe": 4} if "IVF" in factory else None).add(rows)
    asked, plain = [], type(index.index).search
    monkeypatch.setattr(type(index.index), "search", lambda i, x, k, **n: (asked.append(k), plain(i, x, k, **n))[1])
    for filter in (None, np.arange(20)):
        found = index.search(rows[:3], 10_000, filter=filter)
        assert found.ids.shape == (3, 10_000)
        assert found.counts.max() <= 60
        assert (found.ids[:, 60:] == -1).all()
        assert np.isinf(found.distances[:, 60:]).all()
    assert max(asked) == 60
