"""CANN beside the released algorithm, votes of nearest neighbours, and aggregation (VLAD, ASMK), on planted data.

`python benchmarks/cann.py [--colors 1000 --per 1000 --sets 5] [--without hnsw] [--curve]`. Every contender runs on
the same points in one process; seconds are of processor time, per set of `--features` queries. The released
algorithm builds its grids for each of 36 radii; of `--radii 3`, three are measured and their times scaled. Truth is
exact scoring; agreement is the share of its top 10 colours that are found.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from _cann_data import PlainReleased, agreement, plain_width, planted, votes
from _measure import versions

from nearhop.ann import CANN, HNSW, superellipse
from nearhop.ann.cann import released
from nearhop.ann.ivf.kmeans import kmeans

sys.path.append(str(Path(__file__).resolve().parents[1] / "examples"))
from _aggregation import Asmk, Vlad

K = 10
WORDS = 4096  # of the vocabulary of ASMK


def spent(run):
    """What `run` returns, and its processor seconds."""
    start = time.process_time()
    out = run()
    return out, time.process_time() - start


class Table:
    def __init__(self, truth, scores, sets):
        self.truth, self.scores, self.sets, self.rows = truth, scores, sets, []

    def add(self, name, build, query, top, scores=None, note=""):
        error = ""
        if scores is not None:
            error = f"{np.abs(scores - self.scores).mean() / self.scores.mean():.3f}"
        self.rows.append((name, build, query / self.sets * 1e3, agreement(top, self.truth), error, note))
        told = f"{query / self.sets * 1e3:.1f} ms a set, agreement {self.rows[-1][3]:.3f}"
        print(f"  {name}: built in {build:.1f} s, {told} {note}", flush=True)

    def show(self):
        base = self.rows[0]
        print("\n| | build s | ms a set | agreement@10 | score error | build x | query x | |")
        print("|---|---:|---:|---:|---:|---:|---:|---|")
        for name, build, query, agree, error, note in self.rows:
            ratios = f"{build / max(base[1], 1e-9):.1f} | {query / base[2]:.1f}"
            print(f"| {name} | {build:.1f} | {query:.1f} | {agree:.3f} | {error} | {ratios} | {note} |")


def scores_of(found, truth):
    """Scores of the true colours in a result, 0 where they are missing."""
    out = np.zeros(truth.shape)
    for s, row in enumerate(truth):
        known = dict(zip(found.colors[s].tolist(), found.scores[s].tolist(), strict=True))
        out[s] = [known.get(int(color), 0.0) for color in row]
    return out


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--colors", type=int, default=1000)
    arguments.add_argument("--per", type=int, default=1000)
    arguments.add_argument("--sets", type=int, default=5)
    arguments.add_argument("--features", type=int, default=1000)
    arguments.add_argument("--norm", type=float, default=512, help="of the vectors")
    arguments.add_argument("--noise", type=float, nargs=2, default=(20, 110))
    arguments.add_argument("--related", type=int, default=40, help="colours that overlap with a set")
    arguments.add_argument("--radius", type=float, default=120)
    arguments.add_argument(
        "--radii", type=int, default=36, help="of the released algorithm's 36, how many are measured"
    )
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument(
        "--without", nargs="*", default=[], help="of range, not verified, released, hnsw, faiss, vlad, asmk"
    )
    arguments.add_argument("--curve", action="store_true", help="query time over the number of colours instead")
    arguments.add_argument("--short", action="store_true", help="a small part, as tests run it")
    given = arguments.parse_args()
    if given.short:
        given.colors, given.per, given.sets, given.features, given.radii = 30, 100, 2, 100, 1
    print(versions("faiss-cpu"))
    if given.curve:
        curve(given)
        return
    points, colors, sets = planted(
        given.colors, given.per, given.sets, given.features, norm=given.norm, noise=given.noise, related=given.related
    )
    print(f"{len(points):,} points, {given.colors:,} colours, {given.sets} sets of {given.features}, "
          f"{given.threads} thread(s)")  # fmt: skip
    exact = CANN("l2", given.radius, method="exact", threads=given.threads).add(points, colors)
    exact.search(sets[0][:2], 1)  # compiles
    truth, seconds = spent(lambda: exact.search(sets, K, matches=False))
    table = Table(truth.colors, truth.scores, given.sets)
    own(table, points, colors, sets, given, truth)
    table.add("CANN exact", 0.0, seconds, truth.colors, truth.scores)
    for name, run in (("released", plain), ("hnsw", hnsw), ("faiss", faiss_ivf), ("vlad", vlad), ("asmk", asmk)):
        if name not in given.without:
            run(table, points, colors, sets, given)
    table.show()


def own(table, points, colors, sets, given, truth):
    """Grids, the range search and unverified grids."""
    ways: dict[str, dict[str, Any]] = {
        "grids": {}, "grids, 10 of them": {"num_grids": 10}, "grids, 8 candidates": {"candidates": 8},
        "range": {"method": "range"}, "grids, not verified": {"verified": False},
    }  # fmt: skip
    for name, options in ways.items():
        if name.split(",")[-1].strip() in given.without:
            continue
        CANN("l2", given.radius, threads=given.threads, **options).add(points[:2000], colors[:2000]).search(sets[0], K)
        index = CANN("l2", given.radius, threads=given.threads, **options)
        _, build = spent(lambda index=index: (index.add(points, colors), index.search(sets[0][:1], 1)))
        runs = [spent(lambda index=index: index.search(sets, K, matches=False)) for _ in range(3)]
        found, query = runs[0][0], float(np.median([one[1] for one in runs]))
        per = index.nbytes / len(points)
        scores = scores_of(index.search(sets, 100, matches=False), truth.colors)
        table.add(f"CANN {name}", build, query, found.colors, scores, f"{per:.0f} bytes a point")


def plain(table, points, colors, sets, given):
    """The released algorithm, some of its radii."""
    radii = released.radii(given.radius, released_shape())
    rotations, shifts = released.grids(points.shape[1], 20)
    index = PlainReleased(points, colors, radii, rotations, shifts, plain_width(points.shape[1], released.C))
    index.points, whole = index.points[:2000], index.points
    index.query(index.build(radii[0]), radii[0], sets[0][:5], np.zeros((5, index.num_colors), bool))  # compiles
    index.points = whole
    chosen = np.unique(np.linspace(0, len(radii) - 1, given.radii).astype(int))
    sums = np.zeros((len(sets), given.colors))
    seen = [np.zeros((len(q), given.colors), bool) for q in sets]
    build = query = 0.0
    for which in chosen:
        r = radii[which]
        grids, taken = spent(lambda r=r: index.build(r))
        build += taken
        for s, features in enumerate(sets):
            new, taken = spent(lambda g=grids, r=r, q=features, s=s: index.query(g, r, q, seen[s]))
            query += taken
            sums[s] += new * superellipse(float(r), given.radius)
        del grids
    factor = len(radii) / len(chosen)
    top = np.argsort(-sums, axis=1, kind="stable")[:, :K]
    note = f"{len(chosen)} radii"
    if len(chosen) < len(radii):
        note = f"{len(chosen)} of {len(radii)} radii measured, times scaled; agreement of those alone"
    table.add("released algorithm", build * factor, query * factor, top, None, note)


def released_shape():
    return CANN().shape


def hnsw(table, points, colors, sets, given):
    """Votes of the nearest neighbours in an HNSW graph."""
    rows = points.astype(np.float32)
    index = HNSW("l2", M=12, ef_construction=60, storage="int8", threads=given.threads)
    HNSW("l2", M=12, ef_construction=60, storage="int8", threads=given.threads).add(rows[:2000]).search(rows[:9], K)
    _, build = spent(lambda: index.add(rows))
    for k, ef in ((1, 16), (10, 16), (10, 32), (20, 32), (20, 64), (50, 128)):
        tops, query = [], 0.0
        for features in sets:

            def run(features=features, k=k, ef=ef):
                found = index.search(features.astype(np.float32), k, ef_search=ef)
                return votes((found.ids, found.distances), colors, given.colors, len(features), table_score(given))

            sums, taken = spent(run)
            query += taken
            tops.append(np.argsort(-sums, kind="stable")[:K])
        table.add(f"HNSW votes, k={k}, ef={ef}", build, query, tops)


def table_score(given):
    return lambda distances: superellipse(distances, given.radius)


def faiss_ivf(table, points, colors, sets, given):
    """Votes of the nearest neighbours in a FAISS inverted file."""
    try:
        import faiss
    except ImportError as error:
        print(f"faiss left out: {error}")
        return
    faiss.omp_set_num_threads(given.threads)
    rows = points.astype(np.float32)
    lists = int(4 * np.sqrt(len(rows)))
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(rows.shape[1]), rows.shape[1], lists)
    index.cp.niter = 5

    def made():
        index.train(rows[:: max(1, len(rows) // (lists * 40))])
        index.add(rows)

    _, build = spent(made)
    for k, probes in ((1, 1), (10, 1), (10, 4), (20, 4), (50, 16)):
        index.nprobe = probes
        tops, query = [], 0.0
        for features in sets:

            def run(features=features, k=k):
                distances, ids = index.search(features.astype(np.float32), k)
                return votes((ids, distances), colors, given.colors, len(features), table_score(given))

            sums, taken = spent(run)
            query += taken
            tops.append(np.argsort(-sums, kind="stable")[:K])
        table.add(f"FAISS IVF{lists} votes, k={k}, nprobe={probes}", build, query, tops)


def vlad(table, points, colors, sets, given):
    """Aggregated descriptors over a vocabulary of 64 words."""

    def made():
        form = Vlad(learned(points, 64, given))
        return form, form.table(images_of(points, colors, given))

    (form, table_of), build = spent(made)
    aggregated(table, "VLAD, 64 words", build, sets, lambda rows: table_of @ form.of(rows))


def asmk(table, points, colors, sets, given):
    """One residual per image and word of a larger vocabulary, in an inverted file."""
    count = min(WORDS, len(points) // 40)

    def made():
        return Asmk(learned(points, count, given)).index(images_of(points, colors, given))

    Asmk(points[:8].astype(np.float32)).index([points[:50]]).scores(points[:50])  # compiles
    form, build = spent(made)
    aggregated(table, f"ASMK, {count:,} words", build, sets, form.scores)


def learned(points, count, given):
    """Words of a sample of 50 points each."""
    sample = points[:: max(1, len(points) // min(200_000, max(50_000, 50 * count)))].astype(np.float32)
    return kmeans(sample, count, np.random.default_rng(0), given.threads)


def images_of(points, colors, given):
    return [points[colors == color] for color in range(given.colors)]


def aggregated(table, name, build, sets, scores):
    tops, query = [], 0.0
    for features in sets:
        top, taken = spent(lambda q=features: np.argsort(-scores(q), kind="stable")[:K])
        query += taken
        tops.append(top)
    table.add(name, build, query, tops)


def curve(given):
    """Milliseconds per set as colours grow at the same number of points each."""
    print(
        "\n| colours | points | grids: ms a set | range: ms a set | grids, agreement@10 |\n|---:|---:|---:|---:|---:|"
    )
    sizes = (100, 300, 1000, 3000) if not given.short else (20, 60)
    for count in sizes:
        points, colors, sets = planted(
            count, given.per, given.sets, given.features, norm=given.norm, noise=given.noise, related=given.related
        )
        times, tops = [], []
        for method in ("grids", "range"):
            index = CANN("l2", given.radius, method=method, threads=given.threads).add(points, colors)
            index.search(sets, K, matches=False)
            runs = [spent(lambda index=index, sets=sets: index.search(sets, K, matches=False)) for _ in range(5)]
            times.append(float(np.median([one[1] for one in runs])) / given.sets * 1e3)
            tops.append(runs[0][0].colors)
        truth = index.search(sets, K, exact=True, matches=False).colors if count <= 1000 else tops[1]
        print(f"| {count:,} | {len(points):,} | {times[0]:.1f} | {times[1]:.1f} | {agreement(tops[0], truth):.3f} |")


if __name__ == "__main__":
    main()
