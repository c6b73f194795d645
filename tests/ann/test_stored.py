"""Saved indexes: nothing changes, links are a store's edges, and damaged ones are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nearhop
from nearhop import GraphStore, ann
from nearhop.ann import HNSW, Exact
from nearhop.ann.hnsw.plan import NAMES, make_plan, row_bytes
from nearhop.ann.opening import from_saved
from nearhop.ann.storage.rows import storages
from nearhop.graphlib.errors import (
    IndexMismatch,
    InvalidInput,
    NotFitted,
    NotFound,
    StoreCorrupt,
    StoreExists,
    StoreMissing,
)


def hnsw_store(index, *, edges=False):
    """An index as a store in memory."""
    return index._stored(edges=edges)


def vectors_of(rows=1500, dim=12, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)


def in_file(array):
    """Whether an array is a view of something else than an array: of a mapped file."""
    while isinstance(array, np.ndarray):
        array = array.base
    return array is not None


def same(a, b):
    return a.ids.tolist() == b.ids.tolist() and a.distances.tobytes() == b.distances.tobytes()


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
def test_save_and_load_change_nothing(metric, tmp_path):
    vectors, queries = vectors_of(), vectors_of(50, seed=1)
    index = HNSW(metric, M=8, seed=2).add(vectors, ids=np.arange(1500)[::-1] * 2)
    index.remove([10, 12])
    index.add(vectors[:1], ids=[10])
    index.save(tmp_path / "a.nh")
    loaded = ann.load(tmp_path / "a.nh")
    assert isinstance(loaded, HNSW)
    assert same(loaded.search(queries, 10), index.search(queries, 10))
    assert loaded.search(vectors[0], 1500, ef_search=1).counts.tolist() == [1499]
    assert (loaded.M, loaded.seed, loaded.metric, len(loaded)) == (8, 2, metric, 1499)
    more = vectors_of(600, seed=3)
    assert same(loaded.add(more).search(queries, 10), index.add(more).search(queries, 10))
    loaded.verify()
    with pytest.raises(StoreExists):
        index.save(tmp_path / "a.nh")


def test_links_are_edges_that_samplers_read(tmp_path):
    index = HNSW(M=6).add(vectors_of())
    index.save(tmp_path / "a.nh", edges=True)
    store = nearhop.open(tmp_path / "a.nh")
    rows = store.csr(("node", "link0", "node"))
    assert rows.num_rows == 1500
    assert rows.degrees().max() <= 12
    assert rows.neighbors(3).tolist() == sorted(index.graph.links[3, : index.graph.counts[3]].tolist())
    sampler = nearhop.sampling.NeighborSampler(store, fanouts=[4, 4], edge_type=("node", "link0", "node"))
    assert len(sampler.sample([0, 1]).nodes) > 2


def test_exact_and_foreign_stores(tmp_path):
    vectors = vectors_of(100)
    exact = Exact("ip").add(vectors, ids=np.arange(100) + 7)
    exact.remove([7])
    exact.save(tmp_path / "e.nh")
    assert same(ann.load(tmp_path / "e.nh").search(vectors, 5), exact.search(vectors, 5))
    GraphStore.from_edges(np.array([0]), np.array([1])).save(tmp_path / "g.nh")
    with pytest.raises(IndexMismatch, match="holds no index"):
        ann.load(tmp_path / "g.nh")
    with pytest.raises(StoreMissing):
        ann.load(tmp_path / "none.nh")
    with pytest.raises(NotFitted, match="empty"):
        HNSW().save(tmp_path / "empty.nh")


def test_an_index_beside_its_column_shares_the_vectors(tmp_path):
    store = GraphStore.from_edges(np.arange(999), np.arange(1, 1000))
    store.nodes["x"] = vectors_of(1000)
    index = HNSW.from_store(store, "x", metric="cosine", M=8)
    assert np.shares_memory(index.graph.vectors, store.nodes["x"])
    index.save_into(store, "near")
    queries = vectors_of(20, seed=1)
    again = HNSW.attach(store, "near")
    assert same(again.search(queries, 5), index.search(queries, 5))
    stored = store.save(tmp_path / "s.nh")
    assert same(HNSW.attach(stored, "near").search(queries, 5), index.search(queries, 5))
    with pytest.raises(NotFound, match="no index 'far'; indexes: 'near'"):
        HNSW.attach(store, "far")
    with pytest.raises(IndexMismatch, match="not made by from_store"):
        HNSW().add(vectors_of(1000)).save_into(store, "other")
    store.nodes["x"] = vectors_of(1000, dim=5)
    with pytest.raises(IndexMismatch, match="dim 12 but its vectors have width 5"):
        HNSW.attach(store, "near")
    store.nodes["names"] = np.arange(1000)
    with pytest.raises(IndexMismatch, match="needs a float32 matrix"):
        HNSW.from_store(store, "names")


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_column_that_was_replaced_is_noticed(on_disk, tmp_path):
    rows, others, queries = vectors_of(300), vectors_of(300, seed=1), vectors_of(5, seed=2)
    store = GraphStore.from_edges(np.arange(299), np.arange(1, 300))
    store.nodes["x"] = rows
    HNSW.from_store(store, "x", M=4, ef_construction=20).save_into(store, "near")
    if on_disk:
        store = store.save(tmp_path / "s.nh")
    made, attached = HNSW.from_store(store, "x", M=4, ef_construction=20), HNSW.attach(store, "near")
    store.nodes["x"] = rows.copy()  # the same values elsewhere
    if on_disk:
        store.commit()
    before = made.search(queries, 5)
    assert same(attached.search(queries[0], 5), made.search(queries[0], 5))
    own = HNSW.from_store(store, "x", M=4, ef_construction=20).add(rows[:1], ids=[300])
    store.nodes["x"] = others
    for index in (made, attached):
        for call in (
            lambda index=index: index.search(queries, 5),
            lambda index=index: index.search(queries[0], 5),
            lambda index=index: index.search(queries, 5, filter=[3]),
            lambda index=index: index.search_within(queries, 1.0),
        ):
            with pytest.raises(IndexMismatch, match="column 'x' was replaced"):
                call()
    with pytest.raises(IndexMismatch, match="column was replaced"):
        HNSW.attach(store, "near")
    assert own.search(rows[0], 2).distances.tolist() == [[0, 0]]  # it copied its rows when it grew
    store.nodes["x"] = rows
    assert same(made.search(queries, 5), before)
    assert HNSW.attach(store, "near").verify().live == 300


@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_a_column_that_was_written_into_is_noticed(storage, tmp_path):
    store, rows = GraphStore.from_edges([0], [1], num_nodes=600), vectors_of(600)
    store.nodes["v"] = rows.copy()
    index = HNSW.from_store(store, "v", storage=storage)
    store.nodes["v"][7] += 1
    for keep in (lambda: index.save_into(store, "near"), lambda: index.save(tmp_path / "i.nh")):
        with pytest.raises(IndexMismatch, match="values were written into column 'v' since"):
            keep()
    assert not (tmp_path / "i.nh").exists()
    assert not store.indexes
    store.nodes["v"][:] = rows
    HNSW.from_store(store, "v", storage=storage).save_into(store, "near")
    store.save(tmp_path / "s.nh")
    with pytest.raises(IndexMismatch, match=r"its index 'near' with HNSW\.attach"):
        ann.load(tmp_path / "s.nh")


@pytest.mark.parametrize("kind", ["Exact", "IVFFlat", "HNSW", "hamming"])
def test_ids_go_on_behind_removed_ones(kind, tmp_path):
    kinds: dict[str, Any] = {"Exact": Exact, "IVFFlat": lambda: ann.IVFFlat(nlist=2), "HNSW": lambda: HNSW(M=4)}
    kinds["hamming"] = lambda: Exact("hamming")
    rows, index = vectors_of(20), kinds[kind]()
    rows = rows if kind != "hamming" else np.packbits(rows > 0, axis=1)
    index.add(rows[:10])
    assert "next_id" not in _saved_fields(index, tmp_path / "plain.nh")
    index.remove([8, 9])
    index.save(tmp_path / "removed.nh")
    index.compact().save(tmp_path / "compact.nh")
    for one in (index, ann.load(tmp_path / "removed.nh"), ann.load(tmp_path / "compact.nh")):
        assert one.add(rows[10:12]).ids.max() == 11
        one.remove([11])
        one.compact()
        assert one.add(rows[12:13]).ids.max() == 12


def _saved_fields(index, path):
    index.save(path)
    return nearhop.open(path).attributes["index"]


@pytest.mark.parametrize("value", [-1, 1 << 63, 1.5, "7", True])
def test_a_damaged_next_id_is_refused(value):
    store = hnsw_store(HNSW(M=4).add(vectors_of(20)))
    store.attributes["index"]["next_id"] = value
    with pytest.raises(StoreCorrupt, match="next_id"):
        from_saved(store)


@pytest.mark.parametrize("make", [Exact, lambda: ann.IVFFlat(nlist=2)])
def test_an_emptied_index_is_saved_and_opened(make, tmp_path):
    index = make().add(vectors_of(20))
    index.remove(index.ids)
    index.compact().save(tmp_path / "none.nh")
    opened = ann.load(tmp_path / "none.nh")
    assert (len(opened), opened.dim) == (0, 12)
    assert opened.search(vectors_of(2), 3).counts.tolist() == [0, 0]
    assert opened.add(vectors_of(3)).ids.tolist() == [20, 21, 22]
    assert opened.search(vectors_of(3), 1).distances.tolist() == [[0], [0], [0]]


def test_rows_added_after_an_interrupt_never_reach_the_column():
    store = GraphStore.from_edges(np.array([0]), np.array([1]), num_nodes=300)
    store.nodes["x"] = vectors_of(300)
    before = store.nodes["x"].copy()

    def stop(done, total):
        if done >= 150:
            raise KeyboardInterrupt

    index = HNSW()
    with pytest.raises(KeyboardInterrupt):
        index._insert(store.nodes["x"], np.arange(300), stop, borrowed=True)
    index.add(vectors_of(50, seed=1))
    assert len(index) > 150
    assert store.nodes["x"].tobytes() == before.tobytes()
    assert index.search(vectors_of(50, seed=1)[3], 1).distances.tolist() == [[0]]


def test_user_ids_of_the_store_are_spoken():
    store = GraphStore.from_edges(np.array([0]), np.array([1]), num_nodes=50)
    store.nodes["x"] = vectors_of(50)
    store.set_ids(np.arange(50) + 300)
    assert HNSW.from_store(store, "x").search(store.nodes["x"][4], 1).ids.tolist() == [[304]]


def damaged():
    """Changes to a good index's store, each of which a search must never meet."""

    def attribute(name, value):
        return lambda s: s.attributes["index"].__setitem__(name, value)

    def links(src, dst, level=0):
        return lambda s: s.add_edge_type(("node", f"link{level}", "node"), src, dst, exist_ok=True)

    def column(name, change):
        return lambda s: s.nodes.__setitem__(name, change(s.nodes[name].copy()))

    upper = 1
    return {
        "entry far out": attribute("entry", 10**9),
        "entry negative": attribute("entry", -1),
        "entry of a lower level": lambda s: s.attributes["index"].__setitem__(
            "entry", int(np.argmin(s.nodes["level"]))
        ),
        "top too high": attribute("top", 30),
        "top huge": attribute("top", 10**9),
        "metric unknown": attribute("metric", "x"),
        "M a text": attribute("M", "16"),
        "M tiny": attribute("M", 2),
        "dim": attribute("dim", 13),
        "kind": attribute("kind", "pickle"),
        "seed missing": lambda s: s.attributes["index"].pop("seed"),
        "self-loops": links(np.arange(400), np.arange(400)),
        "parallel links": links(np.zeros(4, int), np.ones(4, int)),
        "a row over the cap": links(np.zeros(100, int), np.arange(1, 101)),
        "upper links of lower nodes": lambda s: s.add_edge_type(
            ("node", f"link{upper}", "node"), np.arange(400), (np.arange(400) + 1) % 400, exist_ok=True
        ),
        "upper links to lower nodes": lambda s: s.add_edge_type(
            ("node", f"link{upper}", "node"), [np.argmax(s.nodes["level"])], [np.argmin(s.nodes["level"])],
            exist_ok=True,
        ),
        "levels negative": column("level", lambda a: -a - 1),
        "levels of another type": column("level", lambda a: a.astype(np.float32)),
        "vectors float64": column("vector", lambda a: a.astype(np.float64)),
        "vectors flat": column("vector", lambda a: a[:, 0].copy()),
        "vectors missing": lambda s: s.nodes.__delitem__("vector"),
        "scale not finite": column("scale", lambda a: a * np.nan),
        "dead of another type": lambda s: s.nodes.__setitem__("dead", np.zeros(400, np.int32)),
    }  # fmt: skip


def of_layout_1(index):
    """The index as versions before layout 2 saved it: links as edge types alone."""
    store = hnsw_store(index, edges=True)
    del store.attributes["index"]["layout"]
    for name in ("hnsw_links", "hnsw_counts", "hnsw_upper_row"):
        del store.nodes("node")[name]
    return store


@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_indexes_of_layout_1_are_read(storage):
    index = HNSW("cosine", M=8, storage=storage).add(vectors_of(400))
    read = from_saved(of_layout_1(index))
    assert same(read.search(vectors_of(20, seed=1), 5), index.search(vectors_of(20, seed=1), 5))
    assert read.verify().unreachable == 0


@pytest.mark.parametrize("name", list(damaged()))
def test_damaged_indexes_of_layout_1_are_refused(name):
    store = of_layout_1(HNSW("cosine", M=8).add(vectors_of(400)))
    assert len(from_saved(store)) == 400
    damaged()[name](store)
    with pytest.raises((StoreCorrupt, IndexMismatch)):
        from_saved(store)


def column(name, change, kind="node"):
    return lambda s: s.nodes(kind).__setitem__(name, change(s.nodes(kind)[name].copy()))


def put(place, value):
    def change(array):
        array[place] = value
        return array

    return change


REFUSED = {
    **{name: damaged()[name] for name in (
        "entry far out", "entry negative", "entry of a lower level", "top too high", "top huge", "metric unknown",
        "M a text", "M tiny", "dim", "seed missing", "levels of another type", "vectors float64", "vectors flat",
        "vectors missing", "dead of another type",
    )},
    "links of another width": column("hnsw_links", lambda a: a[:, :15].copy()),
    "links of another type": column("hnsw_links", lambda a: a.astype(np.int64)),
    "links missing": lambda s: s.nodes("node").__delitem__("hnsw_links"),
    "upper rows missing": lambda s: s.nodes("node").__delitem__("hnsw_upper_row"),
    "counts of two columns": column("hnsw_counts", lambda a: np.stack([a, a], axis=1)),
    "layout unknown": lambda s: s.attributes["index"].__setitem__("layout", 3),
}  # fmt: skip
HELD_BACK = {
    "links beyond the nodes": column("hnsw_links", put((slice(None), 0), 400)),
    "links far out": column("hnsw_links", put((3, 2), 2**31 - 1)),
    "links of negative numbers": column("hnsw_links", put((slice(None), 1), -7)),
    "self-loops": column("hnsw_links", put((0, 0), 0)),
    "links twice": column("hnsw_links", put((5, slice(0, 2)), 9)),
    "counts too large": column("hnsw_counts", put(7, 10_000)),
    "counts negative": column("hnsw_counts", put(7, -1)),
    "upper rows far out": column("hnsw_upper_row", put(slice(None), 2**60)),
    "upper rows negative": column("hnsw_upper_row", put(slice(None), -(2**60))),
    "upper links far out": column("links", put(slice(None), 10**9), "upper"),
    "upper counts too large": column("count", put(0, 9), "upper"),
    "levels negative": column("level", put(3, -1)),
    "levels too high": column("level", put(3, 30)),
    "scale not finite": column("scale", put(3, np.nan)),
    "vectors not finite": column("vector", put((3, 3), np.inf)),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_indexes_whose_arrays_do_not_fit_are_refused(name):
    store = hnsw_store(HNSW("cosine", M=8).add(vectors_of(400)))
    assert len(from_saved(store)) == 400
    REFUSED[name](store)
    with pytest.raises((StoreCorrupt, IndexMismatch)):
        from_saved(store)


@pytest.mark.parametrize("name", list(HELD_BACK))
def test_damaged_links_are_searched_within_bounds_and_refused_by_all_else(name):
    store = hnsw_store(HNSW("cosine", M=8).add(vectors_of(400)))
    HELD_BACK[name](store)
    index, few = from_saved(store), np.arange(400) % 7 == 0
    assert isinstance(index, HNSW)
    for filter in (None, few):
        found = index.search(vectors_of(30, seed=1), 10, ef_search=50, filter=filter)
        assert found.ids.max() < 400
    with pytest.raises(StoreCorrupt):
        index.verify()
    if name != "vectors not finite":
        for change in (lambda: index.add(vectors_of(3)), index.stats, lambda: index.graph):
            with pytest.raises(StoreCorrupt, match="damaged"):
                change()


# Per method: the share of rows that pass, k and ef_search, storage, and how many queries.
METHODS = {
    "walk": (0.5, 2, 5, "float32", 20),
    "step over": (0.14, 1, 1, "float32", 20),
    "scan": (0.01, 1, 1, "float32", 20),
    "scan of codes": (0.75, 10, 50, "int8", 20),
}


def planned(index, k, ef, mask, num_queries):
    graph = index._graph
    plan = make_plan(
        max(ef, k), graph.M, mask[None], num_queries, graph.count, k, row_bytes(graph), coded=graph.is_coded
    )  # fmt: skip
    return {NAMES[method] for method in plan.method}


@pytest.fixture(scope="module")
def sound():
    return {storage: HNSW("cosine", M=2, storage=storage).add(vectors_of(400)) for storage in ("float32", "int8")}


@pytest.mark.parametrize("method", list(METHODS))
def test_damaged_links_are_searched_within_bounds_by_every_method(method, sound):
    share, k, ef, storage, num_queries = METHODS[method]
    mask, queries = np.random.default_rng(1).random(400) < share, vectors_of(num_queries, seed=1)
    for name, damage in HELD_BACK.items():
        store = hnsw_store(sound[storage])
        damage(store)
        index = from_saved(store)
        assert isinstance(index, HNSW)
        assert planned(index, k, ef, mask, num_queries) == {method}, name
        found = index.search(queries, k, ef_search=ef, filter=mask)
        assert found.ids.max() < 400, name
        assert mask[found.ids[found.ids >= 0]].all(), name


@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_damaged_links_are_searched_within_bounds_one_by_one_and_by_radius(storage, sound):
    queries = vectors_of(20, seed=1)
    for name, damage in HELD_BACK.items():
        store = hnsw_store(sound[storage])
        damage(store)
        index = from_saved(store)
        assert isinstance(index, HNSW)
        for query in queries:
            found = index.search(query, 5)
            assert found.ids.max() < 400, name
        assert index._lock.kept, name  # the way of few queries was taken
        near = index.search_within(queries, 0.3)
        assert len(near.ids) == 0 or near.ids.max() < 400, name


def test_searches_of_random_damage_stay_within_bounds():
    index = HNSW("l2", M=2).add(vectors_of(300))
    methods = set()
    rng = np.random.default_rng(0)
    for _ in range(60):
        store = hnsw_store(index)
        for kind, name in (("node", "hnsw_links"), ("node", "hnsw_upper_row"), ("upper", "links"), ("node", "level")):
            array = store.nodes(kind)[name].copy()
            raw = array.view(np.uint8).reshape(-1)
            places = rng.integers(0, raw.size, max(1, raw.size // int(rng.choice([3, 30, 300]))))
            raw[places] = rng.integers(0, 256, len(places))
            store.nodes(kind)[name] = array
        store.nodes("node")["level"][index.graph.entry] = index.graph.top
        opened, mask = from_saved(store), rng.random(300) < rng.choice([0.02, 0.17, 0.5])
        assert isinstance(opened, HNSW)
        found = opened.search(vectors_of(10, seed=1), 1, ef_search=1, filter=mask)
        assert found.ids.max() < 300
        methods |= planned(opened, 1, 1, mask, 10)
        assert opened.search(vectors_of(10, seed=1), 5).ids.max() < 300
        assert opened.search(vectors_of(1, seed=1)[0], 5).ids.max() < 300
    assert methods == {"walk", "step over", "scan"}


@pytest.mark.parametrize("storage", storages())
def test_an_index_read_into_memory_needs_no_file(storage, tmp_path):
    vectors, queries = vectors_of(), vectors_of(50, seed=1)
    index = HNSW("cosine", M=8, storage=storage).add(vectors)
    index.save(tmp_path / "a.nh")
    mapped, read = ann.load(tmp_path / "a.nh"), ann.load(tmp_path / "a.nh", in_memory=True)
    for name in ("vectors", "links", "upper", "upper_row"):
        ours, theirs = (getattr(which._graph, name) for which in (read, mapped))
        assert not in_file(ours)
        assert in_file(theirs)
        assert ours.tobytes() == theirs.tobytes()
    assert read._graph.vectors.ctypes.data % 64 == 0
    assert same(read.search(queries, 10), index.search(queries, 10))
    assert same(read.search(queries[0], 10), index.search(queries[0], 10))
    more = vectors_of(300, seed=3)
    assert same(read.add(more).search(queries, 10), index.add(more).search(queries, 10))
    read.verify()
    assert ann.load(tmp_path / "a.nh", in_memory=True).dim == 12
    Exact().add(vectors).save(tmp_path / "e.nh")
    assert len(ann.load(tmp_path / "e.nh", in_memory=True)) == 1500


@pytest.mark.parametrize("storage", storages())
def test_vectors_that_walks_do_not_read_stay_in_the_file(storage, tmp_path):
    queries = vectors_of(50, seed=1)
    index = HNSW("cosine", M=8, storage=storage).add(vectors_of())
    index.save(tmp_path / "a.nh")
    read = ann.load(tmp_path / "a.nh", in_memory="walks")
    graph = read._graph
    walked = [graph.links, graph.upper, graph.scale, graph.vectors if graph.codes is None else graph.codes.codes]
    assert not any(in_file(part) for part in walked)
    assert in_file(graph.vectors) == (graph.codes is not None)
    assert same(read.search(queries, 10), index.search(queries, 10))
    assert same(read.search(queries[0], 10), index.search(queries[0], 10))
    more = vectors_of(300, seed=3)
    assert same(read.add(more).search(queries, 10), index.add(more).search(queries, 10))
    read.verify()
    with pytest.raises(InvalidInput, match="in_memory must be True, False or \"walks\"; got 'codes'"):
        ann.load(tmp_path / "a.nh", in_memory="codes")


def test_an_opened_index_is_changed_without_its_file(tmp_path):
    index = HNSW(M=8).add(vectors_of())
    index.save(tmp_path / "a.nh")
    opened = ann.load(tmp_path / "a.nh")
    opened.remove(np.arange(200))
    opened.add(vectors_of(300, seed=4))
    opened.compact().verify()
    again = ann.load(tmp_path / "a.nh")
    assert nearhop.open(tmp_path / "a.nh").verify().files > 5
    assert same(again.search(vectors_of(20, seed=1), 5), index.search(vectors_of(20, seed=1), 5))


@pytest.mark.parametrize("field", ["dim", "M", "ef_construction", "ef_search", "seed", "entry", "top"])
@pytest.mark.parametrize("value", [1 << 70, -(1 << 70)])
def test_a_number_beyond_64_bits_in_a_file_is_refused(field, value):
    store = hnsw_store(HNSW(M=4).add(vectors_of(20)))
    store.attributes["index"][field] = value
    with pytest.raises(StoreCorrupt, match=f"{field}|level"):
        from_saved(store)


def test_no_parameter_is_larger_than_64_bits():
    index = HNSW(M=4).add(vectors_of(20))
    for call in (lambda n: index.search(vectors_of(1), n), lambda n: index.search(vectors_of(1), 1, ef_search=n)):
        with pytest.raises(InvalidInput, match="must be at most 9223372036854775807; got 1180591620717411303424"):
            call(1 << 70)
