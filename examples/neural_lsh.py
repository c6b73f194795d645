"""Learned space partitions (Dong et al., ICLR 2020) beside k-means lists, on SIFT descriptors, GloVe and MNIST.

    python examples/neural_lsh.py --datasets glove --bins 16 256

The share of the 10 true neighbours that lie in the lists looked into, at the mean number of rows in them, for 1, 2, 4
lists of `nearhop.ann.NeuralLSH` and by `min_share`; beside it that of k-means lists at the same mean number (linear
between two numbers of lists). The paper gives curves and no table: there is no published column.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
from _report import Row, note, parser, positive, progress, show

from nearhop.ann import Exact, IVFFlat, NeuralLSH, recall
from nearhop.tests.support import data_folder

K = 10
ASKED: list[dict[str, Any]] = [{"nprobe": 1}, {"nprobe": 2}, {"nprobe": 4}, {"min_share": 0.05}, {"min_share": 0.01}]


def read(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray, Any]:
    """Rows, queries and metric."""
    if name == "mnist":
        parts = []
        for part in ("train", "t3k"):
            raw = gzip.decompress((folder / f"ann/mnist-{part}-images-idx3-ubyte.gz").read_bytes())
            parts.append(np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 784).astype(np.float32))
        return parts[0], parts[1], "l2"
    if name == "sift":
        rows = np.load(folder / "cann/herz-jesus-p25.npz")["desc"].astype(np.float32)
    else:
        with gzip.open(folder / "ann/glove-twitter-25d.txt.gz", "rt") as lines:
            rows = np.array([line.split()[-25:] for line in lines], np.float32)
    order = np.random.default_rng(0).permutation(len(rows))
    return rows[order[1000:]], rows[order[:1000]], "cosine" if name == "glove" else "l2"


def main() -> None:
    names = ["sift", "glove", "mnist"]
    made = parser(
        __doc__, datasets=names, choices=names, seeds=1, short={"bins": [16]}, also_short="few rows and epochs"
    )
    made.add_argument("--bins", nargs="+", type=positive, default=[16, 256])
    options = made.parse_args()
    folder = data_folder()
    if folder is None:
        raise SystemExit("the vectors are in the data folder: set NEARHOP_DATA")
    rows: list[Row] = []
    for name in options.datasets:
        x, q, metric = read(folder, name)
        if options.short:
            x, q = x[:4000], q[:300]
        truth = Exact(metric).add(x).search(q, K)
        for bins in options.bins:
            plain = IVFFlat(metric, nlist=bins, threads=options.threads).add(x)
            base = [(0.0, 0.0)]
            for count in range(1, bins + 1 if bins <= 64 else 65):
                sizes = plain.list_sizes[plain._nearest_lists(q, count, options.threads)].sum(axis=1)
                base.append((float(sizes.mean()), recall(plain.search(q, K, nprobe=count), truth)))
            found: dict[str, list[tuple[float, float]]] = {}
            for seed in range(options.seeds):
                few = {"rounds": 2, "epochs": 2} if options.short else {}
                index = NeuralLSH(metric, nlist=bins, seed=seed, threads=options.threads, **few)  # type: ignore[arg-type]
                index.fit(x, progress=lambda done, total: progress(f"{100 * done / total:.0f} % of training"))
                index.add(x)
                for ask in ASKED:
                    counts = index.candidate_counts(q, **ask)
                    share = recall(index.search(q, K, **ask), truth)
                    what = " ".join(f"{key} {value}" for key, value in ask.items())
                    found.setdefault(what, []).append((float(counts.mean()), share))
            note(f"{name}, {bins} bins")
            for what, values in found.items():
                mean = float(np.mean([value[0] for value in values]))
                label = f"{bins} bins, {what}, {mean:,.0f} candidates: accuracy"
                rows.append(Row.of(name, label, [value[1] for value in values]))
                rows.append(Row(name, f"{label} of k-means", float(np.interp(mean, *np.array(base).T))))
    show(rows, as_json=options.json)


if __name__ == "__main__":
    main()
