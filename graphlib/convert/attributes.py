"""Attributes of Python objects as columns: one array per name, nothing rounded, and a reason for what has none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..scalars import is_integer
from ..store.text import fixed_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WHOLE = 1 << 53  # beyond it float64 skips integers
_NO_ARRAY = "its values do not fit into one array"
_NO_TEXT = "its name is no text"
_TOO_LARGE = "float64 would round its integers"


def attribute_columns(rows: Sequence[Mapping[Any, Any]]) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Columns of the attributes that fit into arrays, and why the others do not.

    >>> columns, left = attribute_columns([{"km": 3, "x": 1j}, {}])
    >>> columns["km"].tolist(), left
    ([3.0, nan], {'x': 'its values do not fit into one array'})
    """
    columns, left = {}, {}
    for name in dict.fromkeys(key for row in rows for key in row):
        found = _column([row.get(name) for row in rows]) if isinstance(name, str) else _NO_TEXT
        if isinstance(found, str):
            left[str(name)] = found
        else:
            columns[name] = found
    return columns, left


def _column(values: list[Any]) -> NDArray[Any] | str:
    """The values as an array, NaN, NaT or "" standing for None; or why there is none."""
    given = [value for value in values if value is not None]
    if given and all(isinstance(value, str) for value in given):
        return fixed_text(["" if value is None else value for value in values])
    try:
        array = np.array(_filled(values, given))
    except (ValueError, TypeError):  # of several shapes, or dates among numbers
        return _NO_ARRAY
    if array.dtype.kind == "M" and len({np.asarray(value).dtype for value in given if not _is_nat(value)}) > 1:
        return _NO_ARRAY
    if _rounds(array, given):
        if len(given) == len(values) and all(is_integer(value) and 0 <= value < 1 << 64 for value in given):
            return np.array(given, np.uint64)
        if not all(is_integer(value) or isinstance(value, float | bool | np.floating | np.bool_) for value in given):
            return _TOO_LARGE
        return fixed_text(["" if value is None else str(value) for value in values])
    return array if array.dtype.kind in "biufM" else _NO_ARRAY


def _filled(values: list[Any], given: list[Any]) -> list[Any]:
    """The values with NaN, or NaT among dates, in place of None."""
    sample = next((value for value in given if not _is_nat(value)), given[0] if given else 0.0)
    dates = np.asarray(sample).dtype
    blank = np.full(np.shape(sample), "NaT", dates) if dates.kind == "M" else np.full(np.shape(sample), np.nan)
    return [blank if value is None else value for value in values]


def _is_nat(value: Any) -> bool:
    return isinstance(value, np.datetime64) and bool(np.isnat(value))


def _rounds(array: NDArray[Any], given: list[Any]) -> bool:
    """Whether integers among the values have digits that the array has not, or that no array has."""
    if array.dtype.kind not in "fO" or (array.dtype.kind == "f" and not (np.abs(array) >= _WHOLE).any()):
        return False
    return any(is_integer(part) and abs(int(part)) > _WHOLE for value in given for part in _parts(value))


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple | np.ndarray):
        yield from np.array(value, object).reshape(-1)
    else:
        yield value
