"""Attributes of an index's rows: read from a table and joined to those that are there, exactly or not at all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...graphlib.errors import InvalidInput, NotFound
from ...graphlib.joining import joined as exactly
from ...graphlib.store.text import as_text
from ..output import note

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EXACT = 1 << 53  # float64 tells integers apart up to here


def usable(table: Any, vectors: str, source: str, wanted: Collection[str | None]) -> dict[str, Any]:
    """Of the `wanted` Arrow columns beside the vectors those that can be attributes; a note names those that cannot."""
    kept: dict[str, Any] = {}
    left: list[str] = []
    for place, field in enumerate(table.schema):
        if field.name == vectors or field.name not in wanted:
            continue
        if field.name in kept:
            raise InvalidInput(f"{source} has two columns {field.name!r}; rename one of them")
        if _is_plain(field.type):
            kept[field.name] = table.column(place)
        else:
            left.append(f"{field.name} ({field.type})")
    if left:
        note(
            f"{source}: left out, as attributes are numbers, booleans, dates and text: {', '.join(left)}; cast columns "
            "that are needed to one of these"
        )
    return kept


def exact(column: Any, name: str, source: str, *, option: str | None = None) -> NDArray[Any]:
    """An Arrow column as an array of the very values; integers and dates may be missing where `option` is None.

    `option` names the ids that the column holds.

    Raises
    ------
    InvalidInput
        A value is missing which the array has no word for.
    """
    from pyarrow import types

    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.null_count:
        _check_missing(column, name, source, option)
    if _is_text(column.type):
        return as_text(name, column.to_pylist())
    array: NDArray[Any] = column.to_numpy()
    return array


def _check_missing(column: Any, name: str, source: str, option: str | None) -> None:
    """Refuse a missing value, but for NaN beside floats and small integers, and NaT beside dates."""
    import pyarrow.compute as pc
    from pyarrow import types

    row = pc.index(column.is_null(), True).as_py()
    told = f"{source}: column {name!r} has no value in row {row} (counted from 0)"
    if option is not None:
        raise InvalidInput(f"{told}, and {option} needs one for every vector; fill it, or leave the row out")
    if _is_text(column.type) or types.is_boolean(column.type):
        raise InvalidInput(f"{told}, and its {column.type} has no word for that; fill it, or leave the column out")
    if types.is_integer(column.type):
        ends = [int(end.as_py() or 0) for end in pc.min_max(column).values()]
        if max(map(abs, ends)) > _EXACT:
            raise InvalidInput(
                f"{told}, and its integers beyond 2^53 are not exact beside NaN; fill it, or cast the column to text"
            )


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_plain(kind: Any) -> bool:
    from pyarrow import types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    numbers = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
    return bool(numbers or types.is_date(kind) or types.is_timestamp(kind) or _is_text(kind))


def check_added(index: Path, what: str, old: Collection[str], new: Collection[str], form: str = "nearhop") -> None:
    """See that added rows bring every attribute of an index; a note names those which it has no place for."""
    missing, more = sorted(set(old) - set(new)), sorted(set(new) - set(old))
    if missing:
        raise NotFound(
            f"the {what} of {index} have {'columns' if what == 'points' else 'attributes'} {', '.join(missing)}; the "
            "source has not: add them to it as columns beside the vectors of a Parquet table"
        )
    if more and form != "nearhop":
        note(f"{form} files hold no attributes; left out: {', '.join(more)}")
    elif more:
        note(f"the {what} of {index} have no {', '.join(more)}; left out: build the index anew to have them")


def joined(index: Path, old: Mapping[str, NDArray[Any]], new: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The attributes of an index with those of added rows behind them; every value as it is, or `InvalidType`."""
    return {name: exactly(f"attribute {name!r} of {index}", [values, new[name]]) for name, values in old.items()}
