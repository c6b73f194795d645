"""Rows gathered by a GPU from its own memory or, over the bus, from pinned host memory.

Rows wider than a line of 128 bytes are read by a warp each, and every read of a warp begins at a line: the bus moves
whole lines, so a row that begins inside one would otherwise cost two half-used lines per read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import config

from ...graphlib.compute.launch_cuda import Place, launching
from ...graphlib.compute.numba_cuda import cuda, cuda_kernel
from ...graphlib.errors import InvalidInput

LINE = 128
_LANES = 32
_SIMULATED = bool(config.ENABLE_CUDASIM)  # type: ignore[attr-defined]
_BLOCK = 32 if _SIMULATED else 128


@cuda_kernel
def gather_narrow(table, hot, slots, index, places, out, notes):
    """A word per thread; consecutive threads read consecutive words of a row.

    Row r lies in `hot[slots[r]]` where `slots` says so with a number >= 0, and in `table[r]` otherwise. `notes[0]` is
    raised to n - (the first position of an id outside the table), `notes[1]` grows by the rows found in `hot`.
    """
    words = out.shape[1]
    count = table.shape[0]
    found = np.int64(0)
    for t in range(cuda.grid(1), index.shape[0] * words, cuda.gridsize(1)):
        i = t // words
        word = t - i * words
        row = np.int64(index[i])
        place = np.int64(places[i]) if places.shape[0] > 0 else np.int64(i)
        if row < 0 or row >= count:
            cuda.atomic.max(notes, 0, np.int64(index.shape[0] - place))
            continue
        slot = np.int64(slots[row]) if slots.shape[0] > 0 else np.int64(-1)
        if slot < 0:
            out[place, word] = table[row, word]
        else:
            out[place, word] = hot[slot, word]
            found += np.int64(word == 0)
    if found > 0:
        cuda.atomic.add(notes, 1, found)


@cuda.jit(device=True)
def _copy_row(source, row, out, place, first):
    """`out[place] = source[row]` by a warp whose lane begins at word `first`: four reads are on their way at a time."""
    words = out.shape[1]
    for j in range(first, words, 4 * _LANES):
        a = b = c = d = out.dtype.type(0)
        if j >= 0:
            a = source[row, j]
        if j + _LANES < words:
            b = source[row, j + _LANES]
        if j + 2 * _LANES < words:
            c = source[row, j + 2 * _LANES]
        if j + 3 * _LANES < words:
            d = source[row, j + 3 * _LANES]
        if j >= 0:
            out[place, j] = a
        if j + _LANES < words:
            out[place, j + _LANES] = b
        if j + 2 * _LANES < words:
            out[place, j + 2 * _LANES] = c
        if j + 3 * _LANES < words:
            out[place, j + 3 * _LANES] = d


@cuda_kernel
def gather_wide(table, base, hot, slots, index, places, out, notes):
    """As `gather_narrow` with a warp per row, its reads aligned to lines.

    `base` is the address of `table` in words, modulo a line; `hot` begins at a line.
    """
    words = out.shape[1]
    count = table.shape[0]
    line = LINE // table.itemsize
    lane = cuda.threadIdx.x % _LANES
    warp = (cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x) // _LANES
    warps = cuda.gridDim.x * cuda.blockDim.x // _LANES
    found = np.int64(0)
    for i in range(warp, index.shape[0], warps):
        row = np.int64(index[i])
        place = np.int64(places[i]) if places.shape[0] > 0 else np.int64(i)
        if row < 0 or row >= count:
            if lane == 0:
                cuda.atomic.max(notes, 0, np.int64(index.shape[0] - place))
            continue
        slot = np.int64(slots[row]) if slots.shape[0] > 0 else np.int64(-1)
        # less the words of the row's first line that are not its own
        if slot < 0:
            _copy_row(table, row, out, place, lane - (base + row * words) % line)
        else:
            _copy_row(hot, slot, out, place, lane - slot * words % line)
            found += 1
    if lane == 0 and found > 0:
        cuda.atomic.add(notes, 1, found)


def launch(
    place: Place,
    table: Any,
    index: Any,
    out: Any,
    notes: Any,
    *,
    order: Any = None,
    hot: Any = None,
    slots: Any = None,
    max_threads: int = 1 << 20,
) -> None:
    """Queue a gather; see `gather_rows` for the parameters and `gather_narrow` for `hot`, `slots` and `notes`.

    Arrays are two-dimensional tables of the same words, and device arrays or anything with
    `__cuda_array_interface__`; the simulator takes arrays and tensors of the processor.
    """
    source, ids, target = _device(table), _device(index), _device(out)
    places = place.empty(0, np.int64) if order is None else _device(order)
    on_device = source if hot is None else _device(hot)
    where = place.empty(0, np.int64) if slots is None else _device(slots)
    size = int(source.dtype.itemsize)
    words = int(source.shape[1])
    wide = words * size > LINE
    needed = ids.shape[0] * (_LANES if wide else words)
    blocks = max(1, min(max_threads, needed, 64 if _SIMULATED else needed) // _BLOCK)
    ends = (on_device, where, ids, places, target, _device(notes))
    if wide:
        base = 0 if _SIMULATED else _address(source) // size % (LINE // size)
        place.run(gather_wide, blocks, _BLOCK, source, base, *ends)
    else:
        place.run(gather_narrow, blocks, _BLOCK, source, *ends)


def gather_rows(
    table: Any,
    index: Any,
    *,
    order: Any = None,
    out: Any = None,
    max_threads: int = 1 << 20,
) -> Any:
    """`table[index]` as a device array.

    Parameters
    ----------
    table : device array (num_rows, words)
        C-contiguous; or anything with `__cuda_array_interface__`, such as a tensor over pinned memory.
    index : device array (num_picks,)
        int32 or int64 rows. When the table is large, ascending ids are read several times faster.
    order : device array (num_picks,), optional
        Row `index[i]` is written to `out[order[i]]`: the permutation that sorted `index`.
    out : device array (num_picks, words), optional
    max_threads : int, default 2**20
        Cap it (10,240) to leave most of the GPU to training that runs beside it.

    Raises
    ------
    InvalidInput
        An id outside the table; nothing is read there. Finding out waits for the stream.

    Notes
    -----
    The kernel runs on the current device, on torch's current stream there.
    """
    with launching() as place:
        source, ids = _device(table), _device(index)
        if out is None:
            out = place.empty((ids.shape[0], source.shape[1]), _dtype(source))
        if ids.shape[0] == 0 or source.shape[1] == 0:
            return out
        notes = place.put(np.zeros(2, np.int64))
        launch(place, source, ids, out, notes, order=order, max_threads=max_threads)
        outside = place.number(notes, 0)
    if outside:
        where = ids.shape[0] - outside
        raise InvalidInput(f"the id for row {where} of the result is outside the table's rows 0..{source.shape[0] - 1}")
    return out


def _device(array: Any) -> Any:
    """A kernel's argument; the simulator takes arrays of the processor."""
    return array.numpy() if _SIMULATED and hasattr(array, "numpy") else array


def _dtype(array: Any) -> np.dtype[Any]:
    if _SIMULATED:
        return np.dtype(array.dtype)
    return np.dtype(array.__cuda_array_interface__["typestr"])


def _address(array: Any) -> int:
    return int(array.data_ptr() if hasattr(array, "data_ptr") else array.__cuda_array_interface__["data"][0])
