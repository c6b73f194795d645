"""Times and their unit: datetime64 of any unit is converted into what the edges have, exactly, or refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import unmasked
from ..errors import InvalidInput, InvalidType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

UNIT = "time_unit"
_UNITS = ("Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns")


def to_unit(values: NDArray[Any], unit: str, name: str = "time") -> NDArray[np.int64]:
    """datetime64 as whole `unit`s since 1970, int64; a time that is not a whole number of them, or too far, is refused.

    >>> to_unit(np.array(["2020-01-02"], "M8[D]"), "s").tolist()
    [1577923200]
    """
    if np.isnat(values).any():
        raise InvalidInput(f"{name}[{int(np.argmax(np.isnat(values)))}] is NaT; every time must be given")
    with np.errstate(over="ignore"):
        there = values.astype(f"datetime64[{unit}]")
        back = there.astype(values.dtype)
        far = np.abs(values.astype("datetime64[Y]").astype(np.int64)) > _reach(unit)
    bad = (back != values) | far
    if bad.any():
        where = int(np.argmax(bad))
        raise InvalidInput(
            f"{name}[{where}] is {values[where]}, which is not a whole number of {unit} that fits in 64 bits, and the "
            f"times here are in {unit}"
        )
    plain: NDArray[np.int64] = there.astype(np.int64)
    return plain


def _reach(unit: str) -> float:
    """Years on either side of 1970 that 64 bits of a unit can hold."""
    per_year = {"Y": 1, "M": 12, "W": 53, "D": 366, "h": 8784, "m": 527040, "s": 31_622_400}
    scale = {"ms": 10**3, "us": 10**6, "ns": 10**9}
    return 2**63 / (per_year[unit] if unit in per_year else 31_622_400 * scale[unit]) - 1


def unit_of(attributes: Mapping[str, Any]) -> str | None:
    """The unit of a store's times where it is known: "us" after an ingest of dates, or that of the first moments."""
    unit = attributes.get(UNIT)
    if unit is None:
        return None
    if unit not in _UNITS:
        raise InvalidInput(f'the attribute "{UNIT}" must be one of {", ".join(_UNITS)}; got {unit!r}')
    return str(unit)


def given_unit(time: ArrayLike | None) -> str | None:
    """The unit that a store takes from its first times: that of a datetime64 of single units, else None."""
    kind = np.asarray(as_times(time)).dtype if time is not None else None
    if kind is None or kind.kind != "M":
        return None
    unit, step = np.datetime_data(kind)
    return unit if step == 1 and unit in _UNITS else "ns" if unit in ("ps", "fs", "as") else "us"


def plain_times(time: Any, attributes: Mapping[str, Any], name: str = "time") -> Any:
    """Times as plain numbers in the store's unit; what is not datetime64 is handed back as it is."""
    time = as_times(time) if time is not None else None
    values = np.asarray(time) if time is not None else None
    if values is None or values.dtype.kind != "M":
        return time
    unit = unit_of(attributes)
    if unit is None:
        raise InvalidInput(
            f"{name} is {values.dtype}, but the times of this store are plain numbers of no known unit; give numbers, "
            f'or say the unit once: store.attributes["{UNIT}"] = "s"'
        )
    return to_unit(values, unit, name)


def as_times(given: Any) -> Any:
    """What holds moments, such as datetime objects or a frame's column with a time zone, as datetime64 in UTC; all else
    as it is. Moments with and without a zone do not mix."""
    kind = getattr(given, "dtype", None)
    if getattr(kind, "tz", None) is not None:
        return np.asarray(given, dtype=f"datetime64[{getattr(kind, 'unit', 'ns')}]")
    values = np.asarray(given)
    if values.dtype.kind != "O" or not values.size or not all(isinstance(each, datetime) for each in values.flat):
        return given
    zones = {each.tzinfo is not None for each in values.flat}
    if len(zones) > 1:
        raise InvalidInput("time holds moments with a time zone and moments without; give all of them one")
    plain = [each.astimezone(UTC).replace(tzinfo=None) if each.tzinfo else each for each in values.flat]
    return np.array(plain, "datetime64[us]").reshape(values.shape)


def span_in(window: Any, attributes: Mapping[str, Any]) -> Any:
    """A span of time as a number in the store's unit; timedelta64 and timedelta are converted, all else is kept."""
    if not isinstance(window, np.timedelta64 | timedelta):
        return window
    unit = unit_of(attributes)
    if unit is None:
        raise InvalidInput(
            f"window is {window!r}, but the times of this store are plain numbers of no known unit; give a number, or "
            f'say the unit once: store.attributes["{UNIT}"] = "s"'
        )
    one: Any = np.array(1, f"m8[{unit}]")
    return float(np.timedelta64(window) / one)


def float_times(given: Any, name: str = "time") -> NDArray[np.float64]:
    """Times as float64, for models that know no store; what float64 does not hold exactly is refused, not rounded."""
    values = unmasked(name, given)
    if values.dtype.kind in "Mm":
        raise InvalidInput(
            f"{name} is {values.dtype}; give numbers of one unit, such as (times - times[0]) / np.timedelta64(1, 's')"
        )
    if values.dtype.kind in "iu" and values.size and max(-int(values.min()), int(values.max())) > 1 << 53:
        raise InvalidInput(
            f"{name} holds {values.max()}, which float64 cannot hold exactly; count from a later moment, or in larger "
            "units"
        )
    if values.size and values.dtype.kind not in "iufb":
        raise InvalidType(f"{name} must hold numbers; got dtype {values.dtype}")
    return np.ascontiguousarray(values, np.float64)
