"""nearhop index info, verify."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from ..output import Json, emit
from . import options

_PARAMETERS = (
    "M", "ef_construction", "storage", "nlist", "nprobe", "method", "radius", "shape", "num_points", "num_grids",
    "candidates", "seed",
)  # fmt: skip


def register(app: typer.Typer) -> None:
    app.command(no_args_is_help=True)(info)
    app.command(no_args_is_help=True)(verify)


def info(
    index: Path = options.Index,
    metric: str | None = options.Metric,
    name: str = options.Name,
    as_json: bool = Json,
) -> None:
    """What an index holds: kind, metric, rows, deleted rows, width, links, parameters, memory, checksums.

    Example: nearhop index info vectors.index.nh
    """
    from ...ann.formats import detect

    if metric is None and detect(index).name == "hnswlib":
        emit(_hnswlib_header(index), as_json=as_json)  # all that the file says; links are read once the metric is given
        return
    emit(_told(index, name, metric), as_json=as_json)


def verify(
    index: Path = options.Index,
    metric: str | None = options.Metric,
    name: str = options.Name,
    as_json: bool = Json,
) -> None:
    """Read every byte of an index and check it: checksums where there are some, counts, links, values.

    Exit code 4 if anything is damaged.

    Example: nearhop index verify vectors.index.nh
    """
    from ...ann.formats import detect
    from .files import open_index

    if metric is None and detect(index).name.startswith("hnswlib"):
        metric = "l2"  # no check depends on it
    opened = open_index(index, name, metric, kinds=("cann", "lsh"))
    told: dict[str, Any] = {"index": str(index), "sound": True, "format": opened.form, "rows": len(opened.index)}
    if opened.store is not None:
        found = opened.store.verify()
        told |= {"checksums": "checked", "files": found.files, "bytes": found.bytes}
    else:  # opening the file has read and checked all of it
        told |= {"checksums": "the format has none", "files": 1, "bytes": index.stat().st_size}
    if hasattr(opened.index, "verify"):  # of an index with links
        told["unreachable"] = opened.index.verify().unreachable
    emit(told, as_json=as_json)


def _told(path: Path, name: str, metric: str | None) -> dict[str, Any]:
    from .files import open_index

    opened = open_index(path, name, metric, kinds=("cann", "lsh"))
    held = opened.index
    kind = type(held).__name__.lower()
    told: dict[str, Any] = {"index": str(path), "kind": kind, "format": opened.form, "class": opened.detail}
    told |= {"metric": getattr(held, "metric", None), "rows": len(held), "dim": getattr(held, "dim", None)}
    told["deleted"] = held._rows.num_dead
    for parameter in _PARAMETERS:
        value = getattr(held, parameter, None)
        if value is not None and not callable(value):
            told[parameter] = value
    if hasattr(held, "stats"):
        told |= vars(held.stats())
    elif held.nbytes:
        told["nbytes"] = held.nbytes
    if opened.form == "faiss":
        told |= _faiss_blocks(path)
    if opened.store is not None:
        told["attributes"] = ", ".join(opened.attributes()) or None
        size = opened.store.estimate().disk_bytes
        checksums = "every file has them; nearhop index verify reads them"
    else:
        size, checksums = path.stat().st_size, "none in this format"
    return {**told, "file_bytes": size, "checksums": checksums}


def _faiss_blocks(path: Path) -> dict[str, Any]:
    from ...ann.formats.faiss_read import NotReadHere, parse_faiss

    try:
        parsed = parse_faiss(path)
    except NotReadHere:
        return {}
    told: dict[str, Any] = {"class": " > ".join(parsed.classes), "storage": parsed.storage}
    return told if parsed.graph is None else {**told, "ef_search": parsed.graph.ef_search}


def _hnswlib_header(path: Path) -> dict[str, Any]:
    from ...ann.formats.hnswlib_file import read_header

    header = read_header(path)
    told: dict[str, Any] = {"index": str(path), "kind": "hnsw", "format": "hnswlib", "class": "Index", "metric": None}
    told |= {"rows": header.count, "dim": header.dim, "max_elements": header.max_elements, "M": header.m}
    told |= {"ef_construction": header.ef_construction, "levels": header.max_level + 1}
    return {**told, "file_bytes": path.stat().st_size, "checksums": "none in this format"}
