"""FastRP on BlogCatalog: node classification with 10 to 90 % of the nodes labelled, beside the authors' figures.

The published column is the table of the notebook in the authors' repository (github.com/GTmac/FastRP): 512 columns,
weights (0, 0, 1, 6.67), beta -0.64, five shuffles, one-vs-rest logistic regression with C = 0.1, micro- and macro-F1
with the number of labels of each test node known.

    python examples/fastrp_blogcatalog.py            # the whole table, a few minutes
    python examples/fastrp_blogcatalog.py --short    # 10 % only
"""

from __future__ import annotations

import time

import _report
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
    parser = _report.parser(
        __doc__, datasets=["blogcatalog"], choices=["blogcatalog"], also_short="10 % of the nodes labelled only"
    )
    parser.add_argument("--dim", type=_report.positive, default=512)
    given = parser.parse_args()

    store = nearhop.datasets.load("blogcatalog")
    shares = [10] if given.short else list(PUBLISHED)
    runs, seconds = [], []
    for seed in range(given.seeds):  # each seed is a projection and a shuffle per share
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
    rows = []
    for i, share in enumerate(shares):
        for name, published in zip(("micro", "macro"), PUBLISHED[share], strict=True):
            values = [float(getattr(run, name)[i, 0]) for run in runs]
            rows.append(_report.Row.of("blogcatalog", f"{name}-F1 at {share} %", values, published))
    _report.note(f"FastRP, {given.dim} columns: {np.median(seconds):.2f} s per embedding")
    _report.show(rows, as_json=given.json, seconds=float(np.median(seconds)))


if __name__ == "__main__":
    main()
