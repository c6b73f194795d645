"""CANN on one thread and on several: seconds to build, and per set of queries, by the clock.

`python benchmarks/cann_threads.py [--colors 300 --per 1000 --sets 4] [--threads 2] [--repeats 5]`. The data are those
of `cann.py`. Thread counts run in turn and return the same colours, which is checked; figures are medians, and the
shortest runs beside them, which other work on the machine disturbs less. Processor seconds are of all threads together:
what several threads spend more than one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from _cann_data import planted
from _measure import versions

from nearhop.ann import CANN


def timed(runs: dict[int, Callable[[], object]], repeats: int) -> dict[int, tuple[float, float, float]]:
    """Median and least seconds of each, and median processor seconds, run in turn, after one run of each."""
    seconds: dict[int, list[float]] = {count: [] for count in runs}
    spent: dict[int, list[float]] = {count: [] for count in runs}
    for turn in range(repeats + 1):
        for count, run in runs.items():
            begin, before = time.perf_counter(), time.process_time()
            run()
            if turn:
                seconds[count].append(time.perf_counter() - begin)
                spent[count].append(time.process_time() - before)
    return {n: (float(np.median(taken)), min(taken), float(np.median(spent[n]))) for n, taken in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--colors", type=int, default=300)
    parser.add_argument("--per", type=int, default=1000)
    parser.add_argument("--sets", type=int, default=4)
    parser.add_argument("--features", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    print(versions(), end="\n\n")
    points, colors, sets = planted(given.colors, given.per, given.sets, given.features)
    two = f"{given.threads} : 1"
    print(f"| what | 1 thread, s | {given.threads} threads, s | {two} | shortest runs, s | {two} | processor s |")
    print("|---|---|---|---|---|---|---|")
    counts = (1, given.threads)

    def row(what: str, runs: dict[int, Callable[[], object]], share: int, repeats: int) -> None:
        taken = timed(runs, repeats)
        (one, least, work), (more, least_more, work_more) = (np.array(taken[count]) / share for count in counts)
        shortest = f"{least:.4g}, {least_more:.4g} | {least / least_more:.2f} | {work:.4g}, {work_more:.4g}"
        print(f"| {what} | {one:.4g} | {more:.4g} | {one / more:.2f} | {shortest} |", flush=True)

    def made(count: int) -> CANN:
        return CANN(threads=count).add(points, colors)

    row("build, 20 grids", {count: lambda c=count: made(c) for count in counts}, 1, given.repeats)  # type: ignore[misc]
    index = made(given.threads)
    for what, options in (("a set, grids", {}), ("a set, exact", {"exact": True})):
        found = {count: index.search(sets, 10, threads=count, matches=False, **options) for count in counts}
        np.testing.assert_array_equal(found[1].colors, found[given.threads].colors)
        np.testing.assert_array_equal(found[1].scores, found[given.threads].scores)
        runs = {
            count: lambda c=count, o=options: index.search(sets, 10, threads=c, matches=False, **o) for count in counts
        }
        row(what, runs, len(sets), given.repeats if not options else min(given.repeats, 4))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
