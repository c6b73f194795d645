"""Approximate nearest neighbours: queries per second at recall, side by side on the same vectors.

    python benchmarks/ann.py --dataset mnist [--engines nearhop-int8 hnswlib ...] [--threads 1] [--build-threads 2]

Every engine is built in this process and its whole beam sweep is run in turn with the others'; queries per second at
recall@10 of 0.90, 0.95, 0.99 and 0.999 are interpolated on the sweep (log-linear). Recall is counted against exact
search. Engines that are not installed are left out by name. `--latency` adds single queries.

Datasets: `mnist` (60,000 x 784, 3,000 test images), `sift` (60,000 x 128, 2,500 held out), `glove` (12,887 x 25,
angular, 1,000 held out), `generated` (--rows x 128: a random two-layer network of 16 latent dimensions plus noise).
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _measure import versions

from nearhop.ann import HNSW, Exact, load
from nearhop.tests.support import data_folder

K = 10
TARGETS = (0.90, 0.95, 0.99, 0.999)
BEAMS = (10, 12, 14, 17, 20, 25, 30, 40, 55, 75, 100, 150, 220, 320)
Search = Callable[[np.ndarray, int], Any]


def dataset(name: str, rows: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Vectors, queries and metric."""
    if name == "generated":
        made = generated(rows + 2000)
        return made[2000:], made[:2000], "l2"
    folder = data_folder()
    if folder is None:
        raise SystemExit(f"{name} needs the data folder: set NEARHOP_DATA")
    if name == "mnist":
        train, test = (_images(folder / f"ann/mnist-{part}-images-idx3-ubyte.gz") for part in ("train", "t3k"))
        return train, test, "l2"
    if name == "sift":
        points, held = np.load(folder / "cann/herz-jesus-p25.npz")["desc"].astype(np.float32), 2500
    else:
        with gzip.open(folder / "ann/glove-twitter-25d.txt.gz", "rt") as lines:
            points, held = np.array([line.split()[-25:] for line in lines], np.float32), 1000
    order = np.random.default_rng(0).permutation(len(points))
    return points[order[held:]], points[order[:held]], "cosine" if name == "glove" else "l2"


def _images(path: Any) -> np.ndarray:
    raw = gzip.decompress(path.read_bytes())
    return np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 784).astype(np.float32)


def generated(rows: int, dim: int = 128, latent: int = 16, hidden: int = 256) -> np.ndarray:
    """A smooth surface of `latent` dimensions, folded by a random network, with noise."""
    rng = np.random.default_rng(0)
    inner = (4 * rng.normal(size=(latent, hidden)) / np.sqrt(latent)).astype(np.float32)
    outer = (rng.normal(size=(hidden, dim)) / np.sqrt(hidden)).astype(np.float32)
    out = np.empty((rows, dim), np.float32)
    for start in range(0, rows, 50_000):
        part = out[start : start + 50_000]
        inside = rng.normal(size=(len(part), latent)).astype(np.float32)
        part[:] = np.tanh(inside @ inner) @ outer + 0.02 * rng.normal(size=part.shape).astype(np.float32)
    return out


def local_dimension(distances: np.ndarray) -> float:
    """Levina and Bickel's estimate from squared distances to the nearest rows."""
    radii = np.sqrt(np.maximum(distances, 1e-12))
    return float(np.mean(-1 / np.log(radii[:, :-1] / radii[:, -1:]).mean(axis=1)))


def nearhop(storage: str, M: int = 16) -> Callable[..., tuple[Search, Any]]:
    def build(
        x: np.ndarray, metric: str, threads: int, search_threads: int, kept: Path | None = None
    ) -> tuple[Search, Any]:
        if kept is not None and kept.exists():
            index = load(kept)
        else:
            index = HNSW(metric, M, storage=storage, threads=threads).add(x)
            if kept is not None:
                index.save(kept)
        return lambda q, ef: index.search(q, K, ef_search=ef, threads=search_threads).ids, index

    return build


def hnswlib(
    x: np.ndarray, metric: str, threads: int, search_threads: int, kept: Path | None = None
) -> tuple[Search, Any]:
    import hnswlib

    index = hnswlib.Index(metric, x.shape[1])
    if kept is not None and kept.exists():
        index.load_index(str(kept))
    else:
        index.init_index(len(x), M=16, ef_construction=200)
        index.add_items(x, num_threads=threads)
        if kept is not None:
            index.save_index(str(kept))

    def search(q: np.ndarray, ef: int) -> Any:
        index.set_ef(ef)
        return index.knn_query(q, K, num_threads=search_threads)[0]

    return search, index


def faiss(quantised: bool) -> Callable[..., tuple[Search, Any]]:
    def build(
        x: np.ndarray, metric: str, threads: int, search_threads: int, kept: Path | None = None
    ) -> tuple[Search, Any]:
        import faiss

        faiss.omp_set_num_threads(threads)
        unit = _unit(x, metric)
        if kept is not None and kept.exists():
            index: Any = faiss.read_index(str(kept))
        else:
            graph: Any = faiss.index_factory(x.shape[1], "HNSW16_SQ8" if quantised else "HNSW16")
            graph.hnsw.efConstruction = 200
            index = faiss.IndexRefineFlat(graph) if quantised else graph
            index.train(unit)
            index.add(unit)
            if kept is not None:
                faiss.write_index(index, str(kept))
        graph = index
        if quantised:
            index.k_factor = 2
            graph = faiss.downcast_index(index.base_index)
        faiss.omp_set_num_threads(search_threads)

        def search(q: np.ndarray, ef: int) -> Any:
            graph.hnsw.efSearch = ef
            return index.search(_unit(q, metric), K)[1]

        return search, (index, graph)

    return build


def usearch(dtype: str) -> Callable[..., tuple[Search, Any]]:
    def build(
        x: np.ndarray, metric: str, threads: int, search_threads: int, kept: Path | None = None
    ) -> tuple[Search, Any]:
        from usearch.index import Index

        index: Any = Index(
            ndim=x.shape[1], metric="l2sq" if metric == "l2" else "cos", dtype=dtype, connectivity=16,
            expansion_add=200,
        )  # fmt: skip
        index.add(np.arange(len(x)), x, threads=threads)

        def search(q: np.ndarray, ef: int) -> Any:
            index.expansion_search = ef
            return index.search(q, K, threads=search_threads).keys.astype(np.int64)

        return search, index

    return build


def voyager(
    x: np.ndarray, metric: str, threads: int, search_threads: int, kept: Path | None = None
) -> tuple[Search, Any]:
    import voyager

    space = voyager.Space.Euclidean if metric == "l2" else voyager.Space.Cosine
    index = voyager.Index(space, x.shape[1], M=16, ef_construction=200)
    index.add_items(x, num_threads=threads)
    return lambda q, ef: index.query(q, K, num_threads=search_threads, query_ef=ef)[0].astype(np.int64), index


def pynndescent(
    x: np.ndarray, metric: str, threads: int, search_threads: int, kept: Path | None = None
) -> tuple[Search, Any]:
    from pynndescent import NNDescent

    index = NNDescent(x, metric="euclidean" if metric == "l2" else "cosine", n_neighbors=30, n_jobs=threads)
    index.prepare()
    index.query(x[:10], K)
    return lambda q, ef: index.query(q, K, epsilon=(ef - 10) / 300)[0], index


def glass(
    x: np.ndarray, metric: str, threads: int, search_threads: int, kept: Path | None = None
) -> tuple[Search, Any]:
    import glass

    name, unit = ("L2", x) if metric == "l2" else ("IP", _unit(x, metric))
    glass.set_num_threads(threads)
    graph = glass.Index("HNSW", name, "SQ8U" if metric == "l2" else "FP16", 32, 200).build(unit)
    index = glass.Searcher(graph, unit, name, "SQ8U", "FP32")
    glass.set_num_threads(search_threads)
    index.optimize(search_threads)

    def search(q: np.ndarray, ef: int) -> Any:
        index.set_ef(ef)
        found = index.batch_search(_unit(q, metric), K, search_threads)
        return np.asarray(found[0] if isinstance(found, tuple) else found).reshape(len(q), K)

    return search, (index, graph)


def ngt(x: np.ndarray, metric: str, threads: int, search_threads: int, kept: Path | None = None) -> tuple[Search, Any]:
    import tempfile

    import ngtpy

    path = os.path.join(tempfile.mkdtemp(), "anng")
    ngtpy.create(path, x.shape[1], distance_type="L2" if metric == "l2" else "Cosine", edge_size_for_creation=20)
    index = ngtpy.Index(path)
    index.batch_insert(x, num_threads=threads)
    index.save()
    return lambda q, ef: np.array(
        [[n for n, _ in index.search(row, K, epsilon=(ef - 10) / 400)] for row in q], dtype=np.int64
    ), index


def svs(primary: int, residual: int) -> Callable[..., tuple[Search, Any]]:
    def build(
        x: np.ndarray, metric: str, threads: int, search_threads: int, kept: Path | None = None
    ) -> tuple[Search, Any]:
        import tempfile

        import svs

        folder, unit = tempfile.mkdtemp(), _unit(x, metric)
        svs.write_vecs(unit, os.path.join(folder, "x.fvecs"))
        svs.convert_vecs_to_svs(os.path.join(folder, "x.fvecs"), os.path.join(folder, "x.svs"), svs.DataType.float32)
        data = svs.VectorDataLoader(os.path.join(folder, "x.svs"), svs.DataType.float32, dims=x.shape[1])
        loader = svs.LVQLoader(data, primary=primary, residual=residual, padding=32)
        parameters = svs.VamanaBuildParameters(
            graph_max_degree=64, window_size=200, alpha=1.2 if metric == "l2" else 0.95
        )
        distance = svs.DistanceType.L2 if metric == "l2" else svs.DistanceType.MIP
        if kept is not None and kept.exists():
            parts = [str(kept / part) for part in ("config", "graph")]
            index = svs.Vamana(*parts, loader, distance, num_threads=search_threads)
        else:
            index = svs.Vamana.build(parameters, loader, distance, num_threads=threads)
            if kept is not None:
                kept.mkdir(parents=True, exist_ok=True)
                index.save(*(str(kept / part) for part in ("config", "graph", "data")))
        index.num_threads = search_threads

        def search(q: np.ndarray, ef: int) -> Any:
            index.search_window_size = ef
            return index.search(_unit(q, metric), K)[0].astype(np.int64)

        return search, index

    return build


def _unit(rows: np.ndarray, metric: str) -> np.ndarray:
    return rows if metric == "l2" else rows / np.linalg.norm(rows, axis=1, keepdims=True)


ENGINES: dict[str, tuple[str, Callable[..., tuple[Search, Any]]]] = {
    "nearhop-int8": ("numba", nearhop("int8")),
    "nearhop-float32": ("numba", nearhop("float32")),
    "nearhop-float16": ("numba", nearhop("float16")),
    "nearhop-int8-only": ("numba", nearhop("int8-only")),
    "hnswlib": ("hnswlib", hnswlib),
    "faiss-flat": ("faiss", faiss(False)),
    "faiss-sq8-refine": ("faiss", faiss(True)),
    "usearch-f32": ("usearch", usearch("f32")),
    "usearch-f16": ("usearch", usearch("f16")),
    "usearch-bf16": ("usearch", usearch("bf16")),
    "usearch-i8": ("usearch", usearch("i8")),
    "voyager": ("voyager", voyager),
    "pynndescent": ("pynndescent", pynndescent),
    "glass-sq8": ("glass", glass),
    "ngt": ("ngtpy", ngt),
    "svs-lvq8": ("svs", svs(8, 0)),
    "svs-lvq4x8": ("svs", svs(4, 8)),
}


def at_recall(points: list[tuple[float, float]], target: float) -> float:
    """Queries per second at a recall, log-linear between the best points of the sweep; NaN where it was not reached."""
    best: list[tuple[float, float]] = []
    for recall, rate in sorted(points, key=lambda p: (-p[0], -p[1])):
        if not best or rate > best[-1][1]:
            best.append((recall, rate))
    best.reverse()
    recalls, rates = np.array(best).T
    if target > recalls[-1]:
        return float("nan")
    return float(np.exp(np.interp(target, recalls, np.log(rates))))


def sweep(
    engines: dict[str, Search],
    queries: np.ndarray,
    truth: np.ndarray,
    repeats: int,
    budget_s: float,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[tuple[float, float]]]:
    """(recall, queries per second) of every engine at every beam; engines take turns."""
    points: dict[str, list[tuple[float, float]]] = {name: [] for name in engines}
    finished: set[str] = set()
    for ef in BEAMS:
        seconds: dict[str, list[float]] = {name: [] for name in engines if name not in finished}
        found: dict[str, np.ndarray] = {}
        for _ in range(repeats):
            for name in seconds:
                start = clock()
                found[name] = engines[name](queries, ef)
                seconds[name].append(clock() - start)
        for name, taken in seconds.items():
            recall = (found[name][:, :, None] == truth[:, None, :]).any(axis=1).mean()
            points[name].append((float(recall), len(queries) / float(np.median(taken))))
            if recall >= 0.9995 or min(taken) * repeats > budget_s:
                finished.add(name)
    return points


def latency(engines: dict[str, Search], queries: np.ndarray, ef: int) -> None:
    """Median and 99th percentile of one query a call, in microseconds."""
    print(f"\nSingle queries at ef {ef}: median / 99th percentile, microseconds\n")
    for name, search in engines.items():
        taken = []
        for row in queries[:1000, None, :]:
            start = time.perf_counter()
            search(row, ef)
            taken.append(time.perf_counter() - start)
        print(f"- {name}: {np.median(taken) * 1e6:.0f} / {np.quantile(taken, 0.99) * 1e6:.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", choices=["mnist", "sift", "glove", "generated"], default="mnist")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the generated set")
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--build-threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--budget", type=float, default=30.0, help="an engine's sweep ends when a beam takes longer")
    parser.add_argument("--keep", type=Path, help="a folder where indexes are kept between runs (not by every engine)")
    parser.add_argument(
        "--cpu-clock", action="store_true", help="processor seconds, for one thread on a shared machine"
    )
    parser.add_argument("--latency", action="store_true")
    options = parser.parse_args()
    vectors, queries, metric = dataset(options.dataset, options.rows)
    exact = Exact(metric).add(vectors).search(queries, 100)
    truth = exact.ids[:, :K]
    print(
        versions("hnswlib", "faiss-cpu", "usearch", "voyager", "pynndescent", "pyglass-portable", "ngt", "scalable-vs")
    )
    print(
        f"\n{options.dataset}: {vectors.shape[0]:,} x {vectors.shape[1]} {metric}, {len(queries):,} queries, "
        f"local dimension {local_dimension(exact.distances):.1f}, {options.threads} thread(s)\n",
        flush=True,
    )
    for storage in (
        "float32",
        "float16",
        "int8",
        "int8-only",
    ):  # machine code is compiled, or loaded from the cache, before the clock starts
        HNSW(metric, storage=storage).add(np.repeat(vectors[:200], 2, axis=0)).search(queries[:3], K)
    engines: dict[str, Search] = {}
    kept = []
    built: dict[str, float] = {}
    for name in options.engines:
        module, build = ENGINES[name]
        if importlib.util.find_spec(module) is None:
            print(f"{name}: not installed, left out")
            continue
        kept_at = None if options.keep is None else options.keep / f"{options.dataset}-{len(vectors)}-{name}"
        read = " (read)" if kept_at is not None and kept_at.exists() else ""
        start, before = time.perf_counter(), time.process_time()
        try:
            engines[name], index = build(vectors, metric, options.build_threads, options.threads, kept_at)
        except Exception as error:
            print(f"{name}: left out, {type(error).__name__}: {error}")
            continue
        built[name], busy = time.perf_counter() - start, time.process_time() - before
        kept.append(index)
        told = "" if not isinstance(index, HNSW) else f", {index.stats().nbytes / len(vectors):.0f} bytes a vector"
        print(
            f"{name}{read}: built in {built[name]:.1f} s on {options.build_threads} threads, {busy:.1f} s of processor "
            f"time{told}",
            flush=True,
        )
    if options.threads == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    clock = time.process_time if options.cpu_clock else time.perf_counter
    points = sweep(engines, queries, truth, options.repeats, options.budget, clock)
    print(
        "\n| engine | build s | " + " | ".join(f"recall {t}" for t in TARGETS) + " |\n|---|---|" + "---|" * len(TARGETS)
    )
    for name, found in points.items():
        rates = [at_recall(found, target) for target in TARGETS]
        cells = " | ".join("-" if np.isnan(r) else f"{r:,.0f}" for r in rates)
        print(f"| {name} | {built[name]:.1f} | {cells} |")
    for name, found in points.items():
        print(f"{name}: " + ", ".join(f"{r:.4f}/{s:,.0f}" for r, s in found))
    if options.latency:
        latency(engines, queries, 20)


if __name__ == "__main__":
    main()
