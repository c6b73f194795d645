"""What takes a store refuses other graphs by name, and says what makes a store of them."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import nearhop
from nearhop.ann.lsh.pairs import SimilarityGraph
from nearhop.blocking.pairs import CandidatePairs
from nearhop.graphlib.errors import InvalidType
from nearhop.graphlib.given_store import check_store

ROOMS = (
    *("nearhop.communities", "nearhop.ann", "nearhop.blocking", "nearhop.datasets", "nearhop.embed", "nearhop.gnn"),
    *("nearhop.gnn.graphs", "nearhop.gnn.links", "nearhop.gnn.nodes", "nearhop.gnn.temporal", "nearhop.interop"),
    *("nearhop.graphlib.convert", "nearhop.graphlib.sparse", "nearhop.sampling"),
)
MATRIX = scipy.sparse.csr_matrix((4, 4))


def readers() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Functions, constructors and methods with an argument `store`."""
    seen = set()
    for room in ROOMS:
        module = importlib.import_module(room)
        for name in module.__all__:
            made = getattr(module, name)
            if not getattr(made, "__module__", "").startswith("nearhop") or id(made) in seen:
                continue
            seen.add(id(made))
            if not inspect.isclass(made):
                found = [(name, made)]
            else:
                kept = [each for each in dir(made) if each == "__init__" or not each.startswith("_")]
                found = [(f"{name}.{each}", getattr(made, each)) for each in kept]
            for told, call in found:
                if callable(call) and "GraphStore" in _names(call).get("store", ""):
                    yield f"{room.removeprefix('nearhop.')}.{told}", call


def _names(call: Callable[..., Any]) -> dict[str, str]:
    try:
        return {name: str(given.annotation) for name, given in inspect.signature(call).parameters.items()}
    except ValueError:
        return {}


TRIANGLE = nearhop.GraphStore.from_edges([0, 1, 2], [1, 2, 0])
# What else a call needs; each is fine, so that the graph is all there is to refuse.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "ann.CANN.from_store": {"column": "x", "colors": [0, 1, 2]},
    "ann.Faiss.from_store": {"column": "x"},
    "ann.HNSW.attach": {"name": "index"},
    "ann.HNSW.from_store": {"column": "x"},
    "ann.HNSW.save_into": {"name": "index"},
    "ann.MinHash.append_edges": {"signatures": np.zeros((3, 128), np.uint32), "first_edge": 0},
    "ann.SimilarityGraph.add_to": {},
    "communities.CommunitySearch.__init__": {},
    "communities.Picture.of_cluster": {"seeds": [0], "found": None},
    "communities.Picture.of_partition": {"found": None},
    "communities.approximate_pagerank": {"seeds": [0]},
    "communities.diffuse_twice": {"seeds": [0], "attributes": np.ones((3, 2))},
    "communities.flow_diffusion": {"seeds": [0]},
    "communities.flow_diffusion_path": {"seeds": [0], "masses": [3.0]},
    "communities.sweep_cut": {"nodes": [0]},
    "blocking.CandidatePairs.add_to": {"edge_type": ("a", "may be", "a")},
    "embed.FastRP.estimate_bytes": {},
    "embed.FastRP.fit": {},
    "embed.FastRP.fit_transform": {},
    "embed.GraphVite.estimate_bytes": {},
    "embed.GraphVite.fit": {},
    "embed.GraphVite.fit_transform": {},
    "embed.GraphVite.resume": {},
    "embed.SkipGram.fit": {},
    "embed.SkipGram.fit_transform": {},
    "embed.split_links": {},
    "embed.tune": {"score": float},
    "gnn.LocalAugmenter.fit": {},
    "gnn.LocalAugmenter.load": {"path": "generator.npz"},
    "gnn.links.PairSketches.__init__": {},
    "gnn.nodes.NodeData.from_store": {},
    "gnn.nodes.normalized_adjacency": {},
    "gnn.temporal.Events.from_store": {},
    "graphlib.convert.to_networkx": {},
    "graphlib.convert.to_pyg": {},
    "graphlib.convert.to_scipy": {},
    "graphlib.sparse.check_contexts": {},
    "graphlib.sparse.hop_contexts": {},
    "graphlib.sparse.pair_scores": {"src": [0], "dst": [1]},
    "graphlib.sparse.top_pairs": {},
    "graphlib.sparse.top_walks": {"seeds": [0]},
    "graphlib.sparse.triangles": {},
    "graphlib.sparse.walk_scores": {"src": [0], "dst": [1]},
    "interop.FeatureStore.__init__": {},
    "interop.Sampler.__init__": {"num_neighbors": [2]},
    "interop.TopologyStore.__init__": {},
    "interop.pyg_stores": {},
    "sampling.InducedSubgraphs.__init__": {},
    "sampling.LayerSampler.__init__": {"sizes": [2]},
    "sampling.LinkLoader.__init__": {"sampler": nearhop.sampling.NeighborSampler(TRIANGLE, [2])},
    "sampling.NegativeSampler.__init__": {},
    "sampling.NeighborSampler.__init__": {"fanouts": [2]},
    "sampling.NodeLoader.__init__": {"sampler": nearhop.sampling.NeighborSampler(TRIANGLE, [2])},
    "sampling.NodeSets.__init__": {"size": 2},
    "sampling.SaintSampler.__init__": {"method": "node", "budget": 2},
    "sampling.ShadowSampler.__init__": {"fanouts": [2]},
    "sampling.TemporalLoader.__init__": {"sampler": nearhop.sampling.NeighborSampler(TRIANGLE, [2])},
    "sampling.TypedNeighborSampler.__init__": {"fanouts": [2]},
    "sampling.check_node_sets": {},
    "sampling.cluster_batches": {"parts": [0, 0, 0]},
    "sampling.count_visits": {"sampler": nearhop.sampling.NeighborSampler(TRIANGLE, [2]), "batches": [[0]]},
    "sampling.ego_networks": {"seeds": [0]},
    "sampling.historical_negatives": {"src": [0], "time": [1]},
    "sampling.metapath_walks": {"starts": [0], "metapath": [("node", "edge", "node")]},
    "sampling.ppr_topk": {"seeds": [0]},
    "sampling.random_walks": {"starts": [0]},
    "sampling.temporal_walks": {"starts": [0]},
}
READERS = dict(readers())


EMPTY = np.array([], np.int64)
OWNERS: dict[str, Any] = {
    "CandidatePairs": CandidatePairs(EMPTY, EMPTY, EMPTY.astype(np.float32), EMPTY.astype(np.int32), EMPTY, EMPTY),
    "FastRP": nearhop.embed.FastRP(8),
    "GraphVite": nearhop.embed.GraphVite(dim=8),
    "HNSW": nearhop.ann.HNSW(2),
    "LocalAugmenter": nearhop.gnn.LocalAugmenter(),
    "MinHash": nearhop.ann.MinHash(128),
    "SimilarityGraph": SimilarityGraph(EMPTY, EMPTY, EMPTY.astype(np.float32)),
    "SkipGram": nearhop.embed.SkipGram(8),
}


def test_every_reader_is_tried() -> None:
    assert sorted(READERS) == sorted(ARGUMENTS)


@pytest.mark.parametrize("told", sorted(ARGUMENTS))
def test_other_graphs_are_named(told: str) -> None:
    call = READERS[told]
    if told.endswith(".__init__"):
        call = getattr(importlib.import_module(f"nearhop.{told.rsplit('.', 2)[0]}"), told.split(".")[-2])
    elif "self" in _names(call):
        call = call.__get__(OWNERS[told.split(".")[-2]])
    with pytest.raises(InvalidType, match=r"store must be a GraphStore; got scipy's csr_matrix\. .*from_scipy"):
        call(store=MATRIX, **ARGUMENTS[told])


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (Path("cora"), r"nearhop\.open"),
        (np.zeros((2, 3), np.int64), r"got numpy's ndarray\. nearhop\.GraphStore\.from_edges"),
        ([(0, 1)], "got list. nearhop.GraphStore.from_edges"),
        (None, "got NoneType$"),
        (object(), "got object. "),
    ],
)
def test_what_makes_a_store_is_said(given: Any, hint: str) -> None:
    with pytest.raises(InvalidType, match=hint):
        check_store(given)
