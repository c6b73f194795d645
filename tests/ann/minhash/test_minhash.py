"""Signatures: equal to the definition and to datasketch, right on average, mergeable, the same at any thread count."""

from __future__ import annotations

import hashlib
import tracemalloc

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from nearhop import GraphStore
from nearhop import open as open_store
from nearhop.ann.minhash.bbit import BBitSignatures
from nearhop.ann.minhash.minhash import MinHash
from nearhop.ann.minhash.oph_cpu import probe_tables
from nearhop.ann.minhash.schemes import _words
from nearhop.ann.minhash.sets import RaggedSets
from nearhop.ann.minhash.shingling import shingles
from nearhop.graphlib.compute.random_cpu import mix64
from nearhop.graphlib.errors import IndexMismatch, InvalidInput, InvalidType
from nearhop.tests.reference import minhash as reference
from nearhop.tests.support import examples, needs

SCHEMES = ["kperm", "datasketch", "datasketch-legacy", "oph", "cminhash", "probminhash"]
MERGEABLE = SCHEMES[:-1]
EMPTY = np.uint32(reference.EMPTY)


def pairs_of_sets(count=300, low=20, high=300, seed=0):
    rng = np.random.default_rng(seed)
    sets, truth = [], []
    for _ in range(count):
        size = int(rng.integers(low, high))
        both = int(rng.integers(0, size))
        pool = rng.choice(1 << 30, 2 * size - both, replace=False)
        sets += [pool[:size], np.r_[pool[:both], pool[size:]]]
        truth.append(both / (2 * size - both))
    return sets, np.array(truth)


def random_store(n=60, m=300, seed=0, directed=True, ids=None):
    ends = np.random.default_rng(seed).integers(0, n, (2, m))
    store = GraphStore.from_edges(ends[0], ends[1], num_nodes=n, directed=directed)
    if ids is not None:
        store.set_ids(ids)
    return store


@examples(40)
@given(
    st.lists(st.lists(st.integers(0, 2**32 - 1), max_size=30), min_size=1, max_size=8),
    st.integers(1, 70),
    st.integers(0, 2**32 - 1),
)
def test_affine_signatures_follow_the_definition(sets, num_perm, seed):
    got = MinHash(num_perm, seed=seed).fit_transform(sets)
    assert got.tolist() == [reference.affine_signature(s, num_perm, seed) for s in sets]


@pytest.mark.parametrize("num_perm", [1, 7, 64, 300])
def test_one_permutation_signatures_follow_the_definition(num_perm):
    """Set sizes from 1 to many times K take both ways of filling empty slots."""
    rng = np.random.default_rng(num_perm)
    sets = [rng.integers(0, 1 << 32, size) for size in (0, 1, 2, 3, 10, 40, 100, 300, 700, 1500, 3000)]
    key = int(_words(9, 1, 1)[0] >> np.uint64(32))
    probes, ranks = np.empty((num_perm, num_perm), np.int64), np.empty((num_perm, num_perm), np.int64)
    probe_tables(9, probes, ranks)
    assert (np.sort(probes, axis=1) == np.arange(num_perm)).all()
    assert (probes[:, 0] == np.arange(num_perm)).all()
    got = MinHash(num_perm, "oph", seed=9).fit_transform(sets)
    assert got.tolist() == [reference.one_permutation_signature(s, key, probes.tolist()) for s in sets]


@pytest.mark.parametrize("num_perm", [1, 33, 5000])
def test_circulant_signatures_follow_the_definition(num_perm):
    rng = np.random.default_rng(num_perm)
    sets = [rng.integers(0, 1 << 32, size) for size in (0, 1, 2, 5, 8)]
    circle = max(4096, num_perm)
    key, table = int(_words(9, 2, 1)[0]), (_words(9, 6, circle) >> np.uint64(32)).astype(np.uint32)
    got = MinHash(num_perm, "cminhash", seed=9).fit_transform(sets)
    for row, elements in zip(got, sets, strict=True):
        assert row.tolist() == reference.circulant_signature(elements, num_perm, key, circle, table, mix64)


@needs("datasketch")
@pytest.mark.parametrize(("scheme", "theirs"), [("datasketch", "affine32"), ("datasketch-legacy", "legacy")])
@pytest.mark.parametrize("seed", [1, 77])
def test_digests_equal_datasketch(scheme, theirs, seed):
    import datasketch

    rng = np.random.default_rng(seed)
    sets = [
        [bytes(rng.integers(0, 256, rng.integers(0, 130)).astype(np.uint8)) for _ in range(k)] for k in (0, 1, 9, 40)
    ]
    got = MinHash(100, scheme, seed=seed).fit_transform(sets)
    for row, tokens in zip(got, sets, strict=True):
        other = datasketch.MinHash(100, seed=seed, scheme=theirs)
        for token in tokens:
            other.update(token)
        assert row.tolist() == other.hashvalues.tolist()


def test_sha1_of_every_length_around_its_blocks():
    tokens = [[bytes([length % 251]) * length] for length in [*range(130), 1000]]
    hashed = RaggedSets.of(tokens, token_hash=MinHash(1, "datasketch")._scheme().token_hash).values
    expected = [int.from_bytes(hashlib.sha1(t[0]).digest()[:4], "little") for t in tokens]
    assert hashed.tolist() == expected


@pytest.mark.parametrize("scheme", SCHEMES)
def test_estimates_are_right_on_average(scheme):
    sets, truth = pairs_of_sets()
    num_perm = 256
    minhash = MinHash(num_perm, scheme, seed=5)
    at = np.arange(0, len(sets), 2)
    error = minhash.pair_similarity(minhash.fit_transform(sets), at, at + 1) - truth
    theory = np.sqrt(np.mean(truth * (1 - truth) / num_perm))
    assert np.sqrt(np.mean(error**2)) < 1.35 * theory  # one-permutation hashing of small sets is the widest
    assert abs(error.mean()) < 5 * theory / np.sqrt(len(truth))


def test_circulant_tables_of_a_known_universe():
    rng = np.random.default_rng(0)
    sets = [rng.choice(500, 150, replace=False) for _ in range(200)]
    truth = [reference.jaccard(a, b) for a, b in zip(sets[::2], sets[1::2], strict=True)]
    minhash = MinHash(400, "cminhash", universe=500)
    error = minhash.pair_similarity(minhash.fit_transform(sets), np.arange(0, 200, 2), np.arange(1, 200, 2)) - truth
    independent = np.sqrt(np.mean(np.multiply(truth, np.subtract(1, truth)) / 400))
    assert np.sqrt(np.mean(error**2)) < independent  # strictly below K independent permutations
    with pytest.raises(InvalidInput, match=r"0\.\.499"):
        minhash.fit_transform([[3, 500]])


def test_weights_decide_the_probability_jaccard():
    rng = np.random.default_rng(1)
    minhash, errors = MinHash(1024, "probminhash"), []
    for _ in range(20):
        names = rng.choice(10_000, 60, replace=False)
        x, y = names[:40], names[20:]
        wx, wy = rng.exponential(size=40), rng.exponential(size=40)
        signatures = minhash.fit_transform([x, y], weights=np.r_[wx, wy])
        expected = reference.probability_jaccard(dict(zip(x, wx, strict=True)), dict(zip(y, wy, strict=True)))
        errors.append(minhash.pair_similarity(signatures, [0], [1])[0] - expected)
    assert abs(np.mean(errors)) < 0.01
    assert np.std(errors) < 0.025
    # weight 0 is absence, and parallel elements add up
    a = minhash.fit_transform([[5, 6, 7]], weights=[1.0, 0.0, 2.0])
    b = minhash.fit_transform([[7, 5, 7]], weights=[0.5, 1.0, 1.5])
    assert a.tolist() == b.tolist()


@pytest.mark.parametrize("scheme", MERGEABLE)
def test_merging_is_the_signature_of_the_union(scheme):
    sets, _ = pairs_of_sets(40, 1, 60, seed=2)
    sets += [[], sets[0], [], []]
    minhash = MinHash(64, scheme, seed=3)
    signatures = minhash.fit_transform(sets)
    merged = minhash.merge(signatures[::2], signatures[1::2])
    joined = [np.r_[a, b].astype(np.int64) for a, b in zip(sets[::2], sets[1::2], strict=True)]
    assert merged.tolist() == minhash.fit_transform(joined).tolist()
    in_place = signatures[::2].copy()
    minhash.merge(in_place, signatures[1::2], out=in_place)
    assert in_place.tolist() == merged.tolist()


def test_probminhash_says_that_it_cannot_merge():
    minhash = MinHash(8, "probminhash")
    rows = minhash.fit_transform([[1]])
    with pytest.raises(InvalidInput, match="cannot merge"):
        minhash.merge(rows, rows)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_order_repeats_threads_and_blocks_do_not_matter(scheme, monkeypatch):
    sets, _ = pairs_of_sets(30, 1, 80, seed=4)
    rng = np.random.default_rng(0)
    shuffled = [rng.permutation(s) for s in sets]
    if scheme != "probminhash":  # there a repeat adds weight
        shuffled = [np.r_[s, s[:3]] for s in shuffled]
    one = MinHash(48, scheme, threads=1).fit_transform(sets)
    assert MinHash(48, scheme, threads=2).fit_transform(shuffled).tolist() == one.tolist()
    whole = RaggedSets.of(sets)
    monkeypatch.setattr(RaggedSets, "blocks", lambda self: iter([(0, 1), (1, 7), (7, len(self))]))
    assert MinHash(48, scheme).fit_transform(whole).tolist() == one.tolist()


def test_blocks_cover_all_sets_and_bound_the_elements():
    sets = RaggedSets.of([range(3), [], range(50), [1], [2], range(4)])
    assert list(sets.blocks(elements=5)) == [(0, 2), (2, 3), (3, 5), (5, 6)]
    assert list(sets.blocks(elements=100, rows=4)) == [(0, 4), (4, 6)]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_empty_sets_hold_the_sentinel_and_are_similar_to_nothing(scheme):
    minhash = MinHash(32, scheme)
    signatures = minhash.fit_transform([[], [1, 2], []])
    assert (signatures[[0, 2]] == EMPTY).all()
    assert not (signatures[1] == EMPTY).all()
    assert minhash.similarity(signatures).diagonal().tolist() == [0, 1, 0]
    assert minhash.similarity(signatures)[0, 2] == 0


@pytest.mark.parametrize("count", [0, 1, 2, 7, 12])
def test_similarity_within_a_matrix_is_that_of_two(count):
    sets, _ = pairs_of_sets(6, 1, 40, seed=5)
    sets[3] = []
    minhash = MinHash(48)
    rows = minhash.fit_transform(sets)[:count]
    assert minhash.similarity(rows).tolist() == minhash.similarity(rows, rows).tolist()
    assert MinHash(48, threads=1).similarity(rows).tolist() == minhash.similarity(rows).tolist()


@pytest.mark.parametrize("direction", ["out", "in"])
@pytest.mark.parametrize("directed", [True, False])
def test_neighbourhoods_of_a_store(direction, directed):
    store = random_store(directed=directed)
    rows = store.csr() if direction == "out" else store.csc()
    minhash = MinHash(40)
    expected = minhash.fit_transform([rows.neighbors(v) for v in range(60)])
    assert minhash.fit_transform(store, direction=direction).tolist() == expected.tolist()
    matrix = scipy.sparse.csr_array((np.ones(rows.num_entries), rows.indices, rows.indptr), shape=(60, 60))
    assert minhash.fit_transform(matrix).tolist() == expected.tolist()


@pytest.mark.parametrize("names", ["integers", "texts"])
def test_signatures_do_not_depend_on_the_order_of_named_nodes(names):
    ids = np.arange(60) * 7 + 3 if names == "integers" else np.array([f"né{i}" for i in range(60)])
    store = random_store(ids=ids)
    order = np.random.default_rng(9).permutation(60)  # node order[i] of the store is node i of the other
    place = np.argsort(order)
    edges = store.edge_list()
    other = GraphStore.from_edges(place[edges.src], place[edges.dst], num_nodes=60, directed=True)
    other.set_ids(ids[order])
    minhash = MinHash(40)
    assert minhash.fit_transform(other).tolist() == minhash.fit_transform(store)[order].tolist()


@pytest.mark.parametrize("direction", ["out", "in"])
@pytest.mark.parametrize("directed", [True, False])
@pytest.mark.parametrize("scheme", ["kperm", "oph"])
def test_appended_edges_update_signatures(direction, directed, scheme):
    store = random_store(directed=directed)
    minhash = MinHash(32, scheme)
    before = minhash.fit_transform(store, direction=direction)
    kept, first = before.copy(), store.num_edges
    store.append_edges(np.array([0, 3, 64, 3]), np.array([9, 61, 1, 9]))
    after = minhash.append_edges(before, store, first, direction=direction)
    assert after.tolist() == minhash.fit_transform(store, direction=direction).tolist()
    assert before.tolist() == kept.tolist()  # the caller's array is not touched


def test_a_stream_of_edges_needs_no_adjacency():
    store = random_store(n=40, m=500)
    minhash, edges = MinHash(32), store.edge_list()
    signatures = np.empty((0, 32), np.uint32)
    for start in range(0, 500, 60):
        part = edges.slice(start, start + 60)
        signatures = minhash.update(signatures, part.src, part.dst)
    assert signatures.tolist() == minhash.fit_transform(store)[: len(signatures)].tolist()
    minhash.update(signatures, [3], [777], out=signatures)
    assert signatures[3].tolist() == minhash.fit_transform([[*store.csr().neighbors(3), 777]])[0].tolist()


def test_out_may_be_a_column_on_disk(tmp_path):
    store = random_store().save(tmp_path / "a.nh")
    column = store.nodes.create("minhash", (16,), np.uint32)
    assert isinstance(column, np.memmap)
    assert MinHash(16).fit_transform(store, out=column) is column
    store.commit()
    assert store.nodes["minhash"].tolist() == MinHash(16).fit_transform(store).tolist()


def test_a_stored_graph_is_streamed(tmp_path):
    """Neither sets nor signatures are held: 8 MB of adjacency and 10 MB of signatures pass through a megabyte."""
    ends = np.random.default_rng(0).integers(0, 20_000, (2, 1_000_000))
    GraphStore.from_edges(*ends, num_nodes=20_000, directed=True).save(tmp_path / "a.nh")
    store = open_store(tmp_path / "a.nh")
    column = store.nodes.create("minhash", (128,), np.uint32)
    rows = store.csr()
    assert rows.indices.nbytes + column.nbytes > 14e6
    MinHash(128).fit_transform([[1]])  # compiles
    tracemalloc.start()
    MinHash(128).fit_transform(store, out=column)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6
    assert column[7].tolist() == MinHash(128).fit_transform([rows.neighbors(7)])[0].tolist()


def test_edge_weights_of_a_store_weigh_its_sets():
    rng = np.random.default_rng(3)
    src, dst, weight = rng.integers(0, 20, 100), rng.integers(0, 20, 100), rng.random(100).astype(np.float32)
    store = GraphStore.from_edges(src, dst, num_nodes=20, weight=weight, directed=True)
    minhash = MinHash(64, "probminhash")
    expected = [
        minhash.fit_transform([dst[src == v]], weights=weight[src == v])[0].tolist()
        if (src == v).any()
        else [EMPTY] * 64
        for v in range(20)
    ]
    assert minhash.fit_transform(store).tolist() == expected


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_b_bit_estimates(bits):
    sets, truth = pairs_of_sets()
    packed = BBitSignatures.pack(MinHash(500).fit_transform([*sets, []]), bits=bits)
    assert packed.words.shape[1] == -(-500 * bits // 64)
    at = np.arange(0, len(sets), 2)
    got = packed.pair_similarity(at, at + 1)
    chance = 2.0**-bits
    share = truth * (1 - chance) + chance
    theory = np.sqrt(np.mean(share * (1 - share) / (500 * (1 - chance) ** 2)))
    assert np.sqrt(np.mean((got - truth) ** 2)) < 1.25 * theory
    assert packed.pair_similarity([len(sets)], [len(sets)]).tolist() == [0.0]


def test_shingles_count_characters_and_words():
    texts = ["abcabcabc", "xabcab", "ab", "", "žluť😀"]
    sets = shingles(texts, width=3)
    assert sets.sizes().tolist() == [7, 4, 1, 0, 3]

    def grams(text):
        return {text[i : i + 3] for i in range(max(1, len(text) - 2))} if text else set()

    for i in range(len(texts)):
        for j in range(len(texts)):
            assert sets.jaccard([i], [j])[0] == np.float32(reference.jaccard(grams(texts[i]), grams(texts[j])))
    words = shingles(["the quick brown fox", "the quick  brown\ndog"], width=2, unit="word")
    assert words.jaccard([0], [1])[0] == np.float32(2 / 4)


def test_exact_jaccard_of_unordered_rows_with_repeats():
    rng = np.random.default_rng(0)
    sets = [rng.integers(-5, 40, rng.integers(0, 40)) for _ in range(30)]
    left, right = (x.ravel() for x in np.meshgrid(range(30), range(30)))
    got = RaggedSets.of(sets).jaccard(left, right)
    assert got.tolist() == [np.float32(reference.jaccard(sets[i], sets[j])) for i, j in zip(left, right, strict=True)]


def test_elements_beyond_32_bits_differ():
    signatures = MinHash(64).fit_transform([[5], [5 + (1 << 32)], [5 + (1 << 33)], [-1]])
    assert MinHash(64).similarity(signatures).sum() == 4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MinHash(0).fit_transform([[1]]), "num_perm must be an integer >= 1; got 0"),
        (lambda: MinHash(8, "simhash").fit_transform([[1]]), "scheme must be one of 'kperm'"),
        (lambda: MinHash(8, seed=-1).fit_transform([[1]]), "seed must be an integer >= 0"),
        (lambda: MinHash(8, universe=9).fit_transform([[1]]), "universe belongs to scheme"),
        (lambda: MinHash(8).fit_transform(["text"]), "shingles"),
        (lambda: MinHash(8).fit_transform([[1.5]]), "must be integers"),
        (lambda: MinHash(8).fit_transform([["a", 1]]), "cannot be mixed"),
        (lambda: MinHash(8).fit_transform(3), "got int '3'"),
        (lambda: MinHash(8).fit_transform((np.arange(3), np.array([0, 2, 1, 3]))), "step down"),
        (lambda: MinHash(8).fit_transform([[1]], direction="out", edge_type=("a", "b", "c")), "not a store"),
        (lambda: MinHash(8).fit_transform(random_store(), direction="up"), 'must be "out" or "in"'),
        (lambda: MinHash(8).fit_transform([[1]], out=np.empty((1, 9), np.uint32)), r"shape \(1, 8\)"),
        (lambda: MinHash(8, "probminhash").fit_transform([[1]], weights=[-1.0]), "finite and >= 0"),
        (lambda: MinHash(8).similarity(np.zeros((2, 9), np.uint32)), "9 slots"),
        (lambda: MinHash(8).similarity(np.zeros((2, 8))), "must be uint32"),
        (lambda: MinHash(8).pair_similarity(np.zeros((2, 8), np.uint32), [0], [2]), r"rows 0\.\.1"),
        (lambda: MinHash(8).update(np.zeros((2, 8), np.uint32), [-1], [2]), "integers >= 0"),
        (lambda: BBitSignatures.pack(np.zeros((2, 8), np.uint32), bits=3), "bits must be one of"),
        (lambda: shingles("text"), "wrap it in a list"),
        (lambda: shingles(["\ud800"]), "surrogate"),
        (lambda: shingles(["a"], width=0), "width must be an integer >= 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises((InvalidInput, InvalidType, IndexMismatch), match=message):
        call()
