"""Links with codes: estimates of whole blocks, and an index that walks them."""

from __future__ import annotations

import numpy as np
import pytest
from numba.extending import intrinsic

from nearhop import ann
from nearhop.ann import HNSW, Exact
from nearhop.ann.hnsw.choosing import choose
from nearhop.ann.hnsw.packed import layout
from nearhop.ann.hnsw.packed import tables_cpu as tables
from nearhop.ann.hnsw.packed.blocks_cpu import ABSENT
from nearhop.ann.hnsw.parts_cpu import PackedGraph
from nearhop.ann.opening import from_saved
from nearhop.cli import main
from nearhop.graphlib.compute.jit import kernel
from nearhop.graphlib.errors import IndexMismatch, InvalidInput, StoreCorrupt
from nearhop.tests.reference import blocks as reference
from nearhop.tests.support import data_file, kept_as

LANES = 32


def rows_of(count=2000, dim=48, seed=0, inner=12):
    first = np.random.default_rng(3).normal(size=(inner, dim))
    inside = np.random.default_rng(seed).normal(size=(count, inner))
    return np.tanh(inside @ first).astype(np.float32)


def packed(rows, metric="l2", **options):
    return HNSW(metric, storage="int8", layout="packed", **options).add(rows)


def unpacked(block, groups, bits, width):
    """Codes (32, width), high and low factors, and ids of one block."""
    numbers = block[: 16 * groups].reshape(groups, 16)
    numbers = np.concatenate([numbers & 15, numbers >> 4], axis=1).T  # (32, groups)
    per = 4 // bits
    codes = (numbers[:, :, None] >> (bits * np.arange(per)) & ((1 << bits) - 1)).reshape(LANES, -1)[:, :width]
    words = block[16 * groups : 16 * groups + 128].view(np.uint32)
    high, low = (words & 0xFFFF0000).view(np.float32), (words << 16).view(np.float32)
    return codes.astype(np.int64), high, low, block[16 * groups + 128 :].view(np.int32)


def parts_of(index):
    graph = index.graph
    codes = graph.rows.codes
    bits = layout.bits_for(codes.width)
    return graph, codes, bits, -(-codes.width * bits // 16) * 4


@pytest.mark.parametrize("dim", [3, 48, 200, 600])
def test_blocks_hold_links_then_near_nodes_with_codes_as_in_the_reference(dim):
    rows = rows_of(600, dim, inner=min(dim, 12))
    rows += np.random.default_rng(5).normal(size=rows.shape).astype(np.float32)  # no direction to leave out
    index = packed(rows, M=8)
    graph, codes, bits, groups = parts_of(index)
    width, terms = codes.width, codes.terms[:, -1].astype(np.float64)
    signed = codes.codes[:, :width].astype(np.float64) - 128
    met = 0
    for node in range(0, 600, 7):
        held, high, low, ids = unpacked(graph.blocks.data[node], groups, bits, width)
        count = graph.counts[node]
        assert ids[:count].tolist() == graph.links[node, :count].tolist()
        here = ids[ids >= 0]
        assert len(set(here.tolist()) | {node}) == len(here) + 1
        two_away = graph.links[graph.links[node, :count]].ravel()
        assert set(ids[count : len(here)].tolist()) <= set(two_away.tolist())
        assert (high[ids < 0] > 0.99 * ABSENT).all()
        wanted, _ = reference.codes_of(signed[here] - signed[node], bits)
        assert (held[: len(here)] == wanted).mean() > 0.999  # single precision may round a step apart
        near, share = reference.factors(signed[node], signed[here], terms[[node, *here]], bits)
        assert np.allclose(low[: len(here)], share, rtol=0.02)
        sizes = np.abs(near).max()
        assert np.allclose(high[: len(here)], near, rtol=0.01, atol=0.01 * sizes)
        met += len(here) - count
    assert met > 100


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("width", [3, 60, 124, 250])
def test_every_way_to_sum_gives_the_integers_of_the_reference(bits, width):
    rng = np.random.default_rng(width)
    groups = -(-width * bits // 16) * 4
    query = np.zeros(-(-(width + 4) // 32) * 32, np.int8)
    query[:width] = rng.integers(-128, 128, width)
    codes = rng.integers(0, 1 << bits, (LANES, width))
    block = np.zeros(16 * groups + 256, np.uint8)
    for j in range(width):
        for lane in range(LANES):
            group, shift = j * bits // 4, j * bits % 4 + 4 * (lane // 16)
            block[16 * group + lane % 16] |= np.uint8(codes[lane, j] << shift)
    low = np.float32(3).view(np.uint32) >> 16
    high = (np.float32(-1000) * np.arange(LANES, dtype=np.float32)).view(np.uint32) & 0xFFFF0000
    block[16 * groups : 16 * groups + 128] = (high | low).astype(np.uint32).view(np.uint8)
    filled = np.empty((groups, 16), np.uint8)
    scale, offset = tables.fill_tables(query, width, bits, filled)
    sums, (true_scale, true_offset) = reference.table_sums(query[:width], codes, bits)
    assert (scale, offset) == (pytest.approx(true_scale, 1e-5), pytest.approx(true_offset, 1e-5))
    found = []
    for widest in (64, 32, 0):
        estimate = intrinsic(tables.estimating(widest))

        @kernel(cache=False)
        def run(block, filled, query, limit, out, estimate=estimate):
            return estimate(block, 0, filled, query, limit, out)

        out = np.empty(LANES, np.int32)
        plain = (np.float32(0), np.float32(1), np.float32(0))
        mask = run(block, filled, plain, np.int32(2000), out)
        found.append((out.copy(), mask))
    for out, mask in found:
        expected = high.view(np.float32).astype(np.float64) + 3 * sums
        assert np.abs(out - expected).max() <= 3 * (1 + groups // 10)  # an entry may round the other way
        assert out.tolist() == found[0][0].tolist()
        assert [bool(mask >> lane & 1) for lane in range(LANES)] == (out < 2000).tolist()


def test_estimates_are_unbiased_and_as_exact_as_their_bits():
    """Directions of codes are random, so errors have no mean, and halve with every bit or so."""
    rng = np.random.default_rng(0)
    width, errors = 128, {}
    for bits in (1, 2, 4):
        off = []
        for _ in range(400):
            own, query = rng.normal(size=(2, width)) * 40
            others = own + rng.normal(size=(16, width)) * 30
            terms = np.concatenate([own[None], others])
            terms = (terms**2).sum(axis=1)
            high, low = reference.factors(own, others, terms, bits)
            _, stands = reference.codes_of(others - own, bits)
            rank = terms[0] - 2 * own @ query + high + low * (stands @ query)
            true = terms[1:] - 2 * others @ query
            spread = 2 * np.linalg.norm(others - own, axis=1) * np.linalg.norm(query - own)
            off.append((rank - true) / spread)
        off = np.concatenate(off)
        errors[bits] = off.std()
        assert abs(off.mean()) < 4 * off.std() / np.sqrt(len(off))
    bound = np.sqrt((np.pi / 2 - 1) / width)  # of one bit: RaBitQ's theorem 3.2 for normal directions
    assert errors[1] == pytest.approx(bound, rel=0.05)
    assert errors[4] < 0.45 * errors[2] < 0.25 * errors[1]


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
@pytest.mark.parametrize("dim", [2, 7, 48, 200])
def test_recall_is_that_of_plain_links(metric, dim):
    rows, queries = rows_of(3000, dim, inner=min(dim, 12)), rows_of(200, dim, seed=1, inner=min(dim, 12))
    truth = Exact(metric).add(rows).search(queries, 10)
    plain = HNSW(metric, storage="int8").add(rows)
    index = packed(rows, metric)
    assert isinstance(index.graph.searched(), PackedGraph) == index.graph.is_coded
    found = index.search(queries, 10, ef_search=60)
    assert ann.recall(found, truth) >= ann.recall(plain.search(queries, 10, ef_search=60), truth) - 0.02
    exact = Exact(metric).add(rows).search(queries, 3000)
    for q in range(0, 200, 20):  # distances are those of the vectors
        by_id = dict(zip(exact.ids[q].tolist(), exact.distances[q], strict=True))
        assert np.allclose([by_id[i] for i in found.ids[q].tolist()], found.distances[q], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("M", [2, 5, 16, 24, 40])
def test_any_number_of_links(M):
    rows, queries = rows_of(1500), rows_of(100, seed=1)
    index = packed(rows, M=M, ef_construction=60)
    assert index.graph.blocks.data.shape[1] % 64 == 0
    truth, plain = Exact("l2").add(rows).search(queries, 5), HNSW(storage="int8", M=M, ef_construction=60).add(rows)
    wanted = ann.recall(plain.search(queries, 5, ef_search=80), truth)
    assert ann.recall(index.search(queries, 5, ef_search=80), truth) >= min(wanted, 0.99)


def test_same_blocks_and_answers_at_any_thread_count():
    rows, queries = rows_of(2500), rows_of(150, seed=1)
    one, two = (packed(rows, threads=threads) for threads in (1, 2))
    assert one.graph.blocks.data[:2500].tobytes() == two.graph.blocks.data[:2500].tobytes()
    for threads in (1, 2):
        found = two.search(queries, 10, threads=threads)
        assert found.ids.tolist() == one.search(queries, 10, threads=1).ids.tolist()


def test_blocks_follow_the_links_through_every_change():
    """After each change the blocks are those that a new writing would make of links, and of nodes two links away."""
    rows, extra = rows_of(900), rows_of(400, seed=7)
    index = packed(rows, M=6, ef_construction=40)

    def blocks_match():
        graph, codes, bits, groups = parts_of(index)
        assert graph.blocks.fresh
        n = graph.count
        for node in range(n):
            held, _, _, ids = unpacked(graph.blocks.data[node], groups, bits, codes.width)
            count = graph.counts[node]
            assert ids[:count].tolist() == graph.links[node, :count].tolist()
            here = ids[ids >= 0]
            signed = codes.codes[:, : codes.width].astype(np.float64) - 128
            wanted, _ = reference.codes_of(signed[here] - signed[node], bits)
            assert (held[: len(here)] == wanted).mean() > 0.99, node

    for change in (
        lambda: index.add(extra[:1]),
        lambda: index.add(extra[1:40]),
        lambda: index.remove(np.arange(0, 300, 3)),
        lambda: index.add(extra[40:200]),
        lambda: index.upsert(extra[200:260], np.arange(1, 180, 3)),
        lambda: index.compact(),
        lambda: index.add(extra[260:300]),
        lambda: index.add(40 + 8 * extra[300:]),  # codes are chosen anew
    ):
        change()
        blocks_match()
    truth = Exact("l2").add(index.vectors(), ids=index.ids[index._rows.live]).search(rows[:100], 5)
    assert ann.recall(index.search(rows[:100], 5, ef_search=80), truth) > 0.97


def test_an_interrupted_add_leaves_searches_on_links_until_the_next():
    rows, index = rows_of(3000), packed(rows_of(500, seed=4))

    def interrupt(done, total):
        if done > 1000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.add(rows, progress=interrupt)
    assert not index.graph.blocks.fresh
    assert not isinstance(index.graph.searched(), PackedGraph)
    known = len(index)
    assert known > 1000
    assert (index.search(rows[:200], 1, ef_search=60).ids[:, 0] == 500 + np.arange(200)).mean() > 0.97
    index.add(rows[:10])
    assert isinstance(index.graph.searched(), PackedGraph)
    assert (index.search(rows[200:400], 1, ef_search=60).ids[:, 0] == 700 + np.arange(200)).mean() > 0.97


def test_drift_and_outliers_keep_recall():
    first, then, queries = rows_of(1500), 3 + rows_of(1500, seed=8), 3 + rows_of(100, seed=9)
    far = np.full((3, 48), 1e6, np.float32)
    index = packed(first).add(then).add(far)
    rows = np.concatenate([first, then, far])
    assert isinstance(index.graph.searched(), PackedGraph)
    truth = Exact("l2").add(rows).search(queries, 10)
    at_once = packed(rows)
    assert ann.recall(index.search(queries, 10), truth) >= ann.recall(at_once.search(queries, 10), truth) - 0.01
    assert ann.recall(index.search(queries, 10), truth) > 0.97


@pytest.mark.parametrize("storage", ["int8", "int8-only", "packed"])
def test_rows_beyond_the_range_of_codes_are_found_by_themselves(storage):
    """Codes hold them, and a query near them, to the ends of the range: ranks cannot tell them from other rows."""
    rows = np.concatenate([rows_of(3000), 1e4 * np.ones((3, 48)) + np.arange(3)[:, None]]).astype(np.float32)
    index = HNSW(**kept_as(storage)).add(rows)
    asked = np.concatenate([rows[3000:], rows[:40]])
    passing = np.arange(3003) % 100 < 30  # and of those far away, all
    passing[3000:] = True
    for given in (None, passing, np.arange(3003) >= 2900):
        found = index.search(asked, 3, filter=given).ids
        assert {tuple(sorted(row)) for row in found[:3].tolist()} == {(3000, 3001, 3002)}
        if given is None:
            assert (found[3:, 0] == np.arange(40)).all()
            assert index.search(asked[0], 3).ids.tolist() == found[:1].tolist()
    if storage != "int8-only":  # which keeps no more of them than the ends
        assert found[:3, 0].tolist() == [3000, 3001, 3002]


@pytest.mark.parametrize("share", [0.9, 0.5, 0.25, 0.05])
def test_filters_and_deletes_return_passing_rows_alone(share):
    rows, queries = rows_of(3000), rows_of(120, seed=1)
    index = packed(rows)
    mask = np.random.default_rng(0).random(3000) < share
    truth = Exact("l2").add(rows).search(queries, 10, filter=mask)
    found = index.search(queries, 10, ef_search=80, filter=mask)
    assert mask[found.ids].all()
    assert ann.recall(found, truth) > 0.96
    index.remove(np.flatnonzero(~mask))
    found = index.search(queries, 10, ef_search=80)
    assert mask[found.ids].all()
    assert ann.recall(found, truth) > 0.96
    singles = np.concatenate([index.search(query, 10, ef_search=80).ids for query in queries[:15]])
    few = index.search(queries[:15], 10, ef_search=80).ids
    assert singles.tolist() == few.tolist()


def test_saved_opened_in_place_extended(tmp_path):
    rows, queries = rows_of(1200), rows_of(80, seed=1)
    index = packed(rows[:1000], "cosine")
    index.save(tmp_path / "a.nh")
    wanted = index.search(queries, 5).ids.tolist()
    opened = ann.load(tmp_path / "a.nh")
    assert opened.layout == "packed"
    assert isinstance(opened._graph.searched(), PackedGraph)
    assert opened.search(queries, 5).ids.tolist() == wanted
    assert ann.load(tmp_path / "a.nh", in_memory=True).search(queries, 5).ids.tolist() == wanted
    opened.add(rows[1000:])
    index.add(rows[1000:])
    assert opened.search(queries, 5).ids.tolist() == index.search(queries, 5).ids.tolist()
    opened.save(tmp_path / "b.nh")
    again = ann.load(tmp_path / "b.nh")
    assert again.search(queries, 5).ids.tolist() == index.search(queries, 5).ids.tolist()
    again.verify()


def test_links_are_packed_and_unpacked_without_a_new_build(tmp_path, capsys):
    rows, queries = rows_of(900), rows_of(60, seed=1)
    built, index = packed(rows), HNSW(storage="float32").add(rows)
    index.save(tmp_path / "plain.nh")
    for given, made, options in (
        ("plain.nh", "packed.nh", ["--storage", "int8", "--layout", "packed"]),
        ("packed.nh", "again.nh", ["--layout", "plain"]),
        ("packed.nh", "float.nh", ["--storage", "float32"]),
    ):
        with pytest.raises(SystemExit) as left:
            main(["index", "convert", str(tmp_path / given), str(tmp_path / made), *options])
        assert left.value.code == 0
    opened = ann.load(tmp_path / "packed.nh")
    assert isinstance(opened.graph.searched(), PackedGraph)
    truth = Exact().add(rows).search(queries, 5)
    wanted = ann.recall(built.search(queries, 5), truth)
    assert ann.recall(opened.search(queries, 5), truth) >= wanted - 0.01
    assert opened.graph.links[:900].tolist() == index.graph.links[:900].tolist()
    for name, kept in (("again.nh", ("int8", "plain")), ("float.nh", ("float32", "plain"))):
        other = ann.load(tmp_path / name)
        assert (other.storage, other.layout) == kept
        assert not isinstance(other.graph.searched(), PackedGraph)
    refused = ["index", "convert", str(tmp_path / "plain.nh"), str(tmp_path / "x.nh"), "--layout", "packed"]
    with pytest.raises(SystemExit) as left:
        main(refused)
    assert left.value.code != 0
    assert "use storage='int8'" in capsys.readouterr().err


def test_beside_a_column_of_a_store(tmp_path):
    import nearhop

    rows = rows_of(700)
    store = nearhop.GraphStore.from_edges(np.arange(699), np.arange(1, 700), num_nodes=700)
    store.nodes["x"] = rows
    store.save(tmp_path / "s.nh")
    store = nearhop.open(tmp_path / "s.nh")
    index = HNSW.from_store(store, "x", storage="int8", layout="packed")
    index.save_into(store, "near")
    store.commit()
    attached = HNSW.attach(nearhop.open(tmp_path / "s.nh"), "near")
    assert attached.layout == "packed"
    assert isinstance(attached.graph.searched(), PackedGraph)
    assert attached.search(rows[:50], 3).ids.tolist() == index.search(rows[:50], 3).ids.tolist()


def test_damaged_blocks_are_walked_within_bounds():
    index = packed(rows_of(300), M=4)
    rng, queries = np.random.default_rng(0), rows_of(10, seed=1)
    for _ in range(40):
        store = index.as_store()
        damaged = store.nodes("node")["hnsw_blocks"].copy()
        flat = damaged.reshape(-1)
        places = rng.integers(0, flat.size, max(1, flat.size // int(rng.choice([2, 30, 300]))))
        flat[places] = rng.integers(0, 256, len(places))
        store.nodes("node")["hnsw_blocks"] = damaged
        opened = from_saved(store)
        found = opened.search(queries, 5)
        assert -1 <= found.ids.min() <= found.ids.max() < 300
        assert opened.search(queries[0], 5, filter=np.arange(300) < 150).ids.max() < 150
    with pytest.raises(StoreCorrupt, match="blocks"):
        opened.verify()


def test_what_does_not_fit_is_refused():
    with pytest.raises(InvalidInput, match="layout must be 'plain' or 'packed'; got 'tight'"):
        HNSW(layout="tight", storage="int8").add(rows_of(10))
    with pytest.raises(InvalidInput, match="use storage='int8' or 'int8-float16'; got 'float32'"):
        HNSW(layout="packed").add(rows_of(10))
    index = packed(rows_of(300))
    index.layout = "plain"
    with pytest.raises(IndexMismatch, match="layout was 'packed' and is now 'plain'"):
        index.add(rows_of(3))


@pytest.mark.parametrize("count", [1, 2, 3, 40, 255, 256])
def test_few_rows(count):
    rows = rows_of(count)
    index = packed(rows)
    found = index.search(rows, min(count, 3))
    assert (found.ids[:, 0] == np.arange(count)).all()
    constant = packed(np.ones((count, 5), np.float32))
    assert constant.search(np.ones(5), 1).distances.tolist() == [[0.0]]


def test_zero_rows_of_cosine_are_at_distance_1():
    rows = rows_of(400)
    rows[5] = 0
    index = packed(rows, "cosine")
    found = index.search(rows[:1], 400, ef_search=400)
    assert found.distances[0, found.ids[0].tolist().index(5)] == pytest.approx(1, abs=1e-6)
    assert index.search(np.zeros(48), 3).distances.tolist() == [[1.0, 1.0, 1.0]]


def test_auto_chooses_by_width_bits_and_memory():
    assert HNSW(storage="auto").add(rows_of(300, 8)).storage == "float32"
    index = HNSW("cosine", storage="auto").add(rows_of(300))
    assert (index.storage, index.layout) == ("int8", "packed")
    assert "int8, packed" in repr(index)
    assert index.add(rows_of(10)).stats().live == 310
    bits = np.random.default_rng(0).integers(0, 256, (50, 32)).astype(np.uint8)
    assert HNSW("hamming", storage="auto").add(bits).storage == "float32"
    sizes = [choose(0, 384, 1_000_000, 16, free=free << 30)[:2] for free in (64, 6, 2)]
    assert sizes == [("int8", "packed"), ("int8", "plain"), ("int8-only", "plain")]
    estimate = HNSW(storage="auto").estimate_memory(1000, 64)
    assert estimate.blocks > 0
    with pytest.raises(InvalidInput, match="'auto'; got 'fast'"):
        HNSW(storage="fast").add(rows_of(3))


@pytest.mark.slow
def test_twice_the_queries_find_as_many_on_real_embeddings():
    held = np.load(data_file("ann/minilm-100k.npz"))
    rows, queries = held["base"][:20_000].astype(np.float32), held["ood"][:500].astype(np.float32)
    index = packed(rows)
    truth = Exact("l2").add(rows).search(queries, 10)
    assert ann.recall(index.search(queries, 10, ef_search=80), truth) > 0.95
    assert ann.recall(index.search(queries, 10, ef_search=300), truth) > 0.99


@pytest.mark.parametrize("metric", ["l2", "ip"])
def test_halves_lose_nothing_of_vectors_that_are_halves(metric):
    """Rows of float16: the same codes, links and answers as beside float32 vectors, in half of their bytes."""
    rows, queries = rows_of(3000).astype(np.float16), rows_of(60, seed=3)
    plain = HNSW(metric, storage="int8", layout="packed").add(rows)
    halves = HNSW(metric, storage="int8-float16", layout="packed").add(rows)
    assert halves.graph.links.tobytes() == plain.graph.links.tobytes()
    assert halves.vectors().tobytes() == plain.vectors().tobytes()
    assert plain.nbytes - halves.nbytes == rows.nbytes
    one, other = plain.search(queries, 10), halves.search(queries, 10)
    assert one.ids.tolist() == other.ids.tolist()
    np.testing.assert_allclose(one.distances, other.distances, rtol=1e-5, atol=1e-5)
