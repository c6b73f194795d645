"""HNSW: the paper's graph item by item, recall, filters, deletes, determinism and refused input."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys

import numpy as np
import pytest

from nearhop.ann import HNSW, Exact
from nearhop.graphlib.errors import IndexMismatch, InvalidInput, NotFound
from nearhop.tests.reference import hnsw as reference
from nearhop.tests.support import data_file, needs

METRICS = ("l2", "ip", "cosine")


def clustered(rows=5000, dim=32, clusters=20, seed=0):
    """Well separated clusters of low inner dimension, like digits."""
    rng = np.random.default_rng(seed)
    centres = 6 * rng.normal(size=(clusters, dim))
    frames = rng.normal(size=(clusters, 8, dim))
    label = rng.integers(0, clusters, rows)
    points = centres[label] + np.einsum("nd,ndf->nf", rng.normal(size=(rows, 8)), frames[label])
    return points.astype(np.float32)


def uniform(rows=5000, dim=16, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)


def recall(found, wanted):
    """The share of the wanted ids that were found."""
    hits = [np.isin(w[w >= 0], f) for f, w in zip(found.ids, wanted.ids, strict=True)]
    return np.concatenate(hits).mean()


def layers_of(index):
    graph = index.graph
    layers = []
    for level in range(graph.top + 1):
        rows = {}
        for node in np.flatnonzero(graph.levels[: graph.count] >= level).tolist():
            row = node if level == 0 else graph.upper_row[node] + level - 1
            table, counts = (graph.links, graph.counts) if level == 0 else (graph.upper, graph.upper_count)
            rows[node] = table[row, : counts[row]].tolist()
        layers.append(rows)
    return layers


@pytest.fixture(scope="module")
def built():
    vectors = clustered()
    return HNSW(seed=3).add(vectors), Exact().add(vectors), vectors, clustered(seed=1)[:100]


@pytest.mark.parametrize("metric", ["l2", "ip"])
def test_the_first_hundred_items_make_the_papers_graph(metric):
    # Small integers, so that distances are exact in float32; batches hold one item up to the hundredth.
    vectors = np.random.default_rng(5).integers(-9, 10, (100, 6)).astype(np.float32)
    index = HNSW(metric, M=4, ef_construction=12, seed=1)
    index._insert(vectors, np.arange(100), None)
    graph = index.graph
    assert graph.top >= 1
    layers, entry, top = reference.build(vectors, graph.levels[:100].tolist(), 4, 12, metric)
    assert (graph.entry, graph.top) == (entry, top)
    mine = layers_of(index)
    repaired = 0
    for level in range(top + 1):
        for node, links in layers[level].items():
            extra = set(mine[level][node]) - set(links)
            assert set(links) <= set(mine[level][node])
            repaired += len(extra)
    assert repaired <= (2 if metric == "l2" else 40)  # links of the connectivity repair, none of which the paper makes


@pytest.mark.parametrize("metric", METRICS)
def test_search_equals_the_reference_on_the_same_graph(metric):
    rng = np.random.default_rng(2)
    vectors = rng.integers(-9, 10, (400, 8)).astype(np.float32)
    queries = rng.integers(-9, 10, (30, 8)).astype(np.float32)
    index = HNSW(metric, M=5, ef_construction=30).add(vectors)
    layers, graph = layers_of(index), index.graph
    result = index.search(queries, 10, ef_search=15)
    for q in range(30):
        wanted = reference.search(vectors, layers, queries[q], graph.entry, graph.top, 15, 10, metric)
        assert np.allclose(result.distances[q], [d for d, _ in wanted], atol=1e-5)
        if metric != "cosine":  # whose float32 ties fall differently
            assert result.ids[q].tolist() == [node for _, node in wanted]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("make", [uniform, clustered])
def test_recall_against_exact_search(metric, make):
    vectors, queries = make(), make(seed=9)[:200]
    index = HNSW(metric).add(vectors)
    # The inner product is no metric: on clusters of very different norms the pruning rule costs recall.
    bound = 0.95 if (metric, make) == ("ip", clustered) else 0.98
    assert recall(index.search(queries, 10, ef_search=100), Exact(metric).add(vectors).search(queries, 10)) > bound
    assert index.verify().unreachable == 0


@needs("hnswlib")
@pytest.mark.parametrize("rows", [5000, pytest.param(60_000, marks=pytest.mark.slow)], ids=["short", "acceptance"])
def test_mnist_recall_is_hnswlibs(rows):
    import hnswlib

    def images(name):
        raw = gzip.decompress(data_file(f"ann/{name}").read_bytes())
        return np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 784).astype(np.float32)

    vectors = images("mnist-train-images-idx3-ubyte.gz")[:rows]
    queries = images("mnist-t3k-images-idx3-ubyte.gz")[: rows // 20]
    wanted = Exact().add(vectors).search(queries, 10)
    mine = recall(HNSW(M=16, ef_construction=200).add(vectors).search(queries, 10, ef_search=100), wanted)
    theirs = hnswlib.Index("l2", 784)
    theirs.init_index(rows, M=16, ef_construction=200)
    theirs.add_items(vectors)
    theirs.set_ef(100)
    labels = theirs.knn_query(queries, 10)[0]
    other = np.mean([len(set(f) & set(w)) / 10 for f, w in zip(labels.tolist(), wanted.ids.tolist(), strict=True)])
    assert mine >= 0.99
    assert mine >= other - 0.002


@pytest.mark.parametrize("share", [0.9, 0.5, 0.2, 0.05, 0.002])
def test_filters_at_every_selectivity(built, share):
    index, exact, _, queries = built
    mask = np.random.default_rng(4).random(5000) < share
    result, wanted = index.search(queries, 10, filter=mask), exact.search(queries, 10, filter=mask)
    assert (result.counts == wanted.counts).all()
    assert mask[result.ids[result.ids >= 0]].all()
    assert recall(result, wanted) > 0.97
    by_id = index.search(queries, 10, filter=np.flatnonzero(mask))
    assert by_id.ids.tolist() == result.ids.tolist()


def test_a_filter_that_excludes_the_neighbourhood_still_fills_every_row(built):
    index, exact, vectors, _ = built
    mask = vectors @ vectors[0] < np.quantile(vectors @ vectors[0], 0.6)
    result = index.search(vectors[:1], 10, filter=mask, ef_search=10)
    assert result.counts.tolist() == [10]
    assert recall(result, exact.search(vectors[:1], 10, filter=mask)) == 1


def test_one_bitmap_per_query(built):
    index, _, _, queries = built
    masks = np.random.default_rng(4).random((100, 5000)) < np.linspace(0, 1, 100)[:, None]
    result = index.search(queries, 10, filter=masks)
    for q in (0, 1, 40, 99):
        assert result.ids[q].tolist() == index.search(queries[q], 10, filter=masks[q]).ids[0].tolist()


def test_deleted_rows_are_never_returned_and_compact_drops_them():
    vectors = clustered(2000)
    index = HNSW(seed=1).add(vectors, ids=np.arange(2000) * 3)
    gone = np.arange(0, 2000, 2) * 3
    assert index.remove(gone) == 1000
    wanted = Exact().add(vectors[1::2], ids=np.arange(1, 2000, 2) * 3).search(vectors[:100], 10)
    result = index.search(vectors[:100], 10)
    assert not set(result.ids.ravel().tolist()) & set(gone.tolist())
    assert recall(result, wanted) > 0.98
    assert index.stats().dead_fraction == 0.5
    assert "1,000 deleted" in repr(index)
    with pytest.raises(NotFound, match="id 0 is not in the index"):
        index.remove([3, 0])
    assert len(index) == 1000
    assert index.compact().stats().deleted == 0
    assert recall(index.search(vectors[:100], 10), wanted) > 0.98
    index.add(vectors[:1], ids=[0])
    assert index.search(vectors[0], 1).ids.tolist() == [[0]]
    index.remove(index.ids)
    assert (index.search(vectors[:2], 3).counts == 0).all()


def test_small_and_empty_indexes():
    assert (HNSW().search(np.zeros((2, 4)), 3).ids == -1).all()
    one = HNSW().add(np.ones((1, 4)), ids=[-5])
    result = one.search(np.zeros(4), 3)
    assert (result.ids.tolist(), result.counts.tolist()) == ([[-5, -1, -1]], [1])
    assert result.distances[0, 0] == 4
    many = HNSW().add(uniform(50)).search(uniform(3, seed=1), 200)
    assert (many.counts == 50).all()
    assert len(HNSW().add(np.empty((0, 4)))) == 0


@pytest.mark.parametrize("copies", [100, 1500])
def test_identical_vectors_are_all_found_and_cut_nothing_off(copies):
    vectors = np.concatenate([np.tile(uniform(1), (copies, 1)), uniform(1000, seed=1)])
    index = HNSW(M=8, ef_construction=40).add(vectors)
    assert index.verify().unreachable == 0
    result = index.search(vectors[0], copies)
    assert (result.distances == 0).mean() >= 0.99
    assert set(result.ids[result.distances == 0].tolist()) <= set(range(copies))
    others = index.search(vectors[copies : copies + 50], 1, ef_search=100)
    assert recall(others, Exact().add(vectors).search(vectors[copies : copies + 50], 1)) > 0.95


def test_unrelated_rows_beside_near_duplicates_are_found_as_if_added_one_by_one():
    rng = np.random.default_rng(0)
    near = (rng.normal(size=128) + 1e-2 * rng.normal(size=(1500, 128))).astype(np.float32)
    far, ids = rng.normal(size=(28, 128)).astype(np.float32), np.arange(1500, 1528)
    whole, single = (HNSW("cosine", M=8, ef_construction=60).add(near) for _ in range(2))
    whole.add(far)
    for row in far:
        single.add(row[None])
    hits = [(index.search(far, 10).ids == ids[:, None]).any(axis=1).mean() for index in (whole, single)]
    assert hits[0] >= hits[1] - 0.1
    assert hits[0] > 0.8
    assert whole.verify().unreachable == 0


def test_growth_in_many_calls_equals_recall_of_one():
    vectors, queries = uniform(3000), uniform(100, seed=1)
    index = HNSW()
    for start in range(0, 3000, 250):
        index.add(vectors[start : start + 250])
    assert recall(index.search(queries, 10), Exact().add(vectors).search(queries, 10)) > 0.98
    assert index.ids.tolist() == list(range(3000))


def test_same_bits_at_any_thread_count():
    code = (
        "import numpy as np, hashlib\n"
        "from nearhop.ann import HNSW\n"
        "x = np.random.default_rng(0).normal(size=(3000, 24)).astype(np.float32)\n"
        "x[:60] = x[0]\n"
        "i = HNSW('cosine', seed=7).add(x[:2500]).add(x[2500:]); g = i.graph; h = hashlib.sha256()\n"
        "r = i.search(x[:200], 7)\n"
        "n = g.count; u = int(g.levels[:n].sum())\n"
        "for a in (g.links[:n], g.counts[:n], g.upper[:u], g.upper_count[:u], r.ids, r.distances):\n"
        "    h.update(a.tobytes())\n"
        "print(h.hexdigest(), g.entry)"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "NUMBA_NUM_THREADS": str(threads)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in (1, 2, 4)
    }
    assert len(seen) == 1


def test_results_do_not_depend_on_batches_or_threads(built):
    index, _, _, queries = built
    whole = index.search(queries, 10, threads=2)
    assert whole.ids.tolist() == [index.search(q, 10, threads=1).ids[0].tolist() for q in queries]


def test_different_seeds_make_different_graphs():
    vectors = uniform(500)
    first, second = (HNSW(seed=s).add(vectors).graph for s in (0, 1))
    assert first.levels.tolist() != second.levels.tolist()


def test_progress_and_interruption_leave_a_valid_index():
    vectors, calls = uniform(3000), []

    def stop(done, total):
        calls.append((done, total))
        if done > 1000:
            raise KeyboardInterrupt

    index = HNSW()
    with pytest.raises(KeyboardInterrupt):
        index.add(vectors, progress=stop)
    done = calls[-1][0]
    assert 1000 < done < 3000
    assert calls == sorted(calls)
    assert {total for _, total in calls} == {3000}
    assert len(index) == done
    index.verify()
    assert index.search(vectors[5], 1).ids.tolist() == [[5]]
    index.add(vectors[done:])
    assert index.verify().live == 3000
    assert recall(index.search(vectors[:50], 10), Exact().add(vectors).search(vectors[:50], 10)) > 0.98


def test_refused_input_leaves_the_index_as_it_was(built):
    index, _, vectors, queries = built
    before = index.search(queries, 5)
    for bad, kind, words in [
        ({"vectors": vectors[:2, :5]}, IndexMismatch, "width 5 but the index has dim 32"),
        ({"vectors": np.full((1, 32), np.inf)}, InvalidInput, r"vectors\[0, 0\] is inf"),
        ({"vectors": vectors[:2], "ids": [9000, 9000]}, InvalidInput, "id 9000 is given twice"),
        ({"vectors": vectors[:2], "ids": [9000, 17]}, InvalidInput, "id 17 is in the index already"),
        ({"vectors": vectors[:2], "ids": [9000]}, InvalidInput, "one per vector"),
    ]:
        with pytest.raises(kind, match=words):
            index.add(**bad)
    with pytest.raises(IndexMismatch, match="queries have width 31 but the index has dim 32"):
        index.search(queries[:, :31], 1)
    with pytest.raises(InvalidInput, match="ef_search must be an integer >= 1; got 0"):
        index.search(queries, 1, ef_search=0)
    assert index.search(queries, 5).ids.tolist() == before.ids.tolist()
    assert len(index) == 5000


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"metric": "angle"}, "'l2', 'ip', 'cosine', 'hamming'; got 'angle'"),
        ({"M": 1}, "M must be an integer >= 2; got 1"),
        ({"ef_construction": 0}, "ef_construction must be an integer >= 1"),
        (
            {"storage": "int3"},
            "storage must be one of 'float32', 'float16', 'int8', 'int8-float16', 'int8-only', 'int4', "
            "'1bit', 'int4-only', '1bit-only', 'auto'; got 'int3'",
        ),
        ({"seed": -1}, "seed must be an integer >= 0"),
    ],
)
def test_parameters_are_checked_when_used(option, words):
    index = HNSW(**option)
    with pytest.raises(InvalidInput, match=words):
        index.add(np.zeros((2, 3)))


def test_read_only_and_strided_arrays_are_taken_and_left_alone():
    vectors = uniform(300)
    strided = np.repeat(vectors, 2, axis=1)[:, ::2]
    strided.flags.writeable = False
    index = HNSW().add(strided)
    assert index.search(strided[:20], 3).ids.tolist() == HNSW().add(vectors).search(vectors[:20], 3).ids.tolist()
    vectors[:] = 0
    assert index.verify().live == 300
    assert index.search(strided[7], 1).distances[0, 0] == 0
