"""Edges per second and peak memory of `nearhop.ingest`, beside what people load edge lists with today.

Every contender runs in its own process on the same files of random edges. Anonymous memory (what the machine really
has to hold) is sampled from /proc/self/status and told apart from file-backed pages, which the system can drop.

    python benchmarks/ingest.py [--edges 5_000_000] [--others] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from _measure import versions

SMALL = 2_000_000


def make_files(folder: Path, edges: int) -> None:
    """Random edges as Parquet and CSV, with a weight column; made in pieces."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    nodes = max(edges // 10, 10)
    schema = pa.schema({"src": pa.int64(), "dst": pa.int64(), "weight": pa.float32()})
    parquet, text = folder / f"{edges}.parquet", folder / f"{edges}.csv"
    far, names = folder / f"{edges}-far.parquet", folder / f"{edges}-names.parquet"
    if names.exists():
        return
    with (
        pq.ParquetWriter(parquet, schema) as out,
        pyarrow.csv.CSVWriter(text, schema) as lines,
        pq.ParquetWriter(far, schema) as scattered,
    ):
        for start in range(0, edges, 1 << 20):
            count = min(1 << 20, edges - start)
            src, dst = rng.integers(0, nodes, (2, count))
            weight = np.round(rng.random(count, np.float32), 3)
            piece = pa.table({"src": src, "dst": dst, "weight": weight}, schema)
            out.write_table(piece)
            lines.write_table(piece)
            scattered.write_table(
                piece.set_column(0, "src", pa.array(src * 7_919 + 11)).set_column(1, "dst", pa.array(dst * 7_919 + 11))
            )
    few = pa.schema({"src": pa.string(), "dst": pa.string()})
    with pq.ParquetWriter(names, few) as out:
        for start in range(0, edges, 1 << 20):
            ends = rng.integers(0, nodes, (2, min(1 << 20, edges - start)))
            out.write_table(pa.table([pa.array([f"user{i}" for i in end]) for end in ends], schema=few))


def with_nearhop(source: Path, target: Path, limit: str) -> int:
    import nearhop

    shutil.rmtree(target, ignore_errors=True)
    return nearhop.ingest(
        source, target, weight=None if "names" in source.name else "weight", memory_limit=limit
    ).num_edges


def with_pandas(source: Path, target: Path, limit: str) -> int:
    import pandas as pd
    import scipy.sparse as sp

    table = pd.read_csv(source) if source.suffix == ".csv" else pd.read_parquet(source)
    src, dst = table["src"].to_numpy(), table["dst"].to_numpy()
    count = max(src.max(), dst.max()) + 1
    matrix = sp.coo_array((table["weight"].to_numpy(), (src, dst)), shape=(count, count)).tocsr()
    sp.save_npz(target.with_suffix(".npz"), matrix, compressed=False)
    return len(table)


def with_igraph(source: Path, target: Path, limit: str) -> int:
    import igraph
    import pandas as pd

    table = pd.read_csv(source) if source.suffix == ".csv" else pd.read_parquet(source)
    graph = igraph.Graph(edges=table[["src", "dst"]].to_numpy(), directed=False)
    graph.es["weight"] = table["weight"].to_numpy()
    return graph.ecount()


def with_networkx(source: Path, target: Path, limit: str) -> int:
    import networkx as nx
    import pandas as pd

    table = pd.read_csv(source) if source.suffix == ".csv" else pd.read_parquet(source)
    nx.from_pandas_edgelist(table, "src", "dst", "weight")
    return len(table)


CONTENDERS = {"nearhop": with_nearhop, "pandas+scipy": with_pandas, "igraph": with_igraph, "networkx": with_networkx}


def child(name: str, source: str, target: str, limit: str) -> None:
    """Run one contender in this process and print its figures as JSON."""
    peak = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.02):
            for line in Path("/proc/self/status").read_text().splitlines():
                if line.startswith("RssAnon"):
                    peak = max(peak, int(line.split()[1]))

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    edges = CONTENDERS[name](Path(source), Path(target), limit)
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"edges": edges, "seconds": seconds, "anonymous": peak / 2**20, "rss": rss / 2**20}))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--edges", type=int, default=5_000_000)
    parser.add_argument("--limit", default="2GiB")
    parser.add_argument("--others", action="store_true", help="also what people use today")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "nearhop-ingest-benchmark")
    parser.add_argument("--child", nargs=4)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    options.folder.mkdir(exist_ok=True)
    make_files(options.folder, options.edges)
    print(versions("duckdb", "pyarrow", "pandas", "scipy", "igraph", "networkx"))
    print(f"\n{options.edges:,} edges, {options.edges // 10:,} nodes, memory_limit {options.limit}\n")
    print("| source | contender | s | million edges/s | peak anonymous GiB | peak RSS GiB |\n|---|---|---|---|---|---|")
    runs = [(f"{options.edges}{end}", "nearhop") for end in (".parquet", ".csv", "-far.parquet", "-names.parquet")]
    if options.others:
        for end in (".parquet", ".csv"):
            runs += [(f"{options.edges}{end}", name) for name in CONTENDERS if name != "nearhop"]
    for file, name in runs:
        if name == "networkx" and options.edges > SMALL:
            continue
        target = options.folder / "out.nh"
        command = [sys.executable, __file__, "--child", name, str(options.folder / file), str(target), options.limit]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            told = done.stderr.strip().splitlines()[-1] if done.stderr else done.returncode
            print(f"| {file} | {name} | failed: {told} |")
            continue
        got = json.loads(done.stdout.splitlines()[-1])
        rate = got["edges"] / got["seconds"] / 1e6
        print(
            f"| {file} | {name} | {got['seconds']:.1f} | {rate:.2f} | {got['anonymous']:.2f} | {got['rss']:.2f} |",
            flush=True,
        )
        shutil.rmtree(target, ignore_errors=True)
        target.with_suffix(".npz").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
