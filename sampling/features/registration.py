"""Page-locking memory that is already there, so that a GPU can read it in place: `cudaHostRegister`, kept in order.

Whole pages are registered, each once per process however many arrays lie in it, in segments (one huge call is refused
by some drivers), and released when the last array that lies there is. Refusals are errors here; whoever asked decides
what to do instead.
"""

from __future__ import annotations

import logging
import mmap
import os
import threading
import weakref
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import InvalidInput, NearhopError
from ...graphlib.extras import require

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEGMENT = 256 << 20  # a multiple of the page
PAGE = mmap.PAGESIZE
_PORTABLE_AND_MAPPED = 1 | 2

log = logging.getLogger(__name__)
_lock = threading.RLock()  # the garbage collector may release while a registration is made
_held: dict[tuple[int, int, int], Registration] = {}
_segments: list[_Segment] = []  # of this process, ascending, none overlapping another


class RegistrationRefused(NearhopError, OSError):
    """The memory was not page-locked; the message has the driver's reason, or why it was not asked."""


@dataclass(eq=False)
class _Segment:
    """Pages registered by one call."""

    start: int
    stop: int
    users: int = 0


class Registration:
    """A registered range. Every `register` that returned it must be matched by one `release`.

    Attributes
    ----------
    address, nbytes : int
    segments : int
        Registered pieces that it lies in, some of them shared with its neighbours in memory.
    """

    def __init__(self, array: NDArray[Any], runtime: Any) -> None:
        self.address = array.ctypes.data
        self.nbytes = array.nbytes
        self.users = 0
        self.process = os.getpid()
        self._array = array  # keeps the memory where it is
        self._runtime = runtime
        self._within: list[_Segment] = []
        _segments[:] = _of_this_process(self.process)
        first, last = self.address // PAGE * PAGE, -(-(self.address + self.nbytes) // PAGE) * PAGE
        _check_pages(first, last)
        at = first
        for known in [s for s in _segments if s.stop > first and s.start < last]:
            self._add(at, known.start)
            self._use(known)
            at = known.stop
        self._add(at, last)

    def _add(self, start: int, stop: int) -> None:
        """Register pages that nobody has registered."""
        for begin in range(start, stop, SEGMENT):
            size = min(SEGMENT, stop - begin)
            code = int(self._runtime.cudaHostRegister(begin, size, _PORTABLE_AND_MAPPED))
            if code != 0:
                self._unregister()
                raise RegistrationRefused(
                    f"cudaHostRegister refused {size:,} bytes at offset {max(0, begin - self.address):,} of "
                    f"{self.nbytes:,}: {_reason(self._runtime, code)} (error {code})"
                )
            segment = _Segment(begin, begin + size)
            _segments.append(segment)
            _segments.sort(key=lambda one: one.start)
            self._use(segment)

    def _use(self, segment: _Segment) -> None:
        segment.users += 1
        self._within.append(segment)

    @property
    def segments(self) -> int:
        return len(self._within)

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
        for segment in self._within:
            segment.users -= 1
            if segment.users > 0:
                continue
            if segment in _segments:
                _segments.remove(segment)
            code = int(self._runtime.cudaHostUnregister(segment.start))
            if code != 0:
                log.warning("cudaHostUnregister failed: %s (error %d)", _reason(self._runtime, code), code)
        self._within.clear()


_process = os.getpid()


def _of_this_process(process: int) -> list[_Segment]:
    """The segments so far; none in a child of a fork, whose parent has registered them."""
    global _process
    if process != _process:
        _process = process
        return []
    return list(_segments)


def _check_pages(first: int, last: int) -> None:
    """Refuse maps of files that pinning fails on, or copies: it asks for writable pages.

    The driver would say "invalid argument" for pages that are only readable, and a private map would get a copy of
    every page of the file.
    """
    try:
        with open("/proc/self/maps") as file:
            maps = [line.split(maxsplit=5) for line in file]
    except OSError:  # another system: the driver decides
        return
    for words in maps:
        start, stop = (int(part, 16) for part in words[0].split("-"))
        if stop <= first or start >= last:
            continue
        name = words[5].strip() if len(words) > 5 else ""
        if "w" not in words[1]:
            raise RegistrationRefused(
                f"the memory is a read-only map of {name or 'no file'}, and pinning needs pages that can be written; "
                "read it into memory (np.array), or map it shared and writable"
            )
        if words[1].endswith("p") and name.startswith("/") and words[4] != "0":
            raise RegistrationRefused(
                f"the memory is a private map of {name}, and pinning would copy every page of it; read it into memory "
                "(np.array), or map it shared and writable"
            )


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
        With the driver's reason, or because the memory is a map of a file that is read-only or private; nothing stays
        registered.
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
    """How much memory of this process is registered now: the arrays' bytes, not their pages'."""
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


class Pinned:
    """An array whose memory is registered for as long as this lives, in the form in which CUDA memory is handed over.

    Parameters
    ----------
    array : array
    device : str or torch.device, default "cuda"
        The one that is current while the memory is registered.
    runtime : object, optional
        As for `register`.

    Attributes
    ----------
    array : array
    registration : Registration

    Notes
    -----
    What is made of it (`tensor`, `device_array`) keeps it alive, so that the memory is released when the last of them
    is garbage, or by `close`, after which none of them may be used.
    """

    def __init__(self, array: NDArray[Any], *, device: Any = "cuda", runtime: Any = None) -> None:
        self.array = array
        with nullcontext() if runtime is not None else require("torch", "pinning memory").cuda.device(device):
            self.registration = register(array, runtime=runtime)
        # it asks for writable memory, and nothing writes
        self.__cuda_array_interface__ = {
            "shape": array.shape,
            "typestr": array.dtype.str,
            "data": (array.ctypes.data, False),
            "strides": None,
            "version": 3,
        }
        self.close = weakref.finalize(self, _release, self.registration, runtime is None)
        self.close.atexit = False  # the process's end releases everything, and CUDA may be gone by then

    def device_array(self, device: Any) -> Any:
        """Numba's device array over the memory, for kernels on `device`: wrapped once, nothing is copied."""
        from numba import cuda

        with cuda.gpus[_index(device)]:
            return cuda.as_cuda_array(self)

    def tensor(self, device: Any) -> Any:
        """torch's CUDA tensor over the memory: nothing is copied, the GPU reads over the bus.

        Raises
        ------
        RegistrationRefused
            The memory was registered while another device was current, and torch holds it to be that one's.
        """
        torch = require("torch", "reading pinned memory from the GPU")
        words = np.dtype(f"i{self.array.dtype.itemsize}") if self.array.dtype.itemsize in (1, 2, 4, 8) else None
        face = _Face(self, self.array if words is None else self.array.view(words))
        with torch.cuda.device(device):
            tensor = torch.as_tensor(face)
        if tensor.data_ptr() != self.array.ctypes.data or tensor.device.index != _index(device):
            raise RegistrationRefused(f"the memory is registered for {tensor.device} already; read it from there")
        return tensor.view(torch.from_numpy(np.empty(0, self.array.dtype)).dtype)


class _Face:
    """Pinned memory as words that torch knows."""

    def __init__(self, owner: Pinned, array: NDArray[Any]) -> None:
        self.owner = owner
        self.__cuda_array_interface__ = {**owner.__cuda_array_interface__, "typestr": array.dtype.str}


def _index(device: Any) -> int:
    """The number of a CUDA device; of the current one where it says only "cuda"."""
    torch = require("torch", "pinning memory")
    found = torch.device(device).index
    return int(torch.cuda.current_device() if found is None else found)


def _release(registration: Registration, on_device: bool) -> None:
    """Release once no kernel can be reading: every device waits first. A forked child has no device to wait for."""
    if on_device and registration.process == os.getpid():
        torch = require("torch", "pinning memory")
        for device in range(torch.cuda.device_count()):
            torch.cuda.synchronize(device)
    registration.release()
