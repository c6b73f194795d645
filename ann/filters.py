"""Which rows a search may return: bitmaps and id lists, and deleted rows, as one boolean table."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.checks import id_array, kind_of, unmasked
from ..graphlib.errors import IndexMismatch, InvalidInput, InvalidType
from ..graphlib.scalars import INT64_MAX

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .ids import RowIds


Where = Callable[[str, "RowIds"], "NDArray[np.bool_]"]


def num_passing(allowed: NDArray[np.bool_]) -> list[int]:
    """How many rows pass each bitmap; row by row, since NumPy takes ten times as long along an axis."""
    return [int(np.count_nonzero(mask)) for mask in allowed]


def allowed_rows(given: Any, rows: RowIds, num_queries: int, where: Where | None = None) -> NDArray[np.bool_] | None:
    """A boolean table (1, rows) or (num_queries, rows), or None when every row may be returned.

    Parameters
    ----------
    given : None, bool (rows,), bool (num_queries, rows), ids (any number,), range, str, or a list of num_queries
        A bitmap in row order (for an index on a store's column: node order), one bitmap per query, user ids, a range
        of integer ids, or an SQL condition on the store's columns. A list holds one of these, or None, per query; text
        ids are therefore an array, or a list only where no condition can be meant. Ids that the index does not hold
        are ignored.
    where : callable, optional
        Answers an SQL condition with a bitmap in row order; without it conditions are refused.
    """
    live = None if not rows.num_dead else rows.live
    if given is None:
        return None if live is None else live[None, :]
    if isinstance(given, list) and rows.is_text and where is None and given and all(isinstance(g, str) for g in given):
        given = id_array("search: a filter of ids", given)
    if isinstance(given, list) and any(g is None or isinstance(g, str | range | list | np.ndarray) for g in given):
        if len(given) != num_queries:
            raise IndexMismatch(f"search: filter is a list of {len(given)} but there are {num_queries} queries")
        tables = [allowed_rows(_array(g) if isinstance(g, list) else g, rows, 1, where) for g in given]
        return np.concatenate([np.ones((1, len(rows)), bool) if t is None else t for t in tables])
    if isinstance(given, str):
        if where is None:
            raise InvalidInput(
                "search: an SQL filter needs the columns of a store: make the index with from_store, or give "
                "store.where(condition, as_bitmap=True)"
            )
        given = where(given, rows)
    if isinstance(given, range):
        if rows.is_text:
            raise InvalidType("search: the ids of this index are text, of which there are no ranges; give an array")
        inside = _within(rows.values, given)
        return (inside if live is None else inside & live)[None, :]
    if callable(given):
        raise InvalidType(
            "search: filter must be a boolean bitmap, an array of ids, a range or a condition, and no function; got "
            f"{kind_of(given)}. Call it for every row and give the bitmap"
        )
    mask: NDArray[Any] = _array(given)
    if mask.size == 0 and mask.ndim == 1 and mask.dtype.kind == "f":
        mask = mask.astype(np.int64)  # an empty list
    if mask.dtype.kind in "iuUTO":
        if mask.ndim != 1:
            raise InvalidInput(f"search: a filter of ids must have one dimension; got shape {mask.shape}")
        table = np.zeros((1, len(rows)), bool)
        found = rows.positions(rows.checked("search", mask) if mask.size else mask.astype(np.int64))
        table[0, found[found >= 0]] = True
        return table
    if mask.dtype.kind != "b":
        raise InvalidType(f"search: filter must be a boolean bitmap or an array of ids; got {mask.dtype}")
    if mask.ndim not in (1, 2) or mask.shape[-1] != len(rows):
        raise IndexMismatch(
            f"search: filter has shape {mask.shape} but the index has {len(rows)} rows; give a bitmap of shape "
            f"({len(rows)},) or ({num_queries}, {len(rows)}), or an array of ids"
        )
    if mask.ndim == 2 and mask.shape[0] != num_queries:
        raise IndexMismatch(f"search: filter has {mask.shape[0]} bitmaps but there are {num_queries} queries")
    table = mask if mask.ndim == 2 else mask[None, :]
    return np.ascontiguousarray(table) if live is None else table & live


def _within(values: NDArray[np.int64], given: range) -> NDArray[np.bool_]:
    """Which values a range holds, however long it is."""
    if not given:
        return np.zeros(len(values), bool)
    low, high, step = min(given[0], given[-1]), max(given[0], given[-1]), abs(given.step)
    inside: NDArray[np.bool_] = (values >= low) & (values <= high)
    if 1 < step <= INT64_MAX:
        inside &= values % step == low % step
    elif step > 1:  # further apart than integers of 64 bits go
        inside &= [int(value) in given for value in values]
    return inside


def _array(given: Any) -> NDArray[Any]:
    listed = list(given) if isinstance(given, Set) else given
    what = "search: a filter of ids"
    return id_array(what, listed) if isinstance(listed, list | tuple) else unmasked(what, listed)
