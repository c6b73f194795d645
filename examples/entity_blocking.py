"""Blocking for entity resolution on Abt-Buy, Amazon-Google and DBLP-ACM: n-grams, MinHash and trained encoders.

    python examples/entity_blocking.py --seeds 3
    python examples/entity_blocking.py --datasets abt_buy --encoder minilm

Protocol. Candidates are looked for per record of the first table, in the whole second table; the ground is the whole
cross product. The columns that name the thing are compared (name; title; title and authors), of the clean-clean
versions of the sets. Methods that learn nothing are judged on all matches, and beside the trained ones on records whose
matches training has not seen: matches are split 3:1:1 by a seed, training sees the first part, and of the first table
only records without a match in it are looked up. "k" is the smallest number of candidates per record that finds 90 % of
the matches; "F1" is that of PC and PQ for the fewest pairs by score that reach the recall of the published table, "F1
by margin" takes pairs by how far they lie below the best of their record, and "F1 at k" is that of the smallest number
of candidates per record. Rows of recalls that are not reached with 100 candidates are left out. `--side right` looks
for candidates per record of the second table instead. "codes": words of letters and digits count again without their
punctuation (`NLSHBlock` decides by its labels).
"""

from __future__ import annotations

import gzip
import time
from pathlib import Path
from typing import Any

import numpy as np
from _report import Row, note, parser, positive, show

from nearhop.blocking import (
    MinHashBlocker,
    NGramBlocker,
    NLSHBlock,
    Records,
    Union,
    at_recall,
    by_margin,
    by_score,
    curve,
    match_rows,
)
from nearhop.tests.support import data_folder

# name: left and right file, delimiter, columns, recall target, F1 of NLSHBlock (SDM 2024, table 2), and the smallest k
# with PC >= 90 of UniBlocker, Sparkly and DeepBlocker (UniBlocker, tables 3 and 4)
SETS: dict[str, Any] = {
    "abt_buy": ("abt", "buy", "|", ["name"], 0.89, 91.6, (3, 3, 90)),
    "amazon_google": ("amazon", "gp", "#", ["title"], 0.97, 16.2, (5, 5, 77)),
    "dblp_acm": ("dblp", "acm", "%", ["title", "authors"], 0.99, 65.0, (1, 1, 1)),
}
DEEP, BARS = 100, ("F1", "F1 by margin", "F1 at k")


def read(folder: Path, name: str) -> tuple[Records, Records, np.ndarray]:
    """Both tables, and the true pairs of rows."""
    left, right, delimiter, columns, *_ = SETS[name]
    tables = [
        Records.of(folder / name / f"{side}.csv.gz", key="id", columns=columns, delimiter=delimiter)
        for side in (left, right)
    ]
    with gzip.open(folder / name / "gt.csv.gz", "rt") as lines:
        pairs = [tuple(line.strip().split(delimiter)) for line in list(lines)[1:]]
    return tables[0], tables[1], match_rows(pairs, *tables)


def kept(left: Records, truth: np.ndarray, rows: np.ndarray) -> tuple[Records, np.ndarray]:
    """Some left records, and the true pairs among them by their new rows."""
    place = np.full(len(left), -1)
    place[rows] = np.arange(len(rows))
    some = truth[place[truth[:, 0]] >= 0]
    return left.chosen(rows), np.stack([place[some[:, 0]], some[:, 1]], axis=1)


def judge(pairs: Any, truth: np.ndarray, target: float) -> dict[str, float]:
    """k with 90 % found, PC at 1, 5 and 10 candidates, F1 at the target by score and by k."""
    rows = curve(pairs, truth, [1, 5, 10])
    reached, deep = at_recall(pairs, truth, 0.9), at_recall(pairs, truth, target)
    fewest, nearest = by_score(pairs, truth, target), by_margin(pairs, truth, target)
    return {
        "k": float("nan") if reached is None else float(reached.k), "PC@1": 100 * rows[0].pc, "PC@5": 100 * rows[1].pc,
        "PC@10": 100 * rows[2].pc, "F1": float("nan") if fewest is None else 100 * fewest.f1,
        "F1 by margin": float("nan") if nearest is None else 100 * nearest.f1,
        "F1 at k": float("nan") if deep is None else 100 * deep.f1,
    }  # fmt: skip


def main() -> None:
    short = {"seeds": 1, "epochs": 1}
    made = parser(
        __doc__, datasets=list(SETS), choices=list(SETS), seeds=3, short=short, also_short="every fourth record"
    )
    made.add_argument("--encoder", nargs="+", default=["ngrams"], help="of NLSHBlock: ngrams, minilm")
    made.add_argument("--epochs", type=positive, default=10)
    made.add_argument("--side", choices=["left", "right"], default="left", help="whose records look for candidates")
    made.add_argument("--no-augment", action="store_true", help="train on the texts as they are")
    made.add_argument(
        "--plain-labels",
        action="store_true",
        help="leave out the runs with a tenth of the labels (of the first encoder)",
    )
    options = made.parse_args()
    folder = data_folder()
    if folder is None:
        raise SystemExit("the tables are in the data folder: set NEARHOP_DATA")
    rows: list[Row] = []
    for name in options.datasets:
        left, right, truth = read(folder / "er", name)
        *_, target, published, (uni, sparkly, deep) = SETS[name]
        if options.side == "right":
            left, right, truth = right, left, truth[:, ::-1]
        if options.short:
            left, truth = kept(left, truth, np.arange(0, len(left), 4))
        plain: dict[str, Any] = {
            "TF-IDF": NGramBlocker, "TF-IDF with codes": lambda: NGramBlocker(codes=True),
            "BM25": lambda: NGramBlocker("bm25"), "MinHash": lambda: MinHashBlocker(0.2),
        }  # fmt: skip
        for what, make in plain.items():
            got = judge(make().block(left, right, k=DEEP), truth, target)
            beside = {"k": deep if what == "MinHash" else sparkly, **dict.fromkeys(BARS, published)}
            rows += [Row(name, f"{what}, all: {key}", value, 0.0, beside.get(key)) for key, value in got.items()]
        scores: dict[str, list[dict[str, float]]] = {}
        first = options.encoder[0]
        for seed in range(options.seeds):
            order = np.random.default_rng(seed).permutation(len(truth))
            seen = truth[order[: int(0.6 * len(truth))]]
            asked, unseen = kept(left, truth, np.setdiff1d(np.arange(len(left)), seen[:, 0]))
            contenders = {what: make() for what, make in plain.items()}
            shown = {
                **{f"NLSHBlock {encoder}": (encoder, seen, False) for encoder in options.encoder},
                f"NLSHBlock {first}, 10 % of the labels": (first, seen[: len(seen) // 10], False),
                f"NLSHBlock {first}, 10 %, semi-supervised": (first, seen[: len(seen) // 10], True),
            }
            if options.plain_labels:
                shown = {what: given for what, given in shown.items() if "%" not in what}
            for what, (encoder, labels, semi) in shown.items():
                begin = time.process_time()
                blocker = NLSHBlock(
                    encoder, epochs=options.epochs, augment=not options.no_augment, semi_supervised=semi, seed=seed,
                    threads=options.threads,
                )  # fmt: skip
                keys = [(left.keys[a], right.keys[b]) for a, b in labels]
                contenders[what] = blocker.fit(left, right, keys)
                note(f"{name}, seed {seed}: {what}, {time.process_time() - begin:.0f} s of processor time")
            for encoder in options.encoder:
                contenders[f"union of TF-IDF with codes and NLSHBlock {encoder}"] = Union(
                    [contenders["TF-IDF with codes"], contenders[f"NLSHBlock {encoder}"]], cut=True
                )
            for what, blocker in contenders.items():
                pairs = blocker.index(right).query(asked, k=DEEP)
                scores.setdefault(what, []).append(judge(pairs, unseen, target))
                told = ", ".join(f"{key} {value:.1f}" for key, value in scores[what][-1].items())
                note(f"{name}, seed {seed}: {what}: {told}")
        for what, found in scores.items():
            for key in found[0]:
                beside = {"k": uni, **dict.fromkeys(BARS, published)} if what.startswith("NLSHBlock") else {}
                rows.append(Row.of(name, f"{what}, unseen: {key}", [one[key] for one in found], beside.get(key)))
    show([row for row in rows if row.ours == row.ours], as_json=options.json, digits=1)


if __name__ == "__main__":
    main()
