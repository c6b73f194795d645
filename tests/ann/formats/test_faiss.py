"""FAISS's files against FAISS itself, and against files it wrote that are kept here."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from nearhop import ann
from nearhop.ann import HNSW, Exact, IVFFlat
from nearhop.ann.formats import read_faiss, scalar_codes, write_faiss
from nearhop.ann.formats.faiss_read import NotReadHere, parse_faiss
from nearhop.ann.formats.faiss_write import level_probabilities
from nearhop.graphlib.errors import IndexMismatch, InvalidInput, InvalidType, NotFitted, StoreExists
from nearhop.tests.support import ROOT, needs

GOLDEN = ROOT / "tests" / "golden"
DIM, K = 14, 8
KINDS = {
    **dict.fromkeys(("Flat", "SQ8", "SQ4", "SQfp16", "L2norm,Flat", "IDMap,Flat", "IDMap2,SQ6"), Exact),
    **dict.fromkeys(("HNSW8", "HNSW8_SQ8", "HNSW8_SQ4", "HNSW8_SQfp16", "HNSW8_SQbf16", "IDMap,HNSW8"), HNSW),
    **dict.fromkeys(("L2norm,HNSW8", "IDMap2,L2norm,HNSW8_SQ8"), HNSW),
    **dict.fromkeys(("IVF12,Flat", "L2norm,IVF12,Flat", "IVF12_HNSW4,Flat"), IVFFlat),
}


def rows_of(count, dim=DIM, seed=0):
    return np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)


def made_by_faiss(factory, metric, vectors, ids):
    import faiss

    index = faiss.index_factory(
        vectors.shape[1], factory, {"l2": faiss.METRIC_L2, "ip": faiss.METRIC_INNER_PRODUCT}[metric]
    )
    index.train(vectors)
    if factory.startswith("IDMap") or ("IVF" in factory and "L2norm" not in factory):
        index.add_with_ids(vectors, ids)
    else:
        index.add(vectors)
    return index


def set_effort(index):
    """ef 40, or 3 lists, wherever in the tree the index is."""
    import faiss

    while True:
        index = faiss.downcast_index(index)
        if hasattr(index, "index"):
            index = index.index
            continue
        if hasattr(index, "hnsw"):
            index.hnsw.efSearch = 40
        elif hasattr(index, "nprobe"):
            index.nprobe = 3
        return


def same_ids(ours_, theirs):
    """All but rows at practically equal distances, whose order hangs on the order of additions."""
    return (np.asarray(ours_) == np.asarray(theirs)).mean() > 0.99


def overlap(ours_, theirs):
    return (np.asarray(ours_)[:, :, None] == np.asarray(theirs)[:, None, :]).any(axis=1).mean()


def asked(index, queries):
    set_effort(index)
    return index.search(queries, K)


def ours(index, queries):
    options = {"hnsw": {"ef_search": 40}, "ivf": {"nprobe": 3}}.get(index.KIND, {})
    return index.search(queries, K, **options)


@needs("faiss")
@pytest.mark.parametrize("metric", ["l2", "ip"])
@pytest.mark.parametrize("factory", KINDS)
def test_a_file_of_faiss_gives_its_neighbours_and_goes_back(factory, metric, tmp_path):
    import faiss

    vectors, queries = rows_of(900), rows_of(50, seed=1)
    made = made_by_faiss(factory, metric, vectors, np.arange(900) * 3 + 2**35)
    faiss.write_index(made, str(tmp_path / "a.faiss"))
    distances, ids = asked(made, queries)
    index = ann.load(tmp_path / "a.faiss", dim=DIM)
    assert isinstance(index, KINDS[factory])
    assert index.metric == ("cosine" if "L2norm" in factory else metric)
    found = ours(index, queries)
    # codes of unit vectors are no unit vectors: here they are scaled back, by FAISS they are not
    rescaled = "L2norm" in factory and "SQ" in factory
    assert overlap(found.ids, ids) > 0.9 if rescaled else same_ids(found.ids, ids)
    expected = distances if metric == "l2" else 1 - distances
    np.testing.assert_allclose(
        found.distances,
        expected / 2 if index.metric == "cosine" and metric == "l2" else expected,
        rtol=1e-4,
        atol=0.02 if rescaled else 1e-4,
    )
    write_faiss(index, tmp_path / "b.faiss")
    back = faiss.read_index(str(tmp_path / "b.faiss"))
    assert back.ntotal == 900
    assert overlap(asked(back, queries)[1], ids) > (0.9 if rescaled else 0.99)


@needs("faiss")
@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
@pytest.mark.parametrize("storage", ["float32", "fp16", "sq8", "sq4"])
def test_faiss_reads_what_was_written(metric, storage, tmp_path):
    import faiss

    vectors, queries = rows_of(900, dim=15), rows_of(40, dim=15, seed=1)
    for index in (HNSW(metric, M=6).add(vectors, ids=np.arange(900) * 7), Exact(metric).add(vectors)):
        path = tmp_path / f"{type(index).__name__}.faiss"
        write_faiss(index, path, storage=storage, ef_search=40)
        made = faiss.read_index(str(path))
        distances, ids = made.search(queries, K)
        found = ours(index, queries)
        assert overlap(found.ids, ids) >= {"float32": 0.99, "fp16": 0.98, "sq8": 0.9, "sq4": 0.5}[storage]
        again = read_faiss(path)
        exact = storage == "float32" or metric != "cosine"
        assert overlap(ours(again, queries).ids, ids) > (0.99 if exact else 0.8)
        assert again.metric == metric
        assert parse_faiss(path).storage == storage
        expected = distances if metric == "l2" else 1 - distances
        np.testing.assert_allclose(ours(again, queries).distances, expected, rtol=1e-3, atol=1e-3 if exact else 0.1)
        if isinstance(index, HNSW):
            inner = made
            while hasattr(inner, "index"):
                inner = faiss.downcast_index(inner.index)
            assert (inner.hnsw.efConstruction, inner.hnsw.efSearch) == (200, 40)


@needs("faiss")
def test_codes_decode_as_faiss_decodes_them():
    import faiss

    vectors = rows_of(200, dim=7) * 3 + 1
    types = faiss.ScalarQuantizer
    direct = {types.QT_8bit_direct: np.clip(vectors * 9 + 100, 0, 255).astype(np.uint8).astype(np.float32)}
    direct[types.QT_8bit_direct_signed] = direct[types.QT_8bit_direct] - 128
    for kind in (types.QT_8bit, types.QT_4bit, types.QT_8bit_uniform, types.QT_4bit_uniform, types.QT_fp16,
                 types.QT_8bit_direct, types.QT_6bit, types.QT_bf16, types.QT_8bit_direct_signed):  # fmt: skip
        index = faiss.IndexScalarQuantizer(7, kind)
        rows = direct.get(kind, vectors)
        index.train(rows)
        index.add(rows)
        codes = faiss.vector_to_array(index.codes).reshape(200, -1)
        trained = faiss.vector_to_array(index.sq.trained)
        assert codes.shape[1] == scalar_codes.code_size(kind, 7)
        assert len(trained) == scalar_codes.trained_size(kind, 7)
        decoded = scalar_codes.decode(scalar_codes.ScalarCodes(kind, 7, trained, codes))
        np.testing.assert_allclose(decoded, index.reconstruct_n(0, 200), rtol=1e-6, atol=1e-6)


@needs("faiss")
def test_a_sparse_inverted_file_and_an_empty_one(tmp_path):
    import faiss

    vectors = rows_of(200)
    made = faiss.index_factory(DIM, "IVF64,Flat")
    made.train(rows_of(3000, seed=5))
    faiss.write_index(made, str(tmp_path / "empty.faiss"))
    empty = read_faiss(tmp_path / "empty.faiss")
    assert (len(empty), empty.nlist, empty.search(vectors[0], 3).counts.tolist()) == (0, 64, [0])
    assert len(empty.add(vectors)) == 200
    made.add(vectors[:5])
    faiss.write_index(made, str(tmp_path / "a.faiss"))
    assert b"sprs" in (tmp_path / "a.faiss").read_bytes()
    assert ann.load(tmp_path / "a.faiss").search(vectors[:5], 1, nprobe=64).ids[:, 0].tolist() == [0, 1, 2, 3, 4]
    faiss.write_index(faiss.IndexFlatL2(3), str(tmp_path / "none.faiss"))
    assert len(read_faiss(tmp_path / "none.faiss")) == 0


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("faiss_1.15.1_*.faiss")), ids=lambda p: p.stem)
def test_kept_files_of_faiss_1_15_1(path):
    vectors = np.load(GOLDEN / "vectors_60x6.npy")
    index = ann.load(path)
    options = {"hnsw": {"ef_search": 60}, "ivf": {"nprobe": 6}}.get(index.KIND, {})
    found = index.search(vectors, 5, **options)
    truth = (
        Exact(index.metric).add(vectors, ids=np.arange(60) + (100 if "idmap" in path.stem else 0)).search(vectors, 5)
    )
    assert (found.ids == truth.ids).mean() >= (0.95 if "sq8" in path.stem else 1)
    np.testing.assert_allclose(found.distances, truth.distances, atol=0.1 if "sq8" in path.stem else 5e-3)


def test_round_trips_without_faiss(tmp_path):
    vectors, queries = rows_of(500), rows_of(30, seed=1)
    ids = np.arange(500)[::-1] * 2
    for metric in ("l2", "ip", "cosine"):
        for at, index in enumerate((
            HNSW(metric, M=5).add(vectors, ids), Exact(metric).add(vectors, ids),
            IVFFlat(metric, nlist=9, nprobe=3).add(vectors, ids),
        )):  # fmt: skip
            write_faiss(index, tmp_path / f"{metric}{at}.faiss")
            back = ann.load(tmp_path / f"{metric}{at}.faiss", metric=metric)
            found, expected = ours(back, queries), ours(index, queries)
            assert found.ids.tolist() == expected.ids.tolist()
            np.testing.assert_allclose(found.distances, expected.distances, rtol=1e-4, atol=1e-4)
            index.remove(ids[:50])
            write_faiss(index.compact(), tmp_path / "part.faiss", overwrite=True)
            assert len(ann.load(tmp_path / "part.faiss")) == 450


@pytest.mark.parametrize("count", [0, 40])
@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
def test_a_flat_file_says_its_width(metric, count, tmp_path):
    rows = np.random.default_rng(0).normal(size=(40, DIM)).astype(np.float32)
    index = ann.Exact(metric).add(rows)
    index.remove(np.arange(40 - count))
    write_faiss(index, tmp_path / "a.faiss")
    read = ann.load(tmp_path / "a.faiss", dim=DIM, metric=metric)
    assert (read.dim, len(read)) == (DIM, count)
    for width in (DIM - 1, DIM + 1):
        for call in (lambda w: read.search(np.ones((2, w)), 3), lambda w: read.add(np.ones((2, w)))):
            with pytest.raises(IndexMismatch, match=f"width {width} but the index has dim {DIM}"):
                call(width)
        with pytest.raises(IndexMismatch, match=f"dim={width} was asked for"):
            ann.load(tmp_path / "a.faiss", dim=width)
    if count:
        read.save(tmp_path / "b.nh")
        again = ann.load(tmp_path / "b.nh")
        assert (again.dim, again.metric) == (DIM, metric)
        assert again.search(rows, 3).ids.tolist() == read.search(rows, 3).ids.tolist()
    assert read.add(rows).search(rows, 1).counts.tolist() == [1] * 40


def test_deleted_rows_of_flat_and_inverted_files_are_left_out(tmp_path):
    for index in (Exact().add(rows_of(40)), IVFFlat(nlist=4).add(rows_of(40))):
        index.remove([0, 7])
        write_faiss(index, tmp_path / "a.faiss", overwrite=True)
        assert sorted(read_faiss(tmp_path / "a.faiss").ids.tolist()) == sorted(set(range(40)) - {0, 7})


def test_what_cannot_be_written_or_read(tmp_path):
    index = HNSW(M=4).add(rows_of(30))
    write_faiss(index, tmp_path / "a.faiss")
    with pytest.raises(StoreExists):
        write_faiss(index, tmp_path / "a.faiss")
    index.remove([3])
    with pytest.raises(InvalidInput, match=r"1 rows are deleted, which FAISS cannot mark; compact\(\) first"):
        write_faiss(index, tmp_path / "b.faiss")
    with pytest.raises(InvalidInput, match="storage must be one of 'float32', 'sq8'"):
        write_faiss(index.compact(), tmp_path / "b.faiss", storage="int8")
    with pytest.raises(InvalidInput, match="up to 65,504"):
        write_faiss(Exact().add([[1e6, 0]]), tmp_path / "b.faiss", storage="fp16")
    with pytest.raises(InvalidInput, match="an inverted file is written as float32"):
        write_faiss(IVFFlat(nlist=2).add(rows_of(9)), tmp_path / "b.faiss", storage="sq8")
    with pytest.raises(NotFitted):
        write_faiss(Exact(), tmp_path / "b.faiss")
    with pytest.raises(InvalidType, match="got dict"):
        write_faiss({}, tmp_path / "b.faiss")
    with pytest.raises(IndexMismatch, match=r"a\.faiss: holds vectors of width 14; dim=3 was asked for"):
        ann.load(tmp_path / "a.faiss", dim=3)
    with pytest.raises(IndexMismatch, match="its metric is 'l2'; metric='ip' was asked for"):
        ann.load(tmp_path / "a.faiss", metric="ip")
    (tmp_path / "l1.faiss").write_bytes(b"IxFl" + struct.pack("<iqqqBif", 2, 0, 0, 0, 1, 2, 0.0) + struct.pack("<Q", 0))
    with pytest.raises(IndexMismatch, match="FAISS metric 2 is not known here"):
        read_faiss(tmp_path / "l1.faiss")
    (tmp_path / "pq.faiss").write_bytes(b"IwPQ" + bytes(200))
    with pytest.raises(NotReadHere, match=r"pq\.faiss: a FAISS IndexIVFPQ \('IwPQ'\), which is not read without FAISS"):
        read_faiss(tmp_path / "pq.faiss")
    assert {p.name for p in tmp_path.iterdir()} == {"a.faiss", "l1.faiss", "pq.faiss"}


@needs("faiss")
@pytest.mark.parametrize("M", [4, 8, 16, 32])
def test_level_probabilities_are_faisss(M):
    import faiss

    ours_ = level_probabilities(M)
    index = faiss.IndexHNSWFlat(4, M)
    np.testing.assert_allclose(faiss.vector_to_array(index.hnsw.assign_probas), ours_, rtol=1e-4)
