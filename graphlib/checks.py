"""Checks of what is given, and those that make arrays from a file safe for kernels, which do not check bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InvalidInput, InvalidType, StoreCorrupt
from .scalars import INT64_MAX
from .tensors import to_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .store.adjacency import Adjacency

_PART = 1 << 22
_TEXT = np.dtypes.StringDType()


def unmasked(what: str, values: Any) -> NDArray[Any]:
    """`values` as an array; masked entries are refused, since `np.asarray` would show what lies below them.

    Tensors may need gradients, lie on a device, or hold bfloat16, which becomes float32.

    Raises
    ------
    InvalidInput
        A masked entry; lists of unequal lengths.
    InvalidType
        A sparse or quantized tensor, or what NumPy cannot read.

    Examples
    --------
    >>> unmasked("weight", [1, 2]).tolist()
    [1, 2]
    >>> unmasked("weight", [[1], [2, 3]])
    Traceback (most recent call last):
    nearhop.graphlib.errors.InvalidInput: weight must be an array, lists of equal lengths; got list
    """
    if type(values) is np.ndarray:
        return values
    if hasattr(values, "detach") and hasattr(values, "layout"):
        return to_array(values, what)
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        first = int(np.argmax(np.ma.getmaskarray(values).reshape(len(values), -1).any(axis=1))) if values.ndim else 0
        raise InvalidInput(
            f"{what} is a masked array, and its row {first} is masked; say what stands there, with filled(...)"
        )
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InvalidInput(f"{what} must be an array, lists of equal lengths; got {type(values).__name__}") from error
    except (TypeError, RuntimeError, OverflowError) as error:
        raise InvalidType(f"{what} cannot be read as an array: {error!s:.200}") from error


def check_signed(what: str, values: NDArray[Any]) -> None:
    """Refuse uint64 that would wrap around to negative numbers as int64."""
    if values.dtype == np.uint64 and values.size and values.max() > INT64_MAX:
        raise InvalidInput(f"{what} holds {values.max()}, which does not fit in a signed 64-bit integer")


def whole_numbers(what: str, values: NDArray[Any]) -> NDArray[np.int64]:
    """An array of integers as int64, not copied where it is that; see `check_signed`.

    >>> whole_numbers("time", np.array([3, 2**63], np.uint64))
    Traceback (most recent call last):
    nearhop.graphlib.errors.InvalidInput: time holds 9223372036854775808, which does not fit in a signed 64-bit integer
    """
    check_signed(what, values)
    return values.astype(np.int64, copy=False)


def kind_of(given: Any) -> str:
    """The type of an argument, with the package that it comes from.

    >>> kind_of(np.zeros(2)), kind_of([2])
    ("numpy's ndarray", 'list')
    """
    kind = type(given)
    package = kind.__module__.partition(".")[0]
    return kind.__name__ if package == "builtins" else f"{package}'s {kind.__name__}"


def id_array(what: str, given: Any) -> NDArray[Any]:
    """Ids as an array: texts as NumPy's `StringDType`, since text of fixed width loses zero characters at its end.

    Kinds that are mixed in a list are refused; `np.asarray` would make text of numbers, and 1 of True.

    Examples
    --------
    >>> id_array("ids", ["a" + chr(0), "a"]).tolist() == ["a" + chr(0), "a"], id_array("ids", 7).tolist()
    (True, [7])
    """
    listed = [given] if isinstance(given, str) else given
    if isinstance(listed, list | tuple):
        kinds = set(map(type, listed))
        texts = {kind for kind in kinds if issubclass(kind, str)}
        odd = (kinds - texts if texts else kinds & {bool, np.bool_}) if len(kinds) > 1 else set()
        if odd:
            place = next(i for i, each in enumerate(listed) if type(each) in odd)
            raise InvalidType(f"{what} must be integers, or all text; number {place} is {listed[place]!r:.50}")
        if texts:
            return _as_text(what, list(listed))
    array = np.atleast_1d(unmasked(what, listed))
    if array.dtype.kind == "U" or (
        array.dtype.kind == "O" and array.size and all(isinstance(each, str) for each in array.ravel().tolist())
    ):
        return _as_text(what, array.ravel().tolist()).reshape(array.shape)
    return array


def as_dtype(owner: str, given: Any) -> np.dtype[Any]:
    """The dtype that a user names."""
    try:
        return np.dtype(given)
    except TypeError as error:
        raise InvalidType(f"{owner}: dtype must name a dtype of NumPy, such as float32; got {given!r:.50}") from error


def _as_text(what: str, texts: list[str]) -> NDArray[Any]:
    try:
        return np.array(texts, _TEXT)
    except (UnicodeEncodeError, TypeError) as error:
        for place, text in enumerate(texts):
            try:
                text.encode()
            except UnicodeEncodeError:
                raise InvalidInput(f"{what}: number {place}, {text!r:.50}, is not valid Unicode") from error
        raise


def _outside(ids: NDArray[Any], limit: int) -> bool:
    """Whether any id lies outside [0, limit), in pieces that stay in the cache."""
    for start in range(0, ids.shape[0], _PART):
        part = ids[start : start + _PART]
        if part.min() < 0 or part.max() >= limit:
            return True
    return False


def _falls(offsets: NDArray[Any]) -> bool:
    for start in range(0, offsets.shape[0], _PART):
        part = offsets[start : start + _PART + 1]
        if (part[1:] < part[:-1]).any():
            return True
    return False


def check_rows(rows: Adjacency, num_edges: int, where: str) -> None:
    """Offsets rise from 0 to the number of entries; neighbours and edge ids are in range."""
    indptr = rows.indptr
    if indptr[0] != 0 or indptr[-1] != rows.num_entries or _falls(indptr):
        raise StoreCorrupt(f"{where}: the offsets of its rows do not rise from 0 to {rows.num_entries}")
    if _outside(rows.indices, rows.num_cols):
        raise StoreCorrupt(f"{where}: a neighbour is outside 0..{rows.num_cols - 1}")
    if _outside(rows.edge_ids, num_edges):
        raise StoreCorrupt(f"{where}: an edge id is outside 0..{num_edges - 1}")


def check_ends(src: NDArray[Any], dst: NDArray[Any], limits: tuple[int, int], where: str) -> None:
    """Sources and destinations are nodes."""
    for name, ids, limit in (("source", src, limits[0]), ("destination", dst, limits[1])):
        if _outside(ids, limit):
            raise StoreCorrupt(f"{where}: a {name} is outside 0..{limit - 1}")


def check_id_map(arrays: dict[str, NDArray[Any]], where: str) -> None:
    """The order is a permutation that sorts the ids, which are distinct; texts lie within their bytes."""
    order = arrays["order"]
    count = order.shape[0]
    seen = np.zeros(count, np.bool_)
    if not _outside(order, count):
        seen[order] = True
    if not seen.all():
        raise StoreCorrupt(f"{where}: the order of its user ids is not a permutation")
    if "values" in arrays:
        ranked = arrays["values"][order]
        if (ranked[1:] <= ranked[:-1]).any():
            raise StoreCorrupt(f"{where}: its user ids are not distinct, or out of order")
        return
    offsets = arrays["offsets"]
    if offsets[0] != 0 or offsets[-1] != arrays["bytes"].shape[0] or _falls(offsets):
        raise StoreCorrupt(f"{where}: its user ids do not lie within their text")
