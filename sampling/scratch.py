"""Memory that samplers use again: working arrays of a thread, and the arrays of results that nobody holds any more.

Fresh memory costs a page fault per 4 KiB, and faults of one process queue behind each other, so that two threads that
allocate per batch are hardly faster than one.
"""

from __future__ import annotations

import queue
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.process import check_fits

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike, NDArray

_LINE = 64


class Scratch:
    """Named working arrays that grow and are kept; one object serves one call at a time.

    Attributes
    ----------
    mark : int32 (num_nodes,)
        `mark[v] - base` is the local number of v in the current batch, or negative where v was not seen.
    """

    def __init__(self, num_nodes: int) -> None:
        self.mark = np.zeros(num_nodes, np.int32)
        self.base = 1
        self._arrays: dict[str, NDArray[Any]] = {}

    def array(self, name: str, size: int, dtype: DTypeLike = np.int64, *, keep: int = 0) -> NDArray[Any]:
        """The array `name` with at least `size` slots asked for, its first `keep` values as they were."""
        held = self._arrays.get(name)
        if held is None or held.shape[0] < size or held.dtype != dtype:
            check_fits("the working arrays of a sample", size * np.dtype(dtype).itemsize)
            larger = np.empty(max(1024, size + (size >> 1)), dtype)
            if keep and held is not None:
                larger[:keep] = held[:keep]
            self._arrays[name] = held = larger
        return held[:size]

    def forget(self, count: int) -> None:
        """End a batch that numbered `count` nodes: every mark becomes stale without being touched."""
        self.base += count
        if self.base > np.iinfo(np.int32).max - self.mark.shape[0]:
            self.mark[:] = 0
            self.base = 1


class ScratchPool:
    """Scratch memory of a sampler, by name, as many sets as calls have run side by side."""

    def __init__(self, make: Callable[[], dict[str, Scratch]]) -> None:
        self._make = make
        self._free: queue.SimpleQueue[dict[str, Scratch]] = queue.SimpleQueue()

    def take(self) -> dict[str, Scratch]:
        try:
            return self._free.get_nowait()
        except queue.Empty:
            return self._make()

    def give(self, scratch: dict[str, Scratch]) -> None:
        self._free.put(scratch)


class _Owner:
    """What the arrays of one result keep alive; when the last of them is gone, so is this."""

    def __init__(self, memory: NDArray[np.uint8]) -> None:
        self.__array_interface__ = memory.__array_interface__
        self.memory = memory


class ResultMemory:
    """Arrays of results, cut from blocks that come back when no array of them is referenced.

    Blocks that wait number at most `most`; results that the caller keeps are the caller's alone.
    """

    def __init__(self, most: int = 8) -> None:
        self._free: deque[NDArray[np.uint8]] = deque(maxlen=most)

    def arrays(self, *wanted: tuple[int, DTypeLike]) -> tuple[NDArray[Any], ...]:
        """Uninitialised arrays of the lengths and dtypes asked for."""
        starts, at = [], 0
        for length, dtype in wanted:
            starts.append(at)
            at += -(-length * np.dtype(dtype).itemsize // _LINE) * _LINE
        owner = _Owner(self._block(at))
        weakref.finalize(owner, self._free.append, owner.memory).atexit = False
        whole = np.asarray(owner)
        return tuple(
            whole[start : start + length * np.dtype(dtype).itemsize].view(dtype)
            for start, (length, dtype) in zip(starts, wanted, strict=True)
        )

    def _block(self, size: int) -> NDArray[np.uint8]:
        for _ in range(len(self._free)):
            try:
                block = self._free.popleft()
            except IndexError:  # another thread took the last one
                break
            if size <= block.shape[0] <= 4 * size + 65536:  # a small result must not hold a large block
                return block
            self._free.append(block)
        step = 1 << max(12, size.bit_length() - 3)
        check_fits("a sample of that many nodes and edges", size)
        return np.empty(-(-max(size, 1) // step) * step, np.uint8)
