"""GraphVite on YouTube: LINE or DeepWalk with augmentation step 5, node classification with 1 to 10 % labelled.

The graph and its groups are those of the authors (A. Mislove's crawl, socialnetworks.mpi-sws.org): 1,138,499 nodes and
4,945,382 lines, each an edge. Published: GraphVite's benchmark page (github.com/DeepGraphLearning/graphvite), 4,000
epochs on four V100s in about 70 s. Time: an epoch is 4.9 million samples, so 4,000 are 19.8 billion, an hour at 5.5
million samples per second. The 47 largest groups are the labels; the classifier is GraphVite's own linear layer.

    python examples/graphvite_youtube.py --download     # fetches two files (about 17 MB) into the folder first
    python examples/graphvite_youtube.py --folder DIR   # has youtube-links.txt.gz and youtube-groupmemberships.txt.gz
    python examples/graphvite_youtube.py --short        # a generated graph a hundredth the size, to see it run
"""

from __future__ import annotations

import time
import urllib.request
from pathlib import Path

import _report
import numpy as np

import nearhop
from nearhop.embed import GraphVite
from nearhop.embed.evaluation import evaluate

SOURCE = "http://socialnetworks.mpi-sws.org/data/"
LINKS, GROUPS = "youtube-links.txt.gz", "youtube-groupmemberships.txt.gz"
SHARES = tuple(range(1, 11))
PUBLISHED = {
    ("line", "micro"): (38.36, 40.61, 42.17, 43.70, 44.44, 44.97, 45.47, 45.73, 46.12, 46.25),
    ("line", "macro"): (30.90, 33.69, 34.88, 36.40, 36.75, 37.44, 37.89, 38.07, 38.30, 38.40),
    ("deepwalk", "micro"): (37.41, 40.48, 42.12, 43.63, 44.47, 44.83, 45.41, 45.77, 46.11, 46.39),
    ("deepwalk", "macro"): (30.77, 33.67, 34.91, 36.44, 37.02, 37.27, 37.74, 38.17, 38.35, 38.51),
}
NUM_GROUPS = 47


def read(folder: Path) -> tuple[nearhop.GraphStore, np.ndarray]:
    """The graph and a 0/1 label matrix of the largest groups; ids are positions in order of their number."""
    pairs = np.loadtxt(folder / LINKS, np.int64)
    ids, ends = np.unique(pairs, return_inverse=True)
    ends = ends.reshape(-1, 2)
    store = nearhop.GraphStore.from_edges(ends[:, 0], ends[:, 1], num_nodes=ids.shape[0])
    members = np.loadtxt(folder / GROUPS, np.int64)
    members = members[np.isin(members[:, 0], ids)]
    groups, sizes = np.unique(members[:, 1], return_counts=True)
    largest = groups[np.argsort(-sizes, kind="stable")[:NUM_GROUPS]]
    labels = np.zeros((ids.shape[0], NUM_GROUPS), np.uint8)
    for column, group in enumerate(largest):
        labels[np.searchsorted(ids, members[members[:, 1] == group, 0]), column] = 1
    return store, labels


def generated() -> tuple[nearhop.GraphStore, np.ndarray]:
    """Communities of a power-law graph, as many as there are labels."""
    rng = np.random.default_rng(0)
    n, m = 11_385, 49_454
    group = rng.integers(0, NUM_GROUPS, n)
    by_group = np.argsort(group, kind="stable")
    first = np.searchsorted(group[by_group], np.arange(NUM_GROUPS))
    size = np.bincount(group, minlength=NUM_GROUPS)
    src = (rng.random(m) ** 2 * n).astype(np.int64)
    near = by_group[first[group[src]] + (rng.random(m) ** 2 * size[group[src]]).astype(np.int64)]
    dst = np.where(rng.random(m) < 0.7, near, rng.integers(0, n, m))
    return nearhop.GraphStore.from_edges(src, dst, num_nodes=n), np.eye(NUM_GROUPS, dtype=np.uint8)[group]


def main() -> None:
    parser = _report.parser(
        __doc__,
        datasets=["youtube"],
        choices=["youtube"],
        seeds=1,
        short={"epochs": 300},
        also_short="a generated graph, one shuffle",
    )
    parser.add_argument("--folder", type=Path, default=Path("youtube"))
    parser.add_argument("--download", action="store_true")
    parser.add_argument("--model", default="line", choices=["line", "deepwalk"])
    parser.add_argument("--epochs", type=_report.positive, default=4000)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--partitions", default="auto")
    parser.add_argument("--checkpoint", type=Path, help="an .npz file to save to and, where it exists, to resume from")
    given = parser.parse_args()
    if given.checkpoint is not None and given.seeds > 1:
        parser.error("--checkpoint is a file of one training; use --seeds 1")
    if given.download:
        given.folder.mkdir(parents=True, exist_ok=True)
        for name in (LINKS, GROUPS):
            if not (given.folder / name).exists():
                urllib.request.urlretrieve(SOURCE + name, given.folder / name)
    if not given.short and not (given.folder / LINKS).exists():
        parser.error(f"{given.folder / LINKS} is missing; use --download, or --folder for a folder that has it")
    store, labels = generated() if given.short else read(given.folder)
    shares = (5, 10) if given.short else SHARES
    runs, seconds = [], []
    for seed in range(given.seeds):
        model = GraphVite(
            *(given.model, 128),
            epochs=given.epochs,
            augmentation_step=5,
            partitions=given.partitions if given.partitions == "auto" else int(given.partitions),
            device=given.device,
            seed=seed,
            threads=given.threads,
            checkpoint=given.checkpoint,
            progress=_report.training,
        )
        start = time.perf_counter()
        if given.checkpoint is not None and given.checkpoint.exists():
            model.resume(store)
        else:
            model.fit(store)
        seconds.append(time.perf_counter() - start)
        runs.append(
            evaluate(
                *(model.vertex_, labels),
                train_ratios=[share / 100 for share in shares],
                repeats=1 if given.short else 5,
                classifier="linear",
                max_steps=500 if given.short else 20_000,
                seed=seed,
            )
        )
    rows = []
    for i, share in enumerate(shares):
        for name in ("micro", "macro"):
            values = 100 * np.concatenate([getattr(run, name)[i] for run in runs])
            published = None if given.short else PUBLISHED[given.model, name][share - 1]
            data = "generated" if given.short else "youtube"
            rows.append(_report.Row.of(data, f"{given.model}: {name}-F1 at {share} %, in %", values, published))
    size = {"nodes": store.num_nodes, "edges": store.num_edges, "seconds": float(np.median(seconds))}
    _report.note("{nodes:,} nodes, {edges:,} edges: {seconds:.0f} s per training".format(**size))
    _report.show(rows, as_json=given.json, digits=2, **size)


if __name__ == "__main__":
    main()
