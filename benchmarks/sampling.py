"""Neighbour samples and random walks, against DGL, PyG (pyg-lib, torch-sparse, torch-cluster), ensmallen and PecanPy.

python benchmarks/sampling.py [--short] [--nodes 1000000 --edges 20000000] [--threads 1 2]

Peers that cannot be imported are left out by name. They may live in a folder of their own on PYTHONPATH, for example
one filled with `pip install --no-deps --target FOLDER dgl==1.1.3 packaging psutil tqdm requests ensmallen`.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import warnings
from collections.abc import Callable

import numpy as np
from _measure import interleave, versions

from nearhop import GraphStore, datasets
from nearhop.sampling import NeighborSampler, random_walks

BATCH = 1024
LENGTH = 40
EVERY_NODE = "a walk per node"


def power_law(num_nodes: int, num_edges: int) -> GraphStore:
    """Directed edges whose ends follow power laws of exponent 2.5, heads and tails ranked independently."""
    rng = np.random.default_rng(0)
    ends = []
    for _ in range(2):
        rank = (rng.random(num_edges) ** 3 * num_nodes).astype(np.int64)
        ends.append(rng.permutation(num_nodes).astype(np.int32)[rank])
    return GraphStore.from_edges(ends[0], ends[1], num_nodes=num_nodes, directed=True)


def left_out(name: str, error: BaseException) -> None:
    print(f"{name} left out: {type(error).__name__}: {error}".splitlines()[0], file=sys.stderr)


def samplers(store, fanouts, batches, threads, edges) -> dict[str, Callable[[], object]]:
    """Callables that sample every batch, with edge ids and local numbers, and note how many edges they found."""
    rows = store.csc()
    ours = NeighborSampler(store, fanouts, seed=1, threads=threads)

    def nearhop() -> None:
        edges["nearhop"] = sum(b.num_edges for b in ours.sample_batches(batches))

    found: dict[str, Callable[[], object]] = {"nearhop": nearhop}
    add_dgl(found, rows, fanouts, batches, threads, edges)
    add_pyg(found, rows, fanouts, batches, threads, edges)
    return found


def add_dgl(found, rows, fanouts, batches, threads, edges) -> None:
    try:
        import dgl
        import torch

        torch.set_num_threads(threads)
        parts = (rows.indptr, rows.indices.astype(np.int64), rows.edge_ids.astype(np.int64))
        graph = dgl.graph(("csc", tuple(map(torch.from_numpy, parts))), num_nodes=rows.num_rows).formats("csc")
        # DGL's fanouts start at the layer farthest from the seeds
        sampler = dgl.dataloading.NeighborSampler(list(fanouts)[::-1])
        seeds = [torch.from_numpy(batch) for batch in batches]
    except (ImportError, OSError) as error:
        return left_out("DGL", error)

    def run() -> None:
        torch.set_num_threads(threads)
        edges["dgl"] = sum(sum(b.num_edges() for b in sampler.sample(graph, s)[2]) for s in seeds)

    found["dgl"] = run
    return None


def add_pyg(found, rows, fanouts, batches, threads, edges) -> None:
    for name, module in (("pyg-lib", "pyg_lib"), ("torch-sparse", "torch_sparse")):
        try:
            import torch

            importlib.import_module(module)  # registers its operators
        except (ImportError, OSError) as error:
            left_out(name, error)
            continue
        indptr, indices = torch.from_numpy(rows.indptr), torch.from_numpy(rows.indices.astype(np.int64))
        seeds = [torch.from_numpy(batch) for batch in batches]

        def run(name=name, indptr=indptr, indices=indices, seeds=seeds) -> None:
            torch.set_num_threads(threads)
            total = 0
            for s in seeds:
                if name == "pyg-lib":
                    total += torch.ops.pyg.neighbor_sample(indptr, indices, s, list(fanouts))[0].numel()
                else:
                    total += torch.ops.torch_sparse.neighbor_sample(indptr, indices, s, list(fanouts), False, True)[
                        1
                    ].numel()
            edges[name] = total

        found[name] = run


def walkers(store, starts, p, q, threads) -> dict[str, Callable[[], object]]:
    """Callables that walk `LENGTH` steps from every start."""
    options = {"length": LENGTH, "p": p, "q": q, "threads": threads}
    found: dict[str, Callable[[], object]] = {"nearhop": lambda: random_walks(store, starts, **options)}
    rows = store.csr()
    try:
        import dgl
        import torch

        parts = (rows.indptr, rows.indices.astype(np.int64), rows.edge_ids.astype(np.int64))
        graph = dgl.graph(("csr", tuple(map(torch.from_numpy, parts))), num_nodes=rows.num_rows)
        seeds = torch.from_numpy(starts)

        def with_dgl() -> None:
            torch.set_num_threads(threads)
            if p == q == 1:
                dgl.sampling.random_walk(graph, seeds, length=LENGTH)
            else:
                dgl.sampling.node2vec_random_walk(graph, seeds, p, q, LENGTH)

        found["dgl"] = with_dgl
    except (ImportError, OSError) as error:
        left_out("DGL", error)
    try:
        import torch

        importlib.import_module("torch_cluster")  # registers its operators

        cluster = torch.from_numpy(rows.indptr), torch.from_numpy(rows.indices.astype(np.int64))
        seeds = torch.from_numpy(starts)

        def with_cluster() -> None:
            torch.set_num_threads(threads)
            torch.ops.torch_cluster.random_walk(*cluster, seeds, LENGTH, p, q)

        found["torch-cluster"] = with_cluster
    except (ImportError, OSError) as error:
        left_out("torch-cluster", error)
    if (p == q == 1 and threads > 1) or p != q:
        add_ensmallen(found, store, p, q)
        add_pecanpy(found, rows, p, q, threads)
    return found


def add_ensmallen(found, store, p, q) -> None:
    """ensmallen walks once from every node, on all threads, and needs an undirected graph for node2vec."""
    try:
        ensmallen = importlib.import_module("ensmallen")
    except (ImportError, OSError, ValueError) as error:  # ValueError: a processor it was not compiled for
        return left_out("ensmallen", error)
    edges = store.edge_list()
    try:
        builder = ensmallen.GraphBuilder()
        builder.set_directed(store.directed)
        for source, target in zip(edges.src.tolist(), edges.dst.tolist(), strict=True):
            builder.add_edge(str(source), str(target))
        graph = builder.build()
        graph.enable()
    except Exception as error:  # its panics are not ordinary exceptions
        return left_out("ensmallen", error)

    def run() -> None:
        graph.complete_walks(LENGTH + 1, iterations=1, return_weight=1 / p, explore_weight=1 / q, random_state=1)

    try:
        run()
    except Exception as error:  # its interface changes from version to version
        return left_out("ensmallen", error)
    found[f"ensmallen, all threads, {EVERY_NODE}"] = run
    return None


def add_pecanpy(found, rows, p, q, threads) -> None:
    try:
        pecanpy = importlib.import_module("pecanpy.pecanpy")
    except (ImportError, OSError) as error:
        return left_out("PecanPy", error)
    import numba
    import scipy.sparse

    n = rows.num_rows
    matrix = scipy.sparse.csr_array((np.ones(rows.num_entries, np.float32), rows.indices, rows.indptr), shape=(n, n))
    graph = pecanpy.SparseOTF.from_mat(matrix, [str(i) for i in range(n)], p=p, q=q, workers=threads)

    def run() -> None:
        numba.set_num_threads(threads)
        graph.simulate_walks(num_walks=1, walk_length=LENGTH)

    try:
        run()
    except Exception as error:  # its interface changes from version to version
        return left_out("PecanPy", error)
    found[f"PecanPy SparseOTF, {EVERY_NODE}"] = run
    return None


def compare_samplers(name, store, options) -> None:
    rng = np.random.default_rng(2)
    batches = list(rng.integers(0, store.num_nodes, (options.batches, BATCH)))
    for fanouts in ([15, 10], [15, 10, 5]):
        for threads in options.threads:
            edges: dict[str, int] = {}
            timings = interleave(samplers(store, fanouts, batches, threads, edges), repeats=options.repeats)
            print(f"\n{name}, fanouts {fanouts}, batches of {BATCH}, {threads} thread(s)\n")
            print("| contender | M edges/s | median s | min..max | edges |\n|---|---|---|---|---|")
            for t in timings:
                rate = edges[t.name] / t.median / 1e6
                print(f"| {t.name} | {rate:.1f} | {t.median:.3g} | {t.spread} | {edges[t.name]:,} |")


def compare_walkers(name, store, options) -> None:
    rng = np.random.default_rng(3)
    walks = options.walks
    starts = np.concatenate([rng.permutation(store.num_nodes) for _ in range(-(-walks // store.num_nodes))])[:walks]
    for p, q in ((1.0, 1.0), (0.25, 4.0)):
        for threads in options.threads:
            timings = interleave(walkers(store, starts, p, q, threads), repeats=options.repeats)
            print(f"\n{name}, walks of {LENGTH} steps, p {p}, q {q}, {threads} thread(s)\n")
            print("| contender | M steps/s | median s | min..max |\n|---|---|---|---|")
            for timing in timings:  # peers that walk from every node take as many walks as there are nodes
                steps = LENGTH * (store.num_nodes if EVERY_NODE in timing.name else walks)
                print(f"| {timing.name} | {steps / timing.median / 1e6:.3g} | {timing.median:.3g} | {timing.spread} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument("--edges", type=int, default=20_000_000)
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--walks", type=int, default=100_000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--short", action="store_true", help="a tenth of the graph, few repeats: under a minute")
    options = parser.parse_args()
    if options.short:
        options.nodes //= 10
        options.edges //= 10
        options.batches, options.walks, options.repeats = 10, 10_000, 2
    warnings.simplefilter("ignore")
    print(versions("torch", "torch-geometric", "dgl", "pyg-lib", "torch-sparse", "torch-cluster", "ensmallen"))
    graphs = {f"power law, {options.nodes:,} nodes, {options.edges:,} edges": power_law(options.nodes, options.edges)}
    for title, name in (("ego-Twitter", "ego-twitter"), ("BlogCatalog", "blogcatalog")):
        try:
            graphs[title] = datasets.load(name)
        except Exception as error:
            left_out(title, error)
    for title, store in graphs.items():
        if title != "BlogCatalog":
            compare_samplers(title, store, options)
    for title, store in graphs.items():
        if title != "ego-Twitter":
            compare_walkers(title, store, options)


if __name__ == "__main__":
    main()
