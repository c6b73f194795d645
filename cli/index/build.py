"""nearhop index build."""

from __future__ import annotations

import ast
import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from ...graphlib.errors import InvalidInput
from ...graphlib.progress import progress_bar
from ..clock import Stopwatch
from ..output import Json, emit, note
from . import options


def register(app: typer.Typer) -> None:
    app.command(no_args_is_help=True)(build)


def build(
    source: str = typer.Argument(help=options.VECTORS),
    column: str | None = options.Column,
    out: Path | None = typer.Option(None, help="Where the index is saved; without it, it goes into the store itself."),
    form: str | None = typer.Option(
        None, "--format", help="nearhop, hnswlib or faiss; by default by the ending of --out: .bin, .faiss, or else."
    ),
    ids: str | None = options.Ids,
    name: str = options.Name,
    kind: str = typer.Option(
        "hnsw",
        help="hnsw, exact, ivf, neural, cann (--ids are then colours, --set radius=250), or a FAISS factory string as "
        "faiss:IVF256,PQ16.",
    ),
    metric: str | None = typer.Option(
        None, help="l2 (default), ip, cosine, or hamming for packed bits (uint8); an HDF5 file may name its own."
    ),
    m: int = typer.Option(16, "--m", "-M", help="Links per node (HNSW's M)."),
    ef_construction: int = typer.Option(200, help="Beam width while building."),
    nlist: int = typer.Option(256, help="Lists of an inverted file."),
    storage: str = typer.Option(
        "float32",
        help="How HNSW keeps vectors: float32, float16, int8, int8-float16, int8-only, int4, 1bit, int4-only, "
        "1bit-only, auto; in FAISS files float32, fp16, sq8, sq4.",
    ),
    fit_queries: str | None = typer.Option(
        None, help="Vectors of queries from elsewhere than the rows, which the codes of int8 are to serve too."
    ),
    given_options: list[str] = typer.Option(
        [], "--set", help="Another parameter of the kind, as NAME=VALUE; may be given again.", show_default=False
    ),
    replace_old: bool = typer.Option(
        False, "--replace", help="Take the place of an index of this name, or at --out, once the new one is complete."
    ),
    seed: int = typer.Option(0),
    threads: int | None = options.Threads,
    as_json: bool = Json,
) -> None:
    """Build an index over vectors.

    Example: nearhop index build shop.nh --column fastrp --metric cosine

    Example: nearhop index build shop.nh --column fastrp --metric cosine --replace

    Example: nearhop index build vectors.npy --out vectors.index.nh

    Example: nearhop index build items.parquet --ids item_id --out items.faiss

    Example: nearhop index build descriptors.npy --kind cann --ids image_of.npy --set radius=250 --out images.nh
    """
    from ...ann import HNSW
    from ...graphlib.errors import StoreExists
    from ...graphlib.store.store import open as open_store
    from ..targets import check_folder
    from ..words import find_column
    from .files import check_free, format_for, save_index
    from .sources import metric_of, read_queries, read_source, some

    known = kind_names()
    if kind not in known and not kind.startswith("faiss:"):
        raise InvalidInput(f"--kind must be {', '.join(known[:-1])} or {known[-1]}; got {kind!r}")
    if out is None and (column is None or not Path(source).is_dir() or kind != "hnsw"):
        raise InvalidInput("name the new index with --out PATH (only an hnsw index of a store's --column needs none)")
    if out is not None:
        check_folder("--out", out)
        check_free(out, replace=replace_old)
    watch = Stopwatch()
    chosen = metric_of(source, metric)
    parameters: dict[str, Any] = {
        "metric": chosen, "M": m, "ef_construction": ef_construction, "seed": seed, "threads": threads, "nlist": nlist,
    }  # fmt: skip
    parameters |= set_options(kind, given_options)
    written = "nearhop" if out is None else format_for(out, form)
    if form is None and kind.startswith("faiss:"):
        written = "faiss"
    if written == "nearhop" and kind == "hnsw":
        parameters["storage"] = storage
    if fit_queries is not None:
        if "storage" not in parameters:
            raise InvalidInput("--fit-queries are for an hnsw index in nearhop's own format, --storage int8 or auto")
        parameters["fit_queries"] = read_queries(fit_queries, None)
    with progress_bar("building") as progress:
        if out is None:
            store = open_store(source)
            if name in store.indexes and not replace_old:
                raise StoreExists(f"{source} has an index {name!r} already; use --replace, or another --name")
            node_type, found = find_column(store, str(column))
            _check_float32(store.nodes(node_type)[found], found)
            index: Any = HNSW.from_store(
                store, found, node_type=node_type, progress=progress, **known_to(HNSW, parameters)
            )
            index.save_into(store, name)
            store.commit(f"index {name} over {column}")
        else:
            given = read_source(source, column, ids)
            if given.ids is not None and given.ids.dtype.kind == "T" and written != "nearhop":
                if ids is not None:
                    raise InvalidInput(f"{written} files hold integer ids, and those of {ids} are text")
                note(f"{written} files hold integer ids: this index answers with positions in place of text ids")
                given = replace(given, ids=None)
            some(given.vectors, source, "vectors")
            index = made(kind, parameters)
            add_rows(index, given.vectors, given.ids, progress)
            save_index(index, out, written, replace=replace_old, storage=storage, attributes=given.attributes)
    told = {"index": str(out or f"{source}, index {name}"), "kind": kind, "metric": chosen, "rows": len(index)}
    emit({**told, "dim": index.dim, **watch.told()}, as_json=as_json)


def _check_float32(values: Any, column: str) -> None:
    """Of vectors of other numbers than float32, over which no index in a store can lie, say what can be done."""
    if values.ndim == 2 and values.dtype.kind in "iuf" and values.dtype != "float32":
        raise InvalidInput(
            f"column {column!r} is {values.dtype}{list(values.shape)}, and an index in the store lies over float32; "
            "--out PATH makes one beside the store, of a float32 copy"
        )


def made(kind: str, options: dict[str, Any]) -> Any:
    """An empty index of a kind; of the options, those that its constructor knows."""
    chosen = class_of(kind)
    return chosen(**known_to(chosen, {**options, "factory": kind.partition(":")[2]}))


def class_of(kind: str) -> type:
    """The class of a kind of index as --kind names it."""
    from ...ann.opening import KINDS, vector_kind

    name = kind.partition(":")[0]
    return KINDS[name] if name == "cann" else vector_kind(name)


def set_options(kind: str, given: list[str]) -> dict[str, Any]:
    """What --set gives; a name that the kind's constructor does not know is refused."""
    options = dict(map(option_of, given))
    known = [*inspect.signature(class_of(kind)).parameters]
    for name in options:
        if name not in known:
            raise InvalidInput(f"--set {name}: an index of kind {kind} takes {', '.join(known)}")
    return options


def known_to(kind: type, options: dict[str, Any]) -> dict[str, Any]:
    """The options that the constructor of a kind knows."""
    known = inspect.signature(kind).parameters
    return {name: value for name, value in options.items() if name in known}


def option_of(given: str) -> tuple[str, Any]:
    """NAME=VALUE, a number or a text."""
    name, found, value = given.partition("=")
    if not found:
        raise InvalidInput(f"--set takes NAME=VALUE; got {given!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def kind_names() -> list[str]:
    """What --kind takes."""
    from ...ann.index import VectorIndex
    from ...ann.opening import KINDS

    names = [name for name, kind in KINDS.items() if issubclass(kind, VectorIndex) or name == "cann"]
    return ["faiss:FACTORY" if name == "faiss" else name for name in names]


def add_rows(index: Any, vectors: Any, ids: Any, progress: Any) -> None:
    """Add with progress."""
    index.add(vectors, ids, progress=progress)
