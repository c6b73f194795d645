"""Launches through the driver, for arguments that are torch's tensors.

A launch by Numba looks up types and wraps every array, which costs the host some 100 microseconds for the kernels here.
What Numba compiled is launched here with arguments packed as its kernels read them: for an array two null pointers, its
number of elements, bytes per element, address, shape and strides. The first launch for a set of types is Numba's own;
where a later numba-cuda keeps its functions elsewhere, all of them are.
"""

from __future__ import annotations

import ctypes
import logging
import struct
import threading
from collections.abc import Iterable
from typing import Any

import numpy as np

from .numba_cuda import cuda

_log = logging.getLogger(__name__)
_WORDS = {
    bool: "?7x", int: "q", float: "d", np.float32: "f4x", np.float64: "d", np.uint64: "Q", np.int64: "q",
    np.int32: "i4x",
}  # fmt: skip
_HEADER = 5  # null, null, elements, bytes per element, address


class _Function:
    """A kernel compiled for one set of types, and the slots that its arguments are packed into."""

    def __init__(self, handle: int, layout: str) -> None:
        packing = struct.Struct(f"<{layout}")
        count = packing.size // 8
        self._handle = ctypes.c_void_p(handle)
        self._slots = ctypes.create_string_buffer(packing.size)
        address = ctypes.addressof(self._slots)
        self._arguments = (ctypes.c_void_p * count)(*range(address, address + packing.size, 8))
        self._pack = packing.pack_into
        self._lock = threading.Lock()  # the driver has copied the slots when a launch returns
        self._launch = ctypes.CDLL("libcuda.so.1").cuLaunchKernel

    def launch(self, blocks: int, threads: int, shared: int, stream: int, values: list[Any]) -> None:
        with self._lock:
            self._pack(self._slots, 0, *values)
            status = self._launch(
                self._handle, blocks, 1, 1, threads, 1, 1, shared, ctypes.c_void_p(stream), self._arguments, None
            )
        if status:
            raise RuntimeError(f"the CUDA driver refused a launch of {blocks} x {threads} threads (error {status})")


_functions: dict[tuple[Any, ...], _Function | None] = {}


def launch(
    torch: Any, device: int, kernel: Any, blocks: int, threads: int, shared: int, stream: int, arguments: Any
) -> None:
    """Launch a kernel of `cuda.jit` on a stream's handle; arguments are tensors, device arrays, numbers, tuples."""
    kinds: list[Any] = []
    values: list[Any] = []
    try:
        for argument in arguments:
            _flatten(torch, argument, kinds, values)
    except AttributeError:  # a type that is not packed here
        kinds = [None]
    key = (kernel, device, *kinds)
    if key in _functions:
        function = _functions[key]
        if function is not None:
            function.launch(blocks, threads, shared, stream, values)
            return
    ready = [_wrapped(argument) for argument in arguments]
    queue = cuda.external_stream(stream) if stream else 0
    kernel[blocks, threads, queue, shared](*ready)
    _functions.setdefault(key, None if kinds == [None] else _bound(kernel, ready, kinds))


def _flatten(torch: Any, argument: Any, kinds: list[Any], values: list[Any]) -> None:
    """What stands for an argument's type, and the words that stand for its value."""
    kind = type(argument)
    if isinstance(argument, torch.Tensor):
        shape, size = argument.shape, argument.element_size()
        strides = argument.stride()
        kinds.append((argument.dtype, len(shape), argument.is_contiguous()))
        values += (0, 0, argument.numel(), size, argument.data_ptr(), *shape)
        values += [stride * size for stride in strides]
    elif kind in _WORDS:
        kinds.append(np.uint64 if kind is int and argument >> 63 > 0 else kind)  # as Numba types them
        values.append(argument)
    elif isinstance(argument, tuple):
        kinds.append(len(argument) if kind is tuple else kind)
        for part in argument:
            _flatten(torch, part, kinds, values)
    else:
        face = argument.__cuda_array_interface__
        kinds.append((argument.dtype, len(face["shape"]), face["strides"] is None))
        values += (0, 0, argument.size, argument.dtype.itemsize, face["data"][0], *argument.shape, *argument.strides)


def _layout(kinds: Iterable[Any]) -> str:
    words = []
    for kind in kinds:
        if isinstance(kind, tuple):
            words.append("q" * (_HEADER + 2 * kind[1]))
        elif kind in _WORDS:  # else a tuple, whose parts follow
            words.append(_WORDS[kind])
    return "".join(words)


def _bound(kernel: Any, arguments: list[Any], kinds: list[Any]) -> _Function | None:
    """The function that Numba has just launched; None, for good, where it cannot be found."""
    try:
        compiled = kernel.overloads[tuple(kernel.typeof_pyval(argument) for argument in arguments)]
        return _Function(int(compiled._codelibrary.get_cufunc().handle), _layout(kinds))
    except (AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        _log.info("%s is launched by Numba: %r", getattr(kernel, "__name__", kernel), error)
        return None


def _wrapped(argument: Any) -> Any:
    if isinstance(argument, tuple):
        parts = [_wrapped(part) for part in argument]
        return tuple(parts) if type(argument) is tuple else type(argument)(*parts)
    return cuda.as_cuda_array(argument, sync=False) if hasattr(argument, "__cuda_array_interface__") else argument
