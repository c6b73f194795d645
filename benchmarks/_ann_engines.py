"""Indexes of nearhop and of other libraries, each as a function that builds one and returns its search."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _ann_data import K

from nearhop.ann import HNSW, load

Search = Callable[[np.ndarray, int], Any]


def nearhop(storage: Any, M: int = 16, layout: Any = "plain") -> Callable[..., tuple[Search, Any]]:
    def build(
        x: np.ndarray, metric: Any, threads: int, search_threads: int, kept: Path | None = None
    ) -> tuple[Search, Any]:
        if kept is not None and kept.exists():
            index: Any = load(kept, in_memory=True)  # as other libraries do
        else:
            index = HNSW(metric, M, storage=storage, layout=layout, threads=threads).add(x)
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
        rows = unit(x, metric)
        if kept is not None and kept.exists():
            index: Any = faiss.read_index(str(kept))
        else:
            graph: Any = faiss.index_factory(x.shape[1], "HNSW16_SQ8" if quantised else "HNSW16")
            graph.hnsw.efConstruction = 200
            index = faiss.IndexRefineFlat(graph) if quantised else graph
            index.train(rows)
            index.add(rows)
            if kept is not None:
                faiss.write_index(index, str(kept))
        graph = index
        if quantised:
            index.k_factor = 2
            graph = faiss.downcast_index(index.base_index)
        faiss.omp_set_num_threads(search_threads)

        def search(q: np.ndarray, ef: int) -> Any:
            graph.hnsw.efSearch = ef
            return index.search(q, K)[1]

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
    import numba
    from pynndescent import NNDescent

    index = NNDescent(x, metric="euclidean" if metric == "l2" else "cosine", n_neighbors=30, n_jobs=threads)
    index.prepare()
    index.query(x[:10], K)

    def search(q: np.ndarray, ef: int) -> Any:
        numba.set_num_threads(search_threads)
        return index.query(q, K, epsilon=(ef - 10) / 300)[0]

    return search, index


def glass(
    x: np.ndarray, metric: str, threads: int, search_threads: int, kept: Path | None = None
) -> tuple[Search, Any]:
    import glass

    name, rows = ("L2", x) if metric == "l2" else ("IP", unit(x, metric))
    glass.set_num_threads(threads)
    graph = glass.Index("HNSW", name, "SQ8U" if metric == "l2" else "FP16", 32, 200).build(rows)
    index = glass.Searcher(graph, rows, name, "SQ8U", "FP32")
    glass.set_num_threads(search_threads)
    index.optimize(search_threads)

    def search(q: np.ndarray, ef: int) -> Any:
        index.set_ef(ef)
        found = index.batch_search(q, K, search_threads)
        return np.asarray(found[0] if isinstance(found, tuple) else found).reshape(len(q), K)

    return search, (index, graph)


def ngt(x: np.ndarray, metric: str, threads: int, search_threads: int, kept: Path | None = None) -> tuple[Search, Any]:
    import tempfile

    import ngtpy
    from threadpoolctl import threadpool_limits

    path = os.path.join(tempfile.mkdtemp(), "anng")
    ngtpy.create(path, x.shape[1], distance_type="L2" if metric == "l2" else "Cosine", edge_size_for_creation=20)
    index = ngtpy.Index(path)
    index.batch_insert(x, num_threads=threads)
    index.save()

    def search(q: np.ndarray, ef: int) -> Any:
        index.set(num_of_search_objects=K, epsilon=(ef - 10) / 400)
        found = ngtpy.BatchResults()
        with threadpool_limits(search_threads, "openmp"):
            index.batch_search(q, found, K)
        return found.get_ids().reshape(len(q), K)

    return search, index


def svs(primary: int, residual: int) -> Callable[..., tuple[Search, Any]]:
    def build(
        x: np.ndarray, metric: str, threads: int, search_threads: int, kept: Path | None = None
    ) -> tuple[Search, Any]:
        import tempfile

        import svs

        folder, rows = tempfile.mkdtemp(), unit(x, metric)
        svs.write_vecs(rows, os.path.join(folder, "x.fvecs"))
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
            return index.search(q, K)[0].astype(np.int64)

        return search, index

    return build


def symphonyqg(degree: int) -> Callable[..., tuple[Search, Any]]:
    def build(
        x: np.ndarray, metric: str, threads: int, search_threads: int, kept: Path | None = None
    ) -> tuple[Search, Any]:
        from rabitqlib import SymqgIndex

        if kept is not None and kept.exists():
            index = SymqgIndex.load(str(kept))
        else:
            index = SymqgIndex(x.shape[1], degree, "l2")  # of unit vectors it orders as the cosine does
            index.build(unit(x, metric), 200, threads)
            if kept is not None:
                index.save(str(kept))

        def search(q: np.ndarray, ef: int) -> Any:
            ask = index.search if len(q) == 1 else index.search_batch
            found = ask(q, K, ef, search_threads)[0]
            return np.asarray(found).astype(np.int64).reshape(len(q), K)

        return search, index

    return build


def rabitq_hnsw(
    x: np.ndarray, metric: str, threads: int, search_threads: int, kept: Path | None = None
) -> tuple[Search, Any]:
    from rabitqlib import HnswIndex

    if kept is not None and kept.exists():
        index = HnswIndex.load(str(kept))
    else:
        rows = np.ascontiguousarray(unit(x, metric))
        index = HnswIndex(x.shape[1], len(x), 16, 200, 8, "l2")
        index.build(rows, rows.mean(axis=0, keepdims=True), np.zeros(len(x), np.uint32), threads)
        if kept is not None:
            index.save(str(kept))
    return lambda q, ef: np.asarray(index.search(q, K, ef, search_threads)[0]).astype(np.int64), index


def vsag(x: np.ndarray, metric: str, threads: int, search_threads: int, kept: Path | None = None) -> tuple[Search, Any]:
    import json

    import pyvsag

    pyvsag.set_logger_off()
    index = pyvsag.Index(
        "hgraph",
        json.dumps({
            "dtype": "float32", "metric_type": "l2", "dim": x.shape[1],
            "index_param": {
                "base_quantization_type": "sq8", "use_reorder": True, "precise_quantization_type": "fp32",
                "max_degree": 32, "ef_construction": 200, "build_thread_count": threads,
            },
        }),
    )  # fmt: skip
    if kept is not None and kept.exists():
        index.load(str(kept))
    else:
        index.build(np.ascontiguousarray(unit(x, metric)).ravel(), np.arange(len(x)), len(x), x.shape[1])
        if kept is not None:
            index.save(str(kept))

    def search(q: np.ndarray, ef: int) -> Any:
        how = json.dumps({"hgraph": {"ef_search": ef}})
        return np.array([index.knn_search(row, K, how)[0] for row in q])

    return search, index


def zvec(x: np.ndarray, metric: str, threads: int, search_threads: int, kept: Path | None = None) -> tuple[Search, Any]:
    import tempfile

    import zvec

    zvec.init(log_level=zvec.LogLevel.ERROR, query_threads=search_threads, optimize_threads=threads)
    if kept is not None and kept.exists():
        index = zvec.open(str(kept))
    else:
        graph = zvec.HnswIndexParam(
            metric_type=zvec.MetricType.L2, m=16, ef_construction=200, quantize_type=zvec.QuantizeType.INT8
        )
        column = zvec.VectorSchema("x", zvec.DataType.VECTOR_FP32, x.shape[1], graph)
        path = str(kept or Path(tempfile.mkdtemp()) / "zvec")
        index = zvec.create_and_open(path, zvec.CollectionSchema("rows", vectors=column))
        rows = unit(x, metric)
        for start in range(0, len(x), 1000):
            index.insert(
                [zvec.Doc(str(i), vectors={"x": rows[i].tolist()}) for i in range(start, min(start + 1000, len(x)))]
            )
        index.optimize(zvec.OptimizeOption(concurrency=threads))

    def search(q: np.ndarray, ef: int) -> Any:
        how = zvec.HnswQueryParam(ef=ef, is_using_refiner=True)
        return np.array(
            [[int(doc.id) for doc in index.query(zvec.Query("x", vector=row, param=how), topk=K)] for row in q]
        )

    return search, index


def diskann(
    x: np.ndarray, metric: str, threads: int, search_threads: int, kept: Path | None = None
) -> tuple[Search, Any]:
    import tempfile

    import diskannpy

    folder = str(kept or tempfile.mkdtemp())
    if kept is None or not kept.exists():
        Path(folder).mkdir(parents=True, exist_ok=True)
        diskannpy.build_async_index(
            np.ascontiguousarray(unit(x, metric)), "l2", folder, complexity=200, graph_degree=64, num_start_pts=1,
            num_threads=threads, graph_slack_factor=1.2, max_fp_vecs_per_prune=0, num_tasks=threads, pq_seed=0,
            insert_minibatch_size=1, tags=np.arange(1, len(x) + 1, dtype=np.uint32),
        )  # fmt: skip
    index = diskannpy.AsyncDiskIndex(
        folder, num_threads=search_threads, r=64, l=200, distance_metric="l2", vector_dtype=np.float32,
        dimensions=x.shape[1],
    )  # fmt: skip

    def search(q: np.ndarray, ef: int) -> Any:
        return np.asarray(index.batch_search(q, K, ef, search_threads).identifiers).astype(np.int64)

    return search, index


def unit(rows: np.ndarray, metric: str) -> np.ndarray:
    return rows if metric == "l2" else rows / np.linalg.norm(rows, axis=1, keepdims=True)


ENGINES: dict[str, tuple[str, Callable[..., tuple[Search, Any]]]] = {
    "nearhop-int8": ("numba", nearhop("int8")),
    "nearhop-packed": ("numba", nearhop("int8", layout="packed")),
    "nearhop-packed-float16": ("numba", nearhop("int8-float16", layout="packed")),
    "nearhop-packed-24": ("numba", nearhop("int8", 24, "packed")),
    "nearhop-packed-32": ("numba", nearhop("int8", 32, "packed")),
    "nearhop-float32": ("numba", nearhop("float32")),
    "nearhop-float16": ("numba", nearhop("float16")),
    "nearhop-int8-only": ("numba", nearhop("int8-only")),
    "nearhop-int4": ("numba", nearhop("int4")),
    "nearhop-1bit": ("numba", nearhop("1bit")),
    "nearhop-int4-only": ("numba", nearhop("int4-only")),
    "nearhop-1bit-only": ("numba", nearhop("1bit-only")),
    "symphonyqg-32": ("rabitqlib", symphonyqg(32)),
    "symphonyqg-64": ("rabitqlib", symphonyqg(64)),
    "rabitq-hnsw": ("rabitqlib", rabitq_hnsw),
    "vsag-sq8": ("pyvsag", vsag),
    "zvec-int8": ("zvec", zvec),
    "diskann": ("diskannpy", diskann),
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
