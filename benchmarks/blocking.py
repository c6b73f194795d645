"""Blocking synthetic tables: the n-gram blocker beside scikit-learn's TF-IDF with sparse products and sparse_dot_topn.

python benchmarks/blocking.py [--records 100000] [--queries 2000] [--own-queries 0] [-k 10] [--threads 2] [--no-peers]

Names and addresses with two typing errors on average. scikit-learn makes character 3-grams within words, the same grams
as ours; products are SciPy's, in blocks of rows of which the k largest are kept, or sparse_dot_topn's. Where a part of
the records is looked up (`--queries`, `--own-queries`), times are those of all by proportion. CPU seconds are of all
threads together, and depend less than seconds on what else the machine does.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from _measure import versions

from nearhop.blocking import NGramBlocker, Records, quality

_SYLLABLES = [a + b for a in "bcdfghjklmnprstvwz" for b in ("a", "e", "i", "o", "u", "an", "er", "in", "on", "ar")]


def words(count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(_SYLLABLES, rng.integers(2, 5))) for _ in range(count)]


def texts_of(count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    pools = [words(n, place) for place, n in enumerate((200, 20_000, 8000, 2000))]
    picks = [np.minimum(rng.pareto(0.8, count) * len(pool) / 60, len(pool) - 1).astype(int) for pool in pools]
    numbers, codes = rng.integers(1, 999, count), rng.integers(10_000, 99_999, count)
    return [
        f"{pools[0][a]} {pools[1][b]} {number} {pools[2][c]} street {pools[3][d]} {code}"
        for a, b, c, d, number, code in zip(*picks, numbers, codes, strict=True)
    ]


def with_errors(texts: list[str], seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    counts, made = rng.poisson(2, len(texts)), []
    for text, count in zip(texts, counts, strict=True):
        letters = list(text)
        for at, what in zip(rng.integers(0, len(letters) - 8, count), rng.integers(0, 3, count), strict=True):
            if what == 0:
                letters[at] = "x"
            elif what == 1:
                letters.insert(at, "y")
            else:
                del letters[at]
        made.append("".join(letters))
    return made


def spent(run: Callable[[], Any]) -> tuple[Any, float, float]:
    """The result, seconds and CPU seconds."""
    begin, busy = time.perf_counter(), time.process_time()
    found = run()
    return found, time.perf_counter() - begin, time.process_time() - busy


def vectors_by_sklearn(left: list[str], right: list[str]) -> tuple[Any, Any]:
    """TF-IDF rows of the left texts, and columns of the right ones."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    made = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 3), dtype=np.float32)
    held = made.fit_transform(right)
    return made.transform(left), held.T.tocsr()


def by_blocks(query: Any, columns: Any, k: int, threads: int) -> np.ndarray:
    """SciPy's product in blocks of rows, of which the k largest are taken; the nearest of each row."""
    best = []
    for start in range(0, query.shape[0], 500):
        product = (query[start : start + 500] @ columns).tocsr()
        for row in range(product.shape[0]):
            part = slice(product.indptr[row], product.indptr[row + 1])
            values = product.data[part]
            some = np.argpartition(-values, k)[:k] if len(values) > k else np.arange(len(values))
            best.append(product.indices[part][some[np.argmax(values[some])]] if len(values) else -1)
    return np.array(best)


def by_topn(query: Any, columns: Any, k: int, threads: int) -> np.ndarray:
    from sparse_dot_topn import sp_matmul_topn

    return np.asarray(sp_matmul_topn(query, columns, top_n=k, n_threads=threads).argmax(axis=1)).ravel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=2000, help="that the peers answer")
    parser.add_argument("--own-queries", type=int, default=0, help="that nearhop answers; 0 for all")
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-peers", action="store_true")
    options = parser.parse_args()
    n, k = options.records, options.k
    right = texts_of(n, 1)
    left = with_errors(right, 2)
    tables = [Records.of({"text": texts}) for texts in (left, right)]
    few = Records.of({"text": left[:100]})
    NGramBlocker(threads=options.threads).block(few, few, k=k)  # compiled
    print(versions("scikit-learn", "sparse-dot-topn"))
    print(f"\n{n:,} x {n:,} records, k = {k}, {options.threads} threads\n")
    print("| | seconds | CPU seconds | answered | nearest is the match | peak MiB |\n|---|---|---|---|---|---|")

    def line(what: str, seconds: float, busy: float, count: int, share: float) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"| {what} | {seconds:,.1f} | {busy:,.1f} | {count:,} | {share:.4f} | {peak:,.0f} |", flush=True)

    blocker = NGramBlocker(threads=options.threads)
    _, seconds, busy = spent(lambda: blocker.index(tables[1]))
    line("nearhop, index", seconds, busy, 0, float("nan"))
    own = np.arange(0, n, max(1, n // options.own_queries) if options.own_queries else 1)
    some = tables[0].chosen(own)
    pairs, seconds, busy = spent(lambda: blocker.query(some, k=k))
    found = quality(pairs, np.stack([np.arange(len(own)), own], axis=1), 1).pc
    line("nearhop, query", seconds * n / len(own), busy * n / len(own), len(own), found)
    if options.no_peers:
        return
    asked = np.arange(0, n, max(1, n // options.queries))
    (query, columns), seconds, busy = spent(lambda: vectors_by_sklearn(left, right))
    line("scikit-learn, TF-IDF of both", seconds, busy, 0, float("nan"))
    for what, product in (("SciPy, blocked products", by_blocks), ("sparse_dot_topn", by_topn)):
        if product is by_topn and importlib.util.find_spec("sparse_dot_topn") is None:
            continue
        best, seconds, busy = spent(functools.partial(product, query[asked], columns, k, options.threads))
        share = float((best == asked).mean())
        line(what, seconds * n / len(asked), busy * n / len(asked), len(asked), share)


if __name__ == "__main__":
    main()
