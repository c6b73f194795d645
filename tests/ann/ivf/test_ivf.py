"""The inverted-file index: exact when all lists are probed, and the protocol of every index."""

from __future__ import annotations

import numpy as np
import pytest

from nearhop import ann
from nearhop.ann import Exact, IVFFlat
from nearhop.graphlib.errors import IndexMismatch, InvalidInput, NotFitted, NotFound, StoreCorrupt
from nearhop.tests.support import needs

METRICS = ["l2", "ip", "cosine"]


def rows_of(count, dim=10, seed=0):
    centres = np.random.default_rng(9).normal(size=(20, dim)) * 3
    rng = np.random.default_rng(seed)
    return (centres[rng.integers(20, size=count)] + rng.normal(size=(count, dim))).astype(np.float32)


@pytest.mark.parametrize("metric", METRICS)
def test_all_lists_are_exact_and_more_lists_find_more(metric):
    vectors, queries = rows_of(3000), rows_of(100, seed=1)
    index = IVFFlat(metric, nlist=40, seed=3).add(vectors, ids=np.arange(3000) * 2)
    truth = Exact(metric).add(vectors, ids=np.arange(3000) * 2).search(queries, 10)
    found = index.search(queries, 10, nprobe=40)
    assert found.ids.tolist() == truth.ids.tolist()
    np.testing.assert_allclose(found.distances, truth.distances, rtol=1e-4, atol=1e-4)
    shares = [ann.recall(index.search(queries, 10, nprobe=p), truth) for p in (1, 4, 16)]
    assert shares == sorted(shares)
    assert shares[1] > 0.8
    assert index.list_sizes.sum() == 3000
    one = index.search(queries, 10, nprobe=4, threads=1)
    assert one.ids.tolist() == index.search(queries, 10, nprobe=4).ids.tolist()


@pytest.mark.parametrize("metric", METRICS)
def test_add_remove_compact_save(metric, tmp_path):
    vectors = rows_of(800)
    index = IVFFlat(metric, nlist=10, nprobe=10).fit(vectors).add(vectors[:500]).add(vectors[500:])
    index.remove(np.arange(0, 800, 2))
    truth = Exact(metric).add(vectors[1::2], ids=np.arange(1, 800, 2)).search(vectors, 3)
    assert index.search(vectors, 3).ids.tolist() == truth.ids.tolist()
    index.save(tmp_path / "a.nh")
    loaded = ann.load(tmp_path / "a.nh")
    assert (loaded.nlist, loaded.nprobe, loaded.metric, len(loaded)) == (10, 10, metric, 400)
    for same in (loaded, index.compact()):
        assert same.search(vectors, 3).ids.tolist() == truth.ids.tolist()
    assert len(index.vectors()) == 400
    with pytest.raises(NotFound):
        index.remove([0])


def test_filters_and_short_lists():
    vectors = rows_of(600)
    index = IVFFlat(nlist=30, nprobe=1).add(vectors)
    bitmap = np.zeros(600, bool)
    bitmap[[5, 77, 400]] = True
    found = index.search(vectors[:9], 4, filter=bitmap)
    assert found.counts.tolist() == [3] * 9
    assert {frozenset(row[:3]) for row in found.ids.tolist()} == {frozenset({5, 77, 400})}
    assert index.search(vectors[:9], 2, filter=[77]).counts.tolist() == [1] * 9
    per_query = np.eye(9, 600, dtype=bool)
    assert index.search(vectors[:9], 1, filter=per_query).ids[:, 0].tolist() == list(range(9))
    assert index.search(vectors[0], 1000).counts.tolist() == [600]
    assert index.search(np.empty((0, 10)), 3).ids.shape == (0, 3)
    assert "nlist=30" in repr(index)


def test_centroids_are_reproducible_and_survive_copies():
    vectors = rows_of(2000)
    a, b = IVFFlat(nlist=16).fit(vectors), IVFFlat(nlist=16, threads=1).fit(vectors)
    assert a.centroids.tobytes() == b.centroids.tobytes()
    assert IVFFlat(nlist=16, seed=1).fit(vectors).centroids.tobytes() != a.centroids.tobytes()
    copies = np.repeat(vectors[:3], 50, axis=0)
    index = IVFFlat(nlist=20, nprobe=20).add(copies)
    assert np.isfinite(index.centroids).all()
    assert index.search(vectors[:3], 50).distances.max() == 0


@needs("sklearn")
def test_kmeans_is_about_as_good_as_scikit_learns():
    from sklearn.cluster import KMeans

    vectors = np.random.default_rng(0).normal(size=(2000, 6)).astype(np.float32)
    ours = IVFFlat(nlist=20).fit(vectors)
    inertia = Exact().add(ours.centroids).search(vectors, 1).distances.sum()
    theirs = KMeans(20, init="random", n_init=1, max_iter=10, random_state=0).fit(vectors).inertia_
    assert inertia < 1.05 * theirs


def test_mistakes_are_named():
    with pytest.raises(NotFitted, match="call fit"):
        _ = IVFFlat().centroids
    with pytest.raises(InvalidInput, match="5 vectors cannot make nlist = 256 lists"):
        IVFFlat().add(rows_of(5))
    with pytest.raises(InvalidInput, match="nprobe must be an integer >= 1; got 0"):
        IVFFlat(nlist=4, nprobe=0).add(rows_of(9))
    index = IVFFlat(nlist=4, nprobe=2).add(rows_of(9))
    with pytest.raises(InvalidInput, match="nprobe must be an integer >= 1; got -1"):
        index.search(rows_of(1), 1, nprobe=-1)
    with pytest.raises(InvalidInput, match="holds rows already"):
        index.fit(rows_of(9))
    with pytest.raises(IndexMismatch, match="width 3 but the index has dim 10"):
        index.add(np.ones((2, 3)))
    with pytest.raises(NotFitted):
        IVFFlat().save("never.nh")


@pytest.mark.parametrize("name", ["nlist", "coarse", "list", "centroid", "metric"])
def test_damaged_stores_are_refused(name, tmp_path):
    import nearhop

    IVFFlat(nlist=4).add(rows_of(50)).save(tmp_path / "a.nh")
    store = nearhop.open(tmp_path / "a.nh")
    if name == "list":
        store.nodes("node")["list"] = np.full(50, 4)
    elif name == "centroid":
        store.nodes("list")["centroid"] = np.ones((4, 3), np.float32)
    else:
        store.attributes["index"][name] = {"nlist": 5, "coarse": "taxi", "metric": "taxi"}[name]
    with pytest.raises(StoreCorrupt, match=r"a\.nh"):
        IVFFlat._opened(store)
