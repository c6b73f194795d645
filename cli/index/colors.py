"""The search of an index of colours: all queries are one set."""

from __future__ import annotations

from typing import Any

from ..arrays import write_arrays, write_table
from ..clock import Stopwatch
from ..output import emit


def search_colors(
    index: Any,
    rows: Any,
    k: int,
    effort: int | None,
    where: str | None,
    out: str,
    threads: int | None,
    *,
    as_json: bool,
) -> None:
    """Write the colours of highest score for a set of vectors."""
    import numpy as np

    watch = Stopwatch()
    found = index.search(rows, k, candidates=effort, filter=where, matches=False, threads=threads)
    spent, count = watch.told(), int(found.counts[0])
    colors, scores = found.colors[0, :count], found.scores[0, :count]
    if out.endswith((".npy", ".npz")):
        write_arrays(out, {"ids": found.colors, "scores": found.scores, "counts": found.counts})
    elif not as_json or out != "-":
        write_table(out, {"rank": np.arange(count), "color": colors, "score": scores})
    told: dict[str, Any] = {"vectors": len(rows), "k": k, **spent, "out": out}
    if as_json:
        tables = {"colors": colors.tolist(), "scores": scores.tolist()} if out == "-" else {}
        emit({**told, **tables}, as_json=True)
    elif out != "-":
        emit(told, as_json=False)
