"""What the demo does, step by step: load, index, link, store, embed, search, classify, group."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.streams import Purpose, generator
from ...graphlib.errors import NearhopError
from ...graphlib.store.store import GraphStore
from ..clock import timed
from .data import DemoData, copy_nodes, one_class, read
from .links import measure_links
from .progress import Stages
from .result import EMBEDDING, NEIGHBORS, DemoResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WIDTHS = (10, 16, 24, 40, 64, 100, 160, 240)
_MOST_QUERIES = 1000
_TRAIN_RATIO = 0.1
_MOST_CLUSTERS = 16


def measure(dataset: str, path: Path, *, root: Path | None, seed: int, stages: Stages | None = None) -> DemoResult:
    """Run every step that applies; the store lies at `path` afterwards."""
    stages = stages or Stages()
    with stages.stage("load", f"load {dataset}"):
        data = read(dataset, root)
    linked = data.store.num_edges > 0
    with_links = data.card.kind in ("stream", "links")
    stages.expect(
        [
            *([] if linked else ["index", "link"]),
            *("write", "embed"),
            *(["index"] if linked else []),
            "search",
            *(["classify"] if data.label_column else []),
            "communities",
            *(["links"] if with_links else []),
            "report",
        ]
    )
    graph, index = data.store, None
    if not linked:
        with stages.stage("index", "index the vectors"):
            index = build_index(data.vectors, seed)
        with stages.stage("link", "link each vector to its nearest ones"):
            graph = link_neighbors(data.store, index, data.vectors)
    with stages.stage("write", "write the store"):
        store = graph.save(path, message=f"dataset {dataset}")
    labels = None if data.label_column is None else np.asarray(store.nodes[data.label_column])
    if labels is not None and labels.ndim == 1:
        labels = labels.astype(np.int64)  # of a column of small or true-or-false numbers
    result = DemoResult(data, store, seed, labels, stages.seconds, stages.compiling)
    with stages.stage("embed", "embed every node with FastRP"):
        embed(store, seed)
    searched = np.asarray(store.nodes["fastrp"] if linked else data.vectors, np.float32)
    if index is None:
        with stages.stage("index", "index the embedding"):
            index = build_index(searched, seed, metric="cosine")
    result.searched = "vectors of the embedding" if linked else "images" if data.has_images else "vectors"
    with stages.stage("search", "search, with and without the index"):
        measure_search(result, index, searched, seed)
    if labels is not None:
        with stages.stage("classify", f"predict each {data.label_word} from a tenth of them"):
            classify(result, data, seed)
    with stages.stage("communities", "find communities"):
        group(result, seed)
    if with_links:
        with stages.stage("links", "predict links"):
            result.links = measure_links(data, seed)
    return result


def build_index(vectors: NDArray[Any] | None, seed: int, metric: Any = "l2") -> Any:
    from ...ann import HNSW

    return HNSW(metric, M=16, ef_construction=200, seed=seed).add(vectors)  # type: ignore[arg-type]


def link_neighbors(loaded: GraphStore, index: Any, vectors: NDArray[Any] | None) -> GraphStore:
    """A store whose edges join every node to its nearest ones; an edge that both ends ask for is one edge."""
    count = len(vectors)  # type: ignore[arg-type]
    found = index.search(vectors, NEIGHBORS + 1).ids
    target = found.ravel()
    source = np.repeat(np.arange(count), found.shape[1])
    keep = (target >= 0) & (target != source)
    ends = np.sort(np.column_stack([source[keep], target[keep]]), axis=1)
    pairs = np.unique(ends, axis=0)
    store = GraphStore.from_edges(pairs[:, 0], pairs[:, 1], num_nodes=count)
    copy_nodes(loaded, store, "node")
    return store


def embed(store: GraphStore, seed: int) -> None:
    """FastRP into a column of the store; edges count in both directions, and signed ones alike."""
    from ...embed import FastRP

    # a small graph needs fewer dimensions than nodes to say something that the graph itself does not
    dim = int(np.clip(2 ** int(np.log2(max(16, store.num_nodes / 4))), 16, 512))
    weight = store.edge_list().weight
    signed = weight is not None and bool((weight < 0).any())
    column = store.nodes.create("fastrp", (dim,))
    model = FastRP(dim, seed=seed, direction="both" if store.directed else "out", use_weights=not signed)
    model.fit_transform(store, out=column)
    store.commit(f"FastRP, dim {dim}")


def measure_search(result: DemoResult, index: Any, vectors: NDArray[Any], seed: int) -> None:
    """Recall against exact search and queries per second, at several beam widths, on one thread each."""
    from ...ann import Exact, recall

    rng = generator(seed, Purpose.DEMO, "queries")
    chosen = np.sort(rng.choice(len(vectors), min(len(vectors), _MOST_QUERIES), replace=False))
    queries = vectors[chosen]
    result.num_queries = len(queries)
    exact = Exact(index.metric).add(vectors)
    truth, timing = timed(lambda: exact.search(queries, NEIGHBORS, threads=1))
    result.exact_rate = len(queries) / timing.seconds
    for width in _WIDTHS:
        found, timing = timed(
            lambda ef=width: index.search(queries, NEIGHBORS, ef_search=ef, threads=1)  # type: ignore[misc]
        )
        rate = len(queries) / timing.seconds
        result.curve.append({"ef_search": width, "recall": recall(found, truth), "rate": rate})
    result.recall = result.curve[-1]["recall"]
    result.queries = _ten_queries(result, rng)
    result.neighbors = index.search(vectors[result.queries], NEIGHBORS + 1, ef_search=_WIDTHS[-1]).ids


def _ten_queries(result: DemoResult, rng: np.random.Generator) -> NDArray[Any]:
    """One node of each of ten classes, or ten nodes."""
    count = result.store.num_nodes
    classes = one_class(result.labels)
    if classes is None:
        return rng.choice(count, min(10, count), replace=False)
    present = [c for c in np.unique(classes) if c >= 0]
    picked = [int(rng.choice(np.flatnonzero(classes == c))) for c in present[:10]]
    rest = np.setdiff1d(np.arange(count), picked)
    return np.array(picked + rng.choice(rest, min(max(0, 10 - len(picked)), len(rest)), replace=False).tolist())


def classify(result: DemoResult, data: DemoData, seed: int) -> None:
    """Logistic regression on a tenth of the labels: from the embedding, and from the given vectors."""
    from ...embed import evaluate

    labels, vectors = result.labels, data.vectors
    several = labels is not None and labels.ndim == 2
    result.score_name = f"{'micro-F1' if several else 'accuracy'} with {_TRAIN_RATIO:.0%} of the {data.label_word}s"
    inputs = {EMBEDDING: np.asarray(result.store.nodes["fastrp"])}
    if vectors is not None and vectors.shape[1] <= 4096 and vectors.size <= 50_000_000:
        spread = vectors.std(axis=0)
        inputs["pixels" if data.has_images else "node features"] = (vectors - vectors.mean(axis=0)) / np.where(
            spread > 0, spread, 1
        )
    try:
        for name, matrix in inputs.items():
            found = evaluate(matrix, labels, train_ratios=(_TRAIN_RATIO,), repeats=3, seed=seed)
            result.scores[name] = float(found.micro_mean[0]), float(found.micro_std[0])
    except NearhopError as error:  # such as a tenth that holds one class only
        result.scores.clear()
        result.notes.append(f"nothing was predicted from a tenth of the {data.label_word}s: {error}")


def group(result: DemoResult, seed: int) -> None:
    """Communities: clusters of the embedding, as many as there are classes; compared with the labels."""
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.metrics import normalized_mutual_info_score
    from threadpoolctl import threadpool_limits

    from ...ann.metrics import unit_rows

    vectors = np.asarray(result.store.nodes["fastrp"])
    classes = one_class(result.labels)
    wanted = 12 if classes is None else int(np.clip(len(np.unique(classes[classes >= 0])), 2, _MOST_CLUSTERS))
    rows = unit_rows(vectors)
    wanted = min(wanted, len(np.unique(rows, axis=0)))
    with threadpool_limits(1):  # as for the map
        found = MiniBatchKMeans(wanted, random_state=seed, n_init=5).fit_predict(rows)
    result.communities = np.unique(found, return_inverse=True)[1]
    if classes is not None:
        known = classes >= 0
        result.agreement = float(normalized_mutual_info_score(classes[known], result.communities[known]))


__all__ = ["measure"]
