"""The banded index: its candidates are those of the definition, whatever was added, removed, saved or threaded."""

from __future__ import annotations

import numpy as np
import pytest

import nearhop
from nearhop import GraphStore
from nearhop.ann.lsh.buckets import candidate_probability, choose_bands
from nearhop.ann.lsh.index import LSH
from nearhop.ann.minhash.minhash import MinHash
from nearhop.ann.minhash.sets import RaggedSets
from nearhop.ann.opening import load
from nearhop.graphlib.errors import (
    IndexMismatch,
    InvalidInput,
    InvalidType,
    NotFitted,
    NotFound,
    StoreCorrupt,
    StoreExists,
)
from nearhop.tests.reference import minhash as reference
from nearhop.tests.support import needs


def families(count=30, size=4, seed=0):
    """Families of similar sets, two empty sets and two equal ones."""
    rng = np.random.default_rng(seed)
    sets = []
    for _ in range(count):
        core = rng.choice(100_000, 40, replace=False)
        sets += [core[rng.random(40) < rng.uniform(0.5, 1)] for _ in range(size)]
    return [*sets, np.empty(0, np.int64), np.empty(0, np.int64), sets[0]]


def _mapped(array):
    while isinstance(array, np.ndarray) and not isinstance(array, np.memmap):
        array = array.base
    return isinstance(array, np.memmap) or type(array).__name__ == "_Mapping"


def index_of(sets, **options):
    return LSH(MinHash(64), **{"bands": 16, **options}).add(sets)


@pytest.mark.parametrize("portions", [1, 5, 40])
def test_candidates_and_pairs_follow_the_definition(portions):
    sets = families()
    index = LSH(MinHash(64), bands=16)
    for part in np.array_split(np.arange(len(sets)), portions):
        index.add([sets[i] for i in part])
    expected = reference.band_candidates(index.signatures, 16, 4)
    assert len(expected) > 50
    for row in (0, 1, 17, len(sets) - 1):
        mates = {j for i, j in expected if i == row} | {i for i, j in expected if j == row} | {row}
        assert index.candidates([row]).tolist() == sorted(mates)
    graph = index.similarity_graph(1 / 64)
    assert list(zip(graph.src.tolist(), graph.dst.tolist(), strict=True)) == sorted(expected)
    share = [(index.signatures[i] == index.signatures[j]).mean() for i, j in sorted(expected)]
    assert graph.similarity.tolist() == np.float32(share).tolist()


def test_search_ranks_candidates_by_equal_slots_then_id():
    sets = families()
    index = index_of(sets)
    expected = reference.band_candidates(index.signatures, 16, 4)
    found = index.search_ids(range(len(sets)), k=6)
    for row in range(len(sets)):
        mates = {j for i, j in expected if i == row} | {i for i, j in expected if j == row}
        ranked = sorted((-(index.signatures[row] == index.signatures[j]).sum(), j) for j in mates)[:6]
        assert found.ids[row, : found.counts[row]].tolist() == [j for _, j in ranked]
        assert found.distances[row, : len(ranked)].tolist() == [np.float32(1) - np.float32(-m / 64) for m, _ in ranked]
    assert found.counts[-2] == found.counts[-3] == 0  # isolated vertices never share a bucket
    by_set = index.search(sets[:5], k=1)
    assert by_set.distances[:, 0].tolist() == [0] * 5
    assert index.search(index.signatures[:5], k=1).ids.tolist() == by_set.ids.tolist()


def test_verified_search_and_graph_are_exact():
    sets = families()
    ragged = RaggedSets.of(sets)
    index = index_of(sets, bands=32)
    left, right = np.triu_indices(len(sets), 1)
    exact = ragged.jaccard(left, right)
    graph = index.similarity_graph(0.6, verify=sets)
    true = {(int(i), int(j)) for i, j in zip(left[exact >= 0.6], right[exact >= 0.6], strict=True)}
    got = set(zip(graph.src.tolist(), graph.dst.tolist(), strict=True))
    assert got <= true
    assert len(got) > 0.97 * len(true)  # two slots per band find nearly all, three standard deviations keep them
    assert graph.similarity.tolist() == ragged.jaccard(graph.src, graph.dst).tolist()
    found = index.search_ids([0, 5], k=3, verify=sets)
    for row, query in enumerate([0, 5]):
        assert (1 - found.distances[row]).tolist() == pytest.approx(ragged.jaccard([query] * 3, found.ids[row]))
        assert (np.diff(found.distances[row]) >= 0).all()
    assert index.search([sets[0]], k=3, verify=sets).ids[0, 0] == 0


def test_results_do_not_depend_on_threads_blocks_or_portions():
    sets = families(60, 5, seed=3)
    one = LSH(MinHash(64, threads=1), bands=16, threads=1).add(sets)
    other = LSH(MinHash(64), bands=16, threads=2)
    for start in range(0, len(sets), 37):
        other.add(sets[start : start + 37])
    a, b = one.search_ids(range(300), 4), other.search_ids(range(300), 4)
    assert a.ids.tolist() == b.ids.tolist()
    assert a.distances.tobytes() == b.distances.tobytes()
    joined = [np.concatenate(p) for p in zip(*other.pairs(0.3, rows_per_block=23), strict=True)]
    for x, y in zip(one.similarity_graph(0.3), joined, strict=True):
        assert x.tolist() == y.tolist()


def test_pairs_that_do_not_fit_the_buffers(monkeypatch):
    monkeypatch.setattr("nearhop.ann.lsh.pairs._CAPACITY", 2)
    sets = [range(10)] * 30
    graph = index_of(sets).similarity_graph(0.9)
    assert len(graph.src) == 30 * 29 // 2


def test_sets_of_strings():
    texts = [["red", "green", "blue"], ["red", "green", "blue", "grey"], ["ash", "oak"], [], ["grün", "红"]]
    index = LSH(MinHash(128), bands=64).add(texts, ids=[10, 20, 30, 40, 50])
    found = index.search([["red", "blue", "green"], ["红", "grün"]], 2, verify=texts)
    assert found.ids.tolist() == [[10, 20], [50, -1]]
    assert found.distances[0].tolist() == [0, 0.25]
    graph = index.similarity_graph(0.5, verify=texts)
    assert (graph.src.tolist(), graph.dst.tolist(), graph.similarity.tolist()) == ([10], [20], [0.75])


def test_removed_sets_are_not_found_and_compact_frees_them():
    sets = families()
    index = index_of(sets)
    index.remove([0, 3, 9])
    assert len(index) == len(sets) - 3
    assert not {0, 3, 9} & set(index.similarity_graph(0.1).src) | {0, 3, 9} & set(index.similarity_graph(0.1).dst)
    assert not np.isin(index.search(sets, 10).ids, [0, 3, 9]).any()
    with pytest.raises(NotFound, match="id 3"):
        index.candidates([3])
    before = index.search(sets, 5)
    index.compact()
    after = index.search(sets, 5)
    assert before.ids.tolist() == after.ids.tolist()
    assert len(index.signatures) == len(sets) - 3
    assert index.stats().deleted == 0
    index.add([sets[3]], ids=[3])
    assert index.search([sets[3]], k=1).ids.tolist() == [[3]]


def test_user_ids_and_filters():
    sets = families()
    ids = np.arange(len(sets))[::-1] * 10
    index = LSH(MinHash(64), bands=16).add(sets, ids=ids)
    assert index.search_ids([int(ids[0])], k=1).ids.tolist() == [[0]]  # its copy, the last set
    allowed = np.zeros(len(sets), bool)
    allowed[[2, -1]] = True  # the last is a copy of the first
    found = index.search(sets[:1], k=5, filter=allowed)
    assert found.ids[0, 0] == ids[-1]
    assert set(found.ids[0].tolist()) <= {int(ids[2]), int(ids[-1]), -1}
    assert index.search(sets[:1], k=5, filter=[int(ids[-1])]).ids[0].tolist() == [int(ids[-1]), -1, -1, -1, -1]
    assert index.search(sets[:1], k=5, filter=[int(ids[0])]).counts.tolist() == [1]
    assert index.search(sets[:1], k=5, filter=[int(ids[-2])]).counts.tolist() == [0]  # an empty set
    with pytest.raises(InvalidInput, match="in the index already"):
        index.add([[1]], ids=[10])


def test_copies_in_giant_buckets_are_found_and_what_is_left_out_is_said():
    sets = [*([range(20)] * 50), range(5, 25), range(7, 22)]
    index = LSH(MinHash(64), bands=16, max_bucket=40).add(sets)
    stats = index.stats()
    assert stats.largest_bucket >= 50
    assert stats.oversized_buckets == 16
    found = index.search_ids([0], 10)
    assert found.counts.tolist() == [10]
    assert found.distances.tolist() == [[0] * 10]
    assert LSH(MinHash(64), bands=16).add(sets).search_ids([0], 10).counts.tolist() == [10]
    with pytest.warns(UserWarning, match="1 of 2 queries share a bucket with more than max_bucket = 40 others"):
        index.search([range(20), range(1000, 1020)], 51)
    with pytest.warns(UserWarning, match="candidates: sets share a bucket"):
        assert len(index.candidates([0])) > 16
    with pytest.warns(UserWarning, match="pairs: sets share a bucket .* of which 16 were looked at"):
        graph = index.similarity_graph(0.9)
    assert set(zip(graph.src.tolist(), graph.dst.tolist(), strict=True)) >= {(i, i + 1) for i in range(49)}
    assert graph.similarity.tolist() == [1] * len(graph.src)
    for k in (1, 40, 49):
        one = LSH(MinHash(64), bands=1, max_bucket=40).add(sets).search_ids([0], min(k, 39))
        assert one.distances.max() == 0


def test_signatures_of_another_dtype_are_refused():
    minhash = MinHash(64)
    signatures = minhash.fit_transform(families())
    index = LSH(minhash, bands=16).add(signatures)
    for dtype in (np.int64, np.uint64, np.int32, np.float32):
        for call in (index.add, lambda given: index.search(given, 1)):
            with pytest.raises(InvalidType, match=f"of {np.dtype(dtype)}: signatures are uint32"):
                call(signatures.astype(dtype))
    rows = np.arange(128).reshape(2, 64)
    assert LSH(minhash, bands=16).add(list(rows)).search(list(rows), 1).distances.tolist() == [[0], [0]]
    assert len(LSH(minhash, bands=16).add(np.arange(20).reshape(2, 10))) == 2


@pytest.mark.parametrize("change", ["compact", "add"])
def test_pairs_are_of_the_index_as_it_was(change):
    sets = [range(k, k + 20) for k in np.random.default_rng(0).integers(0, 300, 400)]
    index = LSH(MinHash(32), bands=16).add(sets)
    whole = index.similarity_graph(0.5)
    parts = index.pairs(0.5, rows_per_block=50)
    found = [next(parts)]
    if change == "compact":
        index.remove(np.arange(390))
        index.compact()
    else:
        index.add([range(k, k + 20) for k in range(900)])
    found += list(parts)
    for field, expected in zip(zip(*found, strict=True), whole, strict=True):
        assert np.concatenate(field).tolist() == expected.tolist()


def test_ids_go_on_behind_removed_ones_and_an_emptied_index_is_saved(tmp_path):
    index = LSH(MinHash(16), bands=8).add([[1], [2], [3]])
    index.remove([2])
    index.save(tmp_path / "a.nh")
    index.compact().save(tmp_path / "b.nh")
    for one in (index, load(tmp_path / "a.nh"), load(tmp_path / "b.nh")):
        assert one.add([[4]]).ids.tolist()[-1] == 3
    index.remove([0, 1, 3])
    index.compact().save(tmp_path / "none.nh")
    empty = load(tmp_path / "none.nh")
    assert len(empty) == 0
    assert empty.search([[1]], 2).counts.tolist() == [0]
    assert empty.add([[5]]).ids.tolist() == [4]
    with pytest.raises(NotFitted):
        LSH(MinHash(16), bands=8).save(tmp_path / "never.nh")


def test_bands_from_a_threshold():
    assert candidate_probability(0.5, 20, 4) == pytest.approx(1 - (1 - 0.5**4) ** 20)
    for threshold in (0.2, 0.5, 0.8):
        bands, width = choose_bands(128, threshold, (0.5, 0.5))
        assert bands * width <= 128
        assert abs((1 / bands) ** (1 / width) - threshold) < 0.15
    careful = choose_bands(128, 0.5, (0.1, 0.9))
    assert candidate_probability(0.5, *careful) > candidate_probability(0.5, *choose_bands(128, 0.5, (0.9, 0.1)))


@needs("datasketch")
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.9])
def test_bands_cost_no_more_than_datasketch_s(threshold):
    from datasketch.lsh import _false_negative_probability, _false_positive_probability, _optimal_param

    def cost(shape):
        return _false_positive_probability(threshold, *shape) + _false_negative_probability(threshold, *shape)

    assert cost(choose_bands(128, threshold, (0.5, 0.5))) <= cost(_optimal_param(threshold, 128, 0.5, 0.5)) + 1e-3


def test_the_index_is_at_most_one_and_a_half_times_its_signatures():
    signatures = np.random.default_rng(0).integers(0, 1 << 32, (20_000, 128), dtype=np.uint32)
    stats = LSH(MinHash(128), bands=64).add(signatures).stats()
    assert stats.index_bytes < 1.5 * stats.signature_bytes


def test_save_and_load_change_nothing(tmp_path):
    sets = families()
    index = LSH(MinHash(64, "oph", seed=9), bands=16, max_bucket=99).add(sets[:50], ids=np.arange(50) * 3)
    index.add(sets[50:])
    index.remove([3])
    index.add([sets[1]], ids=[3])  # the id of a deleted row, given again
    index.save(tmp_path / "a.nh")
    loaded = LSH.load(tmp_path / "a.nh")
    assert repr(loaded) == repr(index)
    assert loaded.max_bucket == 99
    segment = loaded._segments[0]  # everything large stays on disk, and any index file opens by `load`
    assert all(_mapped(part) for part in (loaded.signatures, segment.keys, segment.rows, segment.starts))
    assert isinstance(load(tmp_path / "a.nh"), LSH)
    a, b = index.search(sets, 5), loaded.search(sets, 5)
    assert a.ids.tolist() == b.ids.tolist()
    assert loaded.similarity_graph(0.3).src.tolist() == index.similarity_graph(0.3).src.tolist()
    loaded.add([[1, 2, 3]])
    assert loaded.search([[1, 2, 3]], 1).distances.tolist() == [[0]]
    with pytest.raises(StoreExists):
        index.save(tmp_path / "a.nh")


def test_an_index_of_empty_sets_only(tmp_path):
    index = LSH(MinHash(8), bands=4).add([[], []])
    index.save(tmp_path / "a.nh")
    assert LSH.load(tmp_path / "a.nh").search([[], [1]], 2).counts.tolist() == [0, 0]
    assert len(index.similarity_graph(0.5).src) == 0


@pytest.mark.parametrize(
    "what", ["row", "key", "place", "bands", "dtype", "key axes", "row axes", "place axes", "id axes", "dead axes"]
)
def test_damaged_indexes_are_refused(what, tmp_path):
    index_of(families()).save(tmp_path / "a.nh")
    store = nearhop.open(tmp_path / "a.nh")
    entries, places = store.nodes("entry"), store.nodes("start")
    if what == "row":
        entries["row"] = np.where(np.arange(len(entries["row"])) == 7, 10_000, entries["row"]).astype(np.int32)
    elif what.endswith("axes"):
        name = what.removesuffix(" axes")
        columns = {"key": entries, "row": entries, "place": places}.get(name, store.nodes("set"))
        columns[name] = np.stack([columns[name]] * 2, axis=1)
    elif what == "key":
        entries["key"] = entries["key"][::-1].copy()
    elif what == "place":
        places["place"] = np.full(len(places["place"]), 9, np.int32)
    elif what == "bands":
        store.attributes["index"] = {**store.attributes["index"], "bands": 15}
    else:
        store.nodes("set")["dead"] = store.nodes("set")["dead"].astype(np.int8)
    store.commit()
    with pytest.raises(StoreCorrupt, match=r"a\.nh"):
        LSH.load(tmp_path / "a.nh")


def test_a_store_that_is_no_index(tmp_path):
    GraphStore.from_edges([0], [1]).save(tmp_path / "g.nh")
    with pytest.raises(IndexMismatch, match="holds no LSH index"):
        LSH.load(tmp_path / "g.nh")


def test_the_similarity_graph_becomes_an_edge_set():
    rng = np.random.default_rng(0)
    store = GraphStore.from_edges(rng.integers(0, 50, 600), rng.integers(0, 50, 600), num_nodes=55)
    graph = LSH(MinHash(64), bands=32).add(MinHash(64).fit_transform(store)).similarity_graph(0.2, verify=store)
    edge_type = ("node", "similar", "node")
    graph.add_to(store)
    assert store.num_edges_of(edge_type) == len(graph.src) > 0
    assert graph.similarity.min() >= 0.2


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: LSH(threshold=1.5).add([[1]]), InvalidInput, r"threshold must be in \[0, 1\]; got 1.5"),
        (lambda: LSH(bands=70, slots_per_band=2).add([[1]]), InvalidInput, "need 140 slots; num_perm is 128"),
        (lambda: LSH(slots_per_band=2).add([[1]]), InvalidInput, "needs bands"),
        (lambda: LSH(max_bucket=0).add([[1]]), InvalidInput, "max_bucket"),
        (lambda: index_of([[1]]).search([[1]], 0), InvalidInput, "k must be an integer >= 1"),
        (lambda: index_of([[1]]).search(np.zeros((1, 9), np.uint32), 1), IndexMismatch, "9 slots"),
        (lambda: index_of([[1]]).search_ids([5], 1), NotFound, "id 5 is not in the index"),
        (lambda: index_of([[1]]).similarity_graph(0), InvalidInput, r"\(0, 1\]"),
        (lambda: index_of([[1]]).similarity_graph(0.5, verify=[[1], [2]]), IndexMismatch, "2 sets but the index has 1"),
        (lambda: LSH().save("nowhere.nh"), NotFitted, "empty"),
        (lambda: LSH().similarity_graph(0.5), NotFitted, "empty"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_an_empty_index_finds_nothing():
    assert LSH().search([[1]], 3).counts.tolist() == [0]
