"""nearhop index convert."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import typer

from ..clock import Stopwatch
from ..output import Json, emit, note
from . import options


def register(app: typer.Typer) -> None:
    app.command(no_args_is_help=True)(convert)


def convert(
    index: Path = options.Index,
    out: Path = typer.Argument(help="The new index; must not exist."),
    form: str | None = typer.Option(
        None,
        "--format",
        help="nearhop, hnswlib or faiss; by default by the ending of OUT: .bin, .faiss, or else nearhop.",
    ),
    kind: str | None = typer.Option(None, help="exact: the vectors alone. By default the same kind, with its links."),
    storage: str | None = typer.Option(
        None,
        help="How HNSW keeps vectors: float32, float16, int8, int8-float16, int8-only, int4, 1bit, int4-only, "
        "1bit-only; in FAISS files float32, fp16, sq8, sq4.",
    ),
    layout: str | None = typer.Option(
        None, help="How HNSW lays links out with --storage int8: plain, or packed with codes. By default as it is."
    ),
    metric: str | None = options.Metric,
    name: str = options.Name,
    as_json: bool = Json,
) -> None:
    """Write an index in another library's format, links, ids and all; nothing is built anew.

    Example: nearhop index convert old.bin new.faiss --metric l2
    """
    from ...ann import Exact
    from ...ann.formats.graphs import recoded
    from ...graphlib.errors import InvalidInput
    from ..targets import check_folder
    from .files import format_for, open_index, save_index, vectors_of

    check_folder("OUT", out)
    watch = Stopwatch()
    if kind not in (None, "exact"):
        raise InvalidInput(f"--kind must be exact or left out; got {kind!r}; index build makes other kinds")
    opened = open_index(index, name, metric)
    held: Any = opened.index
    form = format_for(out, form)
    attributes = opened.attributes()
    if kind == "exact" or (held.KIND == "faiss" and form != "faiss"):
        if kind is None:
            note(f"only FAISS has this kind of index ({held!r}): its vectors become an exact index")
        vectors, ids = vectors_of(held)
        live = ~held._rows.dead
        attributes = {name: values[live] for name, values in attributes.items()}
        held = Exact(held.metric).add(vectors, ids)
    if form == "nearhop" and (storage, layout) != (None, None):
        if held.KIND != "hnsw":
            raise InvalidInput(f"--storage and --layout are for HNSW; a {type(held).__name__} index keeps float32")
        kept = held.layout if storage in (None, held.storage) else "plain"
        held = recoded(held, cast("Any", storage or held.storage), cast("Any", layout or kept))
    save_index(held, out, form, storage=storage or "float32", attributes=attributes)
    told = {"index": str(out), "format": form, "kind": type(held).__name__.lower(), "metric": held.metric}
    told |= {"rows": len(held), "dim": held.dim, **watch.told()}
    emit(told, as_json=as_json)
