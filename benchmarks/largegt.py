"""LargeGT: what it costs to prepare a graph, to gather tokens and to train, beside SciPy and plain PyTorch.

    python benchmarks/largegt.py                       # step, gather, sets, epoch: some minutes, 4 GB
    python benchmarks/largegt.py --only step --batch 1024
    python benchmarks/largegt.py --only scale --graph patents   # 2.9 M nodes, 14 M edges, 269 features
    python benchmarks/largegt.py --only scale --graph products  # 2.4 M nodes, 62 M edges, 100 features
    python benchmarks/largegt.py --short

Parts: `step` (a training step and inference at K = 50, H = 128 against plain PyTorch on the same tokens), `gather`
(tokens per second against torch.index_select), `sets` (node sets against SciPy's A·A with numpy.random.choice),
`epoch` (an epoch at 1x and 10x edges), `scale` (contexts and node sets of a stored graph, in a process of its own whose
memory beyond mapped files is watched). Contenders run in turn; wall time and the processor's time are both told, since
machines are shared. Graphs are generated: ends of edges follow a power law in the rank of nodes.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch
from _largegt_plain import PlainLargeGT
from _measure import versions

import nearhop
from nearhop.gnn.large_gt import LargeGT, LargeGTConfig, TokenLoader
from nearhop.gnn.nodes import NodeData, NodeTrainer
from nearhop.gnn.threads import steady
from nearhop.gnn.training import Training
from nearhop.graphlib.sparse import hop_contexts
from nearhop.sampling import NodeSets

GRAPHS = {  # nodes, edges, features, dtype, exponent of ranks (largest degree about that of the real graph), directed
    "patents": (2_923_922, 13_975_788, 269, "float16", 1.5, True),
    "products": (2_449_029, 61_859_140, 100, "float32", 1.7, False),
}


def graph(nodes, edges, exponent=1.5, directed=False, seed=0):
    rng = np.random.default_rng(seed)
    ends = []
    for _ in range(2):
        rank = (rng.random(edges) ** exponent * nodes).astype(np.int32)
        ends.append(rng.permutation(nodes).astype(np.int32)[rank])
    return nearhop.GraphStore.from_edges(*ends, num_nodes=nodes, directed=directed)


def with_tokens(store, width, size, position=0, seed=0):
    rng = np.random.default_rng(seed)
    store.nodes["x"] = rng.standard_normal((store.num_nodes, width), dtype=np.float32)
    if position:
        store.nodes["pe"] = rng.standard_normal((store.num_nodes, position), dtype=np.float32)
    hop_contexts(store)
    NodeSets(store, size).write()
    return store


def in_turn(runs, repeats):
    """Median seconds of wall time and of the processor, per contender, run A B C A B C."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for turn in range(repeats + 1):
        for name, run in runs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            if turn:
                taken[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {name: np.median(np.array(values), axis=0) for name, values in taken.items()}


def print_table(title, found, ours, unit=lambda seconds: f"{1e3 * seconds:.1f} ms"):
    print(f"\n{title}\n\n| contender | wall | processor | times nearhop's wall | processor |\n|---|---|---|---|---|")
    for name, (wall, cpu) in found.items():
        ratios = f"{wall / found[ours][0]:.2f} | {cpu / found[ours][1]:.2f}"
        print(f"| {name} | {unit(wall)} | {unit(cpu)} | {ratios} |", flush=True)


def step(given):
    """K = 50, H = 128, two heads, 269 features: one training step, and scores, of a batch."""
    store = with_tokens(graph(given.nodes, 5 * given.nodes), 269, 50, 64)
    config = LargeGTConfig()
    torch.manual_seed(0)
    model = LargeGT(TokenLoader(store, position="pe"), 5, config)
    model.prepare(np.arange(min(20_000, given.nodes)))
    rng = np.random.default_rng(0)
    batch = model.batch(rng.choice(given.nodes, given.batch, replace=False))
    dense = batch.dense(), batch.tables[0][batch.index[:, 0]], batch.position
    labels = torch.from_numpy(rng.integers(0, 5, given.batch))
    peers = {"plain": PlainLargeGT(269, 5, config, False), "plain, SDPA": PlainLargeGT(269, 5, config, True)}
    share = batch.tables[0].shape[0] / batch.index.numel()
    for plain in peers.values():
        plain.take(model)
        with torch.no_grad():
            gap = float((plain.eval()(*dense) - model.eval()(batch)).abs().max())
        print(f"\nlargest difference of scores: {gap:.1e}")
        assert gap < 1e-4

    def scores(run):
        with torch.no_grad():
            run()

    def ours():
        with steady():  # as the trainer runs it: products on one thread each, turns of nodes on all
            return model(batch)

    calls = {"nearhop": (model, ours)}
    calls |= {name: (plain, functools.partial(plain, *dense)) for name, plain in peers.items()}
    title = f"batch {given.batch}, K 50, H 128, {torch.get_num_threads()} threads; {100 * share:.0f} % of rows distinct"
    found = in_turn({name: lambda run=run: scores(run) for name, (_, run) in calls.items()}, given.repeats)
    print_table(f"Inference, {title}", found, "nearhop")
    runs = {}
    for name, (module, run) in calls.items():
        module.train()
        optimizer = torch.optim.Adam(module.parameters(), 1e-3)

        def train(run=run, optimizer=optimizer):
            optimizer.zero_grad()
            with steady() if run is ours else contextlib.nullcontext():
                torch.nn.functional.cross_entropy(run(), labels).backward()
            optimizer.step()

        runs[name] = train
    print_table(f"Training step, {title}", in_turn(runs, given.repeats), "nearhop")


def gather(given):
    """Rows of three tables for the sets of a batch, as a loader takes them."""
    store = with_tokens(graph(given.nodes, 5 * given.nodes), 128, 50)
    tables = [store.nodes[name] for name in ("x", "x_hop1", "x_hop2")]
    loader = TokenLoader(store)
    seeds = np.random.default_rng(0).choice(given.nodes, given.batch, replace=False)
    sets = torch.from_numpy(store.nodes["node_set"][seeds].astype(np.int64)).reshape(-1)
    distinct = torch.unique(sets)
    torch_tables = [torch.from_numpy(table) for table in tables]
    held = loader._tables
    picked = distinct.numpy()
    found = in_turn(
        {
            "UnifiedTensor, each row once": lambda: [table[picked] for table in held],
            "index_select, each row once": lambda: [table.index_select(0, distinct) for table in torch_tables],
            "TokenLoader.batch (finds the distinct rows)": lambda: loader.batch(seeds),
            "index_select of every token": lambda: [table.index_select(0, sets) for table in torch_tables],
        },
        2 * given.repeats,
    )
    tokens = 3 * sets.shape[0]
    share = distinct.shape[0] / sets.shape[0]
    title = f"Tokens of {given.batch} nodes, 128 features; {share:.2f} of rows distinct"
    print_table(title, found, "UnifiedTensor, each row once", lambda s: f"{tokens / s / 1e6:.1f} M tokens/s")


def by_scipy(store, size, seed=0):
    """The released rule on the explicit square: candidates A ++ A·A, numpy.random.choice without replacement."""
    import scipy.sparse as sp

    rows = store.csr()
    n = rows.num_rows
    A = sp.csr_matrix((np.ones(rows.num_entries, np.float32), rows.indices.copy(), rows.indptr.copy()), shape=(n, n))
    A.sum_duplicates()
    square = A @ A
    rng = np.random.RandomState(seed)
    out = np.empty((n, size), np.int64)
    for i in range(n):
        ones, twos = (M.indices[M.indptr[i] : M.indptr[i + 1]] for M in (A, square))
        L = np.concatenate([ones, twos])
        out[i, 0] = i
        if len(L) >= size - 1:
            out[i, 1:] = rng.choice(L, size - 1, replace=False)
        else:
            out[i, 1:] = np.resize(L, size - 1) if len(L) else rng.choice(n, size - 1)
    return square.nnz


def sets(given):
    for nodes, degree in given.sets:
        store = graph(nodes, nodes * degree // 2)
        nnz = []
        NodeSets(store, 50).sample(np.arange(64))
        wall, cpu = time.perf_counter(), time.process_time()
        NodeSets(store, 50).sample(np.arange(nodes))
        found = {"nearhop": (time.perf_counter() - wall, time.process_time() - cpu)}
        wall, cpu = time.perf_counter(), time.process_time()
        nnz.append(by_scipy(store, 50))
        found["SciPy A·A, random.choice"] = (time.perf_counter() - wall, time.process_time() - cpu)
        title = f"Node sets of 50, {nodes:,} nodes of mean degree {degree}; A·A has {nnz[0]:,} entries"
        print_table(title, found, "nearhop", lambda s: f"{s:.2f} s")


def epoch(given):
    """The same training nodes and settings on a graph with ten times the edges."""
    found = {}
    trainers = {}
    for times in (1, 10):
        store = with_tokens(graph(given.nodes, 3 * times * given.nodes), 64, 20)
        torch.manual_seed(0)
        model = LargeGT(TokenLoader(store), 5, LargeGTConfig(hidden=64, mode="local"))
        rng = np.random.default_rng(0)
        data = NodeData(rng.integers(0, 5, given.nodes), np.arange(4 * given.batch), [], [])
        options = Training(epochs=100, batch_size=given.batch, selection="last epoch", learning_rate=1e-3)
        trainers[f"{3 * times * given.nodes:,} edges"] = NodeTrainer(model, data, options)
    found = in_turn(
        {
            name: lambda trainer=trainer: trainer.fit(lambda told: told.val is not None)
            for name, trainer in trainers.items()
        },
        given.repeats,
    )
    print_table(f"An epoch of {4 * given.batch:,} nodes, K 20, H 64", found, next(iter(found)))


def scale(given):
    """Written and prepared in a process of its own."""
    nodes, edges, width, kind, exponent, directed = GRAPHS[given.graph]
    nodes, edges = int(nodes * given.part), int(edges * given.part)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        path = Path(folder) / "graph.nh"
        start = time.perf_counter()
        store = graph(nodes, edges, exponent, directed).save(path)
        table = store.nodes.create("x", (width,), np.dtype(kind))
        rng = np.random.default_rng(1)
        for first in range(0, nodes, 1 << 16):
            table[first : first + (1 << 16)] = rng.standard_normal(table[first : first + (1 << 16)].shape, np.float32)
        store.commit("features")
        del table
        print(f"\n{store}\nmade in {time.perf_counter() - start:.0f} s", flush=True)
        del store
        words = [sys.executable, __file__, "--prepare", str(path), "--size", str(given.size), "--limit", given.limit]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        print("\n| part | seconds | processor | memory beyond mapped files |\n|---|---|---|---|")
        for name, wall, cpu, peak in json.loads(done.stdout.splitlines()[-1]):
            print(f"| {name} | {wall:.0f} | {cpu:.0f} | {peak / 2**20:.0f} MiB |", flush=True)


def anonymous():
    """Bytes of this process that no file holds."""
    text = Path("/proc/self/status").read_text()
    return int(text.split("RssAnon:")[1].split()[0]) << 10


def prepare(given):
    store = nearhop.open(given.prepare)
    rows = []
    for name, work in (
        ("hop contexts", lambda: hop_contexts(store, memory_limit=given.limit)),
        (f"node sets of {given.size}", lambda: NodeSets(store, given.size).write(memory_limit=given.limit)),
        ("commit", lambda: store.commit()),
    ):
        before, peak, over = anonymous(), [0], threading.Event()

        def watch(peak=peak, over=over):
            while not over.wait(0.02):
                peak[0] = max(peak[0], anonymous())

        thread = threading.Thread(target=watch)
        thread.start()
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        taken = time.perf_counter() - wall, time.process_time() - cpu
        over.set()
        thread.join()
        rows.append([name, *taken, max(0, peak[0] - before)])
    print(json.dumps(rows))


PARTS = {"step": step, "gather": gather, "sets": sets, "epoch": epoch, "scale": scale}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=["step", "gather", "sets", "epoch"])
    parser.add_argument("--nodes", type=int, default=200_000)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--graph", choices=GRAPHS, default="patents")
    parser.add_argument("--part", type=float, default=1.0, help="of the nodes and edges of --graph")
    parser.add_argument("--degrees", type=int, nargs="+", default=[20, 60], help="of `sets`; 120 takes 12 GB")
    parser.add_argument("--size", type=int, default=50, help="K of the node sets of --graph")
    parser.add_argument("--limit", default="2GiB")
    parser.add_argument("--folder", help="where the graph of `scale` is written for a while (20 GB)")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--prepare", help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.sets = [(100_000, degree) for degree in given.degrees]
    if given.short:
        given.nodes, given.batch, given.repeats, given.part = 20_000, 64, 2, 0.01
        given.sets = [(20_000, 20)]
    torch.set_num_threads(given.threads)
    if given.prepare:
        prepare(given)
        return
    print(versions("torch", "scipy", "numba"))
    for part in given.only:
        PARTS[part](given)


if __name__ == "__main__":
    main()
