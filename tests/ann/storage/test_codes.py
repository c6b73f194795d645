"""8-bit codes: integer sums of every form are equal, ranks follow distances, and searches through them keep recall."""

from __future__ import annotations

import numpy as np
import pytest

from nearhop import GraphStore, ann
from nearhop.ann import HNSW, Exact
from nearhop.ann.metrics import inverse_norms, metric_code
from nearhop.ann.storage.scalar_codes import ScalarCodes
from nearhop.graphlib.errors import InvalidInput
from nearhop.tests.support import PROCESSORS, data_file, run_compiled_for

METRICS = ("l2", "ip", "cosine")
DOT_PROGRAM = """
import hashlib
import numpy as np
from nearhop.ann.distances.int8_dot_cpu import dot_u8s8
from nearhop.graphlib.compute.jit import kernel

@kernel
def all_rows(codes, query, out):
    for i in range(codes.shape[0]):
        out[i] = dot_u8s8(codes, i, query)

rng, digest = np.random.default_rng(0), hashlib.sha256()
for width in (32, 64, 96, 128, 160, 192, 256, 800):
    codes, query = rng.integers(0, 256, (40, width), np.uint8), rng.integers(-128, 128, width).astype(np.int8)
    codes[0], query[: width // 2] = 255, -128
    out = np.empty(40, np.int32)
    all_rows(codes, query, out)
    assert out.tolist() == (codes.astype(np.int64) @ query.astype(np.int64)).tolist(), width
    digest.update(out.tobytes())
print(digest.hexdigest(), "vpdpbusd" in next(iter(all_rows.inspect_asm().values())))
"""

PRODUCTS_PROGRAM = """
from nearhop.ann.distances.row_sums_cpu import products

@kernel
def of_row(table, row, queries, count, out):
    products(table, row, queries, count, out)

rng = np.random.default_rng(0)
for width in (1, 3, 4, 7, 16, 25, 64, 65, 100, 257):
    table, queries = (rng.normal(size=(n, width)).astype(np.float32) for n in (3, 4))
    four, one = np.empty(4, np.float32), np.empty(4, np.float32)
    of_row(table, 2, queries, 4, four)
    assert np.allclose(four, queries @ table[2], rtol=1e-4, atol=1e-5), width
    for q in range(4):
        of_row(table, 2, queries[q : q + 1], 1, one)
        assert one[0].tobytes() == four[q].tobytes(), width
"""

TURNS_PROGRAM = """
from nearhop.ann.storage.directions_cpu import in_blocks, in_words, turned

@kernel
def turn(rows, blocks, count, words, sums):
    unit = 0.0
    for i in range(count):
        unit = in_words(rows[i], words[i])
    turned(blocks, words, count, sums)
    return unit

rng = np.random.default_rng(0)
for width, dim in ((1, 3), (5, 64), (28, 33), (60, 100), (124, 128), (124, 1000)):
    basis = np.linalg.qr(rng.normal(size=(dim, min(width, dim))))[0].T.astype(np.float32)
    rows, blocks = rng.normal(size=(4, dim)).astype(np.float32), in_blocks(basis)
    words = np.empty((4, 2 * blocks.shape[1]), np.int16)
    sums, one = (np.empty((n, 16 * blocks.shape[0]), np.int32) for n in (4, 1))
    unit = turn(rows, blocks, 4, words, sums)
    whole = blocks.reshape(*blocks.shape[:2], 16, 2).transpose(0, 2, 1, 3).reshape(-1, words.shape[1])
    assert sums.tolist() == (words.astype(np.int64) @ whole.astype(np.int64).T).tolist(), width
    assert np.allclose(sums[3, : len(basis)] * unit, basis @ rows[3], atol=2e-3 * np.sqrt(dim / width)), width
    turn(rows[3:], blocks, 1, words, one)
    assert one[0].tolist() == sums[3].tolist(), width
"""


def features(rows=4000, dim=48, inner=12, seed=0):
    """Rows on a smooth surface of few dimensions, like features of a network."""
    rng = np.random.default_rng(7)
    first, second = rng.normal(size=(inner, 64)) / 2, rng.normal(size=(64, dim)) / 8
    inside = np.random.default_rng(seed).normal(size=(rows, inner))
    return (np.tanh(inside @ first) @ second + 0.3).astype(np.float32)


@pytest.mark.parametrize("processor", PROCESSORS)
def test_products_are_the_same_on_every_processor_and_for_every_number_of_queries(processor, tmp_path):
    printed = run_compiled_for(processor, DOT_PROGRAM + PRODUCTS_PROGRAM + TURNS_PROGRAM, tmp_path)
    if processor != "this":
        assert printed[1] == "False"


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dim", [2, 48])
def test_ranks_follow_distances(metric, dim):
    vectors = features(2000, dim)
    codes = ScalarCodes(metric_code(metric), dim)
    codes.extend(vectors, inverse_norms(vectors, metric_code(metric)), 0, 2000)
    asked = np.empty((50, codes.codes.shape[1]), np.int8)
    queries = features(50, dim, seed=1)
    scales = np.ones(50, np.float32) if metric != "cosine" else inverse_norms(queries, metric_code(metric))
    codes.encode_queries(queries, scales, 0, 50, asked)
    ranks = codes.terms[:, -1].astype(np.int64) - 2 * (codes.codes.astype(np.int64) @ asked.astype(np.int64).T).T
    true = Exact(metric).add(vectors).search(queries, 2000)
    for q in range(50):
        distances = np.empty(2000)
        distances[true.ids[q]] = true.distances[q]
        assert np.corrcoef(ranks[q], distances)[0, 1] > 0.999
        if metric == "l2":  # in units of the step, up to a constant of the query
            offset = ranks[q] * codes.step**2 - distances
            assert offset.std() < 0.1 * distances.std()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dim", [1, 3, 25, 48, 128, 400])
def test_recall_of_int8_is_that_of_float32(metric, dim):
    vectors, queries = features(3000, dim), features(200, dim, seed=1)
    truth = Exact(metric).add(vectors).search(queries, 10)
    index = HNSW(metric, storage="int8").add(vectors)
    found = index.search(queries, 10, ef_search=80)
    bound = 0.005 if dim > 3 else 0.01  # thousands of rows on a line, of which codes tell 256 apart
    assert (
        ann.recall(found, truth)
        >= ann.recall(HNSW(metric).add(vectors).search(queries, 10, ef_search=80), truth) - bound
    )
    same = found.ids == truth.ids
    assert np.allclose(found.distances[same], truth.distances[same], rtol=1e-5, atol=1e-5)  # exact, not code, distances
    assert index.verify().unreachable == 0


def test_a_flat_spectrum_keeps_every_coordinate():
    vectors = np.random.default_rng(0).normal(size=(1500, 400)).astype(np.float32)
    index = HNSW(storage="int8").add(vectors)
    assert index.graph.codes.basis.shape == (0, 400)
    found = index.search(vectors[:100], 10, ef_search=300)
    assert ann.recall(found, Exact().add(vectors).search(vectors[:100], 10)) > 0.97


def test_codes_follow_rows_of_another_range_and_growth():
    near, far = features(3000), 4 * features(3000, seed=5) + 5
    index = HNSW(storage="int8").add(near).add(far)
    for queries in (near[:100], far[:100]):
        truth = Exact().add(np.concatenate([near, far])).search(queries, 10)
        assert ann.recall(index.search(queries, 10, ef_search=200), truth) > 0.95
    grown = HNSW(storage="int8")
    for start in range(0, 3000, 500):
        grown.add(near[start : start + 500])
    assert grown.graph.codes.fitted_rows == 2000
    assert ann.recall(grown.search(near[:100], 10, ef_search=80), Exact().add(near).search(near[:100], 10)) > 0.99


def test_mnist_is_read_through_two_cache_lines_a_row():
    import gzip

    raw = gzip.decompress(data_file("ann/mnist-train-images-idx3-ubyte.gz").read_bytes())
    images = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 784)[:6000].astype(np.float32)
    index = HNSW(storage="int8").add(images[:5800])
    assert index.graph.codes.codes.shape[1] == 128
    truth = Exact().add(images[:5800]).search(images[5800:], 10)
    assert ann.recall(index.search(images[5800:], 10, ef_search=100), truth) > 0.99


def test_one_thread_and_two_write_the_same_codes_and_links():
    vectors = features(2500)
    first, second = (HNSW("cosine", storage="int8", threads=t).add(vectors).graph for t in (1, 2))
    assert first.codes.codes.tobytes() == second.codes.codes.tobytes()
    assert first.links.tobytes() == second.links.tobytes()


@pytest.mark.parametrize("metric", METRICS)
def test_save_and_load_keep_codes(metric, tmp_path):
    vectors, queries = features(1500), features(50, seed=1)
    index = HNSW(metric, storage="int8").add(vectors)
    index.save(tmp_path / "a.nh")
    loaded = ann.load(tmp_path / "a.nh")
    assert loaded.storage == "int8"
    assert loaded.graph.codes.codes.tobytes() == index.graph.codes.codes[:1500].tobytes()
    assert loaded.search(queries, 10).ids.tolist() == index.search(queries, 10).ids.tolist()
    more = features(300, seed=3)
    assert loaded.add(more).search(queries, 10).ids.tolist() == index.add(more).search(queries, 10).ids.tolist()
    store = GraphStore.from_edges(np.arange(1499), np.arange(1, 1500))
    store.nodes["x"] = vectors
    HNSW.from_store(store, "x", metric=metric, storage="int8").save_into(store, "near")
    assert HNSW.attach(store, "near").search(queries, 10).distances.shape == (50, 10)


def test_too_many_dimensions_for_32_bit_ranks_are_refused():
    with pytest.raises(InvalidInput, match="at most 16,384 dimensions; got 20,000"):
        HNSW(storage="int8").add(np.zeros((2, 20_000), np.float32))
