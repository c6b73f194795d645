"""hnswlib's files against hnswlib itself, and against files it wrote that are kept here."""

from __future__ import annotations

import numpy as np
import pytest

from nearhop import ann
from nearhop.ann import HNSW, Exact
from nearhop.ann.formats import read_hnswlib, read_hnswlib_flat, write_hnswlib, write_hnswlib_flat
from nearhop.ann.formats.hnswlib_file import labels_of, read_header
from nearhop.graphlib.errors import IndexMismatch, InvalidInput, NotFitted, StoreExists
from nearhop.tests.support import ROOT, needs

METRICS = ["l2", "ip", "cosine"]
GOLDEN = ROOT / "tests" / "golden"


def rows_of(count, dim=12, seed=0):
    return np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)


def theirs(metric, vectors, labels, *, M=8, ef_construction=60, room=None):
    import hnswlib

    index = hnswlib.Index(metric, vectors.shape[1])
    index.init_index(room or len(vectors), M=M, ef_construction=ef_construction)
    index.add_items(vectors, labels, num_threads=1)
    return index


def reloaded(metric, path, dim=12, **options):
    import hnswlib

    index = hnswlib.Index(metric, dim)
    index.load_index(str(path), **options)
    return index


def asked(index, queries, k, ef):
    index.set_ef(ef)
    labels, distances = index.knn_query(queries, k, num_threads=1)
    return labels.astype(np.int64), distances


def same_ids(ours, theirs):
    """All but rows at practically equal distances, whose order hangs on the order of additions."""
    return (np.asarray(ours) == np.asarray(theirs)).mean() > 0.99


@needs("hnswlib")
@pytest.mark.parametrize("metric", METRICS)
def test_a_file_of_hnswlib_gives_its_neighbours_and_distances(metric, tmp_path):
    vectors, queries = rows_of(2000), rows_of(80, seed=1)
    made = theirs(metric, vectors, np.arange(2000) * 3 + 2**40, room=2500)
    made.save_index(str(tmp_path / "a.bin"))
    index = ann.load(tmp_path / "a.bin", metric=metric, dim=12)
    assert (index.M, index.ef_construction, index.metric, len(index)) == (8, 60, metric, 2000)
    for ef in (10, 30, 100):
        labels, distances = asked(made, queries, 10, ef)
        found = index.search(queries, 10, ef_search=ef)
        assert same_ids(found.ids, labels)
        np.testing.assert_allclose(found.distances, distances, rtol=1e-4, atol=1e-5)
    header = read_header(tmp_path / "a.bin")
    assert (header.count, header.max_elements, header.dim, header.m) == (2000, 2500, 12, 8)


@needs("hnswlib")
@pytest.mark.parametrize("metric", METRICS)
def test_hnswlib_reads_what_was_written(metric, tmp_path):
    vectors, queries = rows_of(1500), rows_of(60, seed=1)
    index = HNSW(metric, M=6, ef_construction=80).add(vectors, ids=np.arange(1500)[::-1] * 5)
    write_hnswlib(index, tmp_path / "a.bin")
    made = reloaded(metric, tmp_path / "a.bin")
    assert (made.M, made.ef_construction, made.get_current_count(), made.max_elements) == (6, 80, 1500, 1500)
    assert sorted(made.get_ids_list()) == sorted(index.ids.tolist())
    for ef in (10, 40):
        labels, distances = asked(made, queries, 10, ef)
        found = index.search(queries, 10, ef_search=ef)
        assert same_ids(found.ids, labels)
        np.testing.assert_allclose(found.distances, distances, rtol=1e-4, atol=1e-5)
    write_hnswlib(index, tmp_path / "room.bin", max_elements=1600)
    assert reloaded(metric, tmp_path / "room.bin").max_elements == 1600
    assert read_header(tmp_path / "room.bin").max_elements == 1600
    grown = reloaded(metric, tmp_path / "a.bin", max_elements=1700)
    grown.add_items(rows_of(100, seed=3), np.arange(100) + 10**6)
    if metric != "ip":  # where a row need not be its own nearest
        assert asked(grown, rows_of(100, seed=3), 1, 100)[0][:, 0].tolist() == list(range(10**6, 10**6 + 100))


@needs("hnswlib")
def test_deleted_marks_go_both_ways(tmp_path):
    vectors = rows_of(600)
    made = theirs("l2", vectors, np.arange(600))
    for label in range(0, 600, 4):
        made.mark_deleted(label)
    made.save_index(str(tmp_path / "a.bin"))
    index = read_hnswlib(tmp_path / "a.bin", metric="l2")
    assert len(index) == 450
    truth = Exact().add(vectors[np.arange(600) % 4 > 0], ids=np.flatnonzero(np.arange(600) % 4))
    np.testing.assert_array_equal(index.search(vectors, 5, ef_search=600).ids, truth.search(vectors, 5).ids)
    # the id of a deleted row may be given again; hnswlib knows a label once
    index.add(vectors[:2] + 1, ids=[8, 12])  # in the places of rows 0 and 4
    write_hnswlib(index, tmp_path / "b.bin")
    back = reloaded("l2", tmp_path / "b.bin")
    labels, _ = asked(back, vectors[:2] + 1, 1, 600)
    assert labels.ravel().tolist() == [8, 12]
    labels, _ = asked(back, vectors, 5, 600)
    assert set(np.unique(labels)) <= set(np.flatnonzero(np.arange(600) % 4)) | {8, 12}
    again = read_hnswlib(tmp_path / "b.bin", metric="l2")
    assert (len(again), again._rows.num_dead) == (452, 148)


@needs("hnswlib")
@pytest.mark.parametrize("metric", METRICS)
def test_flat_files_go_both_ways(metric, tmp_path):
    import hnswlib

    vectors = rows_of(200)
    made = hnswlib.BFIndex(metric, 12)
    made.init_index(300)
    made.add_items(vectors, np.arange(200) + 9)
    made.save_index(str(tmp_path / "a.bin"))
    index = ann.load(tmp_path / "a.bin", metric=metric)
    assert isinstance(index, Exact)
    expected = Exact(metric).add(vectors, ids=np.arange(200) + 9).search(vectors, 4)
    found = index.search(vectors, 4)
    assert found.ids.tolist() == expected.ids.tolist()
    np.testing.assert_allclose(found.distances, expected.distances, rtol=1e-4, atol=1e-4)
    index.remove([9])
    write_hnswlib_flat(index, tmp_path / "b.bin")
    back = hnswlib.BFIndex(metric, 12)
    back.load_index(str(tmp_path / "b.bin"))
    assert back.knn_query(vectors, 4)[0].astype(np.int64).tolist() == index.search(vectors, 4).ids.tolist()


@needs("hnswlib")
def test_labels_of_64_bits_keep_their_bits(tmp_path):
    import hnswlib

    labels = np.array([2**64 - 1, 2**63, 2**63 - 1, 0], np.uint64)
    made = hnswlib.Index("l2", 4)
    made.init_index(4)
    made.add_items(np.eye(4, dtype=np.float32), labels)
    made.save_index(str(tmp_path / "a.bin"))
    index = read_hnswlib(tmp_path / "a.bin", metric="l2")
    assert index.ids.tolist() == [-1, -(2**63), 2**63 - 1, 0]
    write_hnswlib(index, tmp_path / "b.bin")
    assert sorted(reloaded("l2", tmp_path / "b.bin", 4).get_ids_list()) == sorted(labels.tolist())


@pytest.mark.parametrize("metric", METRICS)
def test_round_trip_without_hnswlib(metric, tmp_path):
    vectors, queries = rows_of(700), rows_of(40, seed=1)
    index = HNSW(metric, M=5).add(vectors, ids=np.arange(700) * 2)
    index.remove([0, 10])
    write_hnswlib(index, tmp_path / "a.bin")
    back = ann.load(tmp_path / "a.bin", metric=metric)
    found, expected = back.search(queries, 10), index.search(queries, 10)
    assert found.ids.tolist() == expected.ids.tolist()
    np.testing.assert_allclose(found.distances, expected.distances, rtol=1e-4, atol=1e-5)
    assert back.search(vectors[0], 700, ef_search=1).counts.tolist() == [698]
    back.verify()
    more = rows_of(50, seed=3)
    back.add(more, ids=np.arange(50) + 5000)
    if metric != "ip":
        assert back.search(more, 1).ids[:, 0].tolist() == list(range(5000, 5050))
    if metric == "l2":
        write_hnswlib(read_hnswlib(tmp_path / "a.bin", metric="l2"), tmp_path / "b.bin")
        assert (tmp_path / "b.bin").read_bytes() == (tmp_path / "a.bin").read_bytes()


@pytest.mark.parametrize("metric", METRICS)
def test_a_kept_file_of_hnswlib_0_8_0(metric):
    vectors = np.load(GOLDEN / "vectors_60x6.npy")
    index = ann.load(GOLDEN / f"hnswlib_0.8.0_{metric}.bin", metric=metric)
    keep = np.arange(60) % 10 > 0
    truth = Exact(metric).add(vectors[keep], ids=np.flatnonzero(keep) + 100).search(vectors, 5)
    found = index.search(vectors, 5, ef_search=60)
    assert found.ids.tolist() == truth.ids.tolist()
    np.testing.assert_allclose(found.distances, truth.distances, rtol=1e-4, atol=1e-4)
    assert (index.M, index.ef_construction, len(index)) == (4, 50, 54)


@pytest.mark.parametrize("metric", METRICS)
def test_the_same_links_can_be_walked_on_codes(metric, tmp_path):
    vectors, queries = rows_of(800, dim=32), rows_of(40, dim=32, seed=1)
    index = HNSW(metric, M=8).add(vectors)
    write_hnswlib(index, tmp_path / "a.bin")
    coded = ann.load(tmp_path / "a.bin", metric=metric, storage="int8")
    assert coded.storage == "int8"
    assert (coded.graph.links == index.graph.links[:800]).all()
    truth = Exact(metric).add(vectors).search(queries, 10)
    assert ann.recall(coded.search(queries, 10, ef_search=100), truth) > 0.95
    assert len(coded.add(rows_of(50, dim=32, seed=2))) == 850
    coded.save(tmp_path / "own.nh")
    with pytest.raises(IndexMismatch, match="its storage is 'int8'; storage='float32' was asked for"):
        ann.load(tmp_path / "own.nh", storage="float32")
    with pytest.raises(InvalidInput, match="storage must be one of"):
        ann.load(tmp_path / "a.bin", metric=metric, storage="int3")


def test_repeated_links_and_links_to_oneself_are_dropped(tmp_path):
    index = HNSW(M=4).add(rows_of(50))
    first, _, *rest = index.graph.links[0, : index.graph.counts[0]].tolist()
    write_hnswlib(index, tmp_path / "a.bin")
    data = bytearray((tmp_path / "a.bin").read_bytes())
    data[100:108] = np.array([0, first], np.uint32).tobytes()
    data[108:112] = np.array([first], np.uint32).tobytes()
    (tmp_path / "a.bin").write_bytes(data)
    read = read_hnswlib(tmp_path / "a.bin", metric="l2")
    assert read.graph.links[0, : read.graph.counts[0]].tolist() == [first, *rest[1:]]
    read.verify()


def test_a_zero_vector_and_a_single_one(tmp_path):
    write_hnswlib(HNSW("cosine", M=2).add(np.zeros((1, 3))), tmp_path / "a.bin")
    assert read_hnswlib(tmp_path / "a.bin", metric="cosine").search([1, 0, 0], 1).distances.tolist() == [[1]]


def test_what_cannot_be_written_or_read(tmp_path):
    index = HNSW(M=4).add(rows_of(10))
    write_hnswlib(index, tmp_path / "a.bin")
    before = (tmp_path / "a.bin").read_bytes()
    with pytest.raises(StoreExists, match=r"a\.bin exists already"):
        write_hnswlib(HNSW().add(rows_of(5)), tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == before
    write_hnswlib(HNSW(M=3).add(rows_of(5)), tmp_path / "a.bin", overwrite=True)
    assert read_header(tmp_path / "a.bin").m == 3
    with pytest.raises(NotFitted):
        write_hnswlib(HNSW(), tmp_path / "c.bin")
    with pytest.raises(NotFitted):
        write_hnswlib_flat(Exact(), tmp_path / "c.bin")
    with pytest.raises(InvalidInput, match="max_elements must be an integer >= 10"):
        write_hnswlib(index, tmp_path / "c.bin", max_elements=3)
    with pytest.raises(IndexMismatch, match=r"a\.bin: holds vectors of width 12; dim=13 was asked for"):
        read_hnswlib(tmp_path / "a.bin", metric="l2", dim=13)
    with pytest.raises(IndexMismatch, match="does not say its metric"):
        ann.load(tmp_path / "a.bin")
    with pytest.raises(InvalidInput, match="metric must be one of"):
        ann.load(tmp_path / "a.bin", metric="taxi")
    write_hnswlib_flat(Exact().add(rows_of(4)), tmp_path / "f.bin")
    with pytest.raises(IndexMismatch, match="width 12; dim=2"):
        read_hnswlib_flat(tmp_path / "f.bin", metric="l2", dim=2)
    assert {p.name for p in tmp_path.iterdir()} == {"a.bin", "f.bin"}


def test_labels_are_distinct_whatever_was_deleted():
    ids = np.array([5, 0, 5, 7, 5, 0])
    dead = np.array([True, True, False, False, True, True])
    labels = labels_of(ids, dead)
    assert labels[[2, 3]].tolist() == [5, 7]
    assert len(set(labels.tolist())) == 6
    assert labels_of(np.array([3, 1]), np.array([True, False])).tolist() == [3, 1]
