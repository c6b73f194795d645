"""What the demo does, step by step: load, index, link, store, embed, search, classify, group."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.store.store import GraphStore
from ..output import table

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEIGHBORS = 10
_WIDTHS = (10, 16, 24, 40, 64, 100, 160, 240)
_MOST_QUERIES = 2000
_TRAIN_RATIO = 0.1


@dataclass
class DemoResult:
    """Everything that was made and measured."""

    dataset: str
    store: GraphStore
    source: str
    has_images: bool
    labels: NDArray[Any] | None
    seconds: dict[str, float] = field(default_factory=dict)
    recall: float = 0.0
    curve: list[dict[str, float]] = field(default_factory=list)
    exact_rate: float = 0.0
    queries: NDArray[Any] | None = None
    neighbors: NDArray[Any] | None = None
    scores: dict[str, tuple[float, float]] = field(default_factory=dict)
    score_name: str = ""
    communities: NDArray[Any] | None = None
    agreement: float | None = None

    @property
    def best_rate(self) -> dict[str, float]:
        """The fastest point of the curve with recall of at least 0.99, else the most exact one."""
        good = [point for point in self.curve if point["recall"] >= 0.99]
        if good:
            return max(good, key=lambda point: point["rate"])
        return max(self.curve, key=lambda point: point["recall"])

    def facts(self) -> dict[str, Any]:
        """The figures, for machines."""
        folder = self.store.path.parent if self.store.path else None
        return {
            "dataset": self.dataset,
            "nodes": self.store.num_nodes,
            "edges": self.store.num_edges_of(GRAPH),
            "recall_at_10": self.recall,
            "curve": self.curve,
            "exact_queries_per_second": self.exact_rate,
            "score": self.score_name,
            "scores": {name: {"mean": mean, "std": std} for name, (mean, std) in self.scores.items()},
            "communities": None if self.communities is None else int(self.communities.max()) + 1,
            "agreement_with_labels": self.agreement,
            "seconds": self.seconds,
            "store": str(self.store.path),
            "report": None if folder is None else str(folder / "report.html"),
        }

    def table(self) -> str:
        """The figures, for people."""
        best = self.best_rate
        rows: list[list[Any]] = [
            ["graph", f"{self.store.num_nodes:,} nodes, {self.store.num_edges_of(GRAPH):,} edges"],
            [f"recall@{NEIGHBORS} of HNSW", f"{best['recall']:.4f} at {best['rate']:,.0f} queries/s"],
            ["exact search", f"{self.exact_rate:,.0f} queries/s"],
        ]
        for name, (mean, std) in self.scores.items():
            rows.append([f"{self.score_name}, {name}", f"{mean:.3f} ± {std:.3f}"])
        if self.communities is not None:
            told = "" if self.agreement is None else f", agreement with the labels (NMI) {self.agreement:.3f}"
            rows.append(["communities", f"{int(self.communities.max()) + 1}{told}"])
        rows += [[f"seconds: {step}", f"{seconds:.2f}"] for step, seconds in self.seconds.items()]
        facts = self.facts()
        rows += [["store", facts["store"]], ["report", facts["report"]]]
        return table(rows, ["", self.dataset])


GRAPH = ("node", "edge", "node")


def measure(dataset: str, path: Path, *, root: Path | None, seed: int) -> DemoResult:
    """Run every step that applies; the store lies at `path` afterwards."""
    from ...datasets import info, load

    card = info(dataset)
    seconds: dict[str, float] = {}

    def timed(step: str, run: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        outcome = run()
        seconds[step] = time.perf_counter() - start
        return outcome

    loaded = timed("load", lambda: load(dataset, root))
    linked = loaded.num_edges > 0
    vectors = np.asarray(loaded.nodes["x"], np.float32) if "x" in loaded.nodes else None
    if not linked:
        index = timed("index the vectors", lambda: build_index(vectors, seed))
        loaded = timed("link near ones", lambda: link_neighbors(loaded, index, vectors))
    store = timed("write the store", lambda: loaded.save(path, message=f"dataset {dataset}"))
    labels = store.nodes.get("y")
    result = DemoResult(dataset, store, card.source, dataset in ("digits", "mnist"), labels, seconds)

    timed("embed with FastRP", lambda: embed(store, seed))
    column = "x" if not linked else "fastrp"
    if linked:
        index = timed("index the embedding", lambda: build_index(store.nodes["fastrp"], seed, metric="cosine"))
    timed("search", lambda: measure_search(result, index, np.asarray(store.nodes[column], np.float32), seed))
    if labels is not None:
        timed("classify", lambda: classify(result, vectors, seed))
    timed("find communities", lambda: group(result, seed))
    return result


def build_index(vectors: NDArray[Any] | None, seed: int, metric: str = "l2") -> Any:
    from ...ann import HNSW

    return HNSW(metric, M=16, ef_construction=200, seed=seed).add(vectors)  # type: ignore[arg-type]


def link_neighbors(loaded: GraphStore, index: Any, vectors: NDArray[Any] | None) -> GraphStore:
    """A store whose edges join every node to its nearest ones; an edge that both ends ask for is one edge."""
    count = len(vectors)  # type: ignore[arg-type]
    found = index.search(vectors, NEIGHBORS + 1).ids
    source = np.repeat(np.arange(count), NEIGHBORS + 1)
    target = found.ravel()
    keep = (target >= 0) & (target != source)
    ends = np.sort(np.column_stack([source[keep], target[keep]]), axis=1)
    pairs = np.unique(ends, axis=0)
    store = GraphStore.from_edges(pairs[:, 0], pairs[:, 1], num_nodes=count)
    for name in loaded.nodes:
        store.nodes[name] = loaded.nodes[name]
    ids = loaded.ids()
    if ids is not None:
        store.set_ids(ids)
    store.attributes = dict(loaded.attributes)
    return store


def embed(store: GraphStore, seed: int) -> None:
    """FastRP into a column of the store."""
    from ...embed import FastRP

    # a small graph needs fewer dimensions than nodes to say something that the graph itself does not
    dim = int(np.clip(2 ** int(np.log2(max(16, store.num_nodes / 4))), 16, 512))
    column = store.nodes.create("fastrp", (dim,))
    FastRP(dim, seed=seed).fit_transform(store, out=column)
    store.commit(f"FastRP, dim {dim}")


def measure_search(result: DemoResult, index: Any, vectors: NDArray[Any], seed: int) -> None:
    """Recall against exact search and queries per second, at several beam widths, on one thread each."""
    from ...ann import Exact, recall

    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(len(vectors), min(len(vectors), _MOST_QUERIES), replace=False))
    queries = vectors[chosen]
    exact = Exact(index.metric).add(vectors)
    exact.search(queries[:2], NEIGHBORS, threads=1)
    start = time.perf_counter()
    truth = exact.search(queries, NEIGHBORS, threads=1)
    result.exact_rate = len(queries) / (time.perf_counter() - start)
    for width in _WIDTHS:
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            found = index.search(queries, NEIGHBORS, ef_search=width, threads=1)
            seconds.append(time.perf_counter() - start)
        rate = len(queries) / float(np.median(seconds))
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


def one_class(labels: NDArray[Any] | None) -> NDArray[Any] | None:
    """A class per node: for several labels a node, the one that most nodes have."""
    if labels is None or labels.ndim == 1:
        return labels
    popular = labels * (labels.sum(axis=0, dtype=np.int64) + 1)
    return np.where(labels.any(axis=1), popular.argmax(axis=1), -1)


def classify(result: DemoResult, vectors: NDArray[Any] | None, seed: int) -> None:
    """Logistic regression on a tenth of the labels: from the embedding, and from the given vectors."""
    from ...embed.evaluation import evaluate

    labels = result.labels
    several = labels is not None and labels.ndim == 2
    result.score_name = f"{'micro-F1' if several else 'accuracy'} with {_TRAIN_RATIO:.0%} of the labels"
    inputs = {"graph embedding": result.store.nodes["fastrp"]}
    if vectors is not None and vectors.shape[1] <= 4096 and vectors.size <= 50_000_000:
        raw = np.asarray(vectors, np.float32)
        spread = raw.std(axis=0)
        standard = (raw - raw.mean(axis=0)) / np.where(spread > 0, spread, 1)
        inputs["pixels" if result.has_images else "node features"] = standard
    for name, matrix in inputs.items():
        found = evaluate(matrix, labels, train_ratios=(_TRAIN_RATIO,), repeats=3, seed=seed)
        result.scores[name] = float(found.micro_mean[0]), float(found.micro_std[0])


def group(result: DemoResult, seed: int) -> None:
    """Communities: clusters of the embedding, as many as there are classes; compared with the labels."""
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.metrics import normalized_mutual_info_score

    vectors = np.asarray(result.store.nodes["fastrp"])
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    classes = one_class(result.labels)
    wanted = 12 if classes is None else int(np.clip(len(np.unique(classes[classes >= 0])), 2, 16))
    found = MiniBatchKMeans(min(wanted, len(vectors)), random_state=seed, n_init=5).fit_predict(
        vectors / np.where(norms > 0, norms, 1)
    )
    result.communities = np.unique(found, return_inverse=True)[1]
    if classes is not None:
        known = classes >= 0
        result.agreement = float(normalized_mutual_info_score(classes[known], result.communities[known]))
