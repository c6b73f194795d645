"""Options that several index commands share."""

from __future__ import annotations

from typing import Any

import typer

VECTORS = (
    "Vectors: .npy, .fvecs, .bvecs, .ivecs, .hdf5, .parquet, .csv, a store with --column, or - for standard input."
)
INDEX = "An index of nearhop, hnswlib or FAISS, or a store that holds one."

Index: Any = typer.Argument(help=INDEX)
Name: Any = typer.Option("hnsw", "--name", help="Name of the index, for an index that lives in a store.")
Sets: Any = typer.Option(
    None, help="Of a cann index: the set of each query vector, a column of the source or a .npy file; default: one set."
)
Metric: Any = typer.Option(None, help="l2, ip or cosine; needed for hnswlib files, which do not say.")
Column: Any = typer.Option(None, help="A store's or table's column, or an HDF5 file's dataset, with the vectors.")
Ids: Any = typer.Option(None, help="Ids, integers or text: a column of the source, or a .npy file.")
K: Any = typer.Option(10, "-k", help="Neighbours per query.")
Threads: Any = typer.Option(None, help="Default: all cores.")
Limit: Any = typer.Option(1000, help="Use at most this many queries, evenly spread.")
Effort: Any = typer.Option(
    None, "--effort", "--ef-search", "--nprobe",
    help="Beam widths (HNSW), lists probed (inverted files) or candidates (cann) to try, separated by commas.",
)  # fmt: skip
Truth: Any = typer.Option(
    None, help="True neighbours instead of an exact search: .ivecs, .npy of ids, or .hdf5 with a dataset 'neighbors'."
)
