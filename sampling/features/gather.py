"""Copy chosen rows of a table in host memory, or of a file mapped into it, at the speed of that memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import unmasked
from ...graphlib.compute.threads import Loop
from ...graphlib.errors import InvalidInput, InvalidType
from ..scratch import ResultMemory

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_LINE = 64
_WIDE = 384  # bytes of a row that is not of whole lines, from which what is done for whole lines pays
_LONG = 1024  # bytes of a row whose later lines the processor fetches by itself
_PAST_CACHE = 4 << 20  # results larger than this would not stay in the cache anyway
_PART = 2 << 20  # bytes that a thread takes at least
_NO_PLACES = np.empty(0, np.int64)
_results = ResultMemory(4)


def gather(
    table: NDArray[Any],
    index: ArrayLike,
    *,
    out: NDArray[Any] | None = None,
    sort: bool = False,
    threads: int | None = None,
) -> NDArray[Any]:
    """The rows `table[index]`, copied with the memory reads of later rows under way.

    Parameters
    ----------
    table : array (num_rows, ...)
        Of any dtype except Python objects. Each row must be contiguous; rows may be apart, as in `x[:, :64]`.
    index : int array (num_picks,)
        Rows in [0, num_rows), any order, repeats allowed.
    out : array (num_picks, ...), optional
        C-contiguous, of the table's dtype, written in place and returned.
    sort : bool, default False
        Visit the rows in ascending order. It costs a sort of the ids, and pays when the table is a file on disk that
        does not fit in memory.
    threads : int, optional
        All cores by default; small results use fewer. The result does not depend on it.

    Returns
    -------
    array (num_picks, ...)
        Memory of earlier results that nothing refers to any more is used again (at most four are kept), because fresh
        memory costs more than the copy.

    Raises
    ------
    InvalidInput
        An id outside the table (the message has its position and value; rows of `out` may have been written), a wrong
        `out`, rows that are not contiguous.
    InvalidType
        A table of objects, or ids that are not integers.

    Notes
    -----
    O(bytes copied). Nothing is allocated beside the result, except with `sort` (16 bytes per id).

    Examples
    --------
    >>> import numpy as np
    >>> from nearhop.sampling.features.gather import gather
    >>> gather(np.arange(6.0).reshape(3, 2), [2, 0]).tolist()
    [[4.0, 5.0], [0.0, 1.0]]
    """
    from ...graphlib.compute.threads import resolve_threads
    from . import gather_cpu

    rows = check_rows("table", table)
    picks = _as_index("index", index)
    shape = (picks.shape[0], *rows.shape[1:])
    width = int(np.prod(rows.shape[1:], dtype=np.int64)) * rows.dtype.itemsize
    out = _empty(shape, rows.dtype, width) if out is None else _check_out(out, shape, rows.dtype)
    if sort or width == 0:
        _check_inside("index", picks, rows.shape[0], index)
    if picks.shape[0] == 0 or width == 0:
        return out
    ahead, lines, past_cache = _plan(width, out)
    target = (out.ctypes.data, width, ahead, lines)
    sizes = picks.shape[0], width, resolve_threads(threads)
    if sort:
        places = np.argsort(picks, kind="stable")
        fixed = (rows.ctypes.data, rows.strides[0], picks[places], places)
        _in_parts(lambda *part: gather_cpu.copy_rows_to_places(*fixed, *part, *target), *sizes)
        return out
    run = gather_cpu.copy_rows_past_cache if past_cache else gather_cpu.copy_rows
    source = (rows.ctypes.data, rows.strides[0], rows.shape[0], picks)
    if _in_parts(lambda *part: run(*source, *part, *target), *sizes) >= 0:
        _check_inside("index", picks, rows.shape[0], index)
    return out


def _plan(width: int, out: NDArray[Any]) -> tuple[int, int, bool]:
    """How many rows ahead and how many of their lines to ask for, and whether to write past the cache.

    What was fastest on a table of 4 GiB, see docs/benchmarks.md. A row within a line is cheap enough for the processor
    to run ahead by itself, and of a long row it fetches by itself what follows the first lines. Rows that begin inside
    a line of the result are worth writing past the cache only where most of their lines are whole.
    """
    aligned = out.ctypes.data % _LINE == 0 and width % _LINE == 0
    past_cache = out.nbytes > _PAST_CACHE and (aligned or width >= _WIDE)
    if width <= _LINE or not (aligned or width >= _WIDE):
        return 0, 0, past_cache
    if width > _LONG:
        return 8, 4, past_cache
    return 64, -(-width // _LINE) + (width % _LINE != 0), past_cache


def check_rows(name: str, table: Any) -> NDArray[Any]:
    """`table` as an array whose rows are contiguous runs of bytes; nothing is copied."""
    if not isinstance(table, np.ndarray):
        raise InvalidType(f"{name} must be a NumPy array; got {type(table).__name__}. For tensors use UnifiedTensor")
    unmasked(name, table)
    if table.dtype.hasobject:
        raise InvalidType(f"{name} holds Python objects, which cannot be gathered; use a numeric dtype")
    if table.ndim == 0:
        raise InvalidInput(f"{name} must have rows: one dimension or more; got a scalar")
    if table.size and (table.strides[0] < 0 or (table.shape[0] > 0 and not table[0].flags.c_contiguous)):
        raise InvalidInput(f"the rows of {name} are not contiguous (strides {table.strides}); use np.ascontiguousarray")
    return table


def check_index(name: str, index: ArrayLike, count: int) -> NDArray[Any]:
    """`index` as a contiguous int32 or int64 array of row numbers in [0, count)."""
    picks = _as_index(name, index)
    _check_inside(name, picks, count, index)
    return picks


def _as_index(name: str, index: ArrayLike) -> NDArray[Any]:
    """`index` as a contiguous int32 or int64 array, whatever its values."""
    given: NDArray[Any] = unmasked(name, index)
    if given.size == 0:
        given = given.astype(np.int64)
    if given.dtype.kind not in "iu":
        raise InvalidType(f"{name} must hold integer row numbers; got dtype {given.dtype}")
    if given.ndim != 1:
        raise InvalidInput(f"{name} must have one dimension; got shape {given.shape}")
    picks = np.require(given, given.dtype if given.dtype == np.int32 else np.int64, ("C", "A"))
    if not picks.flags.writeable:  # one compiled kernel serves both
        picks = picks.copy()
    return picks


def _check_inside(name: str, picks: NDArray[Any], count: int, given: ArrayLike) -> None:
    from . import gather_cpu

    where = int(gather_cpu.first_outside(picks, count))
    if where >= 0:
        raise InvalidInput(f"{name}[{where}] is {np.asarray(given)[where]}, but the table has rows 0..{count - 1}")


def _check_out(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    if not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != dtype:
        got = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise InvalidInput(f"out must be a {dtype} array of shape {shape}; got {got}")
    if not (out.flags.c_contiguous and out.flags.writeable):
        raise InvalidInput("out must be C-contiguous and writable")
    return out


def _empty(shape: tuple[int, ...], dtype: np.dtype[Any], width: int) -> NDArray[Any]:
    """Uninitialised memory that begins at a cache line."""
    size = shape[0] * width
    (memory,) = _results.arrays((size + _LINE, np.uint8))
    start = -memory.ctypes.data % _LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def _in_parts(run: Callable[[int, int], Any], count: int, width: int, threads: int) -> int:
    """`run(first, last)` over parts of range(count) of `_PART` bytes; the least that it returned from 0 on, or -1.

    The kernels release the GIL; threads are those of the pool, and only where there is enough to copy.
    """
    rows = max(1, _PART // width)
    if count <= rows:
        result = run(0, count)
        return -1 if result is None else int(result)
    stopped: list[int] = []

    def turns(first: int, last: int, worker: int) -> None:
        result = run(first * rows, min(last * rows, count))
        if result is not None and result >= 0:
            stopped.append(result)

    Loop(turns, -(-count // rows), threads).run()
    return min(stopped, default=-1)
