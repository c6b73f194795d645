"""Page-locking memory that is already there, so that a GPU can read it in place: `cudaHostRegister`, kept in order.

A range can be registered once per process, is registered in segments (one huge call is refused by some drivers), and
must be released before its memory is. Refusals are errors here; whoever asked decides what to do instead.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import InvalidInput, NearhopError
from ...graphlib.extras import require

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEGMENT = 256 << 20
_PORTABLE_AND_MAPPED = 1 | 2
_READ_ONLY = 8

log = logging.getLogger(__name__)
_lock = threading.Lock()
_held: dict[tuple[int, int, int], Registration] = {}


class RegistrationRefused(NearhopError, OSError):
    """The CUDA driver did not page-lock the memory; the message has its reason."""


class Registration:
    """A registered range. Every `register` that returned it must be matched by one `release`.

    Attributes
    ----------
    address, nbytes : int
    segments : int
        Calls that it took.
    """

    def __init__(self, array: NDArray[Any], runtime: Any) -> None:
        self.address = array.ctypes.data
        self.nbytes = array.nbytes
        self.users = 0
        self.process = os.getpid()
        self._array = array  # keeps the memory where it is
        self._runtime = runtime
        self._starts: list[int] = []
        flags = _PORTABLE_AND_MAPPED | (0 if array.flags.writeable else _READ_ONLY)
        for start in range(0, self.nbytes, SEGMENT):
            size = min(SEGMENT, self.nbytes - start)
            code = int(runtime.cudaHostRegister(self.address + start, size, flags))
            if code != 0:
                self._unregister()
                raise RegistrationRefused(
                    f"cudaHostRegister refused {size:,} bytes at offset {start:,} of {self.nbytes:,}: "
                    f"{_reason(runtime, code)} (error {code})"
                )
            self._starts.append(self.address + start)

    @property
    def segments(self) -> int:
        return len(self._starts)

    def release(self) -> None:
        """Give up one use; the last one unregisters. In a forked child there is nothing to unregister."""
        with _lock:
            self.users -= 1
            if self.users > 0:
                return
            _held.pop((self.process, self.address, self.nbytes), None)
            if self.process == os.getpid():
                self._unregister()

    def _unregister(self) -> None:
        for start in self._starts:
            code = int(self._runtime.cudaHostUnregister(start))
            if code != 0:
                log.warning("cudaHostUnregister failed: %s (error %d)", _reason(self._runtime, code), code)
        self._starts.clear()


def register(array: NDArray[Any], *, runtime: Any = None) -> Registration:
    """Page-lock the memory of a C-contiguous array, or count one more user of it.

    Parameters
    ----------
    array : array
        Its memory is used in place, and kept alive until the registration is released.
    runtime : object, optional
        Has `cudaHostRegister` and `cudaHostUnregister`; by default `torch.cuda.cudart()`.

    Raises
    ------
    RegistrationRefused
        With the driver's reason; nothing stays registered.
    """
    if array.nbytes == 0 or not array.flags.c_contiguous:
        raise InvalidInput("only C-contiguous arrays of at least one byte can be registered")
    key = (os.getpid(), array.ctypes.data, array.nbytes)
    with _lock:
        held = _held.get(key)
        if held is None:
            held = _held[key] = Registration(array, _cudart() if runtime is None else runtime)
        held.users += 1
    return held


def registered_bytes() -> int:
    """How much memory of this process is registered now."""
    with _lock:
        return sum(held.nbytes for (process, _, _), held in _held.items() if process == os.getpid())


def _cudart() -> Any:
    torch = require("torch", "pinning memory")
    torch.cuda.init()
    return torch.cuda.cudart()


def _reason(runtime: Any, code: int) -> str:
    try:
        return str(runtime.cudaGetErrorString(runtime.cudaError(code)))
    except (AttributeError, TypeError, ValueError, RuntimeError):
        return "no reason given"


def as_cuda(array: NDArray[Any], device: Any) -> Any:
    """A CUDA tensor over registered host memory: nothing is copied, the GPU reads over the bus.

    The array's memory must stay registered as long as the tensor is used.
    """
    torch = require("torch", "reading pinned memory from the GPU")
    words = np.dtype(f"i{array.dtype.itemsize}") if array.dtype.itemsize in (1, 2, 4, 8) else array.dtype
    tensor = torch.as_tensor(_Exposed(array.view(words)), device=device)
    return tensor.view(torch.from_numpy(np.empty(0, array.dtype)).dtype)


class _Exposed:
    """Host memory in the form in which torch takes CUDA memory. It asks for writable memory, and nothing writes."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array
        self.__cuda_array_interface__ = {
            "shape": array.shape,
            "typestr": array.dtype.str,
            "data": (array.ctypes.data, False),
            "strides": None,
            "version": 3,
        }
