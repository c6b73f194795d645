"""What an index keeps of its rows: halves, codes alone, packed bits; recall, distances, bytes, every other call."""

from __future__ import annotations

import numpy as np
import pytest

from nearhop import ann
from nearhop.ann import HNSW, Exact, formats
from nearhop.ann.formats.graphs import recoded
from nearhop.ann.storage.scalar_codes import ScalarCodes
from nearhop.graphlib.errors import IndexMismatch, InvalidInput, InvalidType

DIM = 40


def clustered(rows, seed=0, dim=DIM):
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(30, dim))
    return (centres[rng.integers(0, 30, rows)] + 0.4 * rng.normal(size=(rows, dim))).astype(np.float32)


def bits(rows, seed=0, width=9):
    rng = np.random.default_rng(seed)
    codes = np.random.default_rng(99).integers(0, 256, (40, width), dtype=np.uint8)
    noise = np.packbits(rng.random((rows, 8 * width)) < 0.15, axis=1)
    return codes[rng.integers(0, 40, rows)] ^ noise


def recall(found, truth):
    """The share of true neighbours that are found: distances of rounded rows do not tell."""
    return (found.ids[:, :, None] == truth.ids[:, None, :]).any(axis=1).mean()


@pytest.fixture(scope="module")
def built():
    rows = clustered(1200)
    return rows, {
        (metric, storage): HNSW(metric, M=8, storage=storage, seed=1).add(rows[:700]).add(rows[700:])
        for metric, storage in (
            ("l2", "float16"), ("cosine", "float16"), ("l2", "int8-only"), ("ip", "int8-only"), ("cosine", "int8-only"),
            ("l2", "int4"), ("ip", "int4"), ("cosine", "int4"), ("l2", "1bit"), ("ip", "1bit"), ("cosine", "1bit"),
            ("l2", "int4-only"), ("ip", "int4-only"), ("cosine", "int4-only"), ("l2", "1bit-only"),
            ("l2", "int8-float16"), ("ip", "int8-float16"), ("cosine", "int8-float16"),
        )
    }  # fmt: skip


LIMITS = [
    ("float16", 0.995, 2e-3), ("int8-float16", 0.99, 2e-3), ("int8-only", 0.96, 0.05), ("int4", 0.99, 2e-3),
    ("1bit", 0.97, 0.1), ("int4-only", 0.85, 0.15), ("1bit-only", 0.47, 0.9),
]  # fmt: skip


@pytest.mark.parametrize(("storage", "least", "most_off"), LIMITS)
def test_recall_and_distances_of_rounded_rows(built, storage, least, most_off):
    rows, indexes = built
    queries = clustered(100, seed=1)
    for (metric, kept), index in indexes.items():
        if kept == storage:
            truth, found = Exact(metric).add(rows).search(queries, 10), index.search(queries, 10, ef_search=150)
            assert recall(found, truth) >= least
            spread = np.abs(truth.distances).max()
            assert np.abs(np.sort(found.distances) - truth.distances).max() <= most_off * spread
            few = np.arange(1200) % 40 == 0
            exact = Exact(metric).add(rows).search(queries, 5, filter=few)
            for given in (few, np.tile(few, (len(queries), 1))):
                assert recall(index.search(queries, 5, filter=given), exact) >= least - 0.02


def test_int8_only_distances_keep_their_bound(built):
    rows, indexes = built
    index = indexes["l2", "int8-only"]
    coder = index.graph.rows.coder
    queries = clustered(50, seed=2)
    inside = np.abs(coder.decoded(index.graph.vectors[:1200]) - rows).max(axis=1) <= coder.step / 2 * 1.01
    found = index.search(queries, 10)
    wanted = np.sqrt(((queries[:, None, :] - rows[found.ids]) ** 2).sum(axis=2))
    off = np.abs(np.sqrt(found.distances) - wanted)[inside[found.ids]]
    assert len(coder.basis) == 0
    assert inside.mean() > 0.95
    assert off.max() <= coder.step / 2 * np.sqrt(DIM) * 1.01


def test_whole_numbers_are_kept_exactly():
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, size=(500, 30)).astype(np.float32)
    index = HNSW("l2", storage="int8-only").add(rows)
    found, truth = index.search(rows[:40] + 1, 5, ef_search=200), Exact().add(rows).search(rows[:40] + 1, 5)
    assert found.distances.tolist() == truth.distances.tolist()


def test_bytes_per_row_are_those_estimated(built):
    _, indexes = built
    plain = HNSW(M=8).add(clustered(1200)).compact().stats().nbytes
    for (metric, storage), index in indexes.items():
        has_scale = metric == "cosine" and storage in ("float16", "int8-float16", "int4", "1bit")
        scale = 4 * 1200 if has_scale else 0
        grown = index.compact().stats().nbytes + scale
        estimated = index.estimate_memory(1200, DIM).total
        if storage == "int8-float16":  # whose codes may keep fewer directions than there are
            assert 0.8 * estimated < grown < estimated
        else:
            assert grown == pytest.approx(estimated, rel=0.03), (metric, storage)
        most = {
            "float16": 0.75,
            "int8-float16": 1.05,
            "int8-only": 0.65,
            "int4": 0.97,
            "1bit": 0.9,
            "int4-only": 0.65,
            "1bit-only": 0.6,
        }
        assert grown < most[storage] * plain


@pytest.mark.parametrize(
    ("metric", "storage"),
    [
        ("cosine", "float16"), ("cosine", "int8-only"), ("ip", "int8-only"), ("l2", "int4"), ("cosine", "1bit"),
        ("ip", "int4-only"), ("l2", "1bit-only"), ("l2", "int8-float16"), ("cosine", "int8-float16"),
    ],
)  # fmt: skip
def test_saved_changed_compacted(built, metric, storage, tmp_path):
    rows, indexes = built
    queries = clustered(40, seed=3)
    indexes[metric, storage].save(tmp_path / "a.nh")
    index = ann.load(tmp_path / "a.nh")
    assert (index.storage, index.dim, index.metric) == (storage, DIM, metric)
    before, after = indexes[metric, storage].search(queries, 5), index.search(queries, 5)
    assert before.distances.tobytes() == after.distances.tobytes()
    assert before.ids.tolist() == after.ids.tolist()
    index.remove(np.arange(100))
    index.upsert(rows[200:260] + 0.1, np.arange(200, 260))
    assert index.verify().unreachable == 0
    index.compact()
    index.remove(np.arange(300, 1100))
    index.compact()  # few enough are left to be built anew
    assert len(index) == 300
    assert index.verify().unreachable == 0
    left = np.concatenate([np.arange(100, 300), np.arange(1100, 1200)])
    changed = rows.copy()
    changed[200:260] += 0.1
    truth = Exact(metric).add(changed[left], ids=left).search(queries, 5)
    assert recall(index.search(queries, 5, ef_search=100), truth) >= (0.6 if storage == "1bit-only" else 0.92)
    assert 6 <= index.tune(0.9, k=5) <= 1024
    assert index.explain(queries[0], 5).recall >= 0.8


@pytest.mark.parametrize("storage", ["float16", "int8-float16", "int8-only", "int4", "1bit", "int4-only", "1bit-only"])
def test_the_same_graph_at_any_thread_count(storage):
    first, second = (HNSW("cosine", M=8, storage=storage, threads=t).add(clustered(900)).graph for t in (1, 2))
    assert first.links.tobytes() == second.links.tobytes()
    assert first.vectors.tobytes() == second.vectors.tobytes()


def test_codes_widen_for_rows_out_of_range():
    index = HNSW("l2", M=8, storage="int8-only").add(clustered(400))
    step = index.graph.rows.coder.step
    index.add(5 * clustered(200, seed=1))
    assert index.graph.rows.coder.step > 2 * step
    found = index.search(5 * clustered(200, seed=1), 1, ef_search=100)
    assert (found.ids[:, 0] == np.arange(400, 600)).mean() > 0.97
    assert index.verify().unreachable == 0


def test_coordinates_of_unlike_scale_are_rotated():
    rows = clustered(800) * np.geomspace(0.05, 20, DIM).astype(np.float32)
    coder = ScalarCodes(0, DIM, alone=True)
    codes = coder.coded(rows, np.ones(1, np.float32))
    assert len(coder.basis) == DIM
    assert np.abs(coder.decoded(codes) - rows).max() < 0.6 * coder.step * np.sqrt(DIM)


def test_links_stay_when_the_storage_changes(built, tmp_path):
    rows, indexes = built
    index = HNSW("cosine", M=8).add(rows)
    links = index.graph.links.copy()
    for storage in ("float16", "int8-only", "float32", "int8", "int8-float16", "float32"):
        index = recoded(index, storage)
        assert index.storage == storage
        assert (index.graph.links[:1200] == links[:1200]).all()
        assert (index.search(rows[:100], 1, ef_search=80).ids[:, 0] == np.arange(100)).mean() > 0.98
        assert index.verify().unreachable == 0
    formats.write_hnswlib(indexes["l2", "float16"], tmp_path / "a.bin")
    read = ann.load(tmp_path / "a.bin", metric="l2", storage="float16")
    found = [i.search(rows[:20], 3) for i in (read, indexes["l2", "float16"])]
    assert found[0].ids.tolist() == found[1].ids.tolist()


def test_halves_out_of_range_are_refused():
    with pytest.raises(InvalidInput, match=r"holds values up to 65,504; row 1 has 1e\+06"):
        HNSW(storage="float16").add([[1, 2], [3, 1e6]])


def test_hamming_counts_the_bits_that_differ(tmp_path):
    rows, queries = bits(1500), bits(60, seed=1)
    counts = (np.unpackbits(queries, axis=1)[:, None, :] != np.unpackbits(rows, axis=1)).sum(axis=2)
    exact = Exact("hamming").add(rows)
    found = exact.search(queries, 10)
    assert found.distances.tolist() == np.sort(counts, axis=1)[:, :10].tolist()
    index = HNSW("hamming", M=8).add(rows[:900]).add(rows[900:])
    walked = index.search(queries, 10, ef_search=200)
    assert (walked.distances == found.distances).mean() > 0.97
    assert (walked.distances == np.take_along_axis(counts, walked.ids, axis=1)).all()
    few = np.arange(1500) % 50 == 0
    some = np.arange(1500) % 9 == 0
    for passing in (few, some):
        want = np.sort(counts[:, passing], axis=1)[:, :5]
        assert (index.search(queries, 5, filter=passing, ef_search=100).distances == want).mean() > 0.95
        assert (exact.search(queries, 5, filter=passing).distances == want).all()
    index.remove(np.arange(100))
    index.add(rows[:50])
    index.compact().save(tmp_path / "bits.nh")
    exact.save(tmp_path / "exact.nh")
    opened = ann.load(tmp_path / "bits.nh")
    assert opened.verify().unreachable == 0
    assert (opened.dim, len(opened)) == (9, 1450)
    assert opened.search(queries, 3).distances.tolist() == index.search(queries, 3).distances.tolist()
    assert ann.load(tmp_path / "exact.nh").search(queries, 10).ids.tolist() == found.ids.tolist()
    assert (
        opened.search_within(queries[0], 12).indptr[1] == (counts[0, 100:] <= 12).sum() + (counts[0, :50] <= 12).sum()
    )
    assert opened.estimate_memory(1450, 9).vectors == 1450 * 16


def test_hamming_refusals(tmp_path):
    index = HNSW("hamming").add(bits(50))
    with pytest.raises(InvalidType, match=r"takes queries of packed bits.*packbits; got float32"):
        index.search(np.ones((1, 9), np.float32), 1)
    with pytest.raises(IndexMismatch, match="have 8 bytes a row but the index has 9"):
        index.add(bits(5, width=8))
    with pytest.raises(InvalidInput, match="takes no storage; got storage='int8'"):
        HNSW("hamming", storage="int8").add(bits(5))
    with pytest.raises(InvalidInput, match="no place in hnswlib and FAISS files"):
        formats.write_hnswlib(index, tmp_path / "a.bin")
    with pytest.raises(InvalidInput, match="metric must be one of 'l2', 'ip', 'cosine'; got 'hamming'"):
        ann.IVFFlat("hamming").add(clustered(50))
