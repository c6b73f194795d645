"""One Python body, compiled twice: a kernel of the processor as a function of the GPU."""

from __future__ import annotations

from types import FunctionType
from typing import Any

from .numba_cuda import cuda


def on_device(function: Any, **names: Any) -> Any:
    """The body of a function made by `kernel`, compiled for the GPU (or run by Numba's simulator).

    `names` are what it calls, as the GPU knows them; everything else that the body names must be a constant. Words are
    unsigned throughout such bodies: a sum of a signed and an unsigned number is a float to the compiler.
    """
    body = function.py_func
    twin = FunctionType(body.__code__, {**body.__globals__, **names}, body.__name__)
    twin.__doc__ = body.__doc__
    return cuda.jit(device=True)(twin)
