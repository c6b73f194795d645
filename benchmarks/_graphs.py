"""What the benchmarks of samplers, loaders and walks share: graphs, arguments, tables.

Peers that cannot be imported are left out by name. They may live in a folder of their own on PYTHONPATH, for example
one filled with `pip install --no-deps --target FOLDER dgl==1.1.3 packaging psutil tqdm requests ensmallen`.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator

import numpy as np
from _measure import interleave, versions

from nearhop import GraphStore, datasets

BATCH = 1024


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


def dgl_graph(store, ids=np.int64):
    """The store's in-edges, sampled from where they lie, with ids of a dtype of DGL's: int64 or int32."""
    import dgl
    import torch

    rows = store.csc()
    parts = tuple(part.astype(ids) for part in (rows.indptr, rows.indices, rows.edge_ids))
    return dgl.graph(("csc", tuple(map(torch.from_numpy, parts))), num_nodes=rows.num_rows).formats("csc")


def arguments(description: str | None, graphs: list[str]) -> argparse.ArgumentParser:
    """What the three scripts take."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument("--edges", type=int, default=20_000_000)
    parser.add_argument("--batches", type=int, default=100)
    parser.add_argument("--hops", type=int, nargs="+", default=[2, 3], help="fanouts 15, 10, 5")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--graphs", nargs="+", default=graphs, choices=["power law", "ego-Twitter", "BlogCatalog"])
    parser.add_argument("--short", action="store_true", help="a tenth of the graph, few repeats: under a minute")
    return parser


def graphs_of(options: argparse.Namespace) -> Iterator[tuple[str, GraphStore]]:
    """The graphs that were asked for, by title; prints the versions first."""
    if options.short:
        options.nodes, options.edges, options.batches, options.repeats = options.nodes // 10, options.edges // 10, 10, 2
    warnings.simplefilter("ignore")
    print(versions("torch", "torch-geometric", "dgl", "pyg-lib", "torch-sparse", "torch-cluster", "ensmallen"))
    if "power law" in options.graphs:
        title = f"power law, {options.nodes:,} nodes, {options.edges:,} edges"
        yield title, power_law(options.nodes, options.edges)
    for title, name in (("ego-Twitter", "ego-twitter"), ("BlogCatalog", "blogcatalog")):
        if title in options.graphs:
            try:
                yield title, datasets.load(name)
            except Exception as error:
                left_out(title, error)


def compare_edges(name: str, contenders: Callable[..., dict[str, Callable[[], object]]], store, seeds, options) -> None:
    """Time `contenders` at every number of hops and threads."""
    for hops in options.hops:
        fanouts = [15, 10, 5][:hops]
        for threads in options.threads:
            edges: dict[str, int] = {}
            timings = interleave(contenders(store, fanouts, seeds, threads, edges), repeats=options.repeats)
            print_edges(f"{name}, fanouts {fanouts}, {threads} thread(s)", timings, edges)


def print_edges(title, timings, edges) -> None:
    print(f"\n{title}, batches of {BATCH}\n")
    print("| contender | M edges/s | median s | min..max | edges |\n|---|---|---|---|---|")
    for t in timings:
        rate = edges[t.name] / t.median / 1e6
        print(f"| {t.name} | {rate:.1f} | {t.median:.3g} | {t.spread} | {edges[t.name]:,} |", flush=True)
