"""How every CPU kernel of the library is compiled, and how many threads it may use.

`kernel` and `parallel_kernel` are the only two ways to compile: both release the GIL and cache machine code on disk, so
that the second process pays milliseconds. `prefetch` and `prefetch_far` reach the processor's software prefetch
instructions.

Kernels that others call are linked into them (`compiling.inner`), and arrays are borrowed (`compiling.borrowing`).

While Numba compiles, Python looks for no garbage in circles: nearly all that a compilation makes is needed until it
ends, and looking through it again and again took a tenth of the time.
"""

from __future__ import annotations

import functools
import gc
import warnings
from collections.abc import Callable, Iterator
from operator import le
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.dispatcher import Dispatcher
from numba.extending import intrinsic

from .compiling import notice
from .compiling.borrowing import BorrowingCompiler
from .compiling.inner import InnerLibrary, LateLibrary, link_inner
from .compiling.kernel_cache import KernelCache
from .compiling.ranges import has_stages, split
from .threads import Loop, pieces, resolve_threads, threads_in_use, threads_now

if TYPE_CHECKING:
    from numpy.typing import NDArray


notice.install()

_SHORT_S = 5e-3  # even calls that took less need not be cut
_ONLY_INNER = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
# Linking and borrowing reach into Numba's compiler: versions that were not tried compile kernels plainly.
_TRIED = numba.version_info[:2] == (0, 68)
_BORROWING: dict[str, Any] = {"pipeline_class": BorrowingCompiler} if _TRIED else {}


def _leave_garbage(dispatcher: Any) -> None:
    """Let Python look for garbage in circles after it has compiled, not meanwhile."""
    plain = dispatcher.compile

    def compiled(signature: Any) -> Any:
        if not gc.isenabled():
            return plain(signature)
        gc.disable()
        try:
            return plain(signature)
        finally:
            gc.enable()

    dispatcher.compile = compiled


def _compile(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    dispatcher = _compiled(function, options)
    if _TRIED and isinstance(dispatcher, Dispatcher) and options.get("inline", "never") == "never":
        library = InnerLibrary if options.get("forceinline") else LateLibrary
        kind = "inner" if library is InnerLibrary else "late"
        link_inner(dispatcher, lambda: _compiled(function, {**options, **_ONLY_INNER}, kind), library)
    return dispatcher


def _compiled(function: Callable[..., Any], options: dict[str, Any], kind: str = "") -> Any:
    dispatcher = numba.njit(**_BORROWING, **options)(function)
    if isinstance(dispatcher, Dispatcher):
        _leave_garbage(dispatcher)
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


def parallel_kernel(function: Callable[..., Any] | None = None, *, even: bool = False, **options: Any) -> Any:
    """Compile a kernel whose `numba.prange` loops run on threads (see `threads_in_use` and `ranges.split`).

    Of several loops, one behind the other, each ends on all threads before the next begins.

    `even`, of a kernel with one loop, says that the sizes of its arrays alone decide how long a call takes. Where one
    thread ran such a call in less than five milliseconds, it runs those whose arrays are each at most four times as
    large in one piece.
    """
    if function is None:
        return functools.partial(parallel_kernel, even=even, **options)
    return _ParallelKernel(function, even, {"nogil": True, "error_model": "numpy", **options})


class _ParallelKernel:
    """A kernel whose loop is compiled as a plain one over a range of turns, which run on threads of the pool.

    Compiling a plain loop takes two thirds of the time of Numba's parallel regions; nothing is compiled, nor read,
    before the first call.
    """

    def __init__(self, function: Callable[..., Any], even: bool, options: dict[str, Any]) -> None:
        self._function, self._even, self._options = function, even, options
        self._staged = False
        self._short: list[int] = []  # calls on arrays of so many numbers take milliseconds
        functools.update_wrapper(self, function)

    @functools.cached_property
    def _parts(self) -> tuple[Callable[..., Any], Any]:
        count, ranged = split(self._function)
        self._staged = has_stages(ranged)
        return count, _compile(ranged, self._options)

    @property
    def ranged(self) -> Any:
        """The compiled function of (first, last, worker, *arguments), of several loops with the stage before them."""
        return self._parts[1]

    def __call__(self, *arguments: Any) -> None:
        count, ranged = self._parts
        total, threads = count(*arguments), threads_now()
        if isinstance(total, list):
            for stage, turns in enumerate(total):
                Loop(_turns_of(functools.partial(ranged, stage), arguments), turns, threads).run()
        elif threads == 1:
            self._alone(ranged, total, arguments)
        else:
            Loop(_turns_of(ranged, arguments), total, threads).run()

    def _alone(self, ranged: Any, total: int, arguments: tuple[Any, ...]) -> None:
        sizes = [*_sizes(arguments)] if self._even else []
        if len(self._short) == len(sizes) and self._even and all(map(le, sizes, self._short)):
            ranged(0, total, 0, *arguments)
            return
        begin = perf_counter()
        for first, last in pieces(total):
            ranged(first, last, 0, *arguments)
        if self._even and perf_counter() - begin < _SHORT_S:
            self._short = [4 * size for size in sizes]

    def at_once(self, *arguments: Any) -> None:
        """All turns on this thread in one piece, deaf to Ctrl-C meanwhile: for loops of microseconds, which a clock
        and pieces would cost more than the turns."""
        count, ranged = self._parts
        if self._staged:
            ranged(-1, 0, 0, 0, *arguments)
        else:
            ranged(0, count(*arguments), 0, *arguments)

    def one_turn(self, *arguments: Any) -> None:
        """`at_once` for a loop that is known to have one turn, whose count costs as much as the call itself."""
        self._parts[1](0, 1, 0, *arguments)


def _turns_of(ranged: Callable[..., Any], arguments: tuple[Any, ...]) -> Callable[[int, int, int], Any]:
    """Turns `first` to `last` - 1 of one loop, by a worker."""
    return lambda first, last, worker: ranged(first, last, worker, *arguments)


def _sizes(arguments: tuple[Any, ...]) -> Iterator[int]:
    """How many numbers each of the arrays among arguments holds, those in tuples too."""
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            yield argument.size
        elif isinstance(argument, tuple):
            yield from _sizes(argument)


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
