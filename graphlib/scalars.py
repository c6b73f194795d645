"""One meaning of "an integer" and "a number" for arguments: Python's and NumPy's are alike, booleans are neither."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, TypeGuard

from .errors import InvalidInput

_LARGEST = (1 << 63) - 1


def is_integer(value: object) -> TypeGuard[int]:
    """Whether `value` is an integer of Python or NumPy; True and False are not.

    >>> import numpy as np
    >>> is_integer(np.int64(3)), is_integer(True), is_integer(3.0)
    (True, False, False)
    """
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Whether `value` is a real number of Python or NumPy; True and False are not.

    >>> import numpy as np
    >>> is_number(np.float32(0.5)), is_number(2), is_number(False), is_number("2")
    (True, True, False, False)
    """
    return isinstance(value, Real) and not isinstance(value, bool)


def integer(name: str, value: Any, low: int, high: int | None = None) -> int:
    """`value` as a Python integer in [low, high], or `InvalidInput` that names it and what is allowed.

    Without a `high`, what a 64-bit integer holds is allowed: kernels take no more.
    """
    if not is_integer(value) or value < low:
        raise InvalidInput(f"{name} must be an integer >= {low}; got {value!r:.50}")
    most = _LARGEST if high is None else high
    if value > most:
        raise InvalidInput(f"{name} must be at most {most}; got {value!s:.50}")
    return int(value)


def is_probability(value: object) -> bool:
    """Whether `value` is a number in [0, 1]."""
    return is_number(value) and 0 <= value <= 1


def is_finite(value: object) -> bool:
    """Whether `value` is a number and neither NaN nor infinite."""
    return is_number(value) and math.isfinite(value)
