"""Local clusters of attributed graphs from unreliable labels: flow diffusion with (LFD) and without labels (FD).

Three protocols. "flips": single seeds (the first of each class), labels right with probability (0.9, 0.9) inside and
outside the class; beside them reference values for Amazon Photo, Coauthor CS and Coauthor Physics. "samples": labels
predicted by a logistic regression from 25, 50 or 100 positive and as many negative samples, diffusion from the positive
samples. "twice": single seeds and no labels; a classifier is trained on the outcome of a first diffusion. In all, the
source mass is 1.5, 1.75, ..., 5 times the volume of the class, and the mass with the least conductance is chosen; F1 of
the nodes with a potential ("support") and of the best sweep cut, averaged over classes and seeds or draws.

As in the published experiments (arXiv:2301.13187), every diffusion starts from nothing, keeps at most 1e-4 of excess
and ends after 100 passes at the latest, after 50 on the two Coauthor graphs.

    python examples/noisy_labels.py            # five data sets, 10 seeds per class, half an hour on two cores
    python examples/noisy_labels.py --short    # Cora, and three classes of Amazon Photo, under a minute
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import _report
import numpy as np

import nearhop
from nearhop.communities.local.diffusion import FlowSolver, MassSweep, flow_diffusion_path
from nearhop.communities.local.noisy_labels import AttributeClassifier, diffuse_twice, flip_labels

DATASETS = ("amazon-photo", "amazon-computers", "coauthor-cs", "coauthor-physics", "cora")
PASSES = {"coauthor-cs": 50, "coauthor-physics": 50}  # at most; 100 elsewhere
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
        self.solver = FlowSolver(tolerance=1e-4, max_passes=PASSES.get(name, 100))

    def masses(self, target):
        return MassSweep.of_volume(self.degree[target].sum())

    def scores(self, seeds, label, labels, epsilon):
        """(support F1, sweep F1), each of the mass with the least conductance of that set."""
        target = self.y == label
        path = flow_diffusion_path(
            self.store,
            seeds,
            masses=self.masses(target).masses,
            labels=labels,
            epsilon=epsilon,
            solver=self.solver,
            warm_start=False,
        )
        support = min(path, key=lambda cluster: cluster.support_conductance).nodes
        sweep = min(path, key=lambda cluster: cluster.conductance).sweep_nodes
        return f1(support, target), f1(sweep, target)


def f1(found, target) -> float:
    return float(2 * target[found].sum() / (len(found) + target.sum()))


def single_seeds(task, given):
    return [(c, int(s)) for c in task.classes for s in np.flatnonzero(task.y == c)[: given.seeds]]


def flips(task, given, pool):
    """FD and LFD from single seeds: mean F1 per method, and the spread of LFD over draws of the labels."""
    jobs = single_seeds(task, given)
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


def twice(task, given, pool):
    """LFD from single seeds with labels that a classifier makes from a first diffusion."""

    def one(job):
        label, seed = job
        target = task.y == label
        attributes, mass = task.store.nodes["x"], task.masses(target)
        found = diffuse_twice(
            task.store, seed, attributes=attributes, mass=mass, epsilon=given.epsilon, solver=task.solver
        )
        return f1(found.nodes, target), f1(found.sweep_nodes, target)

    return np.mean(list(pool.map(one, single_seeds(task, given))), axis=0).tolist()


def rows_of(name, found):
    """The rows of one data set: F1 of the support and of the best sweep cut, and of the labels by themselves."""
    rows = []
    protocols = {"flips": found.get("flips"), **{f"{count} samples": r for count, r in found["samples"].items()}}
    for protocol, result in protocols.items():
        if result is None:
            continue
        spread = np.std(result["LFD_draws"], axis=0) if "LFD_draws" in result else (0.0, 0.0)
        for method in ("FD", "LFD"):
            known = REFERENCE.get((name, method), (None, None)) if protocol == "flips" else (None, None)
            for at, part in enumerate(("support", "sweep")):
                std = float(spread[at]) if method == "LFD" else 0.0
                what = f"{protocol}: {method}, F1 of the {part}"
                rows.append(_report.Row(name, what, result[method][at], std, known[at]))
        rows.append(_report.Row(name, f"{protocol}: labels alone, F1", result["labels_alone"]))
    for at, part in enumerate(("support", "sweep") if "twice" in found else ()):
        rows.append(_report.Row(name, f"twice: LFD, F1 of the {part}", found["twice"][at]))
    return rows


def main() -> None:
    parser = _report.parser(
        __doc__,
        datasets=DATASETS,
        choices=DATASETS,
        seeds=10,
        threads=2,
        also_short="three classes",
        short={"datasets": ["cora", "amazon-photo"], "seeds": 2, "draws": 1, "samples": [25]},
    )  # seeds are single ones, the first so many of each class
    parser.add_argument("--draws", type=_report.positive, default=3, help="draws of flipped labels, and of samples")
    parser.add_argument("--samples", type=_report.positive, nargs="*", default=[25, 50, 100])
    parser.add_argument("--no-flips", action="store_true", help="leave the flips out")
    parser.add_argument("--twice", action="store_true", help="also labels from a first diffusion")
    parser.add_argument("--epsilon", type=float, default=0.05)
    given = parser.parse_args()
    most_classes = 3 if given.short else None
    rows, seconds = [], {}
    with ThreadPoolExecutor(given.threads) as pool:
        for name in given.datasets:
            start = time.perf_counter()
            task = Task(name, most_classes)
            found = {} if given.no_flips else {"flips": flips(task, given, pool)}
            found["samples"] = {count: samples(task, count, given, pool) for count in given.samples}
            if given.twice:
                found["twice"] = twice(task, given, pool)
            seconds[name] = round(time.perf_counter() - start, 1)
            _report.note(f"{name}: {seconds[name]} s")
            rows += rows_of(name, found)
    _report.show(rows, as_json=given.json, digits=3, seconds=seconds)


if __name__ == "__main__":
    main()
