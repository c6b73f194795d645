"""The usual calls of every room, on small data: what they compile is what users would wait for.

A job is a function; the rooms' jobs that share much of their code are one job, for what one process has compiled
another would compile again if it ran at the same time. Models and blockers are in `models`.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from ...graphlib.store.store import GraphStore
from ...graphlib.store.store import open as open_store
from . import models
from .registry import JOBS, M, N, graph, job, vectors

NEEDS = {**models.NEEDS, "neural_lsh": "torch"}
LONGEST = (
    "hnsw_codes",
    "hnsw_int8",
    "minhash",
    "local",
    "cann",
    "dag",
    "products",
    "search",
    "skipgram",
    "hnsw",
    "exact",
)


@job("graphlib")
def adjacency() -> None:
    """Rows in both directions, by id and by time; a log that is merged; a store in files."""
    for directed in (False, True):
        store = graph(directed=directed, weighted=True, timed=True)
        with tempfile.TemporaryDirectory() as folder:
            saved = store.save(Path(folder) / "g.nh")
            saved.csr(), saved.csc(), saved.csr(order="time"), saved.csc(order="time")
            saved.append_edges([0, 1], [1, 2], weight=[1, 2], time=[M, M])
            saved.csr(), saved.csc()
            saved.commit()
            saved.compact()
            open_store(saved.path or "").verify()


@job("graphlib")
def products() -> None:
    """Sparse products and what is built on them."""
    from ...graphlib import sparse

    for weighted in (False, True):
        rows = graph(weighted=weighted).csr()
        sparse.spmm(rows, vectors(32))
    plain = graph()
    sparse.shared_neighbors(plain.csr(), [0, 1], [2, 3])
    sparse.triangles(plain)
    sparse.spgemm(plain.csr(), plain.csr())
    sparse.spgemm(plain.csr(), plain.csr(), top_k=5)
    sparse.spgemm(plain.csr(), plain.csr(), semiring="plus_pair", mask=plain.csr())
    sparse.pair_scores(plain, [0, 1], [2, 3], "adamic_adar")
    sparse.top_pairs(plain, 3)
    sparse.walk_scores(plain, [0, 1], [2, 3])


@job("graphlib")
def contexts() -> None:
    """Levels of a graph without cycles, and powers of the adjacency times a column."""
    from ...graphlib import sparse

    ends = np.sort(np.random.default_rng(0).integers(0, N, (M, 2)), axis=1)
    ends = ends[ends[:, 0] < ends[:, 1]]
    sparse.topological_levels(GraphStore.from_edges(*ends.T, num_nodes=N, directed=True))
    store = graph()
    store.nodes["x"] = vectors(16)
    sparse.hop_contexts(store)


@job("embed")
def fastrp() -> None:
    from ...embed import FastRP

    for weighted in (False, True):
        FastRP(64).fit_transform(graph(weighted=weighted))
    FastRP(64, direction="both").fit_transform(graph(directed=True))


@job("embed")
def skipgram() -> None:
    from ...embed import SkipGram

    for weighted in (False, True):
        SkipGram(32, num_walks=1).fit(graph(weighted=weighted))
    SkipGram(32, num_walks=1, p=0.5, q=2.0).fit(graph())


@job("embed")
def graphvite() -> None:
    from ...embed import GraphVite, evaluate_links, split_links

    split = split_links(graph(), 0.1)
    found = GraphVite("line", 32, epochs=2).fit(split.train)
    GraphVite("deepwalk", 32, epochs=2, walk_length=10).fit(split.train)
    evaluate_links(split, found.vertex_, candidates=5, repeats=1)


@job("sampling")
def neighbors() -> None:
    """Neighbour samples: plain, weighted, temporal, in trees, of several types."""
    from ...sampling import NeighborSampler, Temporal, TypedNeighborSampler

    store = graph(weighted=True, timed=True)
    seeds = np.arange(64)
    for options in (
        {}, {"replace": True}, {"method": "labor"}, {"weighted": True}, {"disjoint": True}, {"induced": True},
        {"direction": "out"},
    ):  # fmt: skip
        NeighborSampler(store, [10, 5], **options).sample(seeds)
    NeighborSampler(store, [10, 5]).sample(np.arange(N))
    NeighborSampler(store, [10, 5]).sample(np.tile(np.arange(N), 1000))  # so many seeds are numbered in parts
    NeighborSampler(store, [5, 5], temporal=Temporal()).sample(seeds, seed_time=np.full(64, M))
    NeighborSampler(store, [5, 5], temporal=Temporal(latest=True)).sample(seeds, seed_time=np.full(64, M))
    shop = GraphStore.from_typed({"a": 9, "b": 9}, {("a", "to", "b"): ([0, 1], [2, 3]), ("b", "of", "a"): ([2], [0])})
    TypedNeighborSampler(shop, [3, 2]).sample({"a": [0, 1]})


@job("sampling")
def walks() -> None:
    from ...sampling import metapath_walks, random_walks, temporal_walks

    for weighted in (False, True):
        store = graph(weighted=weighted, timed=True)
        random_walks(store, np.arange(N), length=10)
        random_walks(store, np.arange(N), length=10, p=0.5, q=2.0)
    temporal_walks(store, np.arange(N), length=5, start_time=np.zeros(N, np.int64))
    shop = GraphStore.from_typed({"a": 9, "b": 9}, {("a", "to", "b"): ([0, 1], [2, 3]), ("b", "of", "a"): ([2], [0])})
    metapath_walks(shop, [0, 1], metapath=[("a", "to", "b"), ("b", "of", "a")])


@job("sampling")
def negatives() -> None:
    from ...sampling import NegativeSampler

    for power in (0.0, 0.75):
        sampler = NegativeSampler(graph(), power=power)
        sampler.sample(np.arange(N), 4)
        sampler.sample_pairs(100)


@job("sampling")
def subgraphs() -> None:
    from ...sampling import (
        InducedSubgraphs,
        LayerSampler,
        NodeSets,
        SaintSampler,
        ShadowSampler,
        ego_networks,
        ppr_topk,
    )  # fmt: skip

    store = graph()
    NodeSets(store, 8).sample(np.arange(10))
    InducedSubgraphs(store).take(np.arange(50))
    ego_networks(store, np.arange(10), hops=1)
    ppr_topk(store, np.arange(10), top=8)
    ShadowSampler(store, fanouts=[4, 2]).sample(np.arange(10))
    LayerSampler(store, [32, 32]).sample(np.arange(10))
    for method in ("node", "edge", "walk"):
        SaintSampler(store, method, budget=40).sample(0)


@job("sampling")
def features() -> None:
    from ...sampling import gather

    for dtype in (np.float32, np.float16, np.int64):
        gather(vectors().astype(dtype), np.arange(N)[::-1].copy())


def _hnsw(storage: Any, metrics: tuple[Any, ...], **options: Any) -> None:
    from ...ann import HNSW, load

    x = vectors()
    for metric in metrics:
        index = HNSW(metric, storage=storage, **options).add(x)
        index.add(x[:50], ids=np.arange(N, N + 50))
        for rows in (x[:1], x[:4], x):
            index.search(rows, 10)
        index.search(x[:1], 10, filter=np.arange(0, N, 2))
        index.search(x, 10, filter=np.arange(0, N, 2))
        with tempfile.TemporaryDirectory() as folder:
            index.save(Path(folder) / "i.nh")
            load(Path(folder) / "i.nh").search(x[:1], 10)
    index.remove([1, 2, 3])
    index.search(x, 10)
    index.search(x[:1], 10)
    index.add(x[1:3], ids=[1, 2])  # takes the places of deleted rows
    index.remove(np.arange(0, N, 2)[2:])
    index.compact()


@job("ann")
def hnsw() -> None:
    _hnsw("float32", ("l2", "cosine", "ip"))
    from ...ann import HNSW

    store = graph()
    store.nodes["x"] = vectors()
    HNSW.from_store(store, "x", metric="cosine").save_into(store, "near")
    HNSW.attach(store, "near").search(vectors()[:1], 10)


@job("ann")
def hnsw_int8() -> None:
    _hnsw("int8", ("l2", "cosine"))


@job("ann")
def hnsw_codes() -> None:
    """Rows of fewer bytes, and codes beside the links."""
    for storage in ("float16", "int8-only", "int4", "int4-only"):
        _hnsw(storage, ("l2", "cosine"))
    _hnsw("int8", ("l2",), layout="packed")


@job("ann")
def exact() -> None:
    from ...ann import Exact, IVFFlat

    x = vectors()
    for metric in ("l2", "cosine", "ip"):
        index = Exact(metric).add(x)
        for rows in (x[:1], x):
            index.search(rows, 10)
        index.search(x, 10, filter=np.arange(0, N, 2))
        lists = IVFFlat(metric, nlist=8).add(x)
        lists.search(x, 10)
        lists.search(x[:1], 10)
    Exact("hamming").add(np.packbits(x > 0, axis=1)).search(np.packbits(x > 0, axis=1), 10)


@job("ann")
def minhash() -> None:
    from ...ann import LSH, MinHash

    for sets in (graph(), [["a", "b", "c"], ["b", "c", "d"]]):
        hasher = MinHash(128)
        LSH(hasher, bands=32).add(hasher.fit_transform(sets)).search_ids([0], k=2)
    hasher = MinHash(128)
    LSH(hasher, bands=32).add(hasher.fit_transform(graph())).similarity_graph(0.5)


@job("ann")
def cann() -> None:
    from ...ann import CANN

    for colors, metric, radius in ((vectors(), "l2", 8.0), (vectors(), "cosine", 0.5)):
        index = CANN(metric, radius=radius).add(list(colors.reshape(60, 10, -1)))  # type: ignore[arg-type]
        index.search(list(colors.reshape(60, 10, -1)[:3]), 5)
        index.search(colors[:10], 5, exact=True)
    ranged = CANN("l2", radius=4.0, method="range").add(list(vectors().reshape(60, 10, -1)))
    ranged.search(vectors()[:10], 5)
    CANN("l2", radius=90.0).add([np.arange(960, dtype=np.uint8).reshape(20, 48)]).search(vectors()[:10], 1)


@job("ann")
def neural_lsh() -> None:
    from ...ann import NeuralLSH

    index = NeuralLSH(nlist=8).add(vectors())
    index.search(vectors(), 10)
    index.search(vectors()[:1], 10)


@job("communities")
def search() -> None:
    from ...communities import CommunitySearch, community_quality, modularity

    store = graph()
    engine = CommunitySearch(store)
    for method in ("average", "minrank", "pagerank", "exact"):
        engine.search([0, 1], 10, method)
    community_quality(store, [0, 1, 2])
    modularity(store, np.zeros(N, np.int32))


@job("communities")
def local() -> None:
    from ...communities import approximate_pagerank, flow_diffusion

    for weighted in (False, True):
        store = graph(weighted=weighted)
        flow_diffusion(store, [0])
        approximate_pagerank(store, [0])
    flow_diffusion(graph(), [0], labels=np.arange(N) % 2)


def run(room: str, name: str) -> None:
    """Run one job and print what it took: processor seconds, and how many kernels were compiled."""
    JOBS[room][name]()
    from ...graphlib.compute.compiling import notice

    sys.stdout.write(
        json.dumps({"processor_seconds": round(time.process_time(), 2), "compiled": notice.count()}) + "\n"
    )


if __name__ == "__main__":
    run(*sys.argv[1:])
