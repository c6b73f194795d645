"""Local clusters of attributed graphs from unreliable labels: flow diffusion with (LFD) and without labels (FD).

Two protocols. "flips": single seeds (the first of each class), labels right with probability (0.9, 0.9) inside and
outside the class; beside them reference values for Amazon Photo, Coauthor CS and Coauthor Physics. "samples": labels
predicted by a logistic regression from 25, 50 or 100 positive and as many negative samples, diffusion from the positive
samples. In both, the source mass is 1.5, 1.75, ..., 5 times the volume of the class, and the mass with the least
conductance is chosen; F1 of the nodes with a potential ("support") and of the best sweep cut, averaged over classes and
seeds or draws.

    python examples/noisy_labels.py            # five data sets, 10 seeds per class, half an hour on two cores
    python examples/noisy_labels.py --short    # Cora, and three classes of Amazon Photo, under a minute
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import nearhop
from nearhop.ann.diffusion import MassSweep, flow_diffusion_path
from nearhop.ann.noisy_labels import AttributeClassifier, flip_labels

DATASETS = ("amazon-photo", "amazon-computers", "coauthor-cs", "coauthor-physics", "cora")
REFERENCE = {  # (support, sweep)
    ("amazon-photo", "FD"): (0.587, 0.615),
    ("coauthor-cs", "FD"): (0.476, 0.512),
    ("coauthor-physics", "FD"): (0.625, 0.645),
    ("amazon-photo", "LFD"): (0.798, 0.821),
    ("coauthor-cs", "LFD"): (0.728, 0.743),
}


class Task:
    """A data set's graph with the classes as targets; nodes beside the largest component belong to none."""

    def __init__(self, name: str, most_classes: int | None) -> None:
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import connected_components

        self.store = nearhop.datasets.load(name)
        rows = self.store.csr()
        self.degree = rows.degrees()
        size = rows.num_rows
        ones = np.ones(rows.num_entries, np.float32)
        matrix = csr_array((ones, rows.indices, rows.indptr), shape=(size, size))
        component = connected_components(matrix, directed=False)[1]
        largest = np.bincount(component).argmax()
        self.y = np.where(component == largest, self.store.nodes["y"], -1)
        self.classes = range(int(self.y.max()) + 1)[:most_classes]

    def scores(self, seeds, label, labels, epsilon):
        """(support F1, sweep F1), each of the mass with the least conductance of that set."""
        target = self.y == label
        path = flow_diffusion_path(
            self.store,
            seeds,
            masses=MassSweep.of_volume(self.degree[target].sum()).masses,
            labels=labels,
            epsilon=epsilon,
            warm_start=False,
        )
        support = min(path, key=lambda cluster: cluster.support_conductance).nodes
        sweep = min(path, key=lambda cluster: cluster.conductance).sweep_nodes
        return f1(support, target), f1(sweep, target)


def f1(found, target) -> float:
    return float(2 * target[found].sum() / (len(found) + target.sum()))


def flips(task, given, pool):
    """FD and LFD from single seeds: mean F1 per method, and the spread of LFD over draws of the labels."""
    jobs = [(c, s) for c in task.classes for s in np.flatnonzero(task.y == c)[: given.seeds]]
    plain = list(pool.map(lambda job: task.scores([job[1]], job[0], None, 1.0), jobs))
    draws, alone = [], []
    for draw in range(given.draws):
        labels = [flip_labels(task.y == c, accuracy=(0.9, 0.9), seed=1000 * draw + c) for c in task.classes]
        alone.append(np.mean([f1(np.flatnonzero(labels[c]), task.y == c) for c in task.classes]))
        scores = list(pool.map(lambda job, at=labels: task.scores([job[1]], job[0], at[job[0]], given.epsilon), jobs))
        draws.append(np.mean(scores, axis=0))
    return {
        "FD": np.mean(plain, axis=0).tolist(),
        "LFD": np.mean(draws, axis=0).tolist(),
        "LFD_draws": np.array(draws).tolist(),
        "labels_alone": float(np.mean(alone)),
    }


def samples(task, count, given, pool):
    """FD and LFD from `count` positive samples, labels by a classifier trained on them and as many negatives."""
    X = task.store.nodes["x"]

    def one(job):
        label, draw = job
        target = task.y == label
        rng = np.random.default_rng([draw, label, count])
        inside, outside = np.flatnonzero(target), np.flatnonzero(~target)
        positives = rng.choice(inside, min(count, len(inside) // 2), replace=False)
        negatives = rng.choice(outside, min(count, len(outside) // 2), replace=False)
        labels = AttributeClassifier(X, positives=positives, negatives=negatives)(np.arange(len(target)))
        alone = f1(np.flatnonzero(labels), target)
        with_labels = task.scores(positives, label, labels, given.epsilon)
        return (*task.scores(positives, label, None, 1.0), *with_labels, alone)

    jobs = [(c, d) for c in task.classes for d in range(given.draws)]
    fd_support, fd_sweep, support, sweep, alone = np.mean(list(pool.map(one, jobs)), axis=0).tolist()
    return {"FD": [fd_support, fd_sweep], "LFD": [support, sweep], "labels_alone": alone}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="two small data sets, two seeds, one draw")
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=DATASETS)
    parser.add_argument("--seeds", type=int, default=10, help="single seeds per class")
    parser.add_argument("--draws", type=int, default=3, help="draws of flipped labels, and of samples")
    parser.add_argument("--samples", type=int, nargs="*", default=[25, 50, 100])
    parser.add_argument("--no-flips", action="store_true", help="the samples only")
    parser.add_argument("--epsilon", type=float, default=0.05)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of Markdown")
    given = parser.parse_args()
    most_classes = None
    if given.short:
        given.datasets, given.seeds, given.draws, given.samples = ["cora", "amazon-photo"], 2, 1, [25]
        most_classes = 3
    found = {}
    with ThreadPoolExecutor(given.threads) as pool:
        for name in given.datasets:
            start = time.perf_counter()
            task = Task(name, most_classes)
            found[name] = {} if given.no_flips else {"flips": flips(task, given, pool)}
            found[name]["samples"] = {str(count): samples(task, count, given, pool) for count in given.samples}
            found[name]["seconds"] = round(time.perf_counter() - start, 1)
    if given.json:
        told = {f"{name} {method}": value for (name, method), value in REFERENCE.items()}
        print(json.dumps({"seeds": given.seeds, "draws": given.draws, "results": found, "reference": told}))
    else:
        report(found, given)


def report(found, given) -> None:
    pair = "{:.3f} / {:.3f}".format
    if not given.no_flips:
        print(
            f"F1, support / sweep; {given.seeds} seeds per class, {given.draws} draws of labels right with (0.9, 0.9)\n"
        )
        print("| data set | FD | reference | LFD | sd over draws | reference | labels alone |")
        print("|---|---|---|---|---|---|---|")
        for name, result in found.items():
            r = result["flips"]
            known = [pair(*REFERENCE[name, m]) if (name, m) in REFERENCE else "-" for m in ("FD", "LFD")]
            spread = pair(*np.std(r["LFD_draws"], axis=0))
            alone = r["labels_alone"]
            print(
                f"| {name} | {pair(*r['FD'])} | {known[0]} | {pair(*r['LFD'])} | {spread} | {known[1]} | {alone:.3f} |"
            )
        print()
    if given.samples:
        print(f"Labels by logistic regression, {given.draws} draws: F1, support / sweep\n")
        print("| data set | samples | FD | LFD | gain | labels alone |\n|---|---|---|---|---|---|")
        for name, result in found.items():
            for count, r in result["samples"].items():
                gain = "{:+.3f} / {:+.3f}".format(*np.subtract(r["LFD"], r["FD"]))
                print(f"| {name} | {count} | {pair(*r['FD'])} | {pair(*r['LFD'])} | {gain} | {r['labels_alone']:.3f} |")
        print()
    print("Seconds: " + ", ".join(f"{name} {result['seconds']:g}" for name, result in found.items()))


if __name__ == "__main__":
    main()
