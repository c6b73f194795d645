"""Neighbour samples, loaders and walks, against DGL, PyG (pyg-lib, torch-sparse, torch-cluster), ensmallen and PecanPy.

python benchmarks/sampling.py [--short] [--nodes 1000000 --edges 20000000] [--threads 1 2]

Peers that cannot be imported are left out by name. They may live in a folder of their own on PYTHONPATH, for example
one filled with `pip install --no-deps --target FOLDER dgl==1.1.3 packaging psutil tqdm requests ensmallen`. ensmallen
takes its number of threads from RAYON_NUM_THREADS and is compared where that is the number measured. PecanPy needs
NumPy < 2, so `--pecanpy PYTHON` names the Python of an environment that has it.

"neighbours" times samples alone, "loaders" what a training loop iterates over, without features: nearhop's threads,
PyG's and DGL's worker processes (none for one thread). PyG's NeighborLoader cannot sample by itself; it is timed over
pyg-lib or torch-sparse where they are installed, and over nearhop's sampler. "gpu" times the GPU's sampler, with the
graph in its memory and in pinned host memory; it must be asked for.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable

import numpy as np
from _measure import interleave, versions

from nearhop import GraphStore, datasets
from nearhop.sampling import NeighborSampler, random_walks
from nearhop.sampling.loaders.loaders import NodeLoader

BATCH = 1024
LENGTH = 40
ENSMALLEN_THREADS = int(os.environ.get("RAYON_NUM_THREADS", os.cpu_count() or 1))


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
    add_dgl(found, store, fanouts, batches, threads, edges)
    add_pyg(found, rows, fanouts, batches, threads, edges)
    return found


def dgl_graph(store):
    """The store's in-edges, sampled from where they lie."""
    import dgl
    import torch

    rows = store.csc()
    parts = (rows.indptr, rows.indices.astype(np.int64), rows.edge_ids.astype(np.int64))
    return dgl.graph(("csc", tuple(map(torch.from_numpy, parts))), num_nodes=rows.num_rows).formats("csc")


def add_dgl(found, store, fanouts, batches, threads, edges) -> None:
    try:
        import dgl
        import torch

        torch.set_num_threads(threads)
        graph = dgl_graph(store)
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


def loaders(store, fanouts, seeds, threads, edges) -> dict[str, Callable[[], object]]:
    """Callables that iterate over one epoch of `seeds` in batches, and note how many edges they found."""
    workers = threads if threads > 1 else 0
    ours = NodeLoader(store, fanouts, nodes=seeds, tables={}, batch_size=BATCH, workers=threads, seed=1)

    def nearhop() -> None:
        edges["nearhop NodeLoader"] = sum(batch.e_id.numel() for batch in ours)

    found: dict[str, Callable[[], object]] = {"nearhop NodeLoader": nearhop}
    add_pyg_loaders(found, store, fanouts, seeds, workers, edges)
    try:
        import dgl
        import torch

        sampler = dgl.dataloading.NeighborSampler(list(fanouts)[::-1])
        graph = dgl_graph(store)
        theirs = dgl.dataloading.DataLoader(
            graph, torch.from_numpy(seeds), sampler, batch_size=BATCH, num_workers=workers
        )

        def with_dgl() -> None:
            torch.set_num_threads(1)
            edges["DGL DataLoader"] = sum(sum(b.num_edges() for b in blocks) for _, _, blocks in theirs)

        found["DGL DataLoader"] = with_dgl
    except (ImportError, OSError) as error:
        left_out("DGL", error)
    return found


def add_pyg_loaders(found, store, fanouts, seeds, workers, edges) -> None:
    try:
        import torch
        from torch_geometric import typing as has
        from torch_geometric.data import Data
        from torch_geometric.loader import NeighborLoader

        from nearhop.interop.pyg_sampler import Sampler
    except (ImportError, OSError) as error:
        return left_out("PyG", error)
    pairs = store.edge_list()
    ends = torch.from_numpy(np.stack([pairs.src, pairs.dst]).astype(np.int64))
    data = Data(edge_index=ends, num_nodes=store.num_nodes)
    options = {"input_nodes": torch.from_numpy(seeds), "batch_size": BATCH, "num_workers": workers}
    backends: dict[str, Sampler | None] = {"nearhop": Sampler(store, fanouts, seed=1)}
    if has.WITH_PYG_LIB or has.WITH_TORCH_SPARSE:
        backends["pyg-lib" if has.WITH_PYG_LIB else "torch-sparse"] = None
    for name, sampler in backends.items():
        loader = NeighborLoader(data, list(fanouts), neighbor_sampler=sampler, **options)

        def run(name=f"PyG NeighborLoader over {name}", loader=loader) -> None:
            torch.set_num_threads(1)
            edges[name] = sum(batch.e_id.numel() for batch in loader)

        found[f"PyG NeighborLoader over {name}"] = run
    return None


def gpu_samplers(store, fanouts, batches, edges) -> tuple[dict[str, Callable[[], object]], Callable[[], None]]:
    """The GPU's sampler with the graph in its own memory and in pinned host memory, and how to release that."""
    from numba import cuda

    from nearhop.sampling.features.pinned_adjacency import PinnedAdjacency
    from nearhop.sampling.neighbors.neighbor_cuda import CudaSampler

    rows = store.csc()
    pinned = PinnedAdjacency(rows)
    places = {"graph on the GPU": None, "graph in pinned memory": pinned.arrays}
    found: dict[str, Callable[[], object]] = {}
    for name, arrays in places.items():
        sampler = CudaSampler(rows, fanouts, seed=1, arrays=arrays)

        def run(name=name, sampler=sampler) -> None:
            edges[name] = sum(sampler.sample(batch).row.shape[0] for batch in batches)
            cuda.synchronize()

        found[name] = run
    return found, pinned.close


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
    if threads == ENSMALLEN_THREADS:
        add_ensmallen(found, store, starts.shape[0], p, q)
    return found


def add_ensmallen(found, store, walks, p, q) -> None:
    """ensmallen walks from random nodes; the number of its threads is fixed when it is loaded."""
    try:
        ensmallen = importlib.import_module("ensmallen")
    except (ImportError, OSError, ValueError) as error:  # ValueError: a processor it was not compiled for
        return left_out("ensmallen", error)
    edges = store.edge_list()
    try:
        with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
            pandas = importlib.import_module("pandas")
            pandas.DataFrame({"s": edges.src, "d": edges.dst}).to_csv(file, index=False, header=False)
            file.flush()
            graph = ensmallen.Graph.from_csv(
                directed=store.directed,
                edge_path=file.name,
                edge_list_separator=",",
                edge_list_header=False,
                sources_column_number=0,
                destinations_column_number=1,
                edge_list_numeric_node_ids=True,
                numeric_node_ids=True,
                minimum_node_id=0,
                number_of_nodes=store.num_nodes,
                verbose=False,
                name="benchmark",
            )
        graph.random_walks(walk_length=2, quantity=1, iterations=1, random_state=1)  # refuses graphs with sinks
    except Exception as error:  # its panics are not ordinary exceptions
        return left_out("ensmallen", error)
    quantity = min(walks, store.num_nodes)
    # its neighbours are cut to a random hundred unless told otherwise, which makes node2vec approximate
    for name, most in (("exact", None), ("100 neighbours", 100)):
        if p == q == 1 and most:
            continue

        def run(most=most) -> None:
            graph.random_walks(
                walk_length=LENGTH + 1,
                quantity=quantity,
                iterations=-(-walks // quantity),
                return_weight=1 / p,
                explore_weight=1 / q,
                random_state=1,
                max_neighbours=most,
            )

        found[f"ensmallen, {name}"] = run
    return None


def pecanpy_seconds(python: str, store, p, q, threads) -> float | None:
    """A walk from every node by PecanPy in a Python of its own, since it needs an older NumPy."""
    rows = store.csr()
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/graph.npz"
        np.savez(path, indptr=rows.indptr, indices=rows.indices)
        command = [python, "-c", _PECANPY_SCRIPT, path, str(p), str(q), str(threads), str(LENGTH)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        left_out("PecanPy", RuntimeError(done.stderr.strip().splitlines()[-1]))
        return None
    return float(done.stdout.split()[-1])


_PECANPY_SCRIPT = """
import sys, time
import numba, numpy as np
from pecanpy import pecanpy
path, p, q, threads, length = sys.argv[1:]
file = np.load(path)
n = file["indptr"].shape[0] - 1
numba.set_num_threads(int(threads))
graph = pecanpy.SparseOTF(p=float(p), q=float(q), workers=int(threads))
graph.indptr, graph.indices = file["indptr"].astype(np.uint32), file["indices"].astype(np.uint32)
graph.data = np.ones(graph.indices.shape[0], np.float32)
graph.set_node_ids([str(i) for i in range(n)])
graph.simulate_walks(num_walks=1, walk_length=2)  # compiles
start = time.perf_counter()
graph.simulate_walks(num_walks=1, walk_length=int(length))
print(time.perf_counter() - start)
"""


def compare_samplers(name, store, options) -> None:
    rng = np.random.default_rng(2)
    batches = list(rng.integers(0, store.num_nodes, (options.batches, BATCH)))
    compare_edges(name, samplers, store, batches, options)


def compare_loaders(name, store, options) -> None:
    count = min(options.batches * BATCH, store.num_nodes)
    seeds = np.random.default_rng(4).permutation(store.num_nodes)[:count]
    compare_edges(f"{name}, loaders", loaders, store, seeds, options)


def compare_edges(name, contenders, store, seeds, options) -> None:
    for hops in options.hops:
        fanouts = [15, 10, 5][:hops]
        for threads in options.threads:
            edges: dict[str, int] = {}
            timings = interleave(contenders(store, fanouts, seeds, threads, edges), repeats=options.repeats)
            print_edges(f"{name}, fanouts {fanouts}, {threads} thread(s)", timings, edges)


def compare_on_gpu(name, store, options) -> None:
    batches = list(np.random.default_rng(2).integers(0, store.num_nodes, (options.batches, BATCH)))
    for hops in options.hops:
        edges: dict[str, int] = {}
        found, close = gpu_samplers(store, [15, 10, 5][:hops], batches, edges)
        print_edges(f"{name}, {hops} hops, GPU", interleave(found, repeats=options.repeats), edges)
        close()


def print_edges(title, timings, edges) -> None:
    print(f"\n{title}, batches of {BATCH}\n")
    print("| contender | M edges/s | median s | min..max | edges |\n|---|---|---|---|---|")
    for t in timings:
        rate = edges[t.name] / t.median / 1e6
        print(f"| {t.name} | {rate:.1f} | {t.median:.3g} | {t.spread} | {edges[t.name]:,} |", flush=True)


def compare_walkers(name, store, options) -> None:
    rng = np.random.default_rng(3)
    walks = options.walks
    starts = np.concatenate([rng.permutation(store.num_nodes) for _ in range(-(-walks // store.num_nodes))])[:walks]
    for p, q in ((1.0, 1.0), (0.25, 4.0)):
        for threads in options.threads:
            timings = interleave(walkers(store, starts, p, q, threads), repeats=options.repeats)
            print(f"\n{name}, walks of {LENGTH} steps, p {p}, q {q}, {threads} thread(s)\n")
            print("| contender | M steps/s | median s | min..max |\n|---|---|---|---|")
            for timing in timings:
                rate = LENGTH * walks / timing.median / 1e6
                print(f"| {timing.name} | {rate:.3g} | {timing.median:.3g} | {timing.spread} |")
            if options.pecanpy and p != q and store.num_nodes < 100_000:  # minutes on the larger graph
                apart = pecanpy_seconds(options.pecanpy, store, p, q, threads)
                if apart is not None:
                    rate = LENGTH * store.num_nodes / apart / 1e6
                    print(f"| PecanPy SparseOTF, timed apart, a walk per node | {rate:.3g} | {apart:.3g} | |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument("--edges", type=int, default=20_000_000)
    parser.add_argument("--batches", type=int, default=100)
    parser.add_argument("--walks", type=int, default=100_000)
    parser.add_argument("--hops", type=int, nargs="+", default=[2, 3], help="fanouts 15, 10, 5")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", choices=["neighbours", "loaders", "walks", "gpu"])
    parser.add_argument("--graphs", nargs="+", default=["power law", "ego-Twitter", "BlogCatalog"])
    parser.add_argument("--pecanpy", help="a Python that has PecanPy")
    parser.add_argument("--short", action="store_true", help="a tenth of the graph, few repeats: under a minute")
    options = parser.parse_args()
    if options.short:
        options.nodes //= 10
        options.edges //= 10
        options.batches, options.walks, options.repeats = 10, 10_000, 2
    warnings.simplefilter("ignore")
    print(versions("torch", "torch-geometric", "dgl", "pyg-lib", "torch-sparse", "torch-cluster", "ensmallen"))
    graphs: dict[str, GraphStore] = {}
    if "power law" in options.graphs:
        title = f"power law, {options.nodes:,} nodes, {options.edges:,} edges"
        graphs[title] = power_law(options.nodes, options.edges)
    for title, name in (("ego-Twitter", "ego-twitter"), ("BlogCatalog", "blogcatalog")):
        if title in options.graphs:
            try:
                graphs[title] = datasets.load(name)
            except Exception as error:
                left_out(title, error)
    for title, store in graphs.items():
        if title != "BlogCatalog" and options.only in (None, "neighbours"):
            compare_samplers(title, store, options)
        if title != "BlogCatalog" and options.only in (None, "loaders"):
            compare_loaders(title, store, options)
        if title != "BlogCatalog" and options.only == "gpu":
            compare_on_gpu(title, store, options)
        if title != "ego-Twitter" and options.only in (None, "walks"):
            compare_walkers(title, store, options)


if __name__ == "__main__":
    main()
