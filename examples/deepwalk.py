"""DeepWalk and node2vec by skip-gram: node classification with 10 to 90 % of the nodes labelled.

BlogCatalog's published columns are the tables of the notebook in FastRP's repository (github.com/GTmac/FastRP): 80
walks of 40 nodes from every node, window 10, 128 columns, five shuffles; DeepWalk with negative sampling, node2vec with
p = q = 0.25. PPI and Wikipedia stand beside the leaderboard in CogDL's results.md (github.com/THUDM/CogDL, by ProNE's
authors), which has 90 % labelled only. The classifier is one logistic regression per class with the number of labels of
each test node known; rows are given length 1, then columns are standardised, and C is 0.01. A training's score is the
mean over its shuffles, of which the notebook has five for one training.

    python examples/deepwalk.py                       # DeepWalk on BlogCatalog, five seeds
    python examples/deepwalk.py --method node2vec     # --num-walks 400 for what five passes over 80 walks give
    python examples/deepwalk.py --dataset ppi         # or wikipedia, dblp
    python examples/deepwalk.py --compare             # negatives shared by a window against fresh ones, same seeds
    python examples/deepwalk.py --short               # 10 walks, one seed, 20 % labelled
"""

from __future__ import annotations

import argparse
import time
from typing import Literal

import _report
import numpy as np

import nearhop
from nearhop.embed import SkipGram
from nearhop.embed.evaluation import evaluate

SHARES = (10, 20, 30, 40, 50, 60, 70, 80, 90)
_DEEPWALK = (0.3529, 0.3861, 0.3996, 0.4100, 0.4193, 0.4262, 0.4270, 0.4283, 0.4294)
_DEEPWALK_MACRO = (0.1625, 0.1989, 0.2194, 0.2349, 0.2451, 0.2508, 0.2553, 0.2575, 0.2575)
_NODE2VEC = (0.3591, 0.3827, 0.3991, 0.4079, 0.4164, 0.4206, 0.4251, 0.4351, 0.4429)
_NODE2VEC_MACRO = (0.2119, 0.2413, 0.2610, 0.2704, 0.2771, 0.2842, 0.2893, 0.2952, 0.3017)
PUBLISHED: dict[tuple[str, str, str], dict[int, float]] = {
    ("blogcatalog", "deepwalk", "micro_f1"): dict(zip(SHARES, _DEEPWALK, strict=True)),
    ("blogcatalog", "deepwalk", "macro_f1"): dict(zip(SHARES, _DEEPWALK_MACRO, strict=True)),
    ("blogcatalog", "node2vec", "micro_f1"): dict(zip(SHARES, _NODE2VEC, strict=True)),
    ("blogcatalog", "node2vec", "macro_f1"): dict(zip(SHARES, _NODE2VEC_MACRO, strict=True)),
    ("ppi", "deepwalk", "micro_f1"): {90: 0.2074},
    ("ppi", "node2vec", "micro_f1"): {90: 0.2067},
    ("wikipedia", "deepwalk", "micro_f1"): {90: 0.4953},
    ("wikipedia", "node2vec", "micro_f1"): {90: 0.5459},
}


def normalised(x: np.ndarray) -> np.ndarray:
    """Rows of length 1, then columns with mean 0 and deviation 1; what is constant stays at 0."""
    length = np.linalg.norm(x, axis=1, keepdims=True)
    x = x / np.where(length > 0, length, 1)
    deviation = x.std(axis=0)
    return (x - x.mean(axis=0)) / np.where(deviation > 0, deviation, 1)


def run(name: str, shares: tuple[int, ...], given: argparse.Namespace) -> tuple[list[_report.Row], float]:
    """The rows of one data set, and the seconds of a training."""
    p, q = (given.p, given.q) if given.method == "node2vec" else (1.0, 1.0)
    store = nearhop.datasets.load(name)
    kinds: tuple[Literal["window", "pair"], ...] = ("window", "pair") if given.compare else ("window",)
    micro, macro = (np.empty((len(kinds), len(shares), given.seeds)) for _ in range(2))
    seconds = []
    for seed in range(given.seeds):
        for k, negatives in enumerate(kinds):
            model = SkipGram(
                num_walks=given.num_walks,
                p=p,
                q=q,
                lr=0.05 if given.short else 0.025,
                negatives=negatives,
                seed=seed,
                threads=given.threads,
                progress=_report.training,
            )
            start = time.perf_counter()
            x = model.fit_transform(store)
            seconds.append(time.perf_counter() - start)
            result = evaluate(
                *(normalised(x), store.nodes["y"]),
                train_ratios=[share / 100 for share in shares],
                repeats=given.shuffles,
                C=given.C,
                seed=seed,
                threads=given.threads,
            )
            micro[k, :, seed], macro[k, :, seed] = result.micro_mean, result.macro_mean
    rows = []
    for i, share in enumerate(shares):
        for measure, values in (("micro", micro), ("macro", macro)):
            published = PUBLISHED.get((name, given.method, f"{measure}_f1"), {}).get(share)
            what = f"{given.method}: {measure}-F1 at {share} %"
            rows.append(_report.Row.of(name, what, values[0, i], published))
            if given.compare:
                change = values[0, i] - values[1, i]
                spread = float(change.std(ddof=1)) if given.seeds > 1 else 0.0
                rows.append(_report.Row.of(name, f"{what}, fresh negatives", values[1, i]))
                rows.append(_report.Row(name, f"{what}, shared less fresh", float(change.mean()), spread))
    return rows, float(np.median(seconds))


def main() -> None:
    names = ["blogcatalog", "ppi", "wikipedia", "dblp"]
    short = {"seeds": 1, "num_walks": 10, "shuffles": 1}
    parser = _report.parser(__doc__, datasets=names[:1], choices=names, short=short, also_short="20 % labelled")
    parser.add_argument("--method", default="deepwalk", choices=["deepwalk", "node2vec"])
    parser.add_argument("--p", type=float, default=0.25, help="node2vec's return parameter")
    parser.add_argument("--q", type=float, default=0.25, help="node2vec's in-out parameter")
    parser.add_argument("--num-walks", type=_report.positive, default=80, help="walks per node")
    parser.add_argument("--shuffles", type=_report.positive, default=10, help="of the labels, per training")
    parser.add_argument("--C", type=float, default=0.01)
    parser.add_argument("--compare", action="store_true", help="also train with fresh negatives for every pair")
    given = parser.parse_args()
    rows, seconds = [], {}
    for name in given.datasets:
        found, seconds[name] = run(name, (20,) if given.short else SHARES, given)
        rows += found
        _report.note(f"{given.method} on {name}, {given.num_walks} walks per node: {seconds[name]:.1f} s a training")
    _report.show(rows, as_json=given.json, seconds=seconds)


if __name__ == "__main__":
    main()
