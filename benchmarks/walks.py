"""Random walks against DGL, torch-cluster, ensmallen and PecanPy: uniform, and node2vec's.

python benchmarks/walks.py [--short] [--nodes 1000000 --edges 20000000] [--threads 1 2]

ensmallen takes its number of threads from RAYON_NUM_THREADS and is compared where that is the number measured. PecanPy
needs NumPy < 2, so `--pecanpy PYTHON` names the Python of an environment that has it.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import tempfile
from collections.abc import Callable

import numpy as np
from _graphs import arguments, graphs_of, left_out
from _measure import interleave

from nearhop.sampling import random_walks

LENGTH = 40
ENSMALLEN_THREADS = int(os.environ.get("RAYON_NUM_THREADS", os.cpu_count() or 1))


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
    parser = arguments(__doc__, ["power law", "BlogCatalog"])
    parser.add_argument("--walks", type=int, default=100_000)
    parser.add_argument("--pecanpy", help="a Python that has PecanPy")
    options = parser.parse_args()
    if options.short:
        options.walks = 10_000
    for title, store in graphs_of(options):
        compare_walkers(title, store, options)


if __name__ == "__main__":
    main()
