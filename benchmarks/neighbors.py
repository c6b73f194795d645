"""Neighbour samples against DGL and PyG's backends (pyg-lib, torch-sparse).

python benchmarks/neighbors.py [--short] [--nodes 1000000 --edges 20000000] [--threads 1 2]

Samples alone, with edge ids and local numbers, without features. `--gpu` times the GPU's sampler instead, with the
graph in its memory and in pinned host memory.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np
from _graphs import BATCH, arguments, compare_edges, dgl_graph, graphs_of, left_out, print_edges
from _measure import interleave

from nearhop.sampling import NeighborSampler


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


def add_dgl(found, store, fanouts, batches, threads, edges) -> None:
    try:
        import dgl
        import torch

        # DGL's fanouts start at the layer farthest from the seeds
        sampler = dgl.dataloading.NeighborSampler(list(fanouts)[::-1])
    except (ImportError, OSError) as error:
        return left_out("DGL", error)
    for name, ids in (("dgl", np.int64), ("dgl, int32 ids", np.int32)):
        graph = dgl_graph(store, ids)
        seeds = [torch.from_numpy(batch.astype(ids)) for batch in batches]

        def run(name=name, graph=graph, seeds=seeds) -> None:
            torch.set_num_threads(threads)
            edges[name] = sum(sum(b.num_edges() for b in sampler.sample(graph, s)[2]) for s in seeds)

        found[name] = run
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


def compare_on_gpu(name, store, options) -> None:
    batches = list(np.random.default_rng(2).integers(0, store.num_nodes, (options.batches, BATCH)))
    for hops in options.hops:
        edges: dict[str, int] = {}
        found, close = gpu_samplers(store, [15, 10, 5][:hops], batches, edges)
        print_edges(f"{name}, {hops} hops, GPU", interleave(found, repeats=options.repeats), edges)
        close()


def main() -> None:
    parser = arguments(__doc__, ["power law", "ego-Twitter"])
    parser.add_argument("--gpu", action="store_true")
    options = parser.parse_args()
    for title, store in graphs_of(options):
        if options.gpu:
            compare_on_gpu(title, store, options)
            continue
        batches = list(np.random.default_rng(2).integers(0, store.num_nodes, (options.batches, BATCH)))
        compare_edges(title, samplers, store, batches, options)


if __name__ == "__main__":
    main()
