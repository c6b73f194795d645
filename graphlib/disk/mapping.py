"""Maps of files that hold no descriptor, so that the number of open files does not limit the columns in use."""

from __future__ import annotations

import ctypes
import math
import mmap
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import files

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FAILED = ctypes.c_void_p(-1).value
_FIXED = 0x10  # the same number on Linux, macOS and the BSDs


def _system() -> Any:
    """The C library with typed `mmap` and `munmap`, or None where nearhop uses `numpy.memmap` instead."""
    if os.name != "posix" or sys.maxsize < 1 << 32:
        return None
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [
        *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_longlong)
    ]
    library.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return library


_C = _system()


class _Mapping:
    """Private pages of a file, unmapped when the last array over them goes."""

    def __init__(self, address: int, size: int) -> None:
        self._address, self._size = address, size

    def __del__(self, _unmap: Any = None if _C is None else _C.munmap) -> None:
        if _unmap is not None:
            _unmap(self._address, self._size)


def map_private(path: Path, dtype: np.dtype[Any], start: int, shape: tuple[int, ...]) -> NDArray[Any]:
    """Map an array of a file, `start` bytes (whole pages) from its beginning; writes to it never reach the file."""
    size = math.prod(shape) * dtype.itemsize
    if _C is None or start % mmap.PAGESIZE:
        return np.memmap(path, dtype, "c", start, shape).view(np.ndarray)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        address = _C.mmap(*(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE, descriptor, start))
        if address == _FAILED:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)
    pages: Any = (ctypes.c_char * size).from_address(address)
    pages.mapping = _Mapping(address, size)
    # a memmap lies between what is handed out and its pages: that is how others see that a file is mapped
    return np.ndarray.__new__(np.memmap, shape, dtype, pages).view(np.ndarray)


def reserved_map(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """A writable map of a new file of zeros that has all of its room on the device: filling it cannot fail."""
    descriptor = files.create(path)
    try:
        files.reserve(descriptor, math.prod(shape) * dtype.itemsize)
    finally:
        os.close(descriptor)
    return np.memmap(path, dtype, "r+", shape=shape)


def make_private(array: NDArray[Any], path: Path, start: int) -> None:
    """Cut a shared map of a file off from it: the array becomes read-only, and no view of it reaches the file any more.

    The pages are exchanged for private ones at the same address, so what was handed out stays valid.
    """
    array.flags.writeable = False
    if _C is None or start % mmap.PAGESIZE or not isinstance(array, np.memmap):
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        flags = mmap.MAP_PRIVATE | _FIXED
        _C.mmap(array.ctypes.data, array.nbytes, mmap.PROT_READ | mmap.PROT_WRITE, flags, descriptor, start)
    finally:
        os.close(descriptor)
