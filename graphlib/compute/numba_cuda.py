"""Numba's CUDA as all kernels import it, and how those that a host launches are compiled."""

from __future__ import annotations

import importlib
import logging
from typing import Any

import numpy as np
from numba import config
from numba import cuda as _cuda

from .compiling.kernel_cache import device_cache

_log = logging.getLogger(__name__)
cuda: Any = _cuda  # its own types leave out what kernels use


def _load_compiler() -> None:
    """numba-cuda up to 0.30 looks up `numpy.row_stack` while its compiler loads; NumPy 2.5 dropped that name of
    `vstack`. It is lent for the load alone."""
    dropped = "row_stack"
    if config.ENABLE_CUDASIM or hasattr(np, dropped):  # type: ignore[attr-defined]
        return
    setattr(np, dropped, np.vstack)
    try:
        importlib.import_module("numba.cuda.np.arrayobj")
    except ModuleNotFoundError:  # another numba-cuda, with another layout
        pass
    finally:
        delattr(np, dropped)


_load_compiler()


def cuda_kernel(function: Any) -> Any:
    """A kernel that a host launches: `cuda.jit`, with its machine code on disk, where the processor's kernels lie.

    Code is read for the same source, compute capability and version of numba-cuda alone, so that the second process
    that launches a kernel does not compile it. Numba's simulator compiles nothing.
    """
    made = cuda.jit(function)
    if not config.ENABLE_CUDASIM:  # type: ignore[attr-defined]
        try:
            made._cache = device_cache(function)
        except (ImportError, AttributeError, RuntimeError, TypeError) as error:
            _log.info("the code of %s is not kept on disk: %r", function.__qualname__, error)
    return made
