"""Rows gathered by a GPU from its own memory or, over the bus, from pinned host memory.

Rows wider than a line of 128 bytes are read by a warp each, and every read of a warp begins at a line: the bus moves
whole lines, so a row that begins inside one would otherwise cost two half-used lines per read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import config
from numba import cuda as _cuda

from ..graphlib.errors import InvalidInput

cuda: Any = _cuda  # its own types leave out what kernels use

LINE = 128
_LANES = 32
_SIMULATED = bool(config.ENABLE_CUDASIM)  # type: ignore[attr-defined]
_BLOCK = 32 if _SIMULATED else 128
_NONE_BAD = np.iinfo(np.int64).max


@cuda.jit
def gather_narrow(table, index, places, out, bad):
    """A word per thread; consecutive threads read consecutive words of a row."""
    words = out.shape[1]
    count = table.shape[0]
    for t in range(cuda.grid(1), index.shape[0] * words, cuda.gridsize(1)):
        i = t // words
        row = np.int64(index[i])
        if row < 0 or row >= count:
            cuda.atomic.min(bad, 0, np.int64(places[i] if places.shape[0] > 0 else i))
            continue
        out[places[i] if places.shape[0] > 0 else i, t - i * words] = table[row, t - i * words]


@cuda.jit
def gather_wide(table, base, index, places, out, bad):
    """A warp per row, its reads aligned to lines; `base` is the table's address in words, modulo a line."""
    words = out.shape[1]
    count = table.shape[0]
    line = LINE // table.itemsize
    lane = cuda.threadIdx.x % _LANES
    warp = (cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x) // _LANES
    warps = cuda.gridDim.x * cuda.blockDim.x // _LANES
    for i in range(warp, index.shape[0], warps):
        row = np.int64(index[i])
        place = places[i] if places.shape[0] > 0 else i
        if row < 0 or row >= count:
            if lane == 0:
                cuda.atomic.min(bad, 0, np.int64(place))
            continue
        before = (base + row * words) % line  # words of the row's first line that are not its own
        for j in range(lane - before, words, _LANES):
            if j >= 0:
                out[place, j] = table[row, j]


def gather_rows(
    table: Any,
    index: Any,
    *,
    order: Any = None,
    out: Any = None,
    max_threads: int = 1 << 20,
    stream: Any = 0,
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
    stream : optional
        A Numba stream, for `cuda.external_stream` of a torch one.

    Raises
    ------
    InvalidInput
        An id outside the table; nothing is read there. Finding out waits for the stream.
    """
    source, ids = _device(table), _device(index)
    places = cuda.device_array(0, np.int64) if order is None else _device(order)
    if out is None:
        out = cuda.device_array((ids.shape[0], source.shape[1]), source.dtype)
    target = _device(out)
    words = int(source.shape[1])
    if ids.shape[0] == 0 or words == 0:
        return out
    bad = cuda.to_device(np.array([_NONE_BAD]), stream=stream)
    wide = words * source.dtype.itemsize > LINE
    needed = ids.shape[0] * (_LANES if wide else words)
    blocks = max(1, min(max_threads, needed, 64 if _SIMULATED else needed) // _BLOCK)
    if wide:
        base = 0 if _SIMULATED else _address(source) // source.dtype.itemsize % (LINE // source.dtype.itemsize)
        gather_wide[blocks, _BLOCK, stream](source, base, ids, places, target, bad)
    else:
        gather_narrow[blocks, _BLOCK, stream](source, ids, places, target, bad)
    where = int(bad.copy_to_host(stream=stream)[0])
    if stream:
        stream.synchronize()
    if where != _NONE_BAD:
        raise InvalidInput(f"the id for row {where} of the result is outside the table's rows 0..{source.shape[0] - 1}")
    return out


def _device(array: Any) -> Any:
    return array if _SIMULATED else cuda.as_cuda_array(array)


def _address(array: Any) -> int:
    return int(array.__cuda_array_interface__["data"][0])
