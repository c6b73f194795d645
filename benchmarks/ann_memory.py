"""HNSW whose vectors stay in their file: private memory a vector, and queries a second at equal recall.

python benchmarks/ann_memory.py [--data mnist minilm sift] [--repeats 3] [--keep FOLDER]

Every index (M 16, ef_construction 200) is opened by a process of its own: nearhop's float32 and hnswlib's in memory,
codes and links of the others in memory and their vectors mapped (`in_memory="walks"`). Bytes are what the process's
private memory grew by (RssAnon), queries per processor second at recall@10 of 0.95 and 0.99 those of the first beam
that finds as much, one thread, the processes in turn, median. "First" is the time by the clock of the first 1,000
queries, at the beam for 0.95, after the files' pages were given up and the index was opened.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _ann_data import dataset
from _measure import versions

from nearhop import ann

STORAGES = ("float32", "int8", "int4", "1bit")
BEAMS = (10, 12, 14, 17, 20, 25, 30, 40, 55, 75, 100, 150, 220, 320, 480)
K = 10


def private_bytes() -> int:
    """What this process holds in memory of its own."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024


def give_up_pages(path: Path) -> None:
    """Ask the system to forget what it holds of files."""
    for file in [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]:
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def serve(pipe: Any, name: Any, path: Path, queries: np.ndarray, metric: Any) -> None:
    """Open an index, say what it took, and answer (number of queries, beam) with ids and seconds."""
    if name != "hnswlib":  # compiled before anything is measured
        ann.HNSW(metric, storage=name).add(queries[:300]).search(queries[:50], K, threads=1)
    before = private_bytes()
    if name == "hnswlib":
        import hnswlib

        index: Any = hnswlib.Index(metric, queries.shape[1])
        index.load_index(str(path))
        index.set_num_threads(1)
    else:
        index = ann.load(path, in_memory=True if name == "float32" else "walks")
    pipe.send(private_bytes() - before)
    while (asked := pipe.recv()) is not None:
        count, beam = asked
        start = time.process_time(), time.perf_counter()
        if name == "hnswlib":
            index.set_ef(beam)
            ids = index.knn_query(queries[:count], K, num_threads=1)[0]
        else:
            ids = index.search(queries[:count], K, ef_search=beam, threads=1).ids
        pipe.send((ids, time.process_time() - start[0], time.perf_counter() - start[1]))


def build(name: str, path: Path, vectors: np.ndarray, metric: Any) -> None:
    if path.exists():
        return
    if name == "hnswlib":
        import hnswlib

        index = hnswlib.Index(metric, vectors.shape[1])
        index.init_index(len(vectors), M=16, ef_construction=200)
        index.add_items(vectors)
        index.save_index(str(path))
    else:
        storage: Any = name
        ann.HNSW(metric, M=16, ef_construction=200, storage=storage).add(vectors).save(path)


def measure(data: str, folder: Path, repeats: int) -> None:
    vectors, queries, metric = dataset(data, 0)
    queries = queries[:3000]
    kind: Any = metric
    truth = ann.Exact(metric=kind).add(vectors).search(queries, K).ids
    context = multiprocessing.get_context("spawn")
    lines: dict[str, str] = {}
    held: dict[str, float] = {}
    servers: dict[str, tuple[Any, Any]] = {}

    def ask(name: str, beam: int, count: int = len(queries)) -> tuple[float, float, float]:
        servers[name][0].send((count, beam))
        ids, processor, clock = servers[name][0].recv()
        found = np.mean([len(np.intersect1d(a, b)) / K for a, b in zip(ids, truth[:count], strict=True)])
        return float(found), processor, clock

    def start(name: str) -> None:
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, name, folder / f"{data}-{name}", queries, metric))
        process.start()
        servers[name] = ours, process
        held[name] = ours.recv() / len(vectors)

    def stop(name: str) -> None:
        servers[name][0].send(None)
        servers.pop(name)[1].join()

    names = (*STORAGES, "hnswlib")
    for name in names:
        build(name, folder / f"{data}-{name}", vectors, metric)
        start(name)
    beams: dict[tuple[str, float], int] = {}
    for name in names:
        reached = [(beam, ask(name, beam)[0]) for beam in BEAMS]
        for goal in (0.95, 0.99):
            beams[name, goal] = next((beam for beam, found in reached if found >= goal), 0)
    taken: dict[tuple[str, float], list[float]] = {key: [] for key in beams}
    for _ in range(repeats):
        for key, beam in beams.items():
            if beam:
                taken[key].append(ask(key[0], beam)[1])
    for name in names:
        stop(name)
        give_up_pages(folder / f"{data}-{name}")
        start(name)
        first = ask(name, beams[name, 0.95] or BEAMS[-1], 1000)[2]
        rates = [
            f"{len(queries) / np.median(taken[name, goal]):,.0f} ({beams[name, goal]})" if beams[name, goal] else "-"
            for goal in (0.95, 0.99)
        ]
        lines[name] = f"{rates[0]} | {rates[1]} | {1e3 * first:,.0f} ms"
        stop(name)
    for name in names:
        share = held[name] / held["float32"]
        print(f"| {data} | {name} | {held[name]:,.0f} | {share:.2f} | {lines[name]} |", flush=True)


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", nargs="+", default=["mnist", "minilm", "sift"])
    made.add_argument("--repeats", type=int, default=3)
    made.add_argument("--keep", type=Path, help="a folder where indexes are kept between runs")
    given = made.parse_args()
    print(versions("hnswlib"), end="\n\n")
    print("| data | index | bytes a vector | of float32 | recall 0.95 (beam) | 0.99 (beam) | first 1,000 |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        folder = given.keep or Path(place)
        folder.mkdir(parents=True, exist_ok=True)
        for data in given.data:
            measure(data, folder, given.repeats)


if __name__ == "__main__":
    main()
