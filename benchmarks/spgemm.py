"""Sparse products against SciPy, MKL, SuiteSparse:GraphBLAS, PyTorch, sparse_dot_topn and igraph, in one process.

`python benchmarks/spgemm.py [--only squares masked topk pairs] [--threads 1 2] [--matrices ...]`. Least seconds of
processor time stand in brackets behind the median by the clock: on a machine that others use, compare those. For MKL,
install sparse_dot_mkl and set MKL_RT to the path of libmkl_rt where it is not found by itself; python-graphblas,
sparse_dot_topn and igraph are left out by name where they are missing. NEARHOP_DATA names the folder of the
real graphs.
"""

from __future__ import annotations

import argparse
import gc
import resource
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import _calm_threads  # noqa: F401 - first
import numpy as np
import scipy.sparse as sp
from _measure import versions

from nearhop import GraphStore, datasets
from nearhop.graphlib.sparse import estimate, pair_scores, spgemm, triangles


def canonical(src, dst, n, m=None):
    matrix = sp.coo_matrix((np.ones(src.size, np.float32), (src, dst)), shape=(n, m or n)).tocsr()
    matrix.sum_duplicates()
    matrix.data = np.random.default_rng(1).random(matrix.nnz, dtype=np.float32) + np.float32(0.1)
    return matrix


def rmat(scale, edges):
    """Edges of the recursive model with quadrants 0.57, 0.19, 0.19, 0.05."""
    rng = np.random.default_rng(0)
    rows, cols = np.zeros(edges, np.int64), np.zeros(edges, np.int64)
    for _ in range(scale):
        u = rng.random(edges)
        rows = 2 * rows + (u >= 0.76)
        cols = 2 * cols + (((u >= 0.57) & (u < 0.76)) | (u >= 0.95))
    return canonical(rows, cols, 1 << scale)


def random(n, degree):
    rng = np.random.default_rng(0)
    src, dst = rng.integers(0, n, (2, n * degree))
    return canonical(src, dst, n)


def blocks(count, size, degree):
    rows = np.repeat(np.arange(count * size), degree)
    return canonical(rows, rows // size * size + np.random.default_rng(0).integers(0, size, rows.size), count * size)


def graph(name):
    rows = datasets.load(name).csr()
    src = np.repeat(np.arange(rows.num_rows), rows.degrees())
    return canonical(src, rows.indices, rows.num_rows)


MATRICES: dict[str, Callable[[], Any]] = {
    "RMAT 2^14": lambda: rmat(14, 250_000),
    "RMAT 2^16": lambda: rmat(16, 530_000),
    "ER 200k, d 10": lambda: random(200_000, 10),
    "ER 20k, d 50": lambda: random(20_000, 50),
    "ER 1M, d 8": lambda: random(1_000_000, 8),
    "ER 4M, d 4": lambda: random(4_000_000, 4),
    "2,000 blocks of 100": lambda: blocks(2000, 100, 26),
    "ego-Twitter": lambda: graph("ego-twitter"),
    "GitHub": lambda: graph("github"),
    "DBLP": lambda: graph("dblp"),
}


def peers(threads):
    """Functions that multiply SciPy matrices, by name."""
    found: dict[str, Callable[[Any, Any], Any]] = {"scipy": lambda A, B: A @ B}
    try:
        import sparse_dot_mkl

        sparse_dot_mkl.mkl_set_num_threads(threads)
        found["mkl"] = sparse_dot_mkl.dot_product_mkl
    except ImportError as error:
        print(f"MKL left out: {error}")
    return found


def graphblas():
    try:
        import graphblas

        return graphblas
    except ImportError as error:
        print(f"GraphBLAS left out: {error}")
        return None


def torch_of(A):
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        offsets, columns = (torch.from_numpy(x.astype(np.int64)) for x in (A.indptr, A.indices))
        return torch.sparse_csr_tensor(offsets, columns, torch.from_numpy(A.data), size=A.shape)


def torch_square(T):
    return T @ T


def blas_square(gb, G):
    return gb.semiring.plus_times(G @ G).new()


def blas_masked(gb, G):
    return gb.semiring.plus_pair(G @ G.T).new(dtype=int, mask=G.S)


def touch(size):
    """Use so many bytes of memory, and give them back.

    A virtual machine hands pages that were free for some seconds back to its host, which takes ten times as long to
    give them again as clearing them takes: chance decides otherwise which contender pays for it.
    """
    np.empty(size, np.uint8).fill(1)


def compare(contenders, repeats, room=1 << 28):
    """{name: (median wall, least processor seconds)} of interleaved runs in changing order; a first one is not timed.

    `room`: bytes that a contender may need, touched before every run.
    """
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    names = list(contenders)
    for turn in range(repeats + 1):
        for name in np.random.default_rng(turn).permutation(names).tolist():  # who comes after whom changes
            gc.collect()
            touch(room)
            wall, processor = time.perf_counter(), time.process_time()
            result = contenders[name]()
            spent = time.perf_counter() - wall, time.process_time() - processor
            del result
            if turn:
                taken[name].append(spent)
    return {name: (float(np.median([w for w, _ in v])), min(c for _, c in v)) for name, v in taken.items()}


def show(label, timings):
    """Print both times of all and the others' over ours; returns {name: (ratio of wall, of processor times)}."""
    ours = timings["nearhop"]
    cells = [f"{name} {wall:.3f} ({cpu:.3f})" for name, (wall, cpu) in timings.items()]
    others = {name: values for name, values in timings.items() if not name.startswith("nearhop")}
    ratios = {name: (wall / ours[0], cpu / ours[1]) for name, (wall, cpu) in others.items()}
    told = ", ".join(f"{name} {wall:.2f} ({cpu:.2f})" for name, (wall, cpu) in ratios.items())
    print(f"| {label} | {' | '.join(cells)} |  x {told}", flush=True)
    return ratios


def show_means(collected):
    """Geometric means over the rows, of each peer and of each row's best one."""
    rows = {name: np.log(np.array(ratios)) for name, ratios in collected.items()}
    if len({len(logs) for logs in rows.values()}) == 1:
        rows["best peer of each"] = np.min(list(rows.values()), axis=0)
    means = {name: np.exp(logs.mean(axis=0)) for name, logs in rows.items()}
    print("geometric means: " + ", ".join(f"{name} {wall:.2f} ({cpu:.2f})" for name, (wall, cpu) in means.items()))


def squares(names, threads, repeats, without):
    """A A; the order of columns in a row is left to each."""
    collected: dict[str, list[tuple[float, float]]] = {}
    gb = None if "graphblas" in without else graphblas()
    for name in names:
        A = MATRICES[name]()
        contenders: dict[str, Callable[[], Any]] = {
            "nearhop": partial(spgemm, A, A, sorted=False, threads=threads),
            "nearhop sorted": partial(spgemm, A, A, threads=threads),
        }
        contenders |= {peer: partial(f, A, A) for peer, f in peers(threads).items()}
        if gb is not None:
            gb.ss.config["nthreads"] = threads
            G = gb.io.from_scipy_sparse(A)
            contenders["graphblas"] = partial(blas_square, gb, G)
        if "torch" not in without:
            import torch

            torch.set_num_threads(threads)
            contenders["torch"] = partial(torch_square, torch_of(A))
        room = min(4 * estimate(A, A).result_bytes, 6 << 30)
        for peer, ratio in show(name, compare(contenders, repeats, room)).items():
            collected.setdefault(peer, []).append(ratio)
    show_means(collected)


def masked(names, threads, repeats):
    """Triangles, and common neighbours of every edge."""
    gb = graphblas()
    collected: dict[str, list[tuple[float, float]]] = {}
    for name in names:
        A = MATRICES[name]()
        A = ((A + A.T) > 0).astype(np.float32).tocsr()
        A.setdiag(0)
        A.eliminate_zeros()
        order = np.argsort(np.argsort(np.diff(A.indptr), kind="stable"), kind="stable")
        P = A.tocoo()
        low = order[P.row] > order[P.col]  # from every node to those of lower degree
        L = sp.csr_matrix((np.ones(int(low.sum()), np.float32), (order[P.row[low]], order[P.col[low]])), shape=A.shape)
        L.sort_indices()
        A.sort_indices()
        store = GraphStore.from_edges(P.row[low], P.col[low], num_nodes=A.shape[0])
        both: dict[str, dict[str, Callable[[], Any]]] = {
            "triangles": {
                "nearhop": partial(spgemm, L, L, semiring="plus_pair", mask=L, threads=threads),
                "nearhop per node": partial(triangles, store, threads=threads),
            },
            "common neighbours of edges": {
                "nearhop": partial(spgemm, A, A, semiring="plus_pair", mask=A, threads=threads),
            },
        }
        if gb is not None:
            gb.ss.config["nthreads"] = threads
            GL, GA = gb.io.from_scipy_sparse(L), gb.io.from_scipy_sparse(A)
            both["triangles"]["graphblas"] = partial(blas_masked, gb, GL)
            both["common neighbours of edges"]["graphblas"] = partial(blas_masked, gb, GA)
        for what, contenders in both.items():
            for peer, ratio in show(f"{name}, {what}", compare(contenders, repeats)).items():
                collected.setdefault(peer, []).append(ratio)
    show_means(collected)


def topk(threads, repeats):
    """The ten rows of highest cosine for every row of sparse features."""
    try:
        import sparse_dot_topn
    except ImportError as error:
        print(f"sparse_dot_topn left out: {error}")
        return
    rng = np.random.default_rng(0)
    for n, words, length in ((50_000, 100_000, 20), (100_000, 20_000, 12)):
        cols = np.minimum(rng.zipf(1.3, n * length) - 1, words - 1)
        X = canonical(np.repeat(np.arange(n), length), cols, n, words)
        X = sp.csr_matrix(sp.diags(1 / np.sqrt(X.multiply(X).sum(axis=1)).A1) @ X).astype(np.float32)
        X = X[:, np.asarray((X > 0).sum(axis=0)).ravel() < n // 50].tocsr()  # frequent words are left out
        B = X.T.tocsr()
        contenders = {
            "nearhop": partial(spgemm, X, B, top_k=10, threads=threads),
            "sparse_dot_topn": partial(sparse_dot_topn.sp_matmul_topn, X, B, top_n=10, n_threads=threads),
        }
        show(f"top 10 of {n:,} rows, {X.nnz:,} entries", compare(contenders, repeats))


def pairs(threads, repeats, num_nodes=1_000_000, num_edges=10_000_000, num_pairs=10_000_000):
    """Common neighbours and Adamic-Adar of random pairs; SciPy squares the matrix, igraph is timed on a sample."""
    rng = np.random.default_rng(0)
    store = GraphStore.from_edges(*rng.integers(0, num_nodes, (2, num_edges)), num_nodes=num_nodes)
    u, v = rng.integers(0, num_nodes, (2, num_pairs))
    store.csr()
    for method in ("common_neighbors", "adamic_adar"):
        run = {"nearhop": partial(pair_scores, store, u, v, method, threads=threads)}
        wall, processor = compare(run, repeats)["nearhop"]
        print(f"| {method}, {num_pairs:,} pairs | nearhop {wall:.2f} ({processor:.2f}) |", flush=True)
    rows = store.csr()
    A = sp.csr_matrix((np.ones(rows.num_entries, np.float32), rows.indices, rows.indptr.astype(np.int32)))
    part = slice(0, num_nodes // 20)
    wall, processor = time.perf_counter(), time.process_time()
    _ = A[part] @ A
    print(
        f"| A A in SciPy, a twentieth of the rows times 20 | scipy {20 * (time.perf_counter() - wall):.1f} "
        f"({20 * (time.process_time() - processor):.1f}) |"
    )
    try:
        import igraph
    except ImportError as error:
        print(f"igraph left out: {error}")
        return
    edges = store.edge_list()
    g = igraph.Graph(n=num_nodes, edges=np.stack([edges.src, edges.dst], axis=1))
    few = 2_000
    wall, processor = time.perf_counter(), time.process_time()
    g.similarity_jaccard(pairs=list(zip(u[:few].tolist(), v[:few].tolist(), strict=True)))
    scale = num_pairs / few
    print(
        f"| Jaccard, {few:,} pairs times {scale:g} | igraph {scale * (time.perf_counter() - wall):.1f} "
        f"({scale * (time.process_time() - processor):.1f}) |"
    )


def memory(name, threads):
    """Peak memory of a product beyond what was there before, beside the size of the result."""
    A = MATRICES[name]()
    small = A[:1000]
    spgemm(small, A, sorted=False, threads=threads)  # compiles
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    C = spgemm(A, A, sorted=False, threads=threads)
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"| memory of {name} | result {C.nbytes / 2**20:.0f} MiB | peak above start {peak:.0f} MiB |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=["squares", "masked", "topk", "pairs", "memory"])
    parser.add_argument("--matrices", nargs="+", default=list(MATRICES))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--without", nargs="+", default=[], choices=["graphblas", "torch"], help="for want of memory")
    given = parser.parse_args()
    print(versions("scipy", "sparse_dot_mkl", "mkl", "python-graphblas", "torch", "sparse_dot_topn", "igraph"))
    if "memory" in given.only:  # first: the peak of a process never falls
        memory("RMAT 2^16" if "RMAT 2^16" in given.matrices else given.matrices[0], max(given.threads))
    for threads in given.threads:
        print(f"\n{threads} thread(s): median seconds (least processor time); x = the other / ours\n")
        if "squares" in given.only:
            squares(given.matrices, threads, given.repeats, given.without)
        if "masked" in given.only:
            masked(given.matrices, threads, given.repeats)
        if "topk" in given.only:
            topk(threads, given.repeats)
        if "pairs" in given.only:
            pairs(threads, 1)


if __name__ == "__main__":
    main()
