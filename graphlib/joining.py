"""Columns put one behind the other so that every value comes out as it went in, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InvalidType
from .store.columns import dtype_name

if TYPE_CHECKING:
    from numpy.typing import NDArray


def joined(name: str, parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """The rows of all parts, of the first part's dtype if it holds them, else of NumPy's common one or another part's.

    Parameters
    ----------
    name : str
        What is joined, for messages.
    parts : arrays that agree in all axes but the first

    Raises
    ------
    InvalidType
        Text, dates, booleans and numbers beside one another; rows of other shapes; or values that no dtype holds
        together: a whole number beyond 2^53 and a fraction, a far date and nanoseconds.

    Examples
    --------
    >>> import numpy as np
    >>> joined("year", [np.array([1999, 2001]), np.array([2005.0, 2010.0])])
    array([1999, 2001, 2005, 2010])
    >>> joined("k", [np.array([2**53 + 1]), np.array([0.5])])
    Traceback (most recent call last):
    nearhop.graphlib.errors.InvalidType: k holds int64 and float64, and neither has room for all values, such as \
9007199254740993 in row 0; convert one of them, or make both text
    """
    filled = [part for part in parts if len(part)] or list(parts[:1])
    dtypes = list(dict.fromkeys(part.dtype for part in (*parts[:1], *filled)))
    told = f"{name} holds {' and '.join(map(dtype_name, dtypes))}"
    if len({part.shape[1:] for part in parts}) > 1:
        raise InvalidType(f"{name} has rows of shapes {' and '.join(str(part.shape[1:]) for part in parts)}")
    kinds = {_sort_of(part.dtype) for part in filled}
    if len(dtypes) == 1 or kinds == {"text"}:
        return np.concatenate(filled)
    if len(kinds) > 1 or kinds == {"other"}:
        raise InvalidType(f"{told}, which do not go into one column; convert one of them, or make both text")
    for dtype in (dtypes[0], np.result_type(*dtypes), *dtypes[1:]):
        losses = [_first_lost(part, dtype) for part in filled]
        if all(lost is None for lost in losses):
            return np.concatenate([part.astype(dtype, copy=False) for part in filled])
    at, lost = next((at, row) for at, row in enumerate(losses) if row is not None)
    value, row = filled[at][lost], lost + sum(map(len, filled[:at]))
    raise InvalidType(
        f"{told}, and neither has room for all values, such as {value} in row {row}; convert one of them, or make both "
        "text"
    )


def _sort_of(dtype: np.dtype[Any]) -> str:
    known = {"T": "text", "U": "text", "M": "dates", "m": "times"} | dict.fromkeys("iuf", "numbers") | {"b": "booleans"}
    return known.get(dtype.kind, "other")


def _first_lost(part: NDArray[Any], dtype: np.dtype[Any]) -> int | None:
    """The first row of which another dtype would not give the values back."""
    if part.dtype.kind in "iu" and dtype.kind in "iu":  # which would wrap around, and back
        same = (part >= np.iinfo(dtype).min) & (part <= np.iinfo(dtype).max)
    else:
        try:
            with np.errstate(all="ignore"):
                back = part.astype(dtype).astype(part.dtype)
        except OverflowError:  # of dates
            return int(np.argmax(np.abs(np.where(np.isnat(part), 0, part.astype(np.int64)))))
        same = (back == part) | ((part != part) & (back != back))
    lost = ~same.all(axis=tuple(range(1, same.ndim)))
    return int(np.argmax(lost)) if lost.any() else None
