from __future__ import annotations

import os
import signal
import sys

import numpy as np
import pytest

import nearhop
from nearhop.graphlib.compute.fingerprint import of_array, of_rows
from nearhop.graphlib.compute.half_cpu import as_float, half_bits
from nearhop.graphlib.compute.jit import kernel
from nearhop.graphlib.disk import files
from nearhop.graphlib.errors import InvalidInput, InvalidType, NotFound
from nearhop.graphlib.sparse import check_contexts, hop_contexts
from nearhop.tests.reference import contexts as reference

NODES, WIDTH = 300, 21


def graph(*, directed=False, weighted=False, nodes=NODES, seed=0, kind=np.float32):
    """Isolated nodes at the end, self-loops, parallel edges."""
    rng = np.random.default_rng(seed)
    src, dst = rng.integers(0, nodes - 5, (2, 4 * nodes))
    weight = rng.random(src.shape[0]).astype(np.float32) if weighted else None
    store = nearhop.GraphStore.from_edges(src, dst, num_nodes=nodes, directed=directed, weight=weight)
    store.nodes["x"] = rng.normal(size=(nodes, WIDTH)).astype(kind)
    return store


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("direction", ["out", "in"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"normalization": "row"},
        {"normalization": "none", "self_loops": False},
        {"self_loops": False, "weighted": True},
    ],
)
def test_contexts_are_powers_of_the_matrix(directed, direction, options):
    store = graph(directed=directed, weighted="weighted" in options)
    names = hop_contexts(store, hops=3, direction=direction, **options)
    wanted = reference.contexts(store, store.nodes["x"], 3, direction=direction, **options)
    assert names == ["x_hop1", "x_hop2", "x_hop3"]
    for name, expected in zip(names, wanted, strict=True):
        assert store.nodes[name].dtype == np.float32
        np.testing.assert_allclose(store.nodes[name], expected, rtol=2e-5, atol=2e-5)


def test_a_directed_graph_keeps_its_asymmetry():
    """Row and column degrees are told apart: 0 -> 1, 0 -> 2 gives node 0 two neighbours and the others none."""
    store = nearhop.GraphStore.from_edges([0, 0], [1, 2], directed=True)
    store.nodes["x"] = np.eye(3, dtype=np.float32)
    hop_contexts(store, hops=1)
    third = 1 / np.sqrt(3)
    wanted = [[third, third / np.sqrt(2), third / np.sqrt(2)], [0, 2**-0.5, 0], [0, 0, 2**-0.5]]
    np.testing.assert_allclose(store.nodes["x_hop1"], wanted, rtol=1e-6)


@pytest.mark.parametrize("given", [np.float16, np.float32])
@pytest.mark.parametrize("kept", [np.float16, np.float32])
def test_halves_are_read_and_written(given, kept):
    store = graph(kind=given)
    hop_contexts(store, dtype=kept)
    wanted = reference.contexts(store, store.nodes["x"], 1)[0]
    assert store.nodes["x_hop1"].dtype == kept
    np.testing.assert_allclose(store.nodes["x_hop1"], wanted, rtol=1e-3 if kept == np.float16 else 2e-5, atol=1e-4)


def test_halves_convert_as_numpy_does():
    @kernel
    def both(bits, wide, back):
        for i in range(bits.shape[0]):
            wide[i] = as_float(bits[i])
            back[i] = half_bits(wide[i])

    bits = np.arange(1 << 16).astype(np.uint16)
    wide, back = np.empty(bits.shape, np.float32), np.empty_like(bits)
    both(bits, wide, back)
    finite = np.isfinite(wide)
    assert (wide[finite] == bits.view(np.float16).astype(np.float32)[finite]).all()
    assert (back[~np.isnan(wide)] == bits[~np.isnan(wide)]).all()


def test_values_between_halves_go_to_the_even_one():
    @kernel
    def narrow(values, out):
        for i in range(values.shape[0]):
            out[i] = half_bits(values[i])

    steps = np.arange(31743, dtype=np.uint16).view(np.float16).astype(np.float32)
    values = np.concatenate([(steps[1:] + steps[:-1]) / 2, [65519.0, 65520.0, 1e30, -1e-9, -0.0]]).astype(np.float32)
    out = np.empty(values.shape, np.uint16)
    narrow(values, out)
    with np.errstate(over="ignore"):
        assert (out == values.astype(np.float16).view(np.uint16)).all()


def test_the_same_bits_at_any_thread_count_and_cut(tmp_path):
    made = []
    for threads, limit in ((1, "2GiB"), (2, 24 * NODES + (1 << 20) + 700)):
        store = graph().save(tmp_path / str(threads))
        hop_contexts(store, threads=threads, memory_limit=limit)
        made.append(store.nodes["x_hop2"].tobytes())
    assert made[0] == made[1]


def test_columns_are_committed_like_others(tmp_path):
    store = graph().save(tmp_path / "g")
    hop_contexts(store)
    wanted = store.nodes["x_hop2"].copy()
    store.commit("contexts")
    again = nearhop.open(tmp_path / "g")
    again.verify()
    assert (again.nodes["x_hop2"] == wanted).all()
    assert check_contexts(again) == ["x_hop1", "x_hop2"]
    again.compact()
    assert (nearhop.open(tmp_path / "g").nodes["x_hop2"] == wanted).all()


def test_permuted_nodes_have_permuted_contexts():
    store = graph()
    order = np.random.default_rng(1).permutation(NODES)
    edges = store.edge_list()
    other = nearhop.GraphStore.from_edges(order[edges.src], order[edges.dst], num_nodes=NODES)
    table = np.empty((NODES, WIDTH), np.float32)
    table[order] = store.nodes["x"]
    other.nodes["x"] = table
    for each in (store, other):
        hop_contexts(each)
    np.testing.assert_allclose(other.nodes["x_hop2"][order], store.nodes["x_hop2"], rtol=1e-5, atol=1e-6)


def killed_at(path, point, limit):
    """Run the call in a child that is killed at its point-th piece; whether it got there."""
    child = os.fork()
    if child == 0:
        seen = [0]

        def die(done, total):
            seen[0] += 1
            if seen[0] == point:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            hop_contexts(nearhop.open(path), memory_limit=limit, progress=die)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: fork")
def test_killed_at_fifty_points_the_bytes_are_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "sync", lambda descriptor: None)  # a kill loses nothing that was written
    monkeypatch.setattr(np.memmap, "flush", lambda array: None)
    store = graph().save(tmp_path / "whole")
    hop_contexts(store)
    wanted = [store.nodes[name].tobytes() for name in ("x_hop1", "x_hop2")]
    store.commit()
    limit = 24 * NODES + (1 << 20) + 12 * WIDTH * 4  # pieces of 12 rows: 25 per hop
    for point in range(1, 51):
        path = tmp_path / f"killed{point}"
        graph().save(path)
        assert killed_at(path, point, limit)
        resumed = nearhop.open(path)
        calls = []
        hop_contexts(resumed, memory_limit=limit, progress=lambda done, total, to=calls: to.append(done))
        assert len(calls) == 50 - (point - 1)  # the piece that was not noted is written again, and none before it
        assert [resumed.nodes[name].tobytes() for name in ("x_hop1", "x_hop2")] == wanted
        resumed.close()


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: fork")
def test_what_a_killed_call_left_is_not_taken_for_another(tmp_path):
    """Changed values, other options and a damaged note begin anew; `compact` removes what is left."""
    limit = 24 * NODES + (1 << 20) + 12 * WIDTH * 4
    graph().save(tmp_path / "g")
    assert killed_at(tmp_path / "g", 30, limit)
    store = nearhop.open(tmp_path / "g")
    changed = store.nodes["x"].copy()
    changed[7] += 1
    store.nodes["x"] = changed
    hop_contexts(store, memory_limit=limit)
    np.testing.assert_allclose(store.nodes["x_hop1"], reference.contexts(store, changed, 1)[0], rtol=2e-5, atol=2e-5)
    store.close()
    left = [p for p in (tmp_path / "g" / "segments").iterdir() if p.read_bytes().startswith(b"nearhop: rows")]
    assert len(left) == 1
    data = bytearray(left[0].read_bytes())
    data[29:31] = b"99"  # says more rows than it has; the checksum tells
    left[0].write_bytes(data)
    store = nearhop.open(tmp_path / "g")
    calls = []
    hop_contexts(store, memory_limit=limit, progress=lambda done, total: calls.append(done))
    np.testing.assert_allclose(
        store.nodes["x_hop2"], reference.contexts(store, store.nodes["x"], 2)[1], rtol=2e-5, atol=2e-5
    )
    store.close()
    killed_at(tmp_path / "g", 3, limit)
    nearhop.open(tmp_path / "g").compact()
    assert not any(p.read_bytes().startswith(b"nearhop: rows") for p in (tmp_path / "g" / "segments").iterdir())


def test_another_call_writes_anew_what_was_changed_since(tmp_path):
    store = graph().save(tmp_path / "g")
    hop_contexts(store)
    wanted = store.nodes["x_hop1"].copy()
    store.nodes["x_hop1"][5] = 7
    hop_contexts(store)
    assert (store.nodes["x_hop1"] == wanted).all()
    store.commit()
    again = nearhop.open(tmp_path / "g")
    again.verify()
    assert (again.nodes["x_hop1"] == wanted).all()
    assert (again.nodes["x_hop2"] == store.nodes["x_hop2"]).all()


def test_contexts_of_another_version_are_refused(tmp_path):
    store = graph().save(tmp_path / "g")
    hop_contexts(store)
    store.commit()
    store.append_edges([0], [1])
    with pytest.raises(InvalidInput, match="another version of the store: the edges have changed"):
        check_contexts(store)
    store.close()
    store = nearhop.open(tmp_path / "g")
    table = store.nodes["x"].copy()
    table[-1, -1] += 1
    store.nodes["x"] = table
    with pytest.raises(InvalidInput, match="another version of the store: column 'x' has changed"):
        check_contexts(store)


def test_bad_input_is_named():
    store = graph()
    with pytest.raises(NotFound, match="has no contexts of 2 hops"):
        check_contexts(store)
    with pytest.raises(InvalidInput, match="hops must be an integer >= 1"):
        check_contexts(store, hops="2")
    store.attributes["hop_contexts"] = [1]  # another's, or damaged
    with pytest.raises(NotFound, match="has no contexts of 2 hops"):
        check_contexts(store)
    with pytest.raises(NotFound, match="no column 'y'"):
        hop_contexts(store, "y")
    store.nodes["y"] = np.zeros(NODES, np.float32)
    with pytest.raises(InvalidInput, match="must have two dimensions"):
        hop_contexts(store, "y")
    store.nodes["y"] = np.zeros((NODES, 2))
    with pytest.raises(InvalidType, match="must be float32 or float16; got float64"):
        hop_contexts(store, "y")
    with pytest.raises(InvalidType, match="dtype must be float32 or float16; got int8"):
        hop_contexts(store, dtype=np.int8)
    with pytest.raises(InvalidInput, match="hops must be an integer >= 1"):
        hop_contexts(store, hops=0)
    with pytest.raises(InvalidInput, match='direction must be "out" or "in"'):
        hop_contexts(store, direction="both")
    with pytest.raises(InvalidInput, match="normalization must be one of"):
        hop_contexts(store, normalization="l2")
    with pytest.raises(InvalidInput, match="these edges have none"):
        hop_contexts(store, weighted=True)
    with pytest.raises(InvalidInput, match="need 1,055,776 for their degrees"):
        hop_contexts(store, memory_limit=1 << 20)
    shop = nearhop.GraphStore.from_typed({"a": 2, "b": 2}, {("a", "to", "b"): ([0], [1])})
    shop.nodes("a")["x"] = np.zeros((2, 2), np.float32)
    with pytest.raises(InvalidInput, match="one node type at both ends"):
        hop_contexts(shop)
    heavy = nearhop.GraphStore.from_edges([0], [1], weight=[-1.0])
    heavy.nodes["x"] = np.zeros((2, 2), np.float32)
    with pytest.raises(InvalidInput, match="must not be negative; the least is -1"):
        hop_contexts(heavy, weighted=True)


@pytest.mark.parametrize("nodes", [0, 1])
def test_small_graphs(nodes):
    store = nearhop.GraphStore.from_edges([], [], num_nodes=nodes)
    store.nodes["x"] = np.full((nodes, 2), 3, np.float32)
    hop_contexts(store)
    assert store.nodes["x_hop2"].tolist() == [[3.0, 3.0]] * nodes


def test_typed_graphs_keep_contexts_per_type():
    store = nearhop.GraphStore.from_typed(
        {"a": 3, "b": 2}, {("a", "near", "a"): ([0], [1]), ("a", "to", "b"): ([0], [1])}
    )
    store.nodes("a")["x"] = np.eye(3, dtype=np.float32)
    names = hop_contexts(store, edge_type=("a", "near", "a"))
    assert check_contexts(store, node_type="a") == names == ["x_hop1", "x_hop2"]
    with pytest.raises(NotFound):
        check_contexts(store, node_type="b")


def test_fingerprints_tell_values_places_shapes_and_dtypes_apart():
    rng = np.random.default_rng(0)
    table = rng.random((501, 7), dtype=np.float32)
    same = of_array(table)
    assert of_array(np.asfortranarray(table)) == same == of_array(table, threads=1)
    assert of_array(np.ascontiguousarray(table[:, ::-1])) != same
    assert of_array(table.reshape(7, 501)) != same != of_array(table.view(np.int32))
    for at in ((0, 0), (250, 3), (500, 6)):
        other = table.copy()
        other[at] = np.nextafter(other[at], 2)
        assert of_array(other) != same
    weighted = graph(weighted=True)
    edges = weighted.edge_list()
    light = nearhop.GraphStore.from_edges(edges.src, edges.dst, num_nodes=NODES)
    assert of_rows(weighted.csr()) != of_rows(light.csr())
