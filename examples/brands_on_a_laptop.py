"""Communities of a few seeds by MinHash: recall on email-Eu-core and ego-Facebook, response times on ego-Twitter.

The protocol of the released code of arXiv:1601.03958: communities of 25 or more members, 5 random seeds, 20 restarts,
K = 100 and 50 bands of 2. The list grows to the size of the community, recall of the members that are not seeds is
recorded every 5 additions, and the figure is the area under that curve, its horizontal axis scaled to 1 (0.5 at best).
Beside the three rankings of the paper: ranking by exact Jaccard similarity, and Leiden on the whole graph, where nodes
are ranked by the number of seeds in their community, then by their links into it.

On ego-Facebook every ego's friends are a graph and the circles are the communities. ego-Twitter has no communities to
compare with; there, searches are timed against the 0.25 s that the paper calls real time.

    python examples/brands_on_a_laptop.py            # two minutes on a quiet machine
    python examples/brands_on_a_laptop.py --short    # 2 restarts, no ego-Twitter
"""

from __future__ import annotations

import argparse
import io
import json
import os
import tarfile
import time
from pathlib import Path

import numpy as np

import nearhop
from nearhop.ann import CommunitySearch, adjusted_rand_index, detect, normalized_mutual_information, recall_area
from nearhop.ann.minhash.sets import RaggedSets

K, BANDS, SEEDS, SMALLEST, EVERY = 100, 50, 5, 25, 5
METHODS = ("average", "minrank", "pagerank", "exact", "leiden")
PORT = {"average": 0.341, "minrank": 0.319, "pagerank": 0.222}  # of the released code, on the same file


class Graph:
    """A store, its communities as arrays of positions, and everything a ranking needs."""

    def __init__(self, store, communities, direction, seed):
        self.store, self.seed = store, seed
        self.search = CommunitySearch(store, K, bands=BANDS, seed=seed, direction=direction)
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


def email(seed):
    store = nearhop.datasets.load("email-eu-core")
    y = store.nodes["y"]
    return Graph(store, [np.flatnonzero(y == department) for department in range(int(y.max()) + 1)], "in", seed)


def facebook(seed):
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
            graphs.append(Graph(store, circles, "out", seed))
    return graphs


def _text(tar, name):
    member = tar.extractfile(name)
    return "" if member is None else member.read().decode()


def jaccard_error(store, seed):
    """Root mean square error of all estimates between nodes with followers, and what theory says."""
    sets = RaggedSets.of(store, direction="in")
    minhash = nearhop.ann.MinHash(K, seed=seed)
    filled = np.flatnonzero(sets.sizes() > 0)
    left, right = (filled[ends] for ends in np.triu_indices(len(filled), 1))
    exact = sets.jaccard(left, right).astype(np.float64)
    estimate = minhash.pair_similarity(minhash.fit_transform(store, direction="in"), left, right)
    return float(np.sqrt(np.mean((estimate - exact) ** 2))), float(np.sqrt(np.mean(exact * (1 - exact) / K)))


def twitter(seed, searches=100):
    """Seconds to build, and milliseconds of searches from five seeds that know each other, by method."""
    store = nearhop.datasets.load("ego-twitter")
    CommunitySearch(nearhop.datasets.load("karate"), K, bands=BANDS)  # compiles
    start = time.perf_counter()
    search = CommunitySearch(store, K, bands=BANDS, seed=seed)
    built = time.perf_counter() - start
    stats, rng, rows = search.index.stats(), np.random.default_rng(seed), store.csr()
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
        spent[method] = [float(value) for value in np.percentile(taken, [50, 99])]
    return {
        "nodes": store.num_nodes, "edges": store.num_edges, "build_s": built, "ms": spent,
        "bytes": stats.signature_bytes + stats.index_bytes,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="2 restarts instead of 20, no ego-Twitter")
    parser.add_argument("--restarts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of Markdown")
    given = parser.parse_args()
    restarts = 2 if given.short else given.restarts

    mail = email(given.seed)
    mail_areas, mail_ms = mail.areas(restarts)
    measured, theory = jaccard_error(mail.store, given.seed)
    departments = mail.store.nodes["y"]
    agreement = [f(mail.partition.labels, departments) for f in (normalized_mutual_information, adjusted_rand_index)]
    circles = [graph.areas(restarts)[0] for graph in facebook(given.seed)]
    circle_areas = {m: np.concatenate([part[m] for part in circles]) if circles else np.zeros((0, 1)) for m in METHODS}
    timed = None if given.short else twitter(given.seed)
    if given.json:
        told = {
            "email": {method: float(a.mean()) for method, a in mail_areas.items()},
            "facebook": {method: float(a.mean()) for method, a in circle_areas.items()} if circles else None,
            "rmse": measured, "theory": theory, "nmi": agreement[0], "ari": agreement[1], "twitter": timed,
        }  # fmt: skip
        print(json.dumps(told))
        return
    sizes = len(mail.communities), len(circle_areas["average"])
    print(f"K = {K}, {BANDS} bands, {SEEDS} seeds, {restarts} restarts; mean area under recall ± sd over restarts\n")
    print(f"| ranking | email-Eu-core, {sizes[0]} departments | released code | ego-Facebook, {sizes[1]} circles | "
          "ms per search |\n|---|---|---|---|---|")  # fmt: skip
    for method in METHODS:
        both = [f"{a.mean():.3f} ± {a.mean(axis=0).std():.3f}" if a.size else "-" for a in
                (mail_areas[method], circle_areas[method])]  # fmt: skip
        print(f"| {method} | {both[0]} | {PORT.get(method, '')} | {both[1]} | {mail_ms[method]:.2f} |")
    print(f"\nRMSE of Jaccard {measured:.4f}, theory {theory:.4f}: {100 * (measured / theory - 1):+.1f} %")
    print(f"{mail.partition!r}: NMI {agreement[0]:.3f}, ARI {agreement[1]:.3f} against departments")
    if timed is not None:
        size = f"{timed['nodes']:,} nodes, {timed['edges']:,} edges"
        print(f"\nego-Twitter, {size}: built in {timed['build_s']:.2f} s, {timed['bytes'] / 1e6:.0f} MB\n")
        print("| ranking | ms, median | 99th percentile |\n|---|---|---|")
        for method, (middle, high) in timed["ms"].items():
            print(f"| {method} | {middle:.2f} | {high:.2f} |")


if __name__ == "__main__":
    main()
