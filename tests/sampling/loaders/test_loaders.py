"""Loaders: what is in a batch, that it does not depend on threads, and that threads end."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("torch_geometric", reason="needs torch_geometric")

from nearhop import GraphStore  # noqa: E402
from nearhop.graphlib.errors import InvalidInput, InvalidType  # noqa: E402
from nearhop.sampling import LinkLoader, NeighborSampler, NodeLoader, Temporal, TemporalLoader  # noqa: E402  # noqa: E402
from nearhop.sampling.features.unified_tensor import UnifiedTensor  # noqa: E402
from nearhop.sampling.prefetch import LoaderReport, Stopwatch, prefetched  # noqa: E402
from nearhop.tests.support import examples  # noqa: E402


@pytest.fixture(scope="module")
def store():
    rng = np.random.default_rng(0)
    pairs = np.unique(np.sort(rng.integers(0, 120, (900, 2)), axis=1), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    made = GraphStore.from_edges(pairs[:, 0], pairs[:, 1], num_nodes=120, time=rng.integers(0, 50, len(pairs)))
    made.nodes["x"] = rng.standard_normal((120, 5)).astype(np.float32)
    made.nodes["y"] = np.arange(120) % 7
    made.edges["w"] = rng.standard_normal((made.num_edges, 2))
    return made


def loader_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("nearhop-loader")]


def fingerprint(batch):
    return [batch.n_id.tolist(), batch.edge_index.tolist(), batch.e_id.tolist(), batch.input_id.tolist()]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_a_node_batch_is_what_pyg_expects(store, workers):
    tables = {"x": "x", "y": store.nodes["y"], "edge_attr": "w"}
    loader = NodeLoader(store, [3, 2], tables=tables, batch_size=50, workers=workers)
    assert len(loader) == 3
    seen = []
    ends = store.edge_list()
    for batch in loader:
        n_id = batch.n_id.numpy()
        assert n_id[: batch.batch_size].tolist() == loader.nodes[batch.input_id.numpy()].tolist()
        np.testing.assert_array_equal(batch.x.numpy(), store.nodes["x"][n_id])
        np.testing.assert_array_equal(batch.y.numpy(), store.nodes["y"][n_id])
        np.testing.assert_array_equal(batch.edge_attr.numpy(), store.edges["w"][batch.e_id.numpy()])
        joined = np.sort(n_id[batch.edge_index.numpy()], axis=0)
        e_id = batch.e_id.numpy()
        np.testing.assert_array_equal(joined, np.sort([ends.src[e_id], ends.dst[e_id]], axis=0))
        assert batch.num_nodes == len(n_id) == sum(batch.num_sampled_nodes)
        batch.validate(raise_on_error=True)
        seen += n_id[: batch.batch_size].tolist()
    assert seen == list(range(120))
    assert loader_threads() == []


def test_the_same_batches_with_any_number_of_threads(store):
    passes = []
    for workers in (0, 1, 4):
        loader = NodeLoader(store, [3, 2], batch_size=16, shuffle=True, seed=5, workers=workers)
        passes.append([[fingerprint(batch) for batch in loader] for _ in range(2)])
    assert passes[0] == passes[1] == passes[2]
    first, second = passes[0]
    assert first != second  # epochs differ
    assert sorted(i for batch in first for i in batch[3]) == list(range(120))
    again = NodeLoader(store, [3, 2], batch_size=16, shuffle=True, seed=5)
    again.epoch = 1
    assert [fingerprint(batch) for batch in again] == second
    other = NodeLoader(store, [3, 2], batch_size=16, shuffle=True, seed=6)
    assert [batch.input_id.tolist() for batch in other] != [batch[3] for batch in first]


def test_shuffles_are_fair():
    """Each of the 24 orders of four items should come up equally often: chi-square with 23 degrees of freedom."""
    from nearhop.sampling.loaders.batches import Batching

    counts = {}
    for epoch in range(4800):
        order = tuple(Batching(4, True, False, 3).positions(4, epoch)[0].tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 24
    assert sum((count - 200) ** 2 / 200 for count in counts.values()) < 49.7  # p = 0.001


def test_drop_last_and_masks(store):
    mask = np.zeros(120, bool)
    mask[5:60] = True
    loader = NodeLoader(store, [2], nodes=mask, batch_size=10, drop_last=True)
    assert len(loader) == 5
    assert [batch.batch_size for batch in loader] == [10] * 5
    assert len(NodeLoader(store, [2], nodes=mask, batch_size=10)) == 6


@pytest.mark.parametrize("drop_last", [False, True])
def test_parts_make_up_the_whole_batch(store, drop_last):
    """Two processes with batches of 8 see together what one sees with batches of 16, neighbours included."""
    options = {"shuffle": True, "seed": 2, "drop_last": drop_last}
    whole = list(NodeLoader(store, [3, 3], batch_size=16, **options))
    parts = [list(NodeLoader(store, [3, 3], batch_size=8, part=(rank, 2), **options)) for rank in (0, 1)]
    for together, left, right in zip(whole, *parts, strict=True):
        assert together.input_id.tolist() == left.input_id.tolist() + right.input_id.tolist()
        first_hop = set(together.e_id[: together.num_sampled_edges[0]].tolist())
        assert first_hop == {e for part in (left, right) for e in part.e_id[: part.num_sampled_edges[0]].tolist()}


def test_links_come_with_negatives_that_are_no_edges(store):
    loader = LinkLoader(store, [3], batch_size=64, negatives=3, shuffle=True, seed=1)
    ends = store.edge_list()
    true = set(zip(ends.src.tolist(), ends.dst.tolist(), strict=True))
    true |= {(b, a) for a, b in true}
    seen = []
    for batch in loader:
        pairs = batch.n_id[batch.edge_label_index]
        positive = batch.edge_label == 1
        count = int(positive.sum())
        assert positive[:count].all()
        assert pairs.shape == (2, 4 * count)
        e_id = batch.input_id.numpy()
        np.testing.assert_array_equal(pairs[:, :count], [ends.src[e_id], ends.dst[e_id]])
        assert torch.equal(pairs[0, count:], pairs[0, :count].repeat_interleave(3))
        assert not any(pair in true for pair in map(tuple, pairs[:, count:].T.tolist()))
        seen += e_id.tolist()
    assert sorted(seen) == list(range(store.num_edges))


def test_negatives_are_uniform(store):
    """Over many epochs a node of degree d draws each of its non-neighbours equally often."""
    loader = LinkLoader(store, [0], edges=[0], negatives=400, tables={}, workers=0)
    counts = np.zeros(120)
    for _ in range(20):
        (batch,) = loader
        counts += np.bincount(batch.n_id[batch.edge_label_index[1, 1:]], minlength=120)
    source = int(store.edge_list().src[0])
    allowed = np.setdiff1d(np.arange(120), [source, *store.csr().neighbors(source)])
    expected = 8000 / len(allowed)
    assert counts.sum() == counts[allowed].sum() == 8000
    assert ((counts[allowed] - expected) ** 2 / expected).sum() < len(allowed) + 4 * np.sqrt(2 * len(allowed))


def test_temporal_batches_are_in_order_and_see_no_future(store):
    sampler = NeighborSampler(store, [4, 4], temporal=Temporal(), seed=3)
    loader = TemporalLoader(store, sampler, batch_size=50, workers=2)
    time = store.edge_list().time
    order = []
    for batch in loader:
        order += batch.input_id.tolist()
        seen = time[batch.e_id.numpy()]
        tree = batch.batch[batch.edge_index[1]]
        assert (seen < batch.seed_time[tree].numpy()).all()
        count = len(batch.input_id)
        np.testing.assert_array_equal(batch.edge_label_time[:count], time[batch.input_id.numpy()])
    assert (np.diff(time[order]) >= 0).all()
    assert sorted(order) == list(range(store.num_edges))


def test_an_error_in_a_thread_reaches_the_caller(store):
    class Faulty:
        def sample(self, seeds, epoch=0):
            if 70 in seeds:
                raise ZeroDivisionError("in the sampler")
            return NeighborSampler(store, [2]).sample(seeds, epoch=epoch)

    for workers in (0, 2):
        batches = iter(NodeLoader(store, Faulty(), batch_size=30, workers=workers))
        assert [next(batches).batch_size, next(batches).batch_size] == [30, 30]
        with pytest.raises(ZeroDivisionError, match="in the sampler"):
            next(batches)
        assert loader_threads() == []


def test_leaving_early_ends_the_threads(store):
    loader = NodeLoader(store, [3], batch_size=5, workers=3)
    for _ in loader:
        assert loader_threads() != []
        break
    del _
    assert loader_threads() == []
    iterator = iter(loader)
    next(iterator)
    iterator.close()
    assert loader_threads() == []


def test_batches_are_prepared_ahead():
    """While the caller has the first item, two threads make the next ones, and no more than four."""
    made, enough = [], threading.Event()

    def make(item):
        made.append((item, threading.current_thread().name))
        if len(made) == 5:
            enough.set()
        return item

    items = prefetched(make, range(20), workers=2, watch=Stopwatch())
    assert next(items) == 0
    assert enough.wait(timeout=30)
    assert {item for item, _ in made} == {0, 1, 2, 3, 4}
    assert threading.main_thread().name not in {name for _, name in made}
    assert list(items) == list(range(1, 20))


def test_the_report_adds_up(store):
    loader = NodeLoader(store, [3], batch_size=40)
    for _ in range(2):
        for _ in loader:
            pass
    report = loader.report()
    assert report.batches == 6
    assert set(report.stages) == {"sample", "gather", "build"}
    assert min(report.stages.values()) > 0
    assert "6 batches, 1 preparing threads; bottleneck: " in str(report)
    assert LoaderReport(1, 0.01, 9.0, {"sample": 5.0}).bottleneck == "use"
    assert LoaderReport(1, 5.0, 5.0, {"sample": 2.0, "gather": 7.0}).bottleneck == "gather"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_gets_an_error_and_no_hang(store):
    loader = NodeLoader(store, [3], batch_size=5, workers=2)
    running = iter(loader)
    next(running)
    child = os.fork()
    if child == 0:
        told = 0
        try:
            for use in (lambda: iter(loader), lambda: [*running]):
                try:
                    use()
                except RuntimeError as error:
                    told += "forked child" in str(error)
        finally:
            os._exit(told)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    running.close()


def test_wrong_arguments(store):
    with pytest.raises(InvalidInput, match="batch_size must be an integer >= 1; got 0"):
        NodeLoader(store, [2], batch_size=0)
    with pytest.raises(InvalidInput, match="workers must be"):
        NodeLoader(store, [2], workers=-1)
    with pytest.raises(InvalidInput, match=r"fanouts\[1\]"):
        NodeLoader(store, [2, -3])
    with pytest.raises(InvalidInput, match=r"nodes\[1\] is 120"):
        NodeLoader(store, [2], nodes=[3, 120])
    with pytest.raises(InvalidInput, match="nodes must be distinct; 3 is"):
        NodeLoader(store, [2], nodes=[3, 5, 3])
    with pytest.raises(InvalidInput, match="mask of nodes"):
        NodeLoader(store, [2], nodes=np.ones(5, bool))
    with pytest.raises(InvalidType, match="float64"):
        NodeLoader(store, [2], nodes=[0.5])
    with pytest.raises(InvalidInput, match="part must be"):
        NodeLoader(store, [2], part=(2, 2))
    with pytest.raises(InvalidInput, match="table 'x' has 7 rows but the store has 120 nodes"):
        NodeLoader(store, [2], tables={"x": np.ones((7, 2))})
    with pytest.raises(InvalidType, match="tables must map"):
        NodeLoader(store, [2], tables=["x"])
    with pytest.raises(InvalidInput, match="negatives"):
        LinkLoader(store, [2], negatives=-1)
    with pytest.raises(InvalidInput, match="leaks the future"):
        TemporalLoader(store, NeighborSampler(store, [2]))


def test_tables_that_are_unified_tensors_are_used_as_they_are(store):
    x = UnifiedTensor(store.nodes["x"], placement="host", threads=1)
    loader = NodeLoader(store, [2], tables={"x": x}, batch_size=60)
    rows = sum(batch.num_nodes for batch in loader)
    assert x.report().rows == rows
    assert x.report().gathers == 2


@given(
    n=st.integers(1, 7),
    edges=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=40),
    directed=st.booleans(),
    timed=st.booleans(),
)
@examples(60)
def test_negatives_are_never_links_and_never_loops(n, edges, directed, timed):
    """Every source gets as many as were asked for, or none where it leads to every other node."""
    pairs = np.array([e for e in edges if max(e) < n], np.int64).reshape(-1, 2)
    time = np.arange(len(pairs)) if timed else None
    store = GraphStore.from_edges(pairs[:, 0], pairs[:, 1], num_nodes=n, directed=directed, time=time)
    linked = set(map(tuple, pairs.tolist())) | (set() if directed else set(map(tuple, pairs[:, ::-1].tolist())))
    linked |= {(node, node) for node in range(n)}
    options = {"batch_size": 5, "negatives": 3, "tables": {}, "workers": 0, "seed": 4}
    loader = LinkLoader(store, [2], **options)
    if timed:
        loader = TemporalLoader(store, NeighborSampler(store, [2], temporal=Temporal()), **options)
    for batch in loader:
        links = batch.input_id.numpy()
        count = len(links)
        ends = batch.n_id[batch.edge_label_index].numpy()
        np.testing.assert_array_equal(ends[:, :count], pairs[links].T)
        assert batch.edge_label.tolist() == [1.0] * count + [0.0] * (ends.shape[1] - count)
        assert not linked & set(map(tuple, ends[:, count:].T.tolist()))
        full = np.array([len({far for near, far in linked if near == source}) == n for source in range(n)])
        expected = np.repeat(pairs[links, 0], np.where(full[pairs[links, 0]], 0, 3))
        np.testing.assert_array_equal(ends[0, count:], expected)
        if timed:
            of_negatives = np.repeat(links, np.where(full[pairs[links, 0]], 0, 3))
            np.testing.assert_array_equal(batch.edge_label_time, [*links.tolist(), *of_negatives.tolist()])


def test_tables_do_not_take_the_place_of_a_batch_s_own_attributes(store):
    count = store.num_edges
    for name in ("edge_label", "n_id", "batch_size", "edge_index", "input_id"):
        with pytest.raises(InvalidInput, match=f"a batch has an attribute '{name}' of its own"):
            LinkLoader(store, [2], tables={name: np.zeros(count)})
    with pytest.raises(InvalidType, match="got the name 3"):
        NodeLoader(store, [2], tables={3: "x"})


def test_edges_are_positions_or_a_mask_of_edges(store):
    count = store.num_edges
    mask = np.arange(count) % 3 == 0
    one, other = (LinkLoader(store, [2], edges=given, tables={}) for given in (mask, np.flatnonzero(mask)))
    assert one.edges.tolist() == other.edges.tolist() == np.flatnonzero(mask).tolist()
    with pytest.raises(InvalidInput, match=rf"edges\[0\] is {count}, but edges are 0\.\.{count - 1}"):
        LinkLoader(store, [2], edges=[count])
    with pytest.raises(InvalidType, match=r"edges must hold integer edge positions; got dtype float64$"):
        LinkLoader(store, [2], edges=[1.0])
    with pytest.raises(InvalidInput, match=r"a mask of edges must have shape"):
        LinkLoader(store, [2], edges=mask[1:])


def test_a_part_is_two_integers(store):
    for part in (None, (0.0, 2), (2, 2), (0,), "01"):
        with pytest.raises(InvalidInput, match="part must be integers"):
            NodeLoader(store, [2], part=part)
    sizes = [[b.batch_size for b in NodeLoader(store, [2], nodes=range(6), batch_size=1, part=(r, 5))] for r in (0, 4)]
    assert sizes == [[1, 0], [1, 1]]
    assert [
        b.batch_size for b in NodeLoader(store, [2], nodes=range(6), batch_size=1, part=(0, 5), drop_last=True)
    ] == [1]
