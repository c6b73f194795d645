"""SkipGram and GraphVite beside gensim, ensmallen and a plain loop: words and samples per second, time to an F1.

`python benchmarks/graphvite.py [--words] [--samples] [--core] [--end-to-end] [--gpu]` (default: words and samples).

- words: skip-gram on BlogCatalog, window 5, five negatives, 128 columns, walks of 40 nodes. A word is a node of a walk.
  gensim trains on walks made beforehand and is timed without its vocabulary; nearhop and ensmallen also walk. The F1 is
  that of node classification with half of the nodes labelled, of the last run.
- samples: GraphVite's step (one negative of weight 5, SGD, weight decay) on samples made beforehand, beside a plain
  lock-free loop in Numba on the same samples, and the whole run with sampling. A sample reads and writes three rows, so
  bandwidth / (6 * 4 * dim) bytes bounds the rate where the tables exceed the caches.
- core: the step of one thread on tables of a million rows drawn at random, by processor time, which other programs on
  the machine disturb least.
- end to end: seconds from a graph in memory to vectors and the F1 they reach, BlogCatalog and DBLP. Libraries that need
  versions of their own run by a Python of their own: `--peer pecanpy=PYTHON --peer karateclub=PYTHON`; see
  `_walk_peers.py`.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numba
import numpy as np
from _measure import interleave, table, versions

import nearhop
from nearhop.embed import GraphVite, SkipGram, TrainingProgress
from nearhop.embed.evaluation import evaluate
from nearhop.embed.graphvite.grid import Grid
from nearhop.embed.graphvite.pools import Pool, PoolMaker
from nearhop.embed.graphvite.tables import Tables
from nearhop.embed.graphvite.train import CpuTrainer, Rules
from nearhop.embed.skipgram.rows_cpu import aligned_table
from nearhop.embed.skipgram.walk_source import WalkSource, initial_vertex
from nearhop.sampling import random_walks

DIM, LENGTH = 128, 40


@numba.njit(parallel=True, fastmath=True, error_model="numpy")
def plain_hogwild(vertex, context, heads, tails, negative, weight, decay, lr, pieces):
    """The same step as one writes it in Numba: threads share the tables, a loop over columns, exp for the logistic."""
    one = np.float32(1)
    for piece in numba.prange(pieces):
        for i in range(piece * heads.shape[0] // pieces, (piece + 1) * heads.shape[0] // pieces):
            v = vertex[heads[i]]
            for positive in range(2):
                c = context[tails[i]] if positive else context[negative[i]]
                x = np.float32(0)
                for j in range(v.shape[0]):
                    x += v[j] * c[j]
                scale = one if positive else weight
                g = scale * (np.float32(1 / (1 + math.exp(-x))) - np.float32(positive))
                for j in range(v.shape[0]):
                    a, b = v[j], c[j]
                    v[j] = a - lr * (g * b + scale * decay * a)
                    c[j] = b - lr * (g * a + scale * decay * b)


def bandwidth(threads: int, megabytes: int = 512) -> float:
    """GB/s, read plus written, of `threads` threads that copy arrays of their own."""
    pairs = [(np.ones(megabytes << 17), np.empty(megabytes << 17)) for _ in range(threads)]
    best = math.inf
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(5):
            start = time.perf_counter()
            list(pool.map(lambda pair: np.copyto(pair[1], pair[0]), pairs))
            best = min(best, time.perf_counter() - start)
    return 2 * threads * pairs[0][0].nbytes / best / 1e9


def f1_of(vectors, labels) -> float:
    deviation = vectors.std(axis=0)
    vectors = (vectors - vectors.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    return float(evaluate(vectors.astype(np.float32), labels, train_ratios=(0.5,), repeats=2, C=0.01).micro_mean[0])


def sentences(store, num_walks):
    starts = np.tile(np.arange(store.num_nodes), num_walks)
    walks = random_walks(store, starts, length=LENGTH - 1)
    return [[str(node) for node in walk if node >= 0] for walk in walks.tolist()]


def gensim_contender(store, window, threads, walks):
    from gensim.models import Word2Vec

    kept: dict[str, Any] = {}

    def run():
        model = Word2Vec(
            vector_size=DIM, window=window, negative=5, sg=1, workers=threads, min_count=0, sample=0, seed=1
        )
        model.build_vocab(walks)
        start = time.perf_counter()
        model.train(walks, total_examples=len(walks), epochs=1)
        kept["seconds"] = time.perf_counter() - start
        kept["vectors"] = np.stack([model.wv[str(node)] for node in range(store.num_nodes)])

    return run, kept


def ensmallen_graph(store):
    import ensmallen

    edges = store.edge_list()
    with tempfile.TemporaryDirectory() as folder:
        nodes, pairs = Path(folder, "nodes.tsv"), Path(folder, "edges.tsv")
        width = len(str(store.num_nodes))
        nodes.write_text("n\n" + "".join(f"{i:0{width}d}\n" for i in range(store.num_nodes)))
        both = zip(edges.src.tolist(), edges.dst.tolist(), strict=True)
        pairs.write_text("a\tb\n" + "".join(f"{u:0{width}d}\t{v:0{width}d}\n" for u, v in both))
        return ensmallen.Graph.from_csv(
            directed=False,
            name="graph",
            node_path=str(nodes),
            node_list_separator="\t",
            nodes_column="n",
            node_list_header=True,
            edge_path=str(pairs),
            edge_list_separator="\t",
            edge_list_header=True,
            sources_column="a",
            destinations_column="b",
            load_edge_list_in_parallel=False,
            load_node_list_in_parallel=False,
        )


def ensmallen_model(window, num_walks):
    import ensmallen

    return ensmallen.models.SkipGram(
        embedding_size=DIM,
        epochs=1,
        number_of_negative_samples=5,
        walk_length=LENGTH,
        iterations=num_walks,
        window_size=window,
    )


def compare_words(threads, repeats, num_walks=8, window=5):
    store = nearhop.datasets.load("blogcatalog")
    words = store.num_nodes * num_walks * LENGTH
    vectors, shorter = {}, {}

    def ours(name, **options):
        def run():
            model = SkipGram(DIM, window=window, num_walks=num_walks, threads=threads, **options)
            vectors[name] = model.fit_transform(store)

        return run

    contenders = {
        "nearhop": ours("nearhop"),
        "nearhop, fresh negatives per pair": ours("nearhop, fresh negatives per pair", negatives="pair"),
        "nearhop, deterministic": ours("nearhop, deterministic", deterministic=True),
    }
    try:
        run, kept = gensim_contender(store, window, threads, sentences(store, num_walks))
        contenders["gensim"] = run
        shorter["gensim"] = kept
    except ImportError as error:
        print(f"gensim left out: {error}")
    try:
        graph = ensmallen_graph(store)

        def run_ensmallen():
            vectors["ensmallen"] = ensmallen_model(window, num_walks).fit_transform(graph)[0]

        contenders["ensmallen"] = run_ensmallen
    except ImportError as error:
        print(f"ensmallen left out: {error}")
    timed: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(1 + repeats):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            taken = time.perf_counter() - start
            if name in shorter:
                taken = shorter[name]["seconds"]
                vectors[name] = shorter[name]["vectors"]
            if turn:
                timed[name].append(taken)
    print(f"\nskip-gram, {words:,} words, window {window}, 5 negatives, {DIM} columns, {threads} threads\n")
    print("| contender | k words/s, median | min..max | x gensim | micro-F1 at 50 % |\n|---|---|---|---|---|")
    reference = float(np.median(timed["gensim"])) if "gensim" in timed else math.nan
    for name, values in timed.items():
        rate = words / np.median(values) / 1e3
        spread = f"{words / max(values) / 1e3:.0f}..{words / min(values) / 1e3:.0f}"
        score = f1_of(vectors[name], store.nodes["y"])
        print(f"| {name} | {rate:.0f} | {spread} | {reference / np.median(values):.2f} | {score:.4f} |")


def compare_samples(name, store, threads, repeats, samples, step):
    source = WalkSource.of(
        "benchmark", store, direction="both", use_weights=True, p=1.0, q=1.0, seed=0, threads=threads
    )
    n = source.num_nodes
    contenders: dict[str, Callable[..., object]] = {}
    for title, parts in (("nearhop, lock-free", 1), ("nearhop, grid of 8 x 8", 8)):
        grid = Grid.zigzag(source.mass, parts)
        node_of = np.argsort(grid.row_of)
        keep, alias = source.alias_of(source.frequency(0.75)[node_of], grid.offsets)
        tables = Tables.new(initial_vertex(source, DIM, 0, node_of), "sgd")
        pool = PoolMaker(source, grid, step=step, edges=LENGTH, base=step).make(0, samples)
        trainer = CpuTrainer(
            tables, grid, Rules("sgd", 1, 5.0, 0.005, keep, alias, 0), threads=threads, lock_free=parts == 1
        )
        contenders[title] = lambda t=trainer, p=pool: t.train(p, 0.025, 0.0)
        if parts == 1:
            negative = np.random.default_rng(0).choice(n, pool.size, p=_share(source, node_of)).astype(np.int32)
            plain = Tables.new(initial_vertex(source, DIM, 0, node_of), "sgd")
            constants = np.float32(5), np.float32(0.005), np.float32(0.025)

            def run_plain(p=pool, t=plain, negative=negative, constants=constants):
                numba.set_num_threads(threads)
                plain: Any = plain_hogwild
                plain(t.vertex, t.context, p.heads, p.tails, negative, *constants, 4 * threads)

            contenders["plain lock-free loop"] = run_plain
    epochs = samples // store.num_edges
    if epochs:
        contenders["nearhop, with sampling"] = lambda: GraphVite(
            dim=DIM, epochs=epochs, augmentation_step=step, pool_size=1 << 22, threads=threads
        ).fit(store)
    timings = interleave(contenders, repeats=repeats)
    rate = bandwidth(threads)
    bound = rate * 1e9 / (6 * 4 * DIM) / 1e6
    print(f"\n{name}: {n:,} nodes, {store.num_edges:,} edges, {pool.size:,} samples, {threads} threads\n")
    print(f"copies run at {rate:.1f} GB/s: at most {bound:.2f} M samples/s from memory ({6 * 4 * DIM} bytes each)\n")
    if epochs:
        print(f'("with sampling" trains {epochs * store.num_edges / pool.size:.2f} times as many samples)\n')
    print(table(timings, baseline="plain lock-free loop", work=pool.size / 1e6, unit="M samples/s"))


def compare_core(repeats, samples=600_000, n=1_000_000):
    rng = np.random.default_rng(0)
    tables = Tables.new(aligned_table(n, DIM), "sgd")
    tables.vertex[:] = tables.context[:] = 0.001  # touches every page
    heads, tails, negative = rng.integers(0, n, (3, samples)).astype(np.int32)
    rules = Rules("sgd", 1, 5.0, 0.005, np.ones(n, np.float32), np.zeros(n, np.int32), 0)
    trainer = CpuTrainer(tables, Grid.zigzag(np.ones(n), 1), rules, threads=1, lock_free=False)
    pool = Pool(0, heads, tails, np.array([0, samples]))
    constants = np.float32(5), np.float32(0.005), np.float32(0.025)
    source = np.ones(1 << 26)
    target = np.ones_like(source)
    numba.set_num_threads(1)
    plain: Any = plain_hogwild
    jobs: dict[str, Callable[[], object]] = {
        "nearhop": lambda: trainer.train(pool, 0.025, 0.0),
        "plain loop": lambda: plain(tables.vertex, tables.context, heads, tails, negative, *constants, 1),
        "copy": lambda: np.copyto(target, source),
    }
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(1 + repeats):
        for name, job in jobs.items():
            start = time.process_time()
            job()
            if turn:
                seconds[name].append(time.process_time() - start)
    rate = 2 * source.nbytes / np.median(seconds["copy"]) / 1e9
    bound = rate * 1e9 / (6 * 4 * DIM) / 1e6
    print(f"\none thread, {n:,} rows, {samples:,} samples")
    print(f"copies run at {rate:.1f} GB/s: at most {bound:.2f} M samples/s\n")
    print("| contender | M samples/s of processor time | min..max | of the bound |\n|---|---|---|---|")
    for name in ("nearhop", "plain loop"):
        rates = samples / np.array(seconds[name]) / 1e6
        middle = float(np.median(rates))
        print(f"| {name} | {middle:.2f} | {rates.min():.2f}..{rates.max():.2f} | {middle / bound:.0%} |")


def _share(source, node_of):
    frequency = source.frequency(0.75)[node_of]
    return frequency / frequency.sum()


def elsewhere(name, python, store, num_walks, window, threads):
    """Seconds and vectors of a library that another Python runs, and its version."""
    rows = store.csr()
    with tempfile.TemporaryDirectory() as folder:
        graph, vectors = Path(folder, "graph.npz"), Path(folder, "vectors.npy")
        np.savez(graph, indptr=np.asarray(rows.indptr), indices=np.asarray(rows.indices))
        script = Path(__file__).with_name("_walk_peers.py")
        numbers = map(str, (num_walks, LENGTH, window, DIM, threads))
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        command = [python, str(script), name, str(graph), str(vectors), *numbers]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        found = [line.split() for line in done.stdout.splitlines() if line.startswith("RESULT")]
        if done.returncode or not found:
            return None, done.stderr.strip().splitlines()[-1:]
        return float(found[0][1]), np.load(vectors), " ".join(found[0][2:])


def compare_end_to_end(threads, num_walks, peers, window=10):
    for name in ("blogcatalog", "dblp"):
        store = nearhop.datasets.load(name)
        labels = store.nodes["y"]
        print(f"\n{name}: seconds to vectors, {num_walks} walks per node, window {window}, {threads} threads\n")
        print("| contender | s | micro-F1 at 50 % |\n|---|---|---|")

        def line(title, run, labels=labels):
            start = time.perf_counter()
            vectors = run()
            taken = time.perf_counter() - start
            print(f"| {title} | {taken:.1f} | {f1_of(np.asarray(vectors), labels):.4f} |", flush=True)

        SkipGram(DIM, num_walks=1, walk_length=2).fit(store)  # compiles
        GraphVite(dim=DIM, epochs=1).fit(store)
        line("nearhop GraphVite", lambda s=store: GraphVite(dim=DIM, threads=threads).fit_transform(s))
        options = {"window": window, "num_walks": num_walks, "threads": threads}
        line("nearhop SkipGram", lambda s=store, o=options: SkipGram(DIM, **o).fit_transform(s))
        try:
            graph = ensmallen_graph(store)
            line("ensmallen", lambda g=graph: ensmallen_model(window, num_walks).fit_transform(g)[0])
        except ImportError as error:
            print(f"ensmallen left out: {error}")

        def gensim_run(store=store):
            run, kept = gensim_contender(store, window, threads, sentences(store, num_walks))
            run()
            return kept["vectors"]

        try:
            line("gensim, walks by nearhop", gensim_run)
        except ImportError as error:
            print(f"gensim left out: {error}")
        for peer, python in peers.items():
            seconds, *found = elsewhere(peer, python, store, num_walks, window, threads)
            if seconds is None:
                print(f"{peer} left out: {found[0]}")
            else:
                print(f"| {found[1]} | {seconds:.1f} | {f1_of(found[0], labels):.4f} |", flush=True)


def on_gpu():
    rng = np.random.default_rng(0)
    ends = (rng.random((2, 4_945_382)) ** 3 * 1_138_499).astype(np.int64)  # a power law of YouTube's size
    for name, store, step in (
        ("BlogCatalog", nearhop.datasets.load("blogcatalog"), 2),
        ("power law of YouTube's size", nearhop.GraphStore.from_edges(*ends, num_nodes=1_138_499), 5),
    ):
        seen: list[TrainingProgress] = []
        epochs = max(1, 2_000_000_000 // store.num_edges)
        GraphVite(dim=DIM, epochs=1, augmentation_step=step, device="cuda").fit(store)
        GraphVite(dim=DIM, epochs=epochs, augmentation_step=step, device="cuda", progress=seen.append).fit(store)
        print(f"{name}: {seen[-1].samples_per_second / 1e6:.1f} M samples/s with sampling, loss {seen[-1].loss:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for part in ("words", "samples", "core", "end-to-end", "gpu"):
        parser.add_argument(f"--{part}", action="store_true")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--million", type=int, default=10, help="million samples per measurement")
    parser.add_argument("--graph", choices=["blogcatalog", "random"], help="measure samples on this graph only")
    parser.add_argument("--walks", type=int, default=20, help="walks per node of the end-to-end runs")
    parser.add_argument(
        "--peer", action="append", default=[], metavar="NAME=PYTHON", help="end to end: a library and its Python"
    )
    given = parser.parse_args()
    os.environ["RAYON_NUM_THREADS"] = str(given.threads)  # read by ensmallen when it starts its threads
    print(versions("gensim", "ensmallen", "scikit-learn"))
    if given.gpu:
        on_gpu()
    if given.end_to_end:
        compare_end_to_end(given.threads, given.walks, dict(peer.split("=", 1) for peer in given.peer))
    nothing = not (given.gpu or given.end_to_end or given.words or given.samples or given.core)
    if given.words or nothing:
        compare_words(given.threads, given.repeats)
    if given.core:
        compare_core(given.repeats)
    if given.samples or nothing:
        count = given.million * 1_000_000
        if given.graph != "random":
            compare_samples("BlogCatalog", nearhop.datasets.load("blogcatalog"), given.threads, given.repeats, count, 2)
    if (given.samples or nothing) and given.graph != "blogcatalog":
        ends = np.random.default_rng(0).integers(0, 1_000_000, (2, 10_000_000))
        large = nearhop.GraphStore.from_edges(*ends, num_nodes=1_000_000)
        compare_samples("random graph", large, given.threads, given.repeats, count, 2)


if __name__ == "__main__":
    main()
