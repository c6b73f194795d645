"""Numba's CUDA as all kernels import it."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numba import config
from numba import cuda as _cuda

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
