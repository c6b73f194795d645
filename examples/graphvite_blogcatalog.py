"""GraphVite's quick start on BlogCatalog: LINE with augmentation step 2, node classification and link prediction.

The published column is the quick start of GraphVite's documentation (github.com/DeepGraphLearning/graphvite, 2,000
epochs): macro- and micro-F1 with 20 % of the nodes labelled, and AUC with about a hundredth of the edges hidden. The
classifier is GraphVite's own linear layer, mean of five shuffles; the AUC is that of vertex . context.

    python examples/graphvite_blogcatalog.py            # 400 epochs, five seeds
    python examples/graphvite_blogcatalog.py --epochs 2000
    python examples/graphvite_blogcatalog.py --short    # 120 epochs, one seed
"""

from __future__ import annotations

import argparse
import json
import sys
import time

import numpy as np

import nearhop
from nearhop.embed import GraphVite, TrainingProgress, evaluate_links, split_links
from nearhop.embed.evaluation import evaluate

PUBLISHED = {"micro_f1": 0.391342, "macro_f1": 0.242114, "auc": 0.899933}
HIDDEN = 2 / 102  # GraphVite deals edges to train, validation and test by 100 : 1 : 1; both held out parts are tested


def report(state: TrainingProgress) -> None:
    if sys.stderr.isatty():
        left = (
            f"{state.samples_per_second / 1e6:.1f} M samples/s, loss {state.loss:.4f}, {state.seconds_left:.0f} s left"
        )
        print(f"\r{100 * state.done / state.total:3.0f} %, {left}   ", end="", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="120 epochs, one seed, two shuffles")
    parser.add_argument("--epochs", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=5, help="trainings")
    parser.add_argument("--shuffles", type=int, default=5, help="shuffles of the labelled nodes per training")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of Markdown")
    given = parser.parse_args()
    epochs = 120 if given.short else given.epochs
    seeds, shuffles = (1, 2) if given.short else (given.seeds, given.shuffles)
    steps = 1000 if given.short else 20_000

    store = nearhop.datasets.load("blogcatalog")
    found: dict[str, list[float]] = {name: [] for name in PUBLISHED}
    seconds = []
    for seed in range(seeds):
        model = GraphVite(
            *("line", 128),
            epochs=epochs,
            augmentation_step=2,
            seed=seed,
            device=given.device,
            threads=given.threads,
            progress=report,
        )
        start = time.perf_counter()
        vectors = model.fit_transform(store)
        seconds.append(time.perf_counter() - start)
        scores = evaluate(
            *(vectors, store.nodes["y"]),
            train_ratios=(0.2,),
            repeats=shuffles,
            classifier="linear",
            max_steps=steps,
            seed=seed,
        )
        found["micro_f1"] += scores.micro[0].tolist()
        found["macro_f1"] += scores.macro[0].tolist()
        split = split_links(store, HIDDEN, seed=seed)
        model.fit(split.train)
        found["auc"] += evaluate_links(split, model.vertex_, model.context_, repeats=1, seed=seed).auc.tolist()
    rows = {
        name: {"mean": float(np.mean(values)), "std": float(np.std(values)), "published": PUBLISHED[name]}
        for name, values in found.items()
    }
    if given.json:
        print(json.dumps({"epochs": epochs, "seeds": seeds, "seconds": float(np.median(seconds)), "scores": rows}))
        return
    print(
        f"LINE, {epochs} epochs, {seeds} trainings, {shuffles} shuffles each; {np.median(seconds):.1f} s per training\n"
    )
    print("| measure | nearhop | published |\n|---|---|---|")
    for name, row in rows.items():
        print(f"| {name} | {row['mean']:.4f} ± {row['std']:.4f} | {row['published']:.4f} |")


if __name__ == "__main__":
    main()
