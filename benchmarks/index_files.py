"""Index files: seconds to read and write MNIST as hnswlib, FAISS and nearhop files, beside those libraries.

    python benchmarks/index_files.py [--rows 60000] [--repeats 5]

One graph (M 16) is written once and then read by everyone; files lie in the page cache. "copy" is a plain read of the
file's bytes into memory, the bound for a reader that has to copy.
"""

from __future__ import annotations

import argparse
import gzip
import tempfile
from pathlib import Path

import faiss
import hnswlib
import numpy as np
from _measure import interleave, table, versions

from nearhop import ann
from nearhop.ann.formats import write_faiss, write_hnswlib
from nearhop.tests.support import data_folder


def theirs(path: Path, dim: int) -> hnswlib.Index:
    index = hnswlib.Index("l2", dim)
    index.load_index(str(path))
    return index


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    folder = data_folder()
    if folder is None:
        raise SystemExit("needs the MNIST files ann/mnist-*.gz; set NEARHOP_DATA to the folder that holds ann/")
    raw = gzip.decompress((folder / "ann/mnist-train-images-idx3-ubyte.gz").read_bytes())
    dim = 784
    vectors = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, dim).astype(np.float32)[: options.rows]
    index = ann.HNSW(M=16, ef_construction=60).add(vectors)
    with tempfile.TemporaryDirectory() as place:
        bin_, fai, own = (Path(place) / name for name in ("a.bin", "a.faiss", "a.nh"))
        write_hnswlib(index, bin_)
        write_faiss(index, fai)
        index.save(own)
        held, flat = theirs(bin_, dim), faiss.read_index(str(fai))
        new = Path(place) / "new"
        reads = {
            "copy of the .bin": lambda: np.fromfile(bin_, np.uint8),
            "hnswlib reads .bin": lambda: theirs(bin_, dim),
            "nearhop reads .bin": lambda: ann.load(bin_, metric="l2"),
            "FAISS reads .faiss": lambda: faiss.read_index(str(fai)),
            "nearhop reads .faiss": lambda: ann.load(fai),
            "nearhop opens its own": lambda: ann.load(own),
        }
        writes = {
            "hnswlib writes .bin": lambda: held.save_index(str(new)),
            "nearhop writes .bin": lambda: write_hnswlib(index, new, overwrite=True),
            "FAISS writes .faiss": lambda: faiss.write_index(flat, str(new)),
            "nearhop writes .faiss": lambda: write_faiss(index, new, overwrite=True),
        }
        print(versions("hnswlib", "faiss-cpu"))
        print(f"\n{len(vectors):,} x {dim}, .bin {bin_.stat().st_size / 2**20:.0f} MiB\n")
        print(table(interleave(reads, repeats=options.repeats), baseline="hnswlib reads .bin"))
        print("\nnearhop syncs its files to the device before it renames them; the others do not.\n")
        print(table(interleave(writes, repeats=options.repeats), baseline="hnswlib writes .bin"))


if __name__ == "__main__":
    main()
