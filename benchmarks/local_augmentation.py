"""Local augmentation against plain PyTorch that goes about it as the authors' code does, and its memory.

A run is 10 epochs of the generator, its scores, and 2,000 epochs of LA-GCN (the paper's settings: K = 4, batch 64). The
plain version takes hours for that, so the three things that a run repeats are measured in turn in one process on one
thread, in seconds of the processor, and the run is their sum: `scores` of ours are every 10 steps with 20 passes, as by
default; a line has the same count of scores and passes on both sides. Memory is the peak of a process of its own that
fits the generator for some steps and trains for some epochs on a random graph and features of Pubmed's size (the files
of Pubmed that are at hand lack most features).

    NEARHOP_DATA=... python benchmarks/local_augmentation.py
    python benchmarks/local_augmentation.py --data citeseer --repeats 3
    python benchmarks/local_augmentation.py --only memory
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import torch
from _lagnn_plain import PlainLAGNN
from _measure import versions

from nearhop import GraphStore, datasets
from nearhop.gnn import LocalAugmenter
from nearhop.gnn.augmentation import DropoutEnsemble
from nearhop.gnn.augmentation.fitting import train
from nearhop.gnn.augmentation.pairs import Pairs, column_of
from nearhop.gnn.nodes import NodeData, NodeTrainer, as_features, normalized_adjacency
from nearhop.gnn.nodes.models import GCN
from nearhop.gnn.sparse.propagation import neighbor_sets
from nearhop.gnn.training import Training

EPOCHS, FIT_EPOCHS, BATCH = 2000, 10, 64


class Ours:
    """The same three things by nearhop."""

    def __init__(self, store, precision):
        self.store, self.data = store, NodeData.from_store(store)
        raw = column_of(store, "x", "bernoulli")
        self.x, self.adjacency = as_features(store.nodes["x"]), normalized_adjacency(store)
        self.width = store.nodes["x"].shape[1]
        self.neighbors = neighbor_sets(store)
        self.pairs = Pairs(raw, self.neighbors)
        self.augmenter = LocalAugmenter(rule=None, epochs=1, precision=precision).fit(store)
        self.judge = DropoutEnsemble(self.x, self.adjacency, self.data, epochs=5)
        model = self.augmenter.wrap(GCN(self.width, 8, self.data.num_classes, branches=2), self.x, self.adjacency)
        self.trainer = NodeTrainer(model, self.data, Training(epochs=10**6, weight_decay=5e-4))

    def steps(self, count):
        """Steps of the generator, from fresh weights."""
        from nearhop.gnn.augmentation import ConditionalVAE

        options = replace(self.augmenter.options, epochs=1)
        rng = np.random.default_rng(0)
        some = rng.permutation(len(self.pairs))[: count * BATCH]
        part = Pairs(self.pairs.x, self.neighbors)
        part.condition, part.target = self.pairs.condition[some], self.pairs.target[some]
        train(options, ConditionalVAE(self.width), part, None, self.augmenter._pool, None)

    def score(self, passes):
        self.judge.uncertainty(self.augmenter.draw(1), "released", passes)

    def epoch(self):
        at = self.trainer.epoch
        self.trainer.fit(lambda told: told.val is not None and told.epoch >= at)


def plain_of(ours):
    store, data = ours.store, ours.data
    m = ours.adjacency.matrix
    adjacency = torch.sparse_csr_tensor(
        torch.from_numpy(m.indptr), torch.from_numpy(m.indices.astype(np.int64)), torch.from_numpy(m.values),
        size=(m.num_rows, m.num_cols),
    )  # fmt: skip
    sets = ours.neighbors
    x = np.asarray(store.nodes["x"], np.float32)
    return PlainLAGNN(x, sets.indptr, sets.indices, adjacency, data.labels, data.train, data.val, data.num_classes)


def cpu(run):
    start = time.process_time()
    run()
    return time.process_time() - start


def speed(name, repeats, precision):
    ours = Ours(datasets.load(name), precision)
    plain = plain_of(ours)
    steps = 10
    turns = {
        "step": (lambda: ours.steps(steps), lambda: [plain.step() for _ in range(steps)]),
        "score": (lambda: ours.score(20), lambda: plain.score(20)),
        "epoch": (ours.epoch, plain.epoch),
    }
    found = {}
    for what, (one, other) in turns.items():
        one(), other()
        pairs = np.array([(cpu(one), cpu(other)) for _ in range(repeats)])
        if what == "step":
            pairs /= steps
        found[what] = (*np.median(pairs, axis=0), float(np.median(pairs[:, 1] / pairs[:, 0])))
    count = FIT_EPOCHS * -(-len(ours.pairs) // BATCH)
    print(f"\n{name}, drawn in {precision}: {count:,} steps, {EPOCHS:,} epochs\n")
    print("| | nearhop s | plain s | ratio |\n|---|---|---|---|")
    told = {"step": "a step of the generator", "score": "a score, 20 passes", "epoch": "an epoch of LA-GCN, K = 4"}
    for what, (a, b, ratio) in found.items():
        print(f"| {told[what]} | {a:.4f} | {b:.4f} | {ratio:.1f} |")
    (step, plain_step), (score, plain_score), (epoch, plain_epoch) = (found[k][:2] for k in ("step", "score", "epoch"))
    ours_run = count * step + count / 10 * score + EPOCHS * epoch
    plain_run = count * (plain_step + 5 * plain_score) + EPOCHS * plain_epoch
    same_run = count * (plain_step + plain_score / 10) + EPOCHS * plain_epoch
    print(f"| a run, computed | {ours_run:.0f} | {plain_run:.0f} | {plain_run / ours_run:.1f} |")
    print(f"| a run, the plain one with as few scores | {ours_run:.0f} | {same_run:.0f} | {same_run / ours_run:.1f} |")


def large_store():
    """A random graph of Pubmed's size: 19,717 nodes, 44,324 edges, 500 features of which a tenth is not zero."""
    rng = np.random.default_rng(0)
    n = 19_717
    store = GraphStore.from_edges(rng.integers(0, n, 44_324), rng.integers(0, n, 44_324), num_nodes=n)
    store.nodes["x"] = (rng.random((n, 500)) * (rng.random((n, 500)) < 0.1)).astype(np.float32)
    store.nodes["y"] = rng.integers(0, 3, n)
    for number, (name, size) in enumerate((("train_mask", 60), ("val_mask", 500), ("test_mask", 1000))):
        store.nodes[name] = (np.arange(n) >= 5000 * number) & (np.arange(n) < 5000 * number + size)
    return store


def large_run(which):
    """Some steps, scores and epochs with the paper's settings for Pubmed: K = 4 and three generated matrices."""
    store = large_store()
    if which == "plain":
        ours = Ours.__new__(Ours)
        ours.store, ours.data = store, NodeData.from_store(store)
        ours.adjacency, ours.neighbors = normalized_adjacency(store), neighbor_sets(store)
        plain = plain_of(ours)
        plain.step(), plain.score(2), plain.epoch()
        return
    augmenter = LocalAugmenter(epochs=1, check_every=400, passes=5, warmup=0, precision=which).fit(store)
    x, adjacency = as_features(store.nodes["x"]), normalized_adjacency(store)
    model = augmenter.wrap(GCN(500, 4, 3, branches=4), x, adjacency, branches=3)
    NodeTrainer(model, NodeData.from_store(store), Training(epochs=3)).fit()


def memory():
    print("\nPubmed's size: peak of a whole process, MiB\n")
    print("| nearhop, float32 | nearhop, bfloat16 | plain |\n|---|---|---|")
    peaks = []
    for which in ("float32", "bfloat16", "plain"):
        done = subprocess.run([sys.executable, __file__, "--inside", which], capture_output=True, text=True, check=True)
        peaks.append(f"{int(done.stdout.split()[-1]) / 1024:,.0f}")
    print(f"| {' | '.join(peaks)} |")


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", nargs="+", default=["cora"], choices=["cora", "citeseer"])
    made.add_argument("--only", choices=["speed", "memory"])
    made.add_argument("--repeats", type=int, default=5)
    made.add_argument("--precision", nargs="+", default=["float32", "bfloat16"], choices=["float32", "bfloat16"])
    made.add_argument("--inside", help=argparse.SUPPRESS)
    given = made.parse_args()
    torch.set_num_threads(1)
    if given.inside:
        import resource

        large_run(given.inside)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return
    print(versions("torch"))
    if given.only != "memory":
        for name in given.data:
            for precision in given.precision:
                speed(name, given.repeats, precision)
    if given.only != "speed":
        memory()


if __name__ == "__main__":
    main()
