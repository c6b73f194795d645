"""Communities of a few seeds on email-Eu-core: recall of departments by three rankings of MinHash neighbours.

The protocol of the released code of arXiv:1601.03958: departments of 25 or more members, 5 random seeds, 20 restarts,
K = 100 and 50 bands of 2. The list grows to the size of the department and recall of the remaining members is recorded
every 5 additions; the figure is the area under that curve over additions / size (about 0.5 at best). The strict column
ends the curve where a perfect ranking would be complete, 5 additions earlier.

    python examples/brands_on_a_laptop.py            # under a minute on a quiet machine
    python examples/brands_on_a_laptop.py --short    # 3 restarts
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

import nearhop
from nearhop.ann import CommunitySearch, adjusted_rand_index, detect, normalized_mutual_information, recall_area
from nearhop.ann.sets import RaggedSets

K, BANDS, SEEDS, SMALLEST = 100, 50, 5, 25
METHODS = ("average", "minrank", "pagerank", "exact")
RELEASED = {"average": 0.341, "minrank": 0.319, "pagerank": 0.222}


def recall_areas(store, restarts, seed):
    """Mean areas by method, as (protocol, strict), and milliseconds per search."""
    departments = store.nodes["y"]
    search = CommunitySearch(store, K, bands=BANDS, seed=seed)
    rng = np.random.default_rng(seed)
    large = np.flatnonzero(np.bincount(departments) >= SMALLEST)
    trials = []
    for department in large:
        members = np.flatnonzero(departments == department)
        trials += [(members, rng.choice(members, SEEDS, replace=False)) for _ in range(restarts)]
    result = {}
    for method in METHODS:
        areas, start = [], time.perf_counter()
        for members, seeds in trials:
            ranking = search.search(seeds, len(members), method).ids
            rest, size = np.setdiff1d(members, seeds), len(members)
            areas.append(
                (
                    recall_area(ranking, rest, size=size, every=5),
                    recall_area(ranking, rest, size=size, until=len(rest)),
                )
            )
        result[method] = (*np.mean(areas, axis=0), 1e3 * (time.perf_counter() - start) / len(trials))
    return result, len(large)


def jaccard_error(store, seed):
    """Root mean square error of all estimates between nodes with followers, and what theory says."""
    sets = RaggedSets.of(store, direction="in")
    minhash = nearhop.ann.MinHash(K, seed=seed)
    filled = np.flatnonzero(sets.sizes() > 0)
    left, right = (filled[ends] for ends in np.triu_indices(len(filled), 1))
    exact = sets.jaccard(left, right).astype(np.float64)
    estimate = minhash.pair_similarity(minhash.fit_transform(store, direction="in"), left, right)
    return float(np.sqrt(np.mean((estimate - exact) ** 2))), float(np.sqrt(np.mean(exact * (1 - exact) / K)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="3 restarts instead of 20")
    parser.add_argument("--restarts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of Markdown")
    given = parser.parse_args()

    store = nearhop.datasets.load("email-eu-core")
    areas, count = recall_areas(store, 3 if given.short else given.restarts, given.seed)
    measured, theory = jaccard_error(store, given.seed)
    whole = detect(store, seed=given.seed)
    agreement = [f(whole.labels, store.nodes["y"]) for f in (normalized_mutual_information, adjusted_rand_index)]
    if given.json:
        rows = {method: {"area": a, "strict": s} for method, (a, s, _) in areas.items()}
        print(json.dumps({"areas": rows, "rmse": measured, "theory": theory, "nmi": agreement[0]}))
        return
    print(f"email-Eu-core, {count} departments, K = {K}, {BANDS} bands, {SEEDS} seeds\n")
    print("| ranking | area | strict | released code | ms per search |\n|---|---|---|---|---|")
    for method, (area, strict, ms) in areas.items():
        print(f"| {method} | {area:.3f} | {strict:.3f} | {RELEASED.get(method, '')} | {ms:.2f} |")
    print(f"\nRMSE of Jaccard {measured:.4f}, theory {theory:.4f}: {100 * (measured / theory - 1):+.1f} %")
    print(f"{whole!r}: NMI {agreement[0]:.3f}, ARI {agreement[1]:.3f} against departments")


if __name__ == "__main__":
    main()
