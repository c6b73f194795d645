"""Where kernels run: a device, the caller's stream there, and memory from torch's pool where torch is at work."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import config

from . import direct_cuda
from .numba_cuda import cuda

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

_log = logging.getLogger(__name__)
_SIMULATED = bool(config.ENABLE_CUDASIM)  # type: ignore[attr-defined]
_one_kernel = threading.Lock()  # the simulator runs no two at the same time


class Place:
    """A device that is current for Numba and, where it is loaded, for torch.

    Kernels are queued on `stream`: after what the caller has queued there, and before what it queues next, also under
    `torch.cuda.stream(...)`. Arrays are torch's tensors where torch is at work, so that memory comes from its pool and
    goes back without waiting for the device; else they are Numba's device arrays.

    Attributes
    ----------
    stream : Numba stream or 0
        torch's current stream there, or the default stream.
    """

    def __init__(self, torch: Any, device: Any) -> None:
        self._torch, self._device = torch, device
        self._handle = 0 if torch is None else int(torch.cuda.current_stream(device).cuda_stream)

    @property
    def owner(self) -> tuple[Any, int | None]:
        """torch, where it is at work, and the number of the device."""
        return self._torch, self._device if self._torch is None else self._device.index

    def on_stream(self) -> Any:
        """A context in which torch's current stream is this place's, also on another thread."""
        cuda_of = self._torch.cuda
        if self._handle:
            return cuda_of.StreamContext(cuda_of.ExternalStream(self._handle, device=self._device))
        return cuda_of.StreamContext(cuda_of.default_stream(self._device))

    @property
    def stream(self) -> Any:
        return cuda.external_stream(self._handle) if self._handle else 0

    def run(self, kernel: Any, blocks: int, threads: int, *arguments: Any, shared: int = 0) -> None:
        """Queue a kernel of `cuda.jit`; `shared` is its dynamic shared memory in bytes."""
        if self._torch is None:
            with _one_kernel if _SIMULATED else nullcontext():
                kernel[blocks, threads, self.stream, shared](*arguments)
        else:
            index = self._device.index
            direct_cuda.launch(self._torch, index, kernel, blocks, threads, shared, self._handle, arguments)

    def empty(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> Any:
        """An array with nothing in it."""
        if self._torch is None:
            return cuda.device_array(shape, np.dtype(dtype))
        return self._torch.empty(shape, dtype=_torch_type(self._torch, np.dtype(dtype)), device=self._device)

    def put(self, array: Any) -> Any:
        """A copy of a host array on the device."""
        source = np.ascontiguousarray(array)
        if self._torch is None:
            return cuda.to_device(source)
        there = self.empty(source.shape, source.dtype)
        if source.size == 0:
            return there
        if source.flags.writeable:
            # from memory that is not pinned it has been read when this returns
            return there.copy_(self._torch.from_numpy(source), non_blocking=True)
        cuda.as_cuda_array(there, sync=False).copy_to_device(source, stream=self.stream)  # torch warns of such arrays
        return there

    def pinned(self, shape: int, dtype: DTypeLike) -> NDArray[Any]:
        """An array of the host with nothing in it, in page-locked memory, which copies go from without waiting."""
        if self._torch is None:
            found: NDArray[Any] = cuda.pinned_array(shape, np.dtype(dtype))
            return found
        kind = _torch_type(self._torch, np.dtype(dtype))
        page_locked: NDArray[Any] = self._torch.empty(shape, dtype=kind, pin_memory=True).numpy()
        return page_locked

    def free_bytes(self) -> float:
        """Memory of the device that is free, what torch's pool holds unused included."""
        free = float(cuda.current_context().get_memory_info()[0])
        if self._torch is None:
            return free
        held = self._torch.cuda.memory_reserved(self._device) - self._torch.cuda.memory_allocated(self._device)
        return free + held

    def exchanged(self, shape: int, dtype: DTypeLike) -> tuple[NDArray[Any], Any]:
        """An array of the host, pinned where torch can, and one of the device, for `update` and `send`."""
        there = self.empty(shape, dtype)
        if self._torch is None:
            return np.zeros(shape, dtype), there
        return self._torch.zeros(shape, dtype=there.dtype, pin_memory=True).numpy(), there

    def update(self, there: Any, array: NDArray[Any]) -> None:
        """Copy a host array into a device array of its shape and type; pinned, it must not change before `wait`."""
        if self._torch is None:
            there.copy_to_device(array, stream=self.stream)
        else:
            there.copy_(self._torch.from_numpy(array), non_blocking=True)

    def send(self, there: Any, array: NDArray[Any]) -> None:
        """Copy a device array into a host array, whose contents are right after `wait`."""
        if self._torch is None:
            there.copy_to_host(array, stream=self.stream)
        else:
            self._torch.from_numpy(array).copy_(there, non_blocking=True)

    def wait(self) -> None:
        """Until everything queued here is done."""
        if self._torch is not None:
            self._torch.cuda.current_stream(self._device).synchronize()

    def copied(self, array: Any) -> Any:
        """An array (n,) in memory of its own."""
        if self._torch is not None:
            return array.clone()
        there = self.empty(array.shape, array.dtype)
        if array.shape[0]:
            there.copy_to_device(array)
        return there

    def number(self, array: Any, at: int) -> int:
        """Element `at` of an array (n,): waits for this stream, and for no other."""
        return int(self.fetch(array[at : at + 1])[0][0])

    def fetch(self, *arrays: Any) -> list[NDArray[Any]]:
        """Device arrays as arrays of the host: one wait for all of them."""
        found = [self._sent(array) for array in arrays]
        self.wait()
        return [np.asarray(array) for array in found]

    def _sent(self, array: Any) -> Any:
        """A copy on its way to the host, into pinned memory where torch has some."""
        if hasattr(array, "copy_to_host"):
            return array.copy_to_host(stream=self.stream)
        if self._torch is None:
            return array
        host = self._torch.empty(array.shape, dtype=array.dtype, pin_memory=True)
        return host.copy_(array, non_blocking=True).numpy()

    def mark(self) -> Any:
        """What `after` can wait for: everything queued here so far."""
        return None if self._torch is None else self._torch.cuda.current_stream(self._device).record_event()

    def after(self, mark: Any) -> None:
        """What is queued from now on comes after what was queued when `mark` was made, maybe on another stream."""
        if mark is not None:
            self._torch.cuda.current_stream(self._device).wait_event(mark)

    def recorded(self, queue: Callable[[Place], None]) -> Callable[[], None] | None:
        """Record the kernels that `queue` runs at the place it is given, as a CUDA graph: one launch for all of them.

        Arrays and numbers are those of now, so arrays must stay where they are. None where torch is not at work, or
        where it cannot record now.
        """
        torch = self._torch
        if torch is None:
            return None
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                queue(Place(torch, self._device))
        except RuntimeError as error:
            _log.info("no CUDA graph: %r", error)
            return None
        replay: Callable[[], None] = graph.replay
        return replay


@cache
def _torch_type(torch: Any, dtype: np.dtype[Any]) -> Any:
    return torch.from_numpy(np.empty(0, dtype)).dtype


@contextmanager
def launching(device: int | None = None, *, like: Place | None = None) -> Iterator[Place]:
    """Make a device current and say where kernels go.

    Parameters
    ----------
    device : int, optional
        By default the current one: torch's where torch uses a GPU, else Numba's.
    like : Place, optional
        The device and the stream of this place instead: for other threads, whose current stream is the default one.
    """
    torch: Any = None if _SIMULATED else sys.modules.get("torch")
    if torch is not None and not torch.cuda.is_available():
        torch = None
    if like is not None:
        torch, device = like.owner
    if torch is None:
        with cuda.gpus[0 if device is None else device]:
            yield Place(None, device)
        return
    index = torch.cuda.current_device() if device is None else device
    there = nullcontext() if like is None else like.on_stream()
    with torch.cuda.device(index), cuda.gpus[index], there:
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
