"""What users give: vectors with their colours, and sets of query vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import unmasked
from ...graphlib.errors import InvalidInput
from ..ids import as_ids
from .grids import Asked
from .points import as_kept, asked

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..ids import RowIds


def one_or_many(where: str, given: Any, what: str) -> tuple[list[Any], bool]:
    """A list of matrices, and whether a single one was given: a matrix is one, a list of matrices or a table in three
    dimensions are many."""
    if isinstance(given, list | tuple) and not len(given):
        return [], False
    if isinstance(given, list | tuple) and np.ndim(given[0]) == 2:
        return list(given), False
    array = unmasked(f"{where}: {what}", given)
    if array.ndim == 3:
        return list(array), False
    if array.ndim != 2:
        raise InvalidInput(
            f"{where}: {what} must be a matrix (vectors, dim), or a list of such, one per set; got shape {array.shape}"
        )
    return [array], True


def query_sets(given: Any, metric: str, dim: int | None, dtype: Any) -> Asked:
    """Checked queries as they are compared with points."""
    sets, _ = one_or_many("search", given, "queries")
    rows = []
    for number, part in enumerate(sets):
        if not np.shape(part) or not len(part):
            raise InvalidInput(
                f"search: set {number} holds no query vectors, so nothing can be near most of them; leave it out"
            )
        bytes_kept = dtype == np.uint8
        # bytes are compared with any numbers
        kept = as_kept("search", part, metric, dim=dim, dtype=None, what=f"queries of set {number}")
        rows.append(asked(kept, bytes_kept=bytes_kept))
        dim = kept.shape[1]
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    whole = np.concatenate(rows) if rows else np.empty((0, dim or 1), np.float32)
    return Asked(whole, offsets)


def colored(given: Any, colors: ArrayLike | None, rows: RowIds) -> tuple[list[Any], NDArray[Any]]:
    """Matrices of vectors, and the user id of the colour of each vector.

    One matrix takes a colour for all of its vectors or one for each; of a list, each matrix is of one colour. Without
    colours, each matrix is of a new one.
    """
    parts, alone = one_or_many("add", given, "vectors")
    sizes = [len(part) for part in parts]
    if 0 in sizes and not (alone and colors is not None and np.ndim(colors) == 1):
        raise InvalidInput(
            f"add: colour {sizes.index(0)} of those given has no points, so no search could find it; leave it out"
        )
    if colors is None:
        return parts, np.repeat(rows.for_new_rows(len(parts), None), sizes)
    ids = as_ids("add", colors)
    ids = rows.checked("add", ids) if ids.size else ids
    if alone and np.ndim(colors) == 0:
        return parts, np.repeat(ids, sizes)
    wanted = sizes[0] if alone else len(parts)
    if len(ids) != wanted:
        each = "vector" if alone else "matrix"
        raise InvalidInput(f"add: colors must be one id per {each}, {wanted}; got {len(ids)}")
    return parts, ids if alone else np.repeat(ids, sizes)


def numbered(ids: NDArray[Any], rows: RowIds) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Numbers of the colours of vectors, and the ids of those that are new, in the order in which they come."""
    if ids.dtype.kind == "T":
        first: dict[str, int] = {}
        inverse = np.fromiter((first.setdefault(text, len(first)) for text in ids.tolist()), np.int64, len(ids))
        distinct: NDArray[Any] = np.array(list(first), ids.dtype)
    else:
        ranked, at, places = np.unique(ids, return_index=True, return_inverse=True)
        order = np.argsort(at)
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        distinct, inverse = ranked[order], back[places]
    numbers = rows.positions(distinct) if len(rows) else np.full(len(distinct), -1, np.int64)
    new = np.flatnonzero(numbers < 0)
    numbers[new] = len(rows) + np.arange(len(new))
    return numbers[inverse].astype(np.int32), distinct[new]


def kept_rows(parts: list[Any], metric: str, dim: int | None, dtype: Any) -> NDArray[Any]:
    """The vectors of all matrices as one array, as an index keeps them; a copy."""
    if dtype is None and any(np.asarray(part).dtype != np.uint8 for part in parts):
        dtype = np.float32
    made = []
    for number, part in enumerate(parts):
        what = "vectors" if len(parts) == 1 else f"vectors of matrix {number}"
        kept = as_kept("add", part, metric, dim=dim, dtype=dtype, what=what)
        made.append(kept)
        dim, dtype = kept.shape[1], kept.dtype
    return np.concatenate(made) if len(made) > 1 else made[0].copy() if made[0] is parts[0] else made[0]


__all__ = ["colored", "kept_rows", "numbered", "query_sets"]
