"""How every CPU kernel of the library is compiled, and how many threads it may use.

`kernel` and `parallel_kernel` are the only two ways to compile: both release the GIL and cache machine code on disk, so
that the second process pays milliseconds. `prefetch` and `prefetch_far` reach the processor's software prefetch
instructions.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.dispatcher import Dispatcher
from numba.extending import intrinsic

from . import notice
from .inner import ONLY_INNER, link_inner
from .kernel_cache import KernelCache
from .ranges import split
from .threads import Loop, resolve_threads, threads_in_use, threads_now

if TYPE_CHECKING:
    from numpy.typing import NDArray


notice.install()


def _compile(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    dispatcher = _compiled(function, options)
    if isinstance(dispatcher, Dispatcher) and options.get("inline", "never") == "never":
        link_inner(dispatcher, lambda: _compiled(function, {**options, **ONLY_INNER}, "inner"))
    return dispatcher


def _compiled(function: Callable[..., Any], options: dict[str, Any], kind: str = "") -> Any:
    dispatcher = numba.njit(**options)(function)
    try:
        dispatcher._cache = KernelCache(function, kind)
    except RuntimeError as error:  # neither the user's cache folder nor the package folder can be written
        if kind:  # it has been said
            return dispatcher
        warnings.warn(
            f"compiled code of {function.__qualname__} cannot be cached ({error}); every process will compile it "
            "again. Set NUMBA_CACHE_DIR to a writable folder.",
            RuntimeWarning,
            stacklevel=3,
        )
    return dispatcher


def kernel(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Compile a serial kernel: no GIL, cached on disk, NumPy division rules."""
    if function is None:
        return functools.partial(kernel, **options)
    return _compile(function, {"nogil": True, "error_model": "numpy", **options})


def parallel_kernel(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Compile a kernel whose one `numba.prange` loop runs on threads (see `threads_in_use` and `ranges.split`)."""
    if function is None:
        return functools.partial(parallel_kernel, **options)
    return _ParallelKernel(function, {"nogil": True, "error_model": "numpy", **options})


class _ParallelKernel:
    """A kernel whose loop is compiled as a plain one over a range of turns, which run on threads of the pool.

    Compiling a plain loop takes two thirds of the time of Numba's parallel regions; nothing is compiled, nor read,
    before the first call.
    """

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        self._function, self._options = function, options
        functools.update_wrapper(self, function)

    @functools.cached_property
    def _parts(self) -> tuple[Callable[..., int], Any]:
        count, ranged = split(self._function)
        return count, _compile(ranged, self._options)

    @property
    def ranged(self) -> Any:
        """The compiled function of (first, last, worker, *arguments)."""
        return self._parts[1]

    def __call__(self, *arguments: Any) -> None:
        count, ranged = self._parts
        Loop(
            lambda first, last, worker: ranged(first, last, worker, *arguments), count(*arguments), threads_now()
        ).run()

    def at_once(self, *arguments: Any) -> None:
        """All turns on this thread in one piece, deaf to Ctrl-C meanwhile: for loops of microseconds, which a clock
        and pieces would cost more than the turns."""
        count, ranged = self._parts
        ranged(0, count(*arguments), 0, *arguments)

    def one_turn(self, *arguments: Any) -> None:
        """`at_once` for a loop that is known to have one turn, whose count costs as much as the call itself."""
        self._parts[1](0, 1, 0, *arguments)


class _Memory:
    """Memory of an array, under NumPy's array interface."""

    def __init__(self, array: NDArray[Any]) -> None:
        interface = dict(array.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__, self.owner = interface, array


def plain_view(array: NDArray[Any]) -> NDArray[Any]:
    """The array, or one of the same memory that is not marked read-only, for kernels that only read it.

    A kernel is compiled anew for every kind of argument, and a read-only array is another kind.
    """
    return array if array.flags.writeable else np.asarray(_Memory(array))


def _prefetcher(name: str, locality: int) -> Any:
    """An intrinsic `name(array, index)` for kernels: ask for a cache line before it is needed; a hint, never a fault.

    Locality 3 brings the line of `array[index]` (first axis) into every cache, 2 into all but the first level.
    """

    def hint(typingctx: Any, array: Any, index: Any) -> Any:
        if not isinstance(array, types.Array) or not isinstance(index, types.Integer):
            return None

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array_type, index_type = signature.args
            view = context.make_array(array_type)(context, builder, arguments[0])
            offset = context.cast(builder, arguments[1], index_type, types.intp)
            stride = builder.extract_value(view.strides, 0)
            byte = ir.IntType(8)
            start = builder.bitcast(view.data, byte.as_pointer())
            address = builder.gep(start, [builder.mul(offset, stride)])
            i32 = ir.IntType(32)
            function = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(ir.VoidType(), [byte.as_pointer(), i32, i32, i32]), "llvm.prefetch.p0"
            )
            builder.call(function, [address, ir.Constant(i32, 0), ir.Constant(i32, locality), ir.Constant(i32, 1)])
            return context.get_dummy_value()

        return types.void(array, index), generate

    hint.__name__ = hint.__qualname__ = name
    return intrinsic(hint)


prefetch: Any = _prefetcher("prefetch", 3)
prefetch_far: Any = _prefetcher("prefetch_far", 2)

__all__ = [
    "kernel",
    "parallel_kernel",
    "plain_view",
    "prefetch",
    "prefetch_far",
    "resolve_threads",
    "threads_in_use",
    "threads_now",
]
