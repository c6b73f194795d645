"""NAT on temporal networks: links predicted from joint neighbourhoods, beside published figures and simple baselines.

Events up to the 70 % quantile of time train, up to 85 % validate, the rest test. In the inductive task a tenth of the
nodes is hidden until the test, whose events each have one of them. The paper's protocol: one random negative per event,
average precision within batches of 32 events, averaged; training stops after three epochs without a better validation.

    python examples/nat.py --dataset uci --seeds 3                 # both tasks; --json for one JSON object
    python examples/nat.py --dataset enron --seeds 3 --task inductive --without caches
    python examples/nat.py --short                                 # a part of uci, two epochs
"""

from __future__ import annotations

import time
from typing import Any

import _report
import numpy as np
import torch

from nearhop import datasets
from nearhop.gnn import NAT
from nearhop.gnn.temporal.baselines import CommonNeighbours, EdgeBank
from nearhop.gnn.temporal.negatives import TemporalNegatives
from nearhop.gnn.temporal.splits import Events, inductive_split, time_split
from nearhop.gnn.temporal.trainer import TemporalTrainer, TrainOptions, evaluate, replay

# The paper's table 7 where it has the data set, else the settings of the most similar one.
SETTINGS = {
    "uci": {"sizes": (1, 32, 16), "value_dim": 4, "self_dim": 32},
    "collegemsg": {"sizes": (1, 32, 16), "value_dim": 4, "self_dim": 32},
    "enron": {"sizes": (1, 32, 16), "value_dim": 2, "self_dim": 72},
    "jodie-wikipedia": {"sizes": (1, 32, 16), "value_dim": 4, "self_dim": 72},
    "bitcoin-otc": {"sizes": (1, 32, 16), "value_dim": 4, "self_dim": 32},
    "contact-high-school": {"sizes": (1, 40, 20), "value_dim": 2, "self_dim": 72},
    "sx-mathoverflow": {"sizes": (1, 16, 2), "value_dim": 4, "self_dim": 50},
}
# AP in per cent, half-width of the 95 % interval, of the paper's table 2; wikipedia had edge features there.
PUBLISHED = {
    ("uci", "transductive"): (94.37, 0.21),
    ("uci", "inductive"): (92.58, 1.86),
    ("enron", "transductive"): (92.42, 0.09),
    ("enron", "inductive"): (94.94, 1.15),
    ("jodie-wikipedia", "transductive"): (98.68, 0.04),
    ("jodie-wikipedia", "inductive"): (98.55, 0.09),
}
WITHOUT: dict[str, dict[str, Any]] = {
    "caches": {"sizes": (1,)},
    "second-hop": {},
    "distance-encoding": {"code_dim": 0},
    "attention": {"readout": "sum"},
    "relative-time": {"time_encoding": "absolute"},
}


def options_of(name, given):
    """Settings of the model for the data set, with what is to be left out left out."""
    chosen = {**SETTINGS[name], "compat": given.compat}
    for part in given.without:
        chosen |= WITHOUT[part]
        if part == "second-hop":
            chosen["sizes"] = chosen["sizes"][:2]
    return chosen


def baselines(events, split, options):
    """AP, within batches, of scores that learn nothing."""
    period = events.time[split.test[-1]] - events.time[split.test[0]]
    known = np.concatenate([split.train, split.val])
    seen = split.replay if split.replay is not None else known
    found = {}
    contenders: dict[str, Any] = {
        "EdgeBank": EdgeBank(),
        "EdgeBank-tw": EdgeBank(window=max(period, 1.0)),
        "CN": CommonNeighbours(),
    }
    for name, model in contenders.items():
        replay(model, events, seen)
        everything = np.concatenate([known, split.test])
        negatives = TemporalNegatives(events, everything, collisions=options.collisions, seed=options.seed + 2)
        found[name] = evaluate(model, events, split.test, negatives).ap_batch
    return found


def run(name, events, task, seed, given, board):
    """Train and test once: scores by name, and how it went."""
    split = time_split(events) if task == "transductive" else inductive_split(events, seed=seed)
    torch.manual_seed(seed)
    model = NAT(events.num_nodes, seed=seed, **options_of(name, given)).to(given.device)
    options = TrainOptions(epochs=given.epochs, learning_rate=given.learning_rate, collisions="allow", seed=10 * seed)
    trainer = TemporalTrainer(model, events, split, options)

    def tell(progress):
        if board is not None and progress.val is not None:
            board.add_scalar(f"{name}/{task}/{seed}/loss", progress.loss, progress.epoch)
            board.add_scalar(f"{name}/{task}/{seed}/validation AP", progress.val.ap_batch, progress.epoch)
        where = f"{name}, {task}, seed {seed}, epoch {progress.epoch}"
        if progress.val is not None:
            _report.note(f"{where}: loss {progress.loss:.4f}, validation AP {100 * progress.val.ap_batch:.2f}")
        elif progress.batch % 20 == 0:
            _report.progress(f"{where}, batch {progress.batch}/{progress.num_batches}: loss {progress.loss:.4f}")

    start = time.perf_counter()
    trainer.fit(tell)
    seconds = time.perf_counter() - start
    scores = trainer.test()
    found = {"AP": scores.ap_batch, "AUC": scores.auc_batch, "global AP": scores.ap, "global AUC": scores.auc}
    if given.hard:
        found["AP, historical"] = trainer.test("historical", collisions="refuse").ap_batch
        found["AP, inductive negatives"] = trainer.test("inductive", collisions="refuse").ap_batch
        found["MRR of 100"] = trainer.test(num=100, collisions="refuse").mrr
    found |= baselines(events, split, options)
    return {name: 100 * value for name, value in found.items()} | {
        "epochs": trainer.epoch,
        "best epoch": trainer.best_epoch + 1,
        "seconds per epoch": seconds / trainer.epoch,
    }


def main() -> None:
    parser = _report.parser(
        __doc__,
        datasets=["uci"],
        choices=sorted(SETTINGS),
        seeds=3,
        threads=1,
        short={"seeds": 1, "epochs": 2, "events": 12_000},
    )
    parser.add_argument("--task", choices=["transductive", "inductive", "both"], default="both")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--epochs", type=_report.positive, default=50, help="at most")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--compat", choices=["paper", "released"], default="paper")
    parser.add_argument("--without", nargs="*", choices=sorted(WITHOUT), default=[], help="ablations")
    parser.add_argument("--hard", action="store_true", help="also historical and inductive negatives, and MRR")
    parser.add_argument("--events", type=_report.positive, help="only the first so many")
    parser.add_argument("--device", default="cpu", help="where the layers run and the caches lie")
    parser.add_argument("--tensorboard", metavar="FOLDER", help="write losses and scores there")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    board = None
    if given.tensorboard:
        from torch.utils.tensorboard import SummaryWriter

        board = SummaryWriter(given.tensorboard)

    tasks = ["transductive", "inductive"] if given.task == "both" else [given.task]
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    rows, every = [], {}
    for name in given.datasets:
        events = Events.from_store(datasets.load(name))
        if given.events:
            events = events.take(np.arange(min(given.events, len(events))))
        for task in tasks:
            runs = every[f"{name}, {task}"] = [run(name, events, task, seed, given, board) for seed in seeds]
            published, _ = PUBLISHED.get((name, task), (None, None))
            for measure in runs[0]:
                values = [found[measure] for found in runs]
                rows.append(_report.Row.of(name, f"{task}: {measure}", values, published if measure == "AP" else None))
    if board is not None:
        board.close()
    _report.show(rows, as_json=given.json, digits=2, runs=every)


if __name__ == "__main__":
    main()
