"""Streams: every purpose has its own word and its own numbers, and samplers of one seed are independent."""

from __future__ import annotations

import ast
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2

import nearhop
from nearhop import GraphStore
from nearhop.graphlib.compute import random_cpu
from nearhop.graphlib.compute.jit import kernel
from nearhop.graphlib.compute.streams import Purpose, generator, root_of
from nearhop.graphlib.errors import InvalidType
from nearhop.sampling import (
    LinkLoader,
    NegativeSampler,
    NeighborSampler,
    TypedNeighborSampler,
    in_batch_negatives,
    metapath_walks,
    random_walks,
    temporal_walks,
)
from nearhop.tests.support import needs

ITEMS = 4000
ROOM = Path(nearhop.__file__).parent
ROOMS = ("graphlib", "sampling", "embed", "ann", "communities", "gnn", "blocking", "datasets", "interop", "cli/demo")


@kernel
def first_words(root, epoch, out):
    for item in range(out.shape[0]):
        out[item] = random_cpu.uniform(random_cpu.stream(root, epoch, item, 0), 0)


def test_every_purpose_has_a_word_and_roots_are_known():
    words = [purpose.value for purpose in Purpose]
    assert len(set(words)) == len(words) == len(Purpose.__members__)
    roots = {root_of(seed, purpose) for seed in (-1, 0, 1, 2**70) for purpose in Purpose}
    assert len(roots) == 4 * len(words)
    assert all(0 <= root < 2**63 for root in roots)
    # changing these renames every stream of the library: a decision, not an accident
    assert root_of(0, Purpose.NEIGHBORS) == root_of(np.int32(0), Purpose.NEIGHBORS) == 4151355222141159683
    assert root_of(7, Purpose.WALKS, "a", "b", "c") == 6607189060308684622
    assert generator(3, Purpose.SPLIT).random() == generator(3, Purpose.SPLIT).random()
    for seed in (1.0, "1", None):
        with pytest.raises(InvalidType, match="seed must be an integer; got"):
            root_of(seed, Purpose.WALKS)


def test_streams_of_different_purposes_are_uncorrelated():
    numbers = {}
    for purpose in Purpose:
        numbers[purpose] = np.empty(ITEMS)
        first_words(root_of(0, purpose), 3, numbers[purpose])
    for seed in (1, 2):
        numbers[seed] = np.empty(ITEMS)
        first_words(root_of(seed, Purpose.WALKS), 3, numbers[seed])
    pairs = list(combinations(numbers, 2))
    found = np.array([np.corrcoef(numbers[a], numbers[b])[0, 1] for a, b in pairs])
    assert np.abs(found).max() < 5 / np.sqrt(ITEMS)
    # and all of them together are no farther from 0 than chance allows
    assert chi2.sf((found**2).sum() * ITEMS, len(pairs)) > 1e-4


def named(path):
    """What the calls of `stream(...)` in a module give as the first argument, and the random generators it makes."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called == "stream" and node.args:
            first = node.args[0]
            yield path.name, first.id if isinstance(first, ast.Name) else ast.unparse(first)


def test_no_kernel_draws_from_a_seed_as_it_is():
    """Kernels take roots; only random functions, whose values files keep, go by the seed itself."""
    files = [
        f
        for room in ("graphlib", "sampling", "embed", "ann", "communities", "gnn")
        for f in (ROOM / room).rglob("*_c*.py")
    ]
    calls = {call for file in files for call in named(file)}
    assert len(calls) > 20
    by_seed = {name for name, first in calls if first == "seed"}
    assert by_seed == {"projection_cpu.py", "oph_cpu.py", "probminhash_cpu.py", "hashing_cpu.py"}
    others = {first.rpartition(".")[2] for _, first in calls} - {"seed"}
    assert others == {"root", "shared_root", "seeds[i]", "epoch"}  # the last two make names, not numbers


BY_THE_SEED_ITSELF = {
    # splits, classifiers and noise that published tables were made with
    "embed/evaluation/labels.py",
    "embed/evaluation/linear_classifier.py",
    "embed/evaluation/link_splits.py",
    "communities/local/noisy_labels.py",
    "gnn/graphs/folds.py",
    # functions that files or pictures are compared with
    "ann/minhash/schemes.py",
    "ann/storage/directions.py",
    "blocking/vectors.py",
    "gnn/nodes/dropout.py",  # by a root
    "communities/pictures/layout.py",
}


def test_no_generator_of_numpy_is_made_from_a_seed_without_a_purpose():
    found = set()
    for file in (f for room in ROOMS for f in (ROOM / room).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            called = getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""
            fixed = called and all(
                isinstance(given, ast.Constant) or ast.unparse(given).isupper() for given in node.args
            )
            if called in ("default_rng", "RandomState", "seeded") and not fixed:
                found.add(str(file.relative_to(ROOM)))
    assert found - {"graphlib/compute/streams.py"} == BY_THE_SEED_ITSELF


def ranks(rows, near, far):
    """Where each far end stands in its near end's row, in 0..1."""
    return np.array([np.searchsorted(rows.neighbors(u), v) / 50 for u, v in zip(near, far, strict=True)])


def sampled(sampler, nodes, epoch):
    found = sampler.sample(nodes, epoch=epoch)
    ends = (found.col, found.row) if sampler.direction == "in" else (found.row, found.col)
    near, far = (found.nodes[end] for end in ends)
    order = np.argsort(near, kind="stable")
    return near[order], far[order]


@pytest.fixture(scope="module")
def graph():
    rng = np.random.default_rng(0)
    n = 1500
    src = np.repeat(np.arange(n), 50)
    dst = np.concatenate([rng.choice(n, 50, replace=False) for _ in range(n)])
    return GraphStore.from_edges(src, dst, num_nodes=n, directed=True, time=np.tile(np.arange(50), n))


def test_samplers_of_one_seed_are_independent(graph):
    rows, nodes, epoch = graph.csr(), np.arange(graph.num_nodes), 3
    n = graph.num_nodes
    edge = graph.edge_types[0]

    def of_walk(walks):
        return ranks(rows, nodes, walks[:, 1])

    numbers = {
        "neighbours": ranks(rows, *sampled(NeighborSampler(graph, [1], direction="out", seed=0), nodes, epoch)),
        "walks": of_walk(random_walks(graph, nodes, length=1, epoch=epoch)),
        "second order": of_walk(random_walks(graph, nodes, length=2, p=4.0, epoch=epoch)[:, :2]),
        "metapath": of_walk(metapath_walks(graph, nodes, metapath=[edge], epoch=epoch)),
        "temporal": of_walk(temporal_walks(graph, nodes, length=1, epoch=epoch).nodes),
        "negatives": NegativeSampler(graph, seed=0).sample(nodes, 1, epoch=epoch)[:, 0] / n,
        "sources": NegativeSampler(graph, corrupt="src", seed=0).sample(nodes, 1, epoch=epoch)[:, 0] / n,
        "pairs": NegativeSampler(graph, seed=0).sample_pairs(n, epoch=epoch)[0] / n,
        "in batch": in_batch_negatives(np.arange(n), 1, epoch=epoch)[:, 0] / n,
    }
    labor = NeighborSampler(graph, [25], direction="out", method="labor", seed=0)
    _, far = sampled(labor, nodes, epoch)
    numbers["labor"] = np.bincount(far, minlength=n) / 50
    same = {frozenset(("walks", "second order"))}  # one walk under two parameters
    for a, b in combinations(numbers, 2):
        if {a, b} not in same:
            assert abs(np.corrcoef(numbers[a], numbers[b])[0, 1]) < 4.5 / np.sqrt(n), (a, b)
    inward = ranks(graph.csc(), *sampled(NeighborSampler(graph, [1], direction="in", seed=0), nodes, epoch))
    assert abs(np.corrcoef(inward, numbers["neighbours"])[0, 1]) < 4.5 / np.sqrt(n)


@needs("torch_geometric")
def test_negatives_of_a_loader_are_independent_of_its_samples(graph):
    rows, n = graph.csr(), graph.num_nodes
    edges = np.arange(n)  # keyed like nodes: the worst case
    (batch,) = LinkLoader(graph, [1], edges=edges, negatives=1, batch_size=n, tables={}, workers=0)
    negative = batch.n_id[batch.edge_label_index[1, n:]].numpy() / n
    near, far = sampled(NeighborSampler(graph, [1], direction="out", seed=0), np.arange(n), 0)
    assert abs(np.corrcoef(negative, ranks(rows, near, far))[0, 1]) < 4.5 / np.sqrt(n)


def test_a_typed_sample_does_not_depend_on_other_types():
    rng = np.random.default_rng(0)
    a, b, c = ("u", "a", "u"), ("u", "b", "u"), ("u", "c", "u")
    ends = {name: (rng.integers(0, 100, 2000), rng.integers(0, 100, 2000)) for name in (a, b, c)}
    store = GraphStore.from_typed({"u": 100}, {name: ends[name] for name in (a, b)})
    larger = GraphStore.from_typed({"u": 100}, {name: ends[name] for name in (c, b, a)})
    seeds = {"u": np.arange(40)}
    for options in ({}, {"method": "labor"}, {"method": "labor-per-hop"}, {"replace": True}):
        alone = TypedNeighborSampler(store, {b: [2]}, **options).sample(seeds).edge_ids[b]
        for other in (store, larger):
            beside = TypedNeighborSampler(other, {a: [2], b: [2]}, **options).sample(seeds)
            np.testing.assert_array_equal(beside.edge_ids[b], alone)
        plain = NeighborSampler(larger, [2], edge_type=b, **options).sample(seeds["u"])
        np.testing.assert_array_equal(plain.edge_ids, alone)
    # types draw apart: equal edges under two names give different samples, but LABOR's numbers belong to the neighbour
    twice = GraphStore.from_typed({"u": 100}, {a: ends[a], b: ends[a]})
    one = TypedNeighborSampler(twice, {a: [2], b: [2]}).sample(seeds)
    assert not np.array_equal(one.edge_ids[a], one.edge_ids[b])
    shared = TypedNeighborSampler(twice, {a: [2], b: [2]}, method="labor").sample(seeds)
    np.testing.assert_array_equal(shared.edge_ids[a], shared.edge_ids[b])
