"""Local augmentation on the public splits of Cora and Citeseer, beside its backbones and the usual baselines.

Models, widths, decay and dropout are those of the papers; every figure is the test accuracy of the epoch of the lowest
validation loss, and the test nodes are read once per run. One generator serves all seeds of a dataset, as in the
authors' code, or every seed has its own (`--own-generators`). LA-GCN and LA-GAT take larger steps than published, at
most 400 and 300 epochs, and stop early; `--published-schedule` takes theirs, which is five times as long.

    python examples/local_augmentation.py --datasets cora --seeds 10              # GCN and LA-GCN
    python examples/local_augmentation.py --models mlp gcn gat gcnii grand sage sgc sign
    python examples/local_augmentation.py --datasets citeseer --mask 0.1 0.2 0.4 0.8
    python examples/local_augmentation.py --by-degree --save runs                 # goes on where it was interrupted
    python examples/local_augmentation.py --short

The files of Pubmed that are at hand have features of 1,060 of its 19,717 nodes; `--datasets pubmed` needs a full copy.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _report import Row, note, parser, positive, progress, show

from nearhop import datasets
from nearhop.gnn import LocalAugmenter, precision
from nearhop.gnn.nodes import FullBatch, NodeData, NodeTrainer, as_features, normalized_adjacency
from nearhop.gnn.nodes.models import GAT, GCN, GCNII, GRAND, MLP, SGC, SIGN, GraphSAGE, powers
from nearhop.gnn.training import Training, run_seeds

SETS = ("cora", "citeseer", "pubmed")
# Table 1 of arXiv:2109.03856; GraphSAGE from Table 1 of arXiv:2005.11079.
PUBLISHED = {
    "gcn": (81.5, 70.3, 79.0), "gat": (83.0, 72.5, 79.0), "gcnii": (85.5, 73.4, 80.2), "grand": (85.4, 75.4, 82.7),
    "la-gcn": (84.6, 74.7, 81.7), "la-gat": (84.7, 73.7, 81.0), "la-gcnii": (85.7, 74.1, 80.6),
    "la-grand": (85.7, 75.8, 83.4), "sage": (78.9, 67.4, 77.8),
}  # fmt: skip
NAMES = ("mlp", "sage", "sgc", "sign", *(n for n in PUBLISHED if n != "sage"))
MASKED = {"gcn": (70.4, 69.2, 67.2, 61.1), "la-gcn": (73.8, 74.0, 71.8, 68.7)}  # Citeseer, .1, .2, .4, .8


class Task:
    """A dataset, its features (some of them masked), and its generator, which is fitted when first asked for."""

    def __init__(self, name: str, given: Any, mask: float = 0.0) -> None:
        self.name, self.given, self.mask = name, given, mask
        self.hidden = f", {mask:.0%} of features hidden" if mask else ""
        store = datasets.load(name)
        if "has_x" in store.nodes and np.asarray(store.nodes["has_x"]).mean() < 0.9:
            raise SystemExit(
                f"{name}: {int(np.sum(store.nodes['has_x'])):,} of {store.num_nodes:,} nodes have features in the "
                "files that are known; this needs all of them"
            )
        if mask:
            x = np.array(store.nodes["x"])
            x[np.random.default_rng(0).random(x.shape) < mask] = 0
            store.nodes["x"] = x
        self.store, self.data = store, NodeData.from_store(store)
        self.x, self.adjacency = as_features(store.nodes["x"]), normalized_adjacency(store)
        self.width, self.classes = store.nodes["x"].shape[1], self.data.num_classes
        self.degrees = np.diff(self.adjacency.matrix.indptr) - 1
        self._augmenters: dict[int, LocalAugmenter] = {}

    def augmenter(self, seed: int) -> LocalAugmenter:
        """The generator of a run: the same for all, unless every run is to have its own."""
        given = self.given
        number = seed if given.own_generators else 0
        if number not in self._augmenters:
            name = f"{self.name}-{self.mask:g}-{given.rule}{f'-{number}' if number else ''}.npz"
            path = Path(given.save) / name if given.save else None
            if path is not None and path.exists():
                self._augmenters[number] = LocalAugmenter.load(str(path), self.store)
                return self._augmenters[number]
            start = time.process_time()
            short: dict[str, Any] = {"epochs": 1, "hidden": 32, "warmup": 10, "check_every": 40} if given.short else {}
            made = LocalAugmenter(rule=given.rule, precision=given.precision, seed=number, **short)
            made.fit(self.store, data=self.data, progress=lambda p: progress(f"generator {p.step}/{p.num_steps}"))
            note(f"{self.name}{self.hidden}: generator {number} of step {made.kept_step}, {since(start)}")
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                made.save(str(path))
            self._augmenters[number] = made
        return self._augmenters[number]


def trainer(task: Task, what: str, seed: int) -> NodeTrainer:
    """A new trainer with the published settings."""
    at = SETS.index(task.name)
    made: dict[str, Any] = {"learning_rate": 0.01, "weight_decay": 5e-4, "epochs": 200, "seed": seed}
    x, adjacency, width, classes, given = task.x, task.adjacency, task.width, task.classes, task.given
    groups: Any = None
    model: Any
    inner: Any
    if what in ("gcn", "mlp"):
        inner = GCN(width, 16, classes) if what == "gcn" else MLP(width, 16, classes)
        model = FullBatch(inner, x, adjacency)
        first = {"params": list(inner.first.parameters())}
        known = {id(part) for part in first["params"]}
        groups = [first, {"params": [p for p in inner.parameters() if id(p) not in known], "weight_decay": 0.0}]
    elif what == "sage":
        model = FullBatch(GraphSAGE(width, 16, classes), x, normalized_adjacency(task.store, "mean"))
    elif what == "sgc":
        model = FullBatch(SGC(width, classes), powers(x, adjacency, 2)[-1])
        made |= {"learning_rate": 0.2, "weight_decay": (1.3e-5, 2.4e-5, 7.4e-5)[at], "epochs": 100}
    elif what == "sign":
        model = FullBatch(SIGN(width, 16, classes, num_powers=3), *powers(x, adjacency, 2))
    elif what == "gat":
        model = FullBatch(GAT(width, 8, classes, out_heads=(1, 1, 8)[at]), x, adjacency)
        made |= {"learning_rate": 0.005, "epochs": 5000, "patience": 100, "patience_on": "either"}
    elif what == "gcnii":
        inner = GCNII(width, (64, 256, 256)[at], classes, num_layers=(64, 32, 16)[at], lam=(0.5, 0.6, 0.4)[at],
                      dropout=(0.6, 0.7, 0.5)[at], precision=given.precision)  # fmt: skip
        model, groups = FullBatch(inner, x, adjacency), inner.decayed((0.01, 0.01, 5e-4)[at], 5e-4)
        made |= {"epochs": 1500, "patience": 100}
    elif what == "grand":
        model = FullBatch(grand(task), x, adjacency, samples=(4, 2, 4)[at], consistency=(1.0, 0.7, 1.0)[at],
                          temperature=(0.5, 0.3, 0.2)[at])  # fmt: skip
        made |= {"learning_rate": (0.01, 0.01, 0.2)[at], "epochs": 5000, "patience": (200, 200, 100)[at],
                 "patience_on": "either"}  # fmt: skip
    elif what == "la-gcn":
        extra = (1, 1, 3)[at]
        inner = GCN(width, (8, 8, 4)[at], classes, branches=1 + extra)
        model = task.augmenter(seed).wrap(inner, x, adjacency, branches=extra)
        made |= {"learning_rate": 0.04, "epochs": 400, "patience": 100}
        if given.published_schedule:
            made |= {"learning_rate": (0.01, 0.01, 0.02)[at], "epochs": (2000, 2000, 300)[at], "patience": None}
    elif what == "la-gat":
        extra = (1, 1, 3)[at]
        inner = GAT(width, 8, classes, heads=8, branches=1 + extra, alpha=0.2)
        model = task.augmenter(seed).wrap(inner, x, adjacency, branches=extra)
        made |= {"learning_rate": 0.02, "epochs": 300, "patience": 50}
        if given.published_schedule:
            made |= {"learning_rate": 0.01, "epochs": 1000, "patience": None}
    elif what == "la-gcnii":
        extra = (1, 1, 3)[at]
        inner = GCNII(width, (32, 128, 64)[at], classes, num_layers=(64, 32, 16)[at], lam=(0.5, 0.6, 0.4)[at],
                      dropout=(0.6, 0.7, 0.5)[at], branches=1 + extra, precision=given.precision)  # fmt: skip
        model = task.augmenter(seed).wrap(inner, x, adjacency, branches=extra, consistency=(0.0, 1.0, 1.0)[at])
        groups = inner.decayed((0.01, 0.01, 5e-4)[at], 5e-4)
        made |= {"epochs": 1000, "patience": 200 if given.published_schedule else 100}
    else:
        model = task.augmenter(seed).wrap(grand(task, True), x, adjacency, how="views", draws="fixed", samples=4,
                                    consistency=(1.0, 0.7, 1.2)[at], temperature=(0.5, 0.2, 0.2)[at])  # fmt: skip
        made |= {"learning_rate": (0.01, 0.01, 0.2)[at], "epochs": 5000, "patience": 200, "patience_on": "either"}
    if given.epochs:
        made["epochs"] = given.epochs
    return NodeTrainer(model, task.data, Training(**made), groups=groups)


def grand(task: Task, augmented: bool = False) -> GRAND:
    """With the dropout of its own paper, or with that of local augmentation's."""
    at = SETS.index(task.name)
    nodes, inputs, hidden = ((0.5, 0.5, 0.5), (0.5, 0.0, 0.2), (0.5, 0.6, 0.8))[at]
    if augmented:
        nodes, inputs, hidden = ((0.5, 0.5, 0.5), (0.0, 0.2, 0.1), (0.7, 0.7, 0.8))[at]
    return GRAND(task.width, 32, task.classes, order=(8, 2, 5)[at], drop_node=nodes, input_dropout=inputs,
                 hidden_dropout=hidden, batch_norm=at == 2, compat="released")  # fmt: skip


def since(start: float) -> str:
    return f"{time.process_time() - start:.0f} s of processor time"


def run(task: Task, what: str, given: Any) -> Any:
    """Runs of all seeds."""
    start = time.process_time()
    own = "-own" if given.own_generators and what.startswith("la-") else ""
    folder = Path(given.save) / f"{task.name}-{task.mask:g}-{what}{own}" if given.save else None
    runs = run_seeds(
        lambda seed: trainer(task, what, seed),
        given.seeds,
        folder=folder,
        progress=lambda seed, told: progress(f"{task.name}{task.hidden}: {what} seed {seed} epoch {told.epoch}"),
    )
    epochs = ", ".join(str(found.epoch) for found in runs.results)
    note(f"{task.name}{task.hidden}: {what} {runs}; epochs {epochs}; {since(start)}")
    return runs


def paired(one: Any, other: Any) -> str:
    """The gain over the same seeds, with Student's paired test."""
    from scipy.stats import ttest_rel

    gain = 100 * (one.values - other.values)
    p = float(ttest_rel(one.values, other.values).pvalue) if len(gain) > 1 and gain.std() > 0 else float("nan")
    return f"p = {p:.2g}"


def by_degree(task: Task, what: str, runs: Any) -> list[Row]:
    """Accuracy of test nodes by degree, of the same single reading."""
    rows = []
    degree = task.degrees[task.data.test]
    for low, high in ((0, 1), (2, 5), (6, 20), (21, 10**9)):
        inside = (degree >= low) & (degree <= high)
        if inside.any():
            told = f"{low} to {high}" if high < 10**9 else f"{low} and more"
            values = [100 * found.correct[inside].mean() for found in runs.results]
            rows.append(Row.of(task.name, f"{what}, degree {told} ({inside.sum()} nodes), accuracy %", values))
    return rows


def main() -> None:
    short = {"datasets": ["cora"], "seeds": 1, "epochs": 3}
    made = parser(__doc__, datasets=["cora", "citeseer"], choices=SETS, seeds=10, threads=1, short=short)
    made.add_argument("--models", nargs="+", choices=NAMES, default=["gcn", "la-gcn"])
    made.add_argument("--epochs", type=positive, help="at most")
    made.add_argument("--published-schedule", action="store_true", help="the papers' learning rates and epochs for LA")
    made.add_argument("--own-generators", action="store_true", help="a generator per seed instead of one for all")
    made.add_argument("--rule", choices=["released", "paper"], default="released", help="how the generator is picked")
    made.add_argument("--precision", choices=precision.NAMES, default="auto", help="of drawn features and GCNII's maps")
    made.add_argument("--mask", type=float, nargs="+", default=[0.0], help="shares of feature entries to hide")
    made.add_argument("--by-degree", action="store_true")
    made.add_argument("--save", metavar="FOLDER", help="keep generators and runs there, and go on with those there")
    given = made.parse_args()
    torch.set_num_threads(given.threads)
    rows = []
    for name in given.datasets:
        for mask in given.mask:
            task, found = Task(name, given, mask), {}
            for what in given.models:
                found[what] = run(task, what, given)
                published = PUBLISHED[what][SETS.index(name)] if what in PUBLISHED and not mask else None
                if name == "citeseer" and what in MASKED and mask in (0.1, 0.2, 0.4, 0.8):
                    published = MASKED[what][(0.1, 0.2, 0.4, 0.8).index(mask)]
                backbone = what.removeprefix("la-")
                test = f", {paired(found[what], found[backbone])}" if what != backbone and backbone in found else ""
                rows.append(Row.of(name, f"{what}{task.hidden}, accuracy %{test}", 100 * found[what].values, published))
                if given.by_degree:
                    rows += by_degree(task, what + task.hidden, found[what])
    show(rows, as_json=given.json, digits=1)


if __name__ == "__main__":
    main()
