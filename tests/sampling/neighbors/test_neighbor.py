"""Neighbour sampling: valid edges, exact marginals, no leak of the future, and independence of threads and order."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from nearhop import GraphStore
from nearhop.graphlib.errors import InvalidInput, InvalidType
from nearhop.sampling import NeighborSampler, Temporal
from nearhop.tests.reference.inclusion import inclusion


def random_store(seed=0, n=60, m=500, **options):
    rng = np.random.default_rng(seed)
    return GraphStore.from_edges(
        rng.integers(0, n, m),
        rng.integers(0, n, m),
        num_nodes=n,
        weight=rng.random(m).astype(np.float32),
        time=rng.integers(0, 100, m),
        **{"directed": True, **options},
    )


def star(leaves, **options):
    """Node 0 with in-edges from 1..leaves."""
    return GraphStore.from_edges(np.arange(1, leaves + 1), np.zeros(leaves, np.int64), directed=True, **options)


def edges_of(batch):
    """Global (source, destination, edge id) triples."""
    return set(
        zip(batch.nodes[batch.row].tolist(), batch.nodes[batch.col].tolist(), batch.edge_ids.tolist(), strict=True)
    )


ALL_OPTIONS = [
    {},
    {"replace": True},
    {"direction": "out"},
    {"weighted": True},
    {"weighted": True, "replace": True},
    {"method": "labor"},
    {"method": "labor", "weighted": True},
    {"disjoint": True},
    {"disjoint": True, "weighted": True, "direction": "out"},
    {"temporal": Temporal()},
    {"temporal": Temporal(inclusive=True, window=20)},
    {"temporal": Temporal(latest=True)},
    {"temporal": Temporal(), "weighted": True},
    {"temporal": Temporal(window=30), "weighted": True, "replace": True},
]


@pytest.mark.parametrize("options", ALL_OPTIONS, ids=str)
@pytest.mark.parametrize("directed", [True, False])
def test_every_edge_exists_and_leads_towards_the_seeds(options, directed):
    store = random_store(directed=directed)
    edges = store.edge_list()
    sampler = NeighborSampler(store, [4, 3, -1], seed=1, **options)
    seeds = np.array([5, 9, 5, 31])
    times = {"seed_time": np.array([50, 60, 20, 99])} if "temporal" in options else {}
    batch = sampler.sample(seeds, **times)
    assert batch.nodes[batch.seed_index].tolist() == seeds.tolist()
    assert sum(batch.num_sampled_nodes) == batch.num_nodes
    assert sum(batch.num_sampled_edges) == batch.num_edges > 0
    for source, target, edge in edges_of(batch):
        ends = (int(edges.src[edge]), int(edges.dst[edge]))
        assert (source, target) == ends or (not directed and (target, source) == ends)
    near = batch.col if options.get("direction", "in") == "in" else batch.row
    hop_of_edge = np.repeat(np.arange(3), batch.num_sampled_edges)
    hop_of_node = np.repeat(np.arange(4), batch.num_sampled_nodes)
    assert (hop_of_node[near] == hop_of_edge).all()  # every edge was found from a node of the hop before
    if sampler.disjoint:
        assert (batch.tree[batch.row] == batch.tree[batch.col]).all()
        assert batch.seed_index.tolist() == [0, 1, 2, 3]
    else:
        assert len(np.unique(batch.nodes)) == batch.num_nodes
        assert batch.num_sampled_nodes[0] == 3


@pytest.mark.parametrize("options", ALL_OPTIONS, ids=str)
def test_sample_does_not_depend_on_order_batch_or_threads(options):
    store = random_store(seed=4)
    sampler = NeighborSampler(store, [4, 3], seed=2, threads=2, **options)
    seeds = np.arange(0, 60, 3)
    temporal = "temporal" in options
    times = np.arange(20) * 4 + 10

    def sample(which):
        return sampler.sample(seeds[which], epoch=3, **({"seed_time": times[which]} if temporal else {}))

    order = np.random.default_rng(0).permutation(20)
    straight, shuffled = sample(np.arange(20)), sample(order)
    assert edges_of(straight) == edges_of(shuffled)
    if sampler.disjoint:  # a tree is the same in a batch of its own
        for position in (0, 7, 19):
            alone = sample(np.array([position]))
            inside = np.flatnonzero(straight.tree[straight.row] == position)
            assert sorted(alone.edge_ids.tolist()) == sorted(straight.edge_ids[inside].tolist())
    else:  # the first hop of a seed is the same in a batch of its own
        for position in (0, 7, 19):
            alone = sample(np.array([position]))
            first = straight.edge_ids[: straight.num_sampled_edges[0]]
            near = (straight.row if options.get("direction") == "out" else straight.col)[: len(first)]
            mine = first[straight.nodes[near] == seeds[position]]
            assert sorted(mine.tolist()) == sorted(alone.edge_ids[: alone.num_sampled_edges[0]].tolist())
    if not temporal:
        batches = np.split(seeds, 5)
        many = [edges_of(b) for b in sampler.sample_batches(batches, epoch=3)]
        assert many == [edges_of(sampler.sample(b, epoch=3)) for b in batches]
    assert edges_of(straight) != edges_of(
        sampler.sample(seeds, epoch=4, **({"seed_time": times} if temporal else {}))
    ) or options.get("temporal") == Temporal(latest=True)


@pytest.mark.parametrize(("degree", "fanout"), [(5, 2), (6, 3), (50, 33), (400, 40), (2000, 40)])
def test_uniform_without_replacement_is_exact(degree, fanout):
    # Floyd's draw, the shuffle and the hashed draw by (degree, fanout); many epochs of one row
    sampler = NeighborSampler(star(degree), [fanout], seed=11)
    rounds = 4000 if degree < 100 else 600
    counts = np.zeros(degree + 1)
    subsets = {}
    for epoch in range(rounds):
        batch = sampler.sample([0], epoch=epoch)
        picked = tuple(sorted(batch.nodes[1:].tolist()))
        assert len(set(picked)) == fanout
        counts[list(picked)] += 1
        subsets[picked] = subsets.get(picked, 0) + 1
    assert chisquare(counts[1:]).pvalue > 1e-4
    possible = list(combinations(range(1, degree + 1), fanout)) if degree < 10 else []
    if possible:  # every subset is equally likely, not only every neighbour
        assert chisquare([subsets.get(s, 0) for s in possible]).pvalue > 1e-4


def test_weighted_with_replacement_is_exact():
    weight = np.array([1, 0, 2, 5], np.float32)
    sampler = NeighborSampler(star(4, weight=weight), [8000], weighted=True, replace=True)
    batch = sampler.sample([0])
    counts = np.bincount(batch.edge_ids, minlength=4)
    assert counts[1] == 0
    assert chisquare(counts[[0, 2, 3]], 8000 * np.array([1, 2, 5]) / 8).pvalue > 1e-4


def test_weighted_without_replacement_has_exact_inclusion():
    """Successive draws without replacement: the first is proportional to weight, then the rest among what is left."""
    weight = np.array([1.0, 2.0, 5.0])
    expected = np.zeros(3)
    for first in range(3):
        for second in set(range(3)) - {first}:
            chance = weight[first] / weight.sum() * weight[second] / (weight.sum() - weight[first])
            expected[[first, second]] += chance
    sampler = NeighborSampler(star(3, weight=weight), [2], weighted=True, seed=5)
    rounds = 6000
    counts = np.zeros(3)
    for epoch in range(rounds):
        counts[sampler.sample([0], epoch=epoch).edge_ids] += 1
    left_out, chance = rounds - counts, 1 - expected
    assert chisquare(left_out, rounds * chance).pvalue > 1e-4


def test_labor_reaches_fewer_nodes_at_the_same_marginals():
    store = random_store(seed=8, n=300, m=6000)
    seeds = np.arange(100)
    plain = NeighborSampler(store, [5], seed=1).sample(seeds)
    shared = NeighborSampler(store, [5], method="labor", seed=1).sample(seeds)
    assert shared.num_edges == plain.num_edges
    assert shared.num_nodes < 0.85 * plain.num_nodes
    for method in ("labor", "labor-per-hop"):
        counts = np.zeros(31)
        sampler = NeighborSampler(star(30), [6], method=method)
        for epoch in range(2000):
            counts[sampler.sample([0], epoch=epoch).nodes[1:]] += 1
        assert chisquare(counts[1:]).pvalue > 1e-4


def test_labor_shares_across_hops_or_within_one():
    """Nodes 0 and 1 have the same thirty neighbours; 1 is found from 2 in a hop of its own."""
    leaves = np.arange(3, 33)
    src, dst = np.concatenate([leaves, leaves, [1]]), np.repeat([0, 1, 2], [30, 30, 1])
    store = GraphStore.from_edges(src, dst, directed=True)

    def common(method, seeds, epoch):
        sampler = NeighborSampler(store, [6] if seeds == [0, 1] else [6, 6], method=method)
        sample = sampler.sample(seeds, epoch=epoch)
        far, near = sample.nodes[sample.row], sample.nodes[sample.col]
        return len(set(far[near == 0]) & set(far[near == 1]))

    for method in ("labor", "labor-per-hop"):
        assert [common(method, [0, 1], epoch) for epoch in range(20)] == [6] * 20
    assert [common("labor", [0, 2], epoch) for epoch in range(20)] == [6] * 20
    apart = [common("labor-per-hop", [0, 2], epoch) for epoch in range(200)]
    assert np.mean(apart) == pytest.approx(6 * 6 / 30, abs=0.25)


@given(
    events=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 9)), min_size=1, max_size=60),
    seed_time=st.integers(-1, 11),
    inclusive=st.booleans(),
    window=st.one_of(st.none(), st.integers(0, 5)),
    latest=st.booleans(),
    directed=st.booleans(),
)
def test_no_temporal_sample_sees_the_future(events, seed_time, inclusive, window, latest, directed):
    src, dst, time = np.array(events).T
    store = GraphStore.from_edges(src, dst, num_nodes=7, time=time, directed=directed)
    rule = Temporal(inclusive=inclusive, window=window, latest=latest)
    batch = NeighborSampler(store, [3, 2], temporal=rule).sample(np.arange(7), seed_time=np.full(7, seed_time))
    seen = time[batch.edge_ids]
    assert (seen <= seed_time).all() if inclusive else (seen < seed_time).all()
    if window is not None:
        assert (seed_time - seen <= window).all()
    allowed = (time <= seed_time) if inclusive else (time < seed_time)
    if window is not None:
        allowed &= seed_time - time <= window
    for node in range(7):  # as many edges as there are, up to the fanout; the latest ones on request
        ends = np.flatnonzero(allowed & ((dst == node) | ((src == node) & (not directed))))
        first_hop = batch.edge_ids[: batch.num_sampled_edges[0]]
        mine = first_hop[batch.nodes[batch.col[: len(first_hop)]] == node]
        assert len(mine) == min(3, len(ends))
        if latest:
            assert sorted(time[mine].tolist()) == sorted(time[ends].tolist())[-3:]


def test_full_neighbourhood_and_induced_edges():
    store = random_store(seed=3)
    edges = store.edge_list()
    whole = NeighborSampler(store, [-1]).sample([7])
    assert sorted(whole.edge_ids.tolist()) == np.flatnonzero(edges.dst == 7).tolist()
    induced = NeighborSampler(store, [4, 4], induced=True).sample([1, 2])
    inside = np.isin(edges.src, induced.nodes) & np.isin(edges.dst, induced.nodes)
    assert sorted(induced.edge_ids.tolist()) == np.flatnonzero(inside).tolist()
    assert (induced.nodes[induced.row] == edges.src[induced.edge_ids]).all()
    assert (induced.nodes[induced.col] == edges.dst[induced.edge_ids]).all()


def test_many_batches_reuse_their_marks_without_leaking():
    store = random_store(seed=6)
    sampler = NeighborSampler(store, [3, 3])
    fresh = NeighborSampler(store, [3, 3])
    for seed in range(30):
        sampler.sample([seed])
    assert edges_of(sampler.sample([31])) == edges_of(fresh.sample([31]))


def test_empty_and_isolated():
    store = GraphStore.from_edges(np.array([0]), np.array([1]), num_nodes=4, directed=True)
    sampler = NeighborSampler(store, [2, 2])
    assert sampler.sample([]).num_nodes == 0
    lonely = sampler.sample([3])
    assert lonely.num_sampled_nodes == (1, 0, 0)
    assert lonely.num_edges == 0
    assert NeighborSampler(store, []).sample([0, 1]).num_sampled_nodes == (2,)
    assert NeighborSampler(store, [0]).sample([1]).num_edges == 0


def test_bad_input_is_named():
    store = random_store()
    plain = GraphStore.from_edges(np.array([0]), np.array([1]))
    with pytest.raises(InvalidInput, match=r"fanouts\[1\] must be an integer >= 0, or -1 for all neighbours; got -2"):
        NeighborSampler(store, [3, -2])
    with pytest.raises(InvalidInput, match="direction must be"):
        NeighborSampler(store, [3], direction="both")
    with pytest.raises(InvalidInput, match="method must be"):
        NeighborSampler(store, [3], method="fast")
    with pytest.raises(InvalidInput, match=r"labor.*without replacement"):
        NeighborSampler(store, [3], method="labor", replace=True)
    with pytest.raises(InvalidInput, match="have no weight"):
        NeighborSampler(plain, [3], weighted=True)
    with pytest.raises(InvalidInput, match="needs edge times"):
        NeighborSampler(plain, [3], temporal=Temporal())
    with pytest.raises(InvalidInput, match="window must be a finite number >= 0"):
        NeighborSampler(store, [3], temporal=Temporal(window=-1))
    with pytest.raises(InvalidInput, match="induced"):
        NeighborSampler(store, [3], disjoint=True, induced=True)
    negative = GraphStore.from_edges(np.array([0, 1]), np.array([1, 0]), weight=np.array([1.0, -2.0]))
    with pytest.raises(InvalidInput, match=r"edge 1 has weight -2\.0"):
        NeighborSampler(negative, [3], weighted=True)
    sampler = NeighborSampler(store, [3])
    with pytest.raises(InvalidInput, match=r"seeds\[0\] is 60, but nodes are 0..59"):
        sampler.sample([60])
    with pytest.raises(InvalidType, match="float64"):
        sampler.sample([1.5])
    with pytest.raises(InvalidInput, match="one dimension"):
        sampler.sample([[1]])
    with pytest.raises(InvalidInput, match="made without temporal"):
        sampler.sample([1], seed_time=[3])
    temporal = NeighborSampler(store, [3], temporal=Temporal())
    with pytest.raises(InvalidInput, match="needs seed_time"):
        temporal.sample([1])
    with pytest.raises(InvalidInput, match=r"shape \(1,\)"):
        temporal.sample([1], seed_time=[1, 2])
    with pytest.raises(InvalidInput, match=r"seed_time\[1\] is nan; times must be finite"):
        temporal.sample([1, 2], seed_time=[3, float("nan")])


@pytest.mark.parametrize("method", ["uniform", "labor", "labor-per-hop"])
@pytest.mark.parametrize("picks", [1, 2, 3])
def test_weighted_inclusion_agrees_with_enumeration(method, picks):
    weight = np.array([0.5, 1.0, 0.0, 2.0, 3.5])
    sampler = NeighborSampler(star(5, weight=weight), [picks], weighted=True, method=method, seed=17)
    rounds = 5000
    counts = np.zeros(5)
    for epoch in range(rounds):
        counts[sampler.sample([0], epoch=epoch).edge_ids] += 1
    expected = inclusion(weight, picks)
    assert counts[2] == 0
    spread = np.sqrt(rounds * expected * (1 - expected))
    assert (np.abs(counts - rounds * expected) <= 4.5 * spread).all()  # 4.5 sigma: 15 counts are looked at


@pytest.mark.parametrize("weighted", [False, True])
def test_temporal_draws_are_exact_within_the_window(weighted):
    weight = np.arange(1, 11, dtype=np.float32)
    store = star(10, time=np.arange(10), weight=weight)
    rule = Temporal(window=5)
    sampler = NeighborSampler(store, [1], temporal=rule, weighted=weighted, seed=3)
    seeds = np.zeros(200, np.int64)
    counts = np.zeros(10)
    for epoch in range(40):
        # a tree is called by its seed and time, so trees of one batch get times that differ but see the same edges
        batch = sampler.sample(seeds, epoch=epoch, seed_time=7.1 + np.arange(200) / 1000)
        counts += np.bincount(batch.edge_ids, minlength=10)
    assert counts[:3].sum() == counts[8:].sum() == 0
    share = weight[3:8] if weighted else np.ones(5)
    assert chisquare(counts[3:8], counts.sum() * share / share.sum()).pvalue > 1e-4


def test_hops_and_seeds_are_drawn_independently():
    """The draws of two nodes, and of one node in two hops, are independent: a joint chi-square over both."""
    src = np.array([1, 2, 3, 1, 2, 3])
    dst = np.array([0, 0, 0, 4, 4, 4])
    store = GraphStore.from_edges(src, dst, num_nodes=5, directed=True)
    sampler = NeighborSampler(store, [1], seed=23)
    joint = np.zeros((3, 3))
    for epoch in range(3000):
        first, second = sampler.sample([0, 4], epoch=epoch).edge_ids
        joint[first, second - 3] += 1
    assert chisquare(joint.ravel()).pvalue > 1e-4


def test_large_disjoint_batches_outgrow_their_first_table():
    """Trees of many nodes: the table of (tree, node) pairs is rebuilt, and nodes keep their one number per tree."""
    store = random_store(seed=9, n=400, m=8000)
    sampler = NeighborSampler(store, [10, 10], disjoint=True, seed=3)
    seeds = np.arange(60)
    batch = sampler.sample(seeds)
    assert batch.num_nodes > 2500  # more than half of the first table's 4096 slots
    assert batch.tree is not None
    pairs = batch.tree * 400 + batch.nodes
    assert len(np.unique(pairs)) == batch.num_nodes
    for position in (0, 31, 59):
        alone = sampler.sample(seeds[position : position + 1])
        inside = np.flatnonzero(batch.tree[batch.row] == position)
        mine = zip(batch.nodes[batch.row[inside]], batch.nodes[batch.col[inside]], batch.edge_ids[inside], strict=True)
        assert set(mine) == set(zip(alone.nodes[alone.row], alone.nodes[alone.col], alone.edge_ids, strict=True))


@pytest.mark.parametrize("options", [{}, {"replace": True}, {"method": "labor"}, {"temporal": Temporal()}])
@pytest.mark.parametrize("fanout", [-1, 2**62])
def test_edges_of_weight_zero_are_never_drawn_nor_taken(options, fanout):
    fanout = 500 if options.get("replace") and fanout > 0 else fanout
    store = star(4, weight=[1, 0, 2, 0], time=[0, 0, 0, 0])
    seed_time = [1] if "temporal" in options else None
    batch = NeighborSampler(store, [fanout], weighted=True, **options).sample([0], seed_time=seed_time)
    assert set(batch.edge_ids.tolist()) == {0, 2}
    assert batch.num_edges == (500 if fanout == 500 else 2)


def test_ages_beyond_64_bits_are_outside_of_a_window():
    store = star(4, time=[-(2**62) - 5000, -5000, 5000, 2**62])
    for window, seen in (
        (10, {3}),
        (2.0**62, {2, 3}),
        (2.0**63, {1, 2, 3}),
        (2**70, {0, 1, 2, 3}),
        (None, {0, 1, 2, 3}),
    ):
        batch = NeighborSampler(store, [-1], temporal=Temporal(window=window)).sample([0], seed_time=[2**62 + 1])
        assert set(batch.edge_ids.tolist()) == seen, window


def test_a_seed_time_that_would_wrap_around_is_refused():
    sampler = NeighborSampler(star(2, time=[1, 2]), [-1], temporal=Temporal())
    with pytest.raises(InvalidInput, match=f"seed_time holds {2**64 - 1}, which does not fit"):
        sampler.sample([0], seed_time=np.array([2**64 - 1], np.uint64))
    assert sampler.sample([0], seed_time=np.array([2**63 - 1], np.uint64)).num_edges == 2


def test_what_is_no_rule_of_time_is_named():
    store = star(2, time=[1, 2])
    for wrong in ({"window": 3}, True, 5):
        with pytest.raises(InvalidType, match=r"temporal must be a Temporal, such as Temporal\(window=10\), or None"):
            NeighborSampler(store, [1], temporal=wrong)
    for window in ("x", [1, 2], True, np.nan):
        with pytest.raises(InvalidInput, match=r"Temporal\.window must be a finite number >= 0; got"):
            NeighborSampler(store, [1], temporal=Temporal(window=window))
    with pytest.raises(InvalidInput, match=r"fanouts\[0\] must be at most 9223372036854775807"):
        NeighborSampler(store, [2**63])
