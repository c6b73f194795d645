"""Known matches: pairs of keys, or files of them, as pairs of rows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.errors import InvalidInput, NotFound
from ..graphlib.scalars import WRITTEN_INTEGER
from .records import Records, columns_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


def match_rows(matches: Any, left: Records, right: Records | None = None) -> NDArray[np.int64]:
    """Distinct row pairs (matches, 2) of pairs of keys; of one table, without `right`, the lower row first.

    `matches` is an array or list of pairs, a table whose first two columns are keys, or a path of one. Text stands for
    an integer key where it is written as one: "7" for 7, "007" for no integer.

    Raises
    ------
    NotFound
        A key that no record has; the message says which row names it.
    InvalidInput
        No pairs, or a record of one table matched with itself.
    """
    if matches is None or (hasattr(matches, "__len__") and not len(matches)):
        raise InvalidInput("matches: there are none; give pairs of keys (left, right)")
    if isinstance(matches, str | Path) or not isinstance(matches, np.ndarray | list | tuple):
        columns = list(columns_of(matches, "matches", {})[0].values())
        if len(columns) < 2:
            raise InvalidInput(f"matches need two columns of keys; got {len(columns)}")
        pairs = list(zip(columns[0], columns[1], strict=True))
    else:
        pairs = [tuple(pair) for pair in (matches.tolist() if isinstance(matches, np.ndarray) else matches)]
    for row, pair in enumerate(pairs):
        if len(pair) != 2:
            raise InvalidInput(f"matches: row {row} is {pair!r}; each is a pair of keys (left, right)")
    sides = (left, "left"), (left if right is None else right, "right")
    rows = np.stack([_rows([pair[at] for pair in pairs], *side) for at, side in enumerate(sides)], axis=1)
    if right is None:
        if (rows[:, 0] == rows[:, 1]).any():
            at = int(np.argmax(rows[:, 0] == rows[:, 1]))
            raise InvalidInput(f"matches: row {at} matches record {pairs[at][0]!r} with itself")
        rows.sort(axis=1)
    return np.unique(rows, axis=0)


def _rows(values: list[Any], table: Records, side: str) -> NDArray[np.int64]:
    """Rows of keys, which may be those of a text file: "7" is the integer 7, and "007" is not."""
    what = f"matches, side {side}"
    if table.keys.dtype == object:
        return table.rows_of(values, what)
    odd = next((row for row, value in enumerate(values) if isinstance(value, str) and not _is_key(value)), None)
    if odd is not None:
        raise NotFound(
            f"{what}: row {odd} names key {values[odd]!r}, which no record has; the table's keys are integers"
        )
    return table.rows_of([int(value) if isinstance(value, str) else value for value in values], what)


def _is_key(text: str) -> bool:
    return re.fullmatch(WRITTEN_INTEGER, text) is not None and -(1 << 63) <= int(text) < 1 << 63


__all__ = ["match_rows"]
