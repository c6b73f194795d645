"""MinHash signatures against datasketch, rensa and gaoya; neighbourhood signatures; index build, queries and memory.

`python benchmarks/minhash.py [--short] [--threads 1]`. Sets of 50 integers, K = 128. datasketch hashes integers by
themselves (`hashfunc` is the identity), as the others do; it has one thread. gaoya makes signatures only inside its
index, so its line includes hashing 50 words and filling 32 buckets per set. rensa's rho sketches are another, sparser
kind of signature, shown beside its MinHash.
"""

from __future__ import annotations

import argparse
import importlib
import os
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from _measure import copy_bandwidth, interleave, table, versions

import nearhop
from nearhop.ann.lsh.index import LSH
from nearhop.ann.minhash.minhash import MinHash

K, TOKENS = 128, 50


def signatures(count, repeats, few, threads):
    """Sets per second; datasketch and gaoya sign the first `few` sets only."""
    values = np.random.default_rng(0).integers(0, 1 << 32, (count, TOKENS), dtype=np.int64)
    contenders: dict[str, Callable[[], object]] = {
        f"nearhop {scheme}": partial(MinHash(K, scheme, threads=threads).fit_transform, values)
        for scheme in ("kperm", "oph", "cminhash")
    }
    lists = values[:few].tolist()
    try:
        rensa = importlib.import_module("rensa")

        flat = values.astype(np.uint64).reshape(-1)
        ends = np.arange(0, flat.size + 1, TOKENS, dtype=np.uint64)
        kind = rensa.RMinHash
        contenders["rensa"] = lambda: kind.digest_matrix_from_flat_token_hashes(flat, ends, K, 1)
        contenders["rensa rho"] = lambda: kind.digest_matrix_from_flat_token_hashes_rho(flat, ends, K, 1)
    except ImportError as error:
        print(f"rensa left out: {error}")
    timings = interleave(contenders, repeats=repeats)
    print(f"\n{count:,} sets of {TOKENS} integers, K = {K}, {threads} thread(s) each\n")
    print(table(timings, baseline="rensa" if "rensa" in contenders else "nearhop kperm", work=count, unit="sets/s"))

    part = values[:few]
    others: dict[str, Callable[[], object]] = {"nearhop kperm": lambda: MinHash(K, threads=threads).fit_transform(part)}
    try:
        import datasketch

        others["datasketch bulk"] = lambda: datasketch.MinHash.bulk(lists, num_perm=K, hashfunc=int)
    except ImportError as error:
        print(f"datasketch left out: {error}")
    try:
        gaoya = importlib.import_module("gaoya.minhash")

        texts = [" ".join(map(str, row)) for row in lists]

        def fill():
            index = gaoya.MinHashStringIndex(
                hash_size=32, jaccard_threshold=0.5, num_bands=32, band_size=4, analyzer="word"
            )
            index.par_bulk_insert_docs(list(range(few)), texts)

        others["gaoya index of texts"] = fill
    except ImportError as error:
        print(f"gaoya left out: {error}")
    timings = interleave(others, repeats=min(repeats, 3))
    print(f"\n{few:,} sets of {TOKENS} integers, K = {K}, {threads} thread(s) each\n")
    print(
        table(
            timings,
            baseline="datasketch bulk" if "datasketch bulk" in others else "nearhop kperm",
            work=few,
            unit="sets/s",
        )
    )


def neighbourhoods(name, store, repeats, bandwidth):
    """Signatures of all neighbourhoods of a store, edges per second, beside what memory alone would take."""
    rows = store.csr()
    entries = rows.num_entries
    moved = rows.indices.nbytes + rows.indptr.nbytes + 4 * K * store.num_nodes
    contenders = {
        f"{scheme}, {threads} thread{'s' if threads > 1 else ''}": partial(
            MinHash(K, scheme, threads=threads).fit_transform, store
        )
        for threads in (1, 2)
        for scheme in ("kperm", "oph", "cminhash")
    }
    least = moved / bandwidth / 1e9
    print(
        f"\n{name}: {store.num_nodes:,} nodes, {entries:,} entries; adjacency and signatures are {moved / 1e6:.0f} MB,"
    )
    print(f"which one thread copies in {least:.3f} s ({entries / least / 1e6:.0f} M edges/s)\n")
    timings = interleave(contenders, repeats=repeats)
    print(table(timings, baseline="kperm, 1 thread", work=entries / 1e6, unit="M edges/s"))


def queries(count):
    """Build, memory and latency of an index of `count` sets in families of ten."""
    rng = np.random.default_rng(0)
    values = np.repeat(rng.integers(0, 1 << 31, (count // 10, 30), dtype=np.int64), 10, axis=0)
    noise = rng.random(values.shape) < 0.3
    values[noise] = rng.integers(0, 1 << 31, int(noise.sum()))
    made = MinHash(K).fit_transform(values)
    start = time.perf_counter()
    index = LSH(MinHash(K), bands=64).add(made)
    built = time.perf_counter() - start
    stats = index.stats()
    seconds = []
    for row in rng.integers(0, count, 1000):
        start = time.perf_counter()
        index.search_ids([int(row)], 10, threads=1)
        seconds.append(time.perf_counter() - start)
    middle, high = np.percentile(seconds[10:], [50, 99]) * 1e3
    start = time.perf_counter()
    found = sum(len(part.src) for part in index.pairs(0.4))
    paired = time.perf_counter() - start
    print(f"\nIndex of {count:,} sets, K = {K}, 64 bands of 2\n")
    print("| build s | index / signatures | query median ms | 99th percentile ms | all pairs >= 0.4: s | pairs |")
    print("|---|---|---|---|---|---|")
    share = stats.index_bytes / stats.signature_bytes
    print(f"| {built:.2f} | {share:.3f} | {middle:.3f} | {high:.3f} | {paired:.2f} | {found:,} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a tenth of the sizes, under a minute")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="of every contender of the first two tables")
    given = parser.parse_args()
    os.environ["RAYON_NUM_THREADS"] = str(given.threads)  # read when rensa and gaoya first start their pools
    print(versions("datasketch", "rensa", "gaoya"))
    bandwidth = copy_bandwidth(128)
    print(f"copy bandwidth {bandwidth:.1f} GB/s")
    signatures(100_000, given.repeats, 5_000 if given.short else 20_000, given.threads)
    rng = np.random.default_rng(0)
    nodes, edges = (100_000, 5_000_000) if given.short else (1_000_000, 50_000_000)
    if not given.short:
        neighbourhoods("ego-Twitter", nearhop.datasets.load("ego-twitter"), 3, bandwidth)
    ends = rng.integers(0, nodes, (2, edges), dtype=np.int32)
    store = nearhop.GraphStore.from_edges(ends[0], ends[1], num_nodes=nodes, directed=True)
    neighbourhoods("random graph", store, 1 if given.short else 3, bandwidth)
    queries(100_000 if given.short else 1_000_000)


if __name__ == "__main__":
    main()
