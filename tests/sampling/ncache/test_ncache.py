"""The N-cache equals a reference over dictionaries, at any order within a batch and any number of threads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearhop.graphlib.errors import InvalidInput, InvalidType
from nearhop.sampling import NCache
from nearhop.sampling.ncache.cache import COLUMNS
from nearhop.tests.reference.ncache import ReferenceCache
from nearhop.tests.support import examples


def stream_of(num_nodes, count, seed=0):
    """Events with repeated pairs, repeated times and self-loops."""
    rng = np.random.default_rng(seed)
    src, dst = (rng.random((2, count)) ** 2 * num_nodes).astype(np.int64)
    return src, dst, np.sort(rng.integers(0, 1 + count // 2, count)).astype(float), rng.permutation(count) + 5


def assert_same(cache, other):
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(cache, name), other[name], err_msg=name)


def grown(node, hop, slot, entry):
    """A stand-in for the recurrent step: a value that depends on where it stands and on what it was."""
    return (0.5 * entry[3] + np.float32(1 + node + 10 * hop + 100 * slot)).astype(np.float32)


def insert_grown(cache, src, dst, time, edge_ids, epoch=0):
    read = cache.lookup(np.unique(np.concatenate([src, dst])))
    slot = read.column - cache.starts[read.hop]
    node = np.repeat(read.nodes, np.diff(read.indptr))
    values = 0.5 * read.value + (1 + node + 10 * read.hop + 100 * slot).astype(np.float32)[:, None]
    cache.insert(src, dst, time=time, edge_ids=edge_ids, read=read, values=values, epoch=epoch)


@examples(40)
@given(
    st.integers(1, 12),
    st.sampled_from([(1,), (1, 1), (1, 5), (1, 4, 3), (1, 32, 16), (1, 6, 1)]),
    st.sampled_from([0.0, 0.5, 0.9, 1.0]),
    st.sampled_from(["prime", "quadratic"]),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_equals_the_reference(num_nodes, sizes, alpha, kind, keep_self, seed):
    options = {"value_dim": 2, "replace_prob": alpha, "seed": seed, "hash": kind, "keep_self": keep_self}
    cache = NCache(num_nodes, sizes, **options)
    reference = ReferenceCache(num_nodes, sizes, 2, alpha, seed, kind, keep_self)
    columns = stream_of(num_nodes, 40, seed)
    for start, stop in ((0, 1), (1, 1), (1, 14), (14, 40)):
        part = [c[start:stop] for c in columns]
        src, dst, time, names = part
        insert_grown(cache, src, dst, time, names, epoch=3)
        reference.insert(src, dst, time, names, updated=grown, epoch=3)
    assert_same(cache, reference.columns())
    joint = cache.lookup(np.arange(num_nodes)).join(np.arange(num_nodes), np.arange(num_nodes)[::-1])
    sums = joint.sums(cache.lookup(np.arange(num_nodes)).value)
    for u in range(num_nodes):
        rows = slice(joint.indptr[u], joint.indptr[u + 1])
        expected = reference.join(u, num_nodes - 1 - u)
        assert dict(zip(joint.key[rows].tolist(), joint.code[rows].tolist(), strict=True)) == {
            key: code for key, (code, _) in expected.items()
        }
        for key, total in zip(joint.key[rows], sums[rows], strict=True):
            np.testing.assert_allclose(total, np.sum(expected[key][1], axis=0), rtol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_order_within_a_batch_changes_nothing(seed):
    columns = stream_of(50, 400, seed)
    caches = [NCache(50, (1, 8, 4), seed=1) for _ in range(2)]
    for start in range(0, 400, 80):
        part = [c[start : start + 80] for c in columns]
        mixed = np.random.default_rng(start).permutation(80)
        insert_grown(caches[0], *part)
        insert_grown(caches[1], *(c[mixed] for c in part))
    assert_same(caches[0], vars(caches[1]))
    assert (caches[0].table(2) >= 0).mean() > 0.5


def test_threads_change_nothing():
    columns = stream_of(6000, 9000)
    caches = []
    for threads in (1, 2, 4):
        cache = NCache(6000, (1, 8, 4), threads=threads)
        for start in range(0, 9000, 3000):
            insert_grown(cache, *(c[start : start + 3000] for c in columns))
        caches.append(cache)
    reads = [cache.lookup(np.arange(6000)) for cache in caches]
    joints = [read.join(np.arange(6000), np.arange(6000)[::-1]) for read in reads]
    for cache, read, joint in zip(caches, reads, joints, strict=True):
        assert_same(cache, vars(caches[0]))
        for name in ("indptr", "key", "value", "place"):
            np.testing.assert_array_equal(getattr(read, name), getattr(reads[0], name))
        for name in ("indptr", "key", "code", "slot", "row"):
            np.testing.assert_array_equal(getattr(joint, name), getattr(joints[0], name))


def test_restored_cache_goes_on_as_if_never_stopped():
    columns = stream_of(30, 200)
    straight, stopped, fresh = (NCache(30, (1, 6, 5), seed=2) for _ in range(3))
    for cache in (straight, stopped):
        insert_grown(cache, *(c[:90] for c in columns))
    kept = stopped.snapshot()
    insert_grown(stopped, *(c[90:140] for c in columns))  # and is thrown away
    fresh.restore(kept)
    assert fresh.num_events == 90
    for cache in (straight, fresh):
        insert_grown(cache, *(c[90:] for c in columns))
    assert_same(straight, vars(fresh))
    stopped.reset()
    assert_same(stopped, vars(NCache(30, (1, 6, 5))))


def test_reads_hold_only_earlier_batches():
    src, dst, time, _ = stream_of(40, 600)
    names = np.arange(600)
    cache = NCache(40, (1, 8, 8))
    for start in range(0, 600, 50):
        part = slice(start, start + 50)
        read = cache.lookup(np.arange(40))
        assert read.edge_id.max() < start
        assert start == 0 or read.edge_id.max() >= start - 50
        before = read.key.copy()
        cache.insert(src[part], dst[part], time=time[part], edge_ids=names[part], read=read)
        np.testing.assert_array_equal(read.key, before)
    table = cache.lookup([3])
    for key, edge, when in zip(table.key[1:], table.edge_id[1:], table.time[1:], strict=True):
        assert key in (src[edge], dst[edge])
        assert when == time[edge]


def test_replacement_follows_the_probability():
    """Every event's key falls into the same slot of node 0, so the share of changes estimates alpha."""
    count = 4000
    cache = NCache(count + 1, (1, 1), value_dim=0, replace_prob=0.3, seed=7)
    changed, held = 0, -1
    for event in range(count):
        cache.insert([0], [event + 1])
        now = int(cache.table(1)[0, 0])
        changed += now != held
        held = now
    assert abs(changed / count - 0.3) < 4 * (0.21 / count) ** 0.5


def test_find_and_overlap():
    cache = NCache(400, (1, 64, 32), seed=3)
    rng = np.random.default_rng(0)
    src, dst = rng.integers(0, 400, (2, 6000))
    cache.insert(src, dst)
    nodes, keys = rng.integers(0, 400, (2, 500))
    found = cache.find(nodes, keys, hop=1)
    for node, key, slot in zip(nodes, keys, found, strict=True):
        assert (slot >= 0) == (key in cache.table(1)[node])
        if slot >= 0:
            assert cache.table(1)[node, slot] == key
    codes = cache.overlap_vectors(code_dim=64)
    pairs = list(zip(nodes, keys, strict=True))
    shared = np.array([np.intersect1d(cache.table(1)[a], cache.table(1)[b]).size for a, b in pairs])
    shared -= np.array([(cache.table(1)[[a, b]].min(axis=1) < 0).all() for a, b in pairs])
    error = (codes[nodes] * codes[keys]).sum(axis=1) - shared
    assert shared[nodes != keys].max() > 5
    assert abs(error.mean()) < 0.2
    assert error.std() < 64**0.5 / 8


def test_estimate_and_repr():
    cache = NCache(1000, (1, 4, 0))
    assert cache.sizes == (1, 4)
    assert NCache.estimate(1000, (1, 4)) == cache.nbytes
    assert repr(cache).startswith("NCache(1,000 nodes, sizes (1, 4), values of 4, 0 events, 0.")
    assert repr(cache.lookup([1, 2])) == "CacheRead(2 nodes, 2 occupied slots)"
    assert repr(cache.lookup([1, 2]).join([0], [1])) == "JointRead(1 pairs, 2 rows of 2 slots)"
    assert cache.lookup([]).join([], []).bits().shape == (0, 4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NCache(3, (2, 4)), "sizes must be 1 for the node itself"),
        (lambda: NCache(3, (1, 0, 4)), "sizes must be 1 for the node itself"),
        (lambda: NCache(3, (1, 4, 4, 4)), "sizes must be 1 for the node itself"),
        (lambda: NCache(3, replace_prob=1.5), r"replace_prob must be a probability in \[0, 1\]; got 1.5"),
        (lambda: NCache(3, hash="md5"), "hash must be one of 'prime', 'quadratic'; got 'md5'"),
        (lambda: NCache(3).lookup([3]), r"nodes\[0\] is 3, but nodes are 0..2"),
        (lambda: NCache(3).insert([0], [1, 2]), "src and dst must be equally long; got 1 and 2"),
        (lambda: NCache(3).insert([0], [1], time=[np.nan]), "time holds a value that is not finite"),
        (lambda: NCache(3).insert([0], [1], time=[1, 2]), r"time must have shape \(1,\)"),
        (lambda: NCache(3).insert([0], [1], edge_ids=[-1]), "edge_ids must be integers >= 0 .* got int64 from -1"),
        (
            lambda: NCache(3).insert([0], [1], edge_ids=np.array([2**64 - 1], np.uint64)),
            "below 2.63; got uint64 from 1844674",
        ),
        (lambda: NCache(3).insert([0], [1], values=[[1]]), "values belong to the slots of a read"),
        (lambda: NCache(3).insert([0], [1], read=NCache(3).lookup([0])), "node 1 is not among the nodes of the read"),
        (lambda: NCache(3).find([0], [0], hop=3), "hop must be 0..2, the tables of this cache; got 3"),
        (
            lambda: NCache(3).restore(NCache(4).snapshot()),
            r"keys must be int32 \(3, 49\), but the snapshot's is int32 ",
        ),
        (lambda: NCache(3).lookup([0]).join([1], [0]), r"first\[0\] is 1, but nodes are 0..0"),
    ],
)
def test_errors(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()


def test_node_ids_must_be_integers():
    with pytest.raises(InvalidType, match="nodes must hold integer node positions; got dtype float64"):
        NCache(3).lookup([0.5])
