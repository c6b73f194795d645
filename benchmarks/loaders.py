"""Mini-batch loaders against DGL's DataLoader and PyG's NeighborLoader.

python benchmarks/loaders.py [--short] [--nodes 1000000 --edges 20000000] [--threads 1 2]

What a training loop iterates over, without features: nearhop's threads, PyG's and DGL's worker processes (none for one
thread). PyG's NeighborLoader cannot sample by itself; it is timed over pyg-lib or torch-sparse where they are
installed, and over nearhop's sampler.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from _graphs import BATCH, arguments, compare_edges, dgl_graph, graphs_of, left_out

from nearhop.sampling import NodeLoader


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


def main() -> None:
    options = arguments(__doc__, ["power law", "ego-Twitter"]).parse_args()
    for title, store in graphs_of(options):
        count = min(options.batches * BATCH, store.num_nodes)
        seeds = np.random.default_rng(4).permutation(store.num_nodes)[:count]
        compare_edges(f"{title}, loaders", loaders, store, seeds, options)


if __name__ == "__main__":
    main()
