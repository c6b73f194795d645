"""One meaning of "an integer" and "a number" for arguments: Python's and NumPy's are alike, booleans are neither."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, TypeGuard

from .errors import InvalidInput

INT64_MAX = (1 << 63) - 1
WRITTEN_INTEGER = "0|-?[1-9][0-9]{0,18}"  # a pattern of text that is an integer and is written as one: "7", not "007"


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
    most = INT64_MAX if high is None else high
    if value > most:
        raise InvalidInput(f"{name} must be at most {most}; got {value!s:.50}")
    return int(value)


def share(name: str, value: Any) -> float:
    """`value` as a number in [0, 1), such as what dropout takes away, or `InvalidInput` that names it.

    >>> share("dropout", 0.5)
    0.5
    >>> share("dropout", 1)
    Traceback (most recent call last):
    nearhop.graphlib.errors.InvalidInput: dropout must be a number in [0, 1); got 1
    """
    if not is_number(value) or not 0 <= value < 1:
        raise InvalidInput(f"{name} must be a number in [0, 1); got {value!r:.50}")
    return float(value)


def is_probability(value: object) -> bool:
    """Whether `value` is a number in [0, 1]."""
    return is_number(value) and 0 <= value <= 1


def is_finite(value: object) -> bool:
    """Whether `value` is a number and neither NaN nor infinite."""
    return is_number(value) and math.isfinite(value)


def plain_number(value: Any) -> Any:
    """A number or truth value of NumPy as Python's, for `json.dumps(..., default=plain_number)`.

    >>> import json
    >>> import numpy as np
    >>> json.dumps({"k": np.int64(3), "yes": np.True_}, default=plain_number)
    '{"k": 3, "yes": true}'
    """
    made = value.item() if type(value).__module__ == "numpy" and hasattr(value, "item") else None
    if not isinstance(made, int | float):
        raise TypeError(f"{type(value).__name__} {value!r:.50} is nothing that JSON can hold")
    return made


def plain_parameter(value: Any) -> Any:
    """A parameter as it is kept: numbers of NumPy, alone or in a tuple, as Python's, which do not overflow at 255.

    >>> import numpy as np
    >>> 2 * plain_parameter(np.uint8(200)), plain_parameter((np.int64(2), 3)), plain_parameter("l2")
    (400, (2, 3), 'l2')
    """
    if type(value) is tuple:
        return tuple(map(plain_parameter, value))
    own: Any = value
    return own.item() if is_number(value) and type(value).__module__ == "numpy" else value


class PlainParameters:
    """A base of what keeps its parameters as attributes: they go through `plain_parameter`."""

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, plain_parameter(value))
