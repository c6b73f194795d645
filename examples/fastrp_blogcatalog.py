"""FastRP on BlogCatalog: node classification with 10 to 90 % of the nodes labelled, beside the authors' figures.

The published column is the table of the notebook in the authors' repository (github.com/GTmac/FastRP): 512 columns,
weights (0, 0, 1, 6.67), beta -0.64, five shuffles, one-vs-rest logistic regression with C = 0.1, micro- and macro-F1
with the number of labels of each test node known.

    python examples/fastrp_blogcatalog.py            # the whole table, a few minutes
    python examples/fastrp_blogcatalog.py --short    # 10 % only
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

import nearhop
from nearhop.embed import FastRP
from nearhop.embed.evaluation import evaluate

PUBLISHED = {  # train %: (micro-F1, macro-F1)
    10: (0.3723, 0.2281),
    20: (0.3907, 0.2494),
    30: (0.3998, 0.2587),
    40: (0.4074, 0.2692),
    50: (0.4122, 0.2753),
    60: (0.4163, 0.2746),
    70: (0.4204, 0.2801),
    80: (0.4187, 0.2805),
    90: (0.4257, 0.2801),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="10 %% of the nodes labelled only")
    parser.add_argument("--seeds", type=int, default=5, help="shuffles per share, each with its own projection")
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of Markdown")
    given = parser.parse_args()

    store = nearhop.datasets.load("blogcatalog")
    shares = [10] if given.short else list(PUBLISHED)
    runs, seconds = [], []
    for seed in range(given.seeds):
        model = FastRP(dim=given.dim, weights=(0, 0, 1, 6.67), beta=-0.64, seed=seed, threads=given.threads)
        start = time.perf_counter()
        embedding = model.fit_transform(store)
        seconds.append(time.perf_counter() - start)
        runs.append(
            evaluate(
                embedding,
                store.nodes["y"],
                train_ratios=[share / 100 for share in shares],
                repeats=1,
                seed=seed,
                threads=given.threads,
            )
        )
    micro = np.concatenate([run.micro for run in runs], axis=1)
    macro = np.concatenate([run.macro for run in runs], axis=1)
    if given.json:
        rows = [
            {
                "train_percent": share,
                "micro_f1": round(float(micro[i].mean()), 4),
                "micro_std": round(float(micro[i].std()), 4),
                "macro_f1": round(float(macro[i].mean()), 4),
                "macro_std": round(float(macro[i].std()), 4),
                "published_micro_f1": PUBLISHED[share][0],
                "published_macro_f1": PUBLISHED[share][1],
            }
            for i, share in enumerate(shares)
        ]
        print(json.dumps({"dataset": "blogcatalog", "dim": given.dim, "seeds": given.seeds, "rows": rows}))
        return
    print(f"FastRP, {given.dim} columns, {given.seeds} shuffles; {np.median(seconds):.2f} s per embedding\n")
    print("| train % | micro-F1 | published | macro-F1 | published |\n|---|---|---|---|---|")
    for i, share in enumerate(shares):
        print(
            f"| {share} | {micro[i].mean():.4f} ± {micro[i].std():.4f} | {PUBLISHED[share][0]:.4f} "
            f"| {macro[i].mean():.4f} ± {macro[i].std():.4f} | {PUBLISHED[share][1]:.4f} |"
        )


if __name__ == "__main__":
    main()
