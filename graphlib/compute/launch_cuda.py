"""Where kernels run: a device, the caller's stream there, and memory from torch's pool where torch is at work."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import config

from .numba_cuda import cuda

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

_SIMULATED = bool(config.ENABLE_CUDASIM)  # type: ignore[attr-defined]


class Place:
    """A device that is current for Numba and, where it is loaded, for torch.

    Attributes
    ----------
    stream : Numba stream or 0
        torch's current stream there, or the default stream. Kernels launched on it come after what the caller has
        queued and before what it queues next, also under `torch.cuda.stream(...)`.
    """

    def __init__(self, torch: Any, device: Any) -> None:
        self._torch, self._device = torch, device
        handle = 0 if torch is None else int(torch.cuda.current_stream(device).cuda_stream)
        self.stream: Any = cuda.external_stream(handle) if handle else 0

    def empty(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> Any:
        """A device array with nothing in it. torch's pool takes its memory back without waiting for the device."""
        kind = np.dtype(dtype)
        if self._torch is None or not np.prod(shape, dtype=np.int64):
            return cuda.device_array(shape, kind)
        as_torch = self._torch.from_numpy(np.empty(0, kind)).dtype
        return cuda.as_cuda_array(self._torch.empty(shape, dtype=as_torch, device=self._device), sync=False)

    def put(self, array: Any) -> Any:
        """A copy of a host array on the device."""
        if self._torch is None or array.size == 0:
            return cuda.to_device(np.ascontiguousarray(array))
        source = np.ascontiguousarray(array)
        there = self.empty(source.shape, source.dtype)
        there.copy_to_device(source, stream=self.stream)
        return there

    def number(self, array: Any, at: int) -> int:
        """Element `at` of a device array (n,): waits for this stream, and for no other."""
        return int(self.fetch(array[at : at + 1])[0][0])

    def fetch(self, *arrays: Any) -> list[NDArray[Any]]:
        """Device arrays as arrays of the host."""
        found = [np.asarray(array.copy_to_host(stream=self.stream)) for array in arrays]
        if self.stream:
            self.stream.synchronize()
        return found


@contextmanager
def launching(device: int | None = None) -> Iterator[Place]:
    """Make a device current and say where kernels go.

    Parameters
    ----------
    device : int, optional
        By default the current one: torch's where torch uses a GPU, else Numba's.
    """
    torch: Any = None if _SIMULATED else sys.modules.get("torch")
    if torch is not None and not torch.cuda.is_available():
        torch = None
    if torch is None:
        with cuda.gpus[0 if device is None else device]:
            yield Place(None, device)
        return
    index = torch.cuda.current_device() if device is None else device
    with torch.cuda.device(index), cuda.gpus[index]:
        yield Place(torch, torch.device("cuda", index))


def device_number(device: Any) -> int | None:
    """The number of a device given as int, "cuda:1" or `torch.device`; None for the current one.

    >>> device_number("cuda:1"), device_number(0), device_number(None), device_number("cuda")
    (1, 0, None, None)
    """
    if device is None or isinstance(device, int):
        return device
    _, _, index = str(device).partition(":")
    return int(index) if index else None
