"""Communities of a few seeds by MinHash: recall on email-Eu-core and ego-Facebook, response times on ego-Twitter.

The protocol of the released code of arXiv:1601.03958: communities of 25 or more members, 5 random seeds, 20 restarts,
K = 100 and 50 bands of 2. The list grows to the size of the community, recall of the members that are not seeds is
recorded every 5 additions, and the figure is the area under that curve, its horizontal axis scaled to 1 (0.5 at best).
Beside the three rankings of the paper: ranking by exact Jaccard similarity, and Leiden on the whole graph, where nodes
are ranked by the number of seeds in their community, then by their links into it.

On ego-Facebook every ego's friends are a graph and the circles are the communities. ego-Twitter has no communities to
compare with; there, searches are timed against the 0.25 s that the paper calls real time.

    python examples/brands_on_a_laptop.py            # two minutes on a quiet machine; ± is over restarts
    python examples/brands_on_a_laptop.py --short    # 2 restarts, no ego-Twitter
"""

from __future__ import annotations

import io
import os
import tarfile
import time
from pathlib import Path

import _report
import numpy as np

import nearhop
from nearhop.ann import CommunitySearch, adjusted_rand_index, detect, normalized_mutual_information, recall_area
from nearhop.ann.minhash.sets import RaggedSets

K, BANDS, SEEDS, SMALLEST, EVERY = 100, 50, 5, 25, 5
METHODS = ("average", "minrank", "pagerank", "exact", "leiden")
PORT = {"average": 0.341, "minrank": 0.319, "pagerank": 0.222}  # of the released code, on the same file


class Graph:
    """A store, its communities as arrays of positions, and everything a ranking needs."""

    def __init__(self, store, communities, direction, seed, threads):
        self.store, self.seed = store, seed
        self.search = CommunitySearch(store, K, bands=BANDS, seed=seed, direction=direction, threads=threads)
        self.partition = detect(store, seed=seed)
        described = RaggedSets.of(store, direction=direction).sizes() > 0
        self.communities = [c for c in communities if len(c) >= SMALLEST and described[c].sum() > SEEDS]
        self.described = described
        edges = store.edge_list()
        self.ends = np.r_[edges.src, edges.dst], np.r_[edges.dst, edges.src]

    def ranking(self, seeds, size, method):
        if method != "leiden":
            return self.search.search(seeds, size, method).ids
        labels = self.partition.labels
        shared = np.bincount(labels[seeds], minlength=len(self.partition.sizes))
        near, far = self.ends
        links = np.bincount(near[labels[near] == labels[far]], minlength=len(labels))
        order = np.lexsort((np.arange(len(labels)), -links, -shared[labels]))
        return order[(shared[labels[order]] > 0) & ~np.isin(order, seeds)][:size]

    def areas(self, restarts):
        """Areas (communities, restarts) by method, and milliseconds per search."""
        rng = np.random.default_rng(self.seed)
        found = {method: np.zeros((len(self.communities), restarts)) for method in METHODS}
        spent = dict.fromkeys(METHODS, 0.0)
        for row, members in enumerate(self.communities):
            for restart in range(restarts):
                seeds = rng.choice(members[self.described[members]], SEEDS, replace=False)
                rest = np.setdiff1d(members, seeds)
                for method in METHODS:
                    start = time.perf_counter()
                    ranking = self.ranking(seeds, len(rest), method)
                    spent[method] += time.perf_counter() - start
                    found[method][row, restart] = recall_area(ranking, rest, every=EVERY)
        trials = max(1, len(self.communities) * restarts)
        return found, {method: 1e3 * seconds / trials for method, seconds in spent.items()}


def email(seed, threads):
    store = nearhop.datasets.load("email-eu-core")
    y = store.nodes["y"]
    return Graph(
        store, [np.flatnonzero(y == department) for department in range(int(y.max()) + 1)], "in", seed, threads
    )


def facebook(seed, threads):
    """The ten ego networks of facebook.tar.gz, each with its circles."""
    root = os.environ.get("NEARHOP_DATA")
    folder = Path(root) if root else Path(__file__).resolve().parents[2] / "shared" / "data"
    archive = folder / "communities" / "facebook.tar.gz"
    if not archive.exists():
        return []
    graphs = []
    with tarfile.open(archive) as tar:
        names = sorted(name for name in tar.getnames() if name.endswith(".edges"))
        for name in names:
            text = {part: _text(tar, name[: -len("edges")] + part) for part in ("edges", "circles")}
            src, dst = np.loadtxt(io.StringIO(text["edges"]), np.int64, ndmin=2).T
            circles = [np.array(line.split()[1:], np.int64) for line in text["circles"].splitlines()]
            pairs = np.unique(np.sort(np.column_stack([src, dst]), axis=1), axis=0)
            count = 1 + max(int(pairs.max()), *(int(circle.max(initial=0)) for circle in circles))
            store = nearhop.GraphStore.from_edges(*pairs.T, num_nodes=count)
            graphs.append(Graph(store, circles, "out", seed, threads))
    return graphs


def _text(tar, name):
    member = tar.extractfile(name)
    return "" if member is None else member.read().decode()


def jaccard_error(store, seed, threads):
    """Root mean square error of all estimates between nodes with followers, and what theory says."""
    sets = RaggedSets.of(store, direction="in")
    minhash = nearhop.ann.MinHash(K, seed=seed, threads=threads)
    filled = np.flatnonzero(sets.sizes() > 0)
    left, right = (filled[ends] for ends in np.triu_indices(len(filled), 1))
    exact = sets.jaccard(left, right).astype(np.float64)
    estimate = minhash.pair_similarity(minhash.fit_transform(store, direction="in"), left, right)
    return float(np.sqrt(np.mean((estimate - exact) ** 2))), float(np.sqrt(np.mean(exact * (1 - exact) / K)))


def twitter(seed, threads, searches=100):
    """Milliseconds of searches from five seeds that know each other, by method."""
    store = nearhop.datasets.load("ego-twitter")
    CommunitySearch(nearhop.datasets.load("karate"), K, bands=BANDS)  # compiles
    start = time.perf_counter()
    search = CommunitySearch(store, K, bands=BANDS, seed=seed, threads=threads)
    built = time.perf_counter() - start
    stats, rng, rows = search.index.stats(), np.random.default_rng(seed), store.csr()
    size = f"{(stats.signature_bytes + stats.index_bytes) / 1e6:.0f} MB"
    _report.note(f"ego-twitter, {store.num_nodes:,} nodes, {store.num_edges:,} edges: built in {built:.2f} s, {size}")
    groups: list[np.ndarray] = []
    while len(groups) < searches:
        near = rows.neighbors(int(rng.integers(store.num_nodes)))
        if len(near) >= SEEDS:
            groups.append(rng.choice(near, SEEDS, replace=False))
    spent = {}
    for method in ("average", "minrank", "pagerank", "exact"):
        search.search(groups[0], 50, method)
        taken = []
        for seeds in groups:
            start = time.perf_counter()
            search.search(seeds, 50, method)
            taken.append(1e3 * (time.perf_counter() - start))
        spent[method] = taken
    return spent


def email_rows(seeds, restarts, threads):
    """Areas under recall, the error of the estimates, and Leiden beside the departments."""
    runs, errors, agreements = [], [], []
    for seed in seeds:
        mail = email(seed, threads)
        areas, milliseconds = mail.areas(restarts)
        runs.append(areas)
        errors.append(jaccard_error(mail.store, seed, threads))
        truth = mail.store.nodes["y"]
        agreements.append(
            [f(mail.partition.labels, truth) for f in (normalized_mutual_information, adjusted_rand_index)]
        )
        spent = ", ".join(f"{method} {value:.2f}" for method, value in milliseconds.items())
        _report.note(f"email-eu-core: {len(mail.communities)} departments, {mail.partition!r}; ms per search: {spent}")
    rows = [_report.Row.of("email-eu-core", f"{m}: area", areas_of(runs, m), PORT.get(m)) for m in METHODS]
    measured, theory = zip(*errors, strict=True)
    rows.append(_report.Row.of("email-eu-core", "RMSE of Jaccard estimates", measured))
    rows.append(_report.Row.of("email-eu-core", "RMSE of Jaccard estimates, theory", theory))
    for what, values in zip(("NMI", "ARI"), zip(*agreements, strict=True), strict=True):
        rows.append(_report.Row.of("email-eu-core", f"Leiden and departments: {what}", values))
    return rows


def areas_of(runs, method):
    """The mean over communities for every restart of every seed."""
    return np.concatenate([areas[method].mean(axis=0) for areas in runs])


def facebook_rows(seeds, restarts, threads):
    runs = []
    for seed in seeds:
        parts = [graph.areas(restarts)[0] for graph in facebook(seed, threads)]
        if not parts:
            _report.note("ego-facebook is left out: set NEARHOP_DATA to the folder of communities/facebook.tar.gz")
            return []
        runs.append({method: np.concatenate([part[method] for part in parts]) for method in METHODS})
        _report.note(f"ego-facebook: {len(runs[-1]['average'])} circles")
    return [_report.Row.of("ego-facebook", f"{m}: area", areas_of(runs, m)) for m in METHODS]


def twitter_rows(seeds, threads):
    runs = [twitter(seed, threads) for seed in seeds]
    rows = []
    for method in runs[0]:
        taken = [np.percentile(run[method], [50, 99]) for run in runs]
        for at, what in enumerate(("median", "99th percentile")):
            rows.append(_report.Row.of("ego-twitter", f"{method}: ms, {what}", [times[at] for times in taken]))
    return rows


def main() -> None:
    names = ["email-eu-core", "ego-facebook", "ego-twitter"]
    short = {"datasets": names[:2], "restarts": 2}
    parser = _report.parser(__doc__, datasets=names, choices=names, seeds=1, short=short)
    parser.add_argument("--restarts", type=_report.positive, default=20, help="per community")
    given = parser.parse_args()
    seeds = range(1, 1 + given.seeds)  # of the hash functions and of the seeds that are drawn
    rows = []
    if "email-eu-core" in given.datasets:
        rows += email_rows(seeds, given.restarts, given.threads)
    if "ego-facebook" in given.datasets:
        rows += facebook_rows(seeds, given.restarts, given.threads)
    if "ego-twitter" in given.datasets:
        rows += twitter_rows(seeds, given.threads)
    _report.show(rows, as_json=given.json, digits=3)


if __name__ == "__main__":
    main()
