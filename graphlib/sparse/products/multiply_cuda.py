"""Sparse products on a GPU by atomic hashing in shared memory: a block per row, its threads share the row's table.

Rows are binned by the bound of their entries: each bin has a kernel whose table fits them, and rows beyond the largest
shared table get one in global memory. A thread claims a slot by compare-and-swap and merges its product by an atomic
operation, so no partial product is written to memory. The table is then sorted in place, empty slots last, and the
row's front is copied out.

K. Shivdikar, "SMASH: sparse matrix atomic scratchpad hashing", arXiv:2105.14156. Bins as in Y. Nagasaka, A. Nukada,
S. Matsuoka, "High-performance and memory-saving sparse general matrix-matrix multiplication for NVIDIA Pascal GPU",
ICPP 2017.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import config

from ...compute.launch_cuda import Place, device_number, launching
from ...compute.numba_cuda import cuda, cuda_kernel
from ...errors import InvalidInput
from ..csr import CSR, as_csr
from .plan import row_products
from .semirings import ANY_PAIR, MAX_TIMES, MIN_PLUS, PLUS_PAIR, PLUS_TIMES, check_range, result_dtype, semiring_code

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIMULATED = bool(config.ENABLE_CUDASIM)  # type: ignore[attr-defined]
_LANES = 32
_TABLES = (16, 64) if _SIMULATED else (256, 1024, 4096)  # slots; the largest takes 32 KiB of shared memory
_THREADS = {16: 32, 64: 32, 256: 32, 1024: 128, 4096: 512}
_EMPTY = np.int32(2**31 - 1)
_FACTOR = np.int64(2654435769)
_GLOBAL_BYTES = 1 << 28  # of tables in global memory at a time


@cuda.jit(device=True)
def _merge(semiring, values, slot, term):
    if semiring == MAX_TIMES:
        cuda.atomic.max(values, slot, term)
    elif semiring == MIN_PLUS:
        cuda.atomic.min(values, slot, term)
    else:
        cuda.atomic.add(values, slot, term)


@cuda.jit(device=True)
def _fill(semiring, unit, row, A, B, keys, values):
    """Clear a table and put every product of a row into it; all threads of the block together."""
    a_indptr, a_indices, a_values = A
    b_indptr, b_indices, b_values = B
    for slot in range(cuda.threadIdx.x, keys.shape[0], cuda.blockDim.x):
        keys[slot] = _EMPTY
        values[slot] = unit
    cuda.syncthreads()
    mask = keys.shape[0] - 1
    warp, lane = cuda.threadIdx.x // _LANES, cuda.threadIdx.x % _LANES
    for e in range(a_indptr[row] + warp, a_indptr[row + 1], cuda.blockDim.x // _LANES):
        k = a_indices[e]
        for f in range(b_indptr[k] + lane, b_indptr[k + 1], _LANES):
            column = b_indices[f]
            slot = ((np.int64(column) * _FACTOR) >> 7) & mask
            while True:
                found = cuda.atomic.cas(keys, slot, _EMPTY, column)
                if found in (_EMPTY, column):
                    break
                slot = (slot + 1) & mask
            if semiring == PLUS_PAIR:
                _merge(semiring, values, slot, values.dtype.type(1))
            elif semiring == MIN_PLUS:
                _merge(semiring, values, slot, a_values[e] + b_values[f])
            else:
                _merge(semiring, values, slot, a_values[e] * b_values[f])
    cuda.syncthreads()


@cuda.jit(device=True)
def _sort(keys, values):
    """Bitonic sort of a table by column; empty slots, which hold the largest number, come last."""
    size = keys.shape[0]
    width = 2
    while width <= size:
        apart = width // 2
        while apart > 0:
            for slot in range(cuda.threadIdx.x, size, cuda.blockDim.x):
                other = slot ^ apart
                if other > slot:
                    rising = (slot & width) == 0
                    if (keys[slot] > keys[other]) == rising and keys[slot] != keys[other]:
                        key, value = keys[slot], values[slot]
                        keys[slot], values[slot] = keys[other], values[other]
                        keys[other], values[other] = key, value
            cuda.syncthreads()
            apart //= 2
        width *= 2


@cuda.jit(device=True)
def _write(row, keys, values, offsets, out_indices, out_values, sizes):
    first = offsets[row]
    for slot in range(cuda.threadIdx.x, keys.shape[0], cuda.blockDim.x):
        if keys[slot] != _EMPTY:
            out_indices[first + slot] = keys[slot]
            out_values[first + slot] = values[slot]
            if slot + 1 == keys.shape[0] or keys[slot + 1] == _EMPTY:
                sizes[row] = slot + 1
    cuda.syncthreads()


def _shared_kernel(size: int, dtype: Any) -> Any:
    @cuda_kernel
    def rows_in_shared_memory(semiring, unit, rows, A, B, offsets, out_indices, out_values, sizes):
        keys = cuda.shared.array(size, np.int32)
        values = cuda.shared.array(size, dtype)
        for at in range(cuda.blockIdx.x, rows.shape[0], cuda.gridDim.x):
            _fill(semiring, unit, rows[at], A, B, keys, values)
            _sort(keys, values)
            _write(rows[at], keys, values, offsets, out_indices, out_values, sizes)

    return rows_in_shared_memory


@cuda_kernel
def _rows_in_global_memory(semiring, unit, rows, A, B, tables, offsets, out_indices, out_values, sizes):
    """Block b takes row b with table b of `tables`, which are (columns, values)."""
    keys, values = tables[0][cuda.blockIdx.x], tables[1][cuda.blockIdx.x]
    row = rows[cuda.blockIdx.x]
    _fill(semiring, unit, row, A, B, keys, values)
    _sort(keys, values)
    _write(row, keys, values, offsets, out_indices, out_values, sizes)


@cuda_kernel
def _gather(offsets, indptr, indices, values, out_indices, out_values):
    for row in range(cuda.blockIdx.x, indptr.shape[0] - 1, cuda.gridDim.x):
        first = indptr[row]
        for at in range(cuda.threadIdx.x, indptr[row + 1] - first, cuda.blockDim.x):
            out_indices[first + at] = indices[offsets[row] + at]
            out_values[first + at] = values[offsets[row] + at]


_made: dict[tuple[int, str], Any] = {}


def spgemm(A: Any, B: Any, *, semiring: str = "plus_times", dtype: Any = None, device: Any = None) -> CSR:
    """`nearhop.graphlib.sparse.spgemm(A, B, ...)` on the GPU; the arrays of the result are in host memory, rows sorted.

    Parameters
    ----------
    A, B : Adjacency, CSR or SciPy CSR matrix
        At most 2^31 - 2 columns.
    semiring : {"plus_times", "plus_pair", "max_times", "min_plus"}, default "plus_times"
    dtype : float32, float64, int32 or int64, optional
    device : int, str or torch.device, optional
        The GPU, "cuda:1" for the second; by default the current one. Kernels run on torch's current stream there.

    Notes
    -----
    Sums of floats are merged in whatever order threads arrive, so their last bits vary between runs; counts, integer
    sums, largest and smallest are exact. Memory of the device: the operands, the upper bound of the result twice, and
    256 MiB of tables for long rows.
    """
    left, right = as_csr("spgemm: A", A), as_csr("spgemm: B", B)
    if left.num_cols != right.num_rows:
        raise InvalidInput(f"spgemm: A has {left.num_cols} columns and B {right.num_rows} rows; they must agree")
    if right.num_cols >= int(_EMPTY):
        raise InvalidInput(f"spgemm: at most {int(_EMPTY) - 1} columns on a GPU; B has {right.num_cols}")
    code = semiring_code("spgemm", semiring)
    kind = None if code == ANY_PAIR else result_dtype("spgemm", code, left, right, dtype)
    if kind is None:
        raise InvalidInput(f"spgemm: {semiring} gives no values to merge; use plus_pair")
    check_range("spgemm", code, left, right, kind)
    bounds = np.minimum(row_products(left, right), right.num_cols)
    offsets = np.concatenate([[0], np.cumsum(bounds)]).astype(np.int64)
    if left.num_rows == 0 or offsets[-1] == 0:
        return CSR(np.zeros(left.num_rows + 1, np.int64), np.empty(0, np.int32), np.empty(0, kind), right.num_cols)
    with launching(device_number(device)) as place:
        indptr, indices, values = _multiply(place, code, left, right, bounds, offsets, kind)
    return CSR(indptr, indices, values, right.num_cols)


def _multiply(
    place: Place, code: int, left: CSR, right: CSR, bounds: NDArray[np.int64], offsets: NDArray[np.int64],
    kind: np.dtype[Any],
) -> tuple[NDArray[Any], ...]:  # fmt: skip
    matrices = _on_device(place, left, kind), _on_device(place, right, kind)
    out = place.empty(int(offsets[-1]), np.int32), place.empty(int(offsets[-1]), kind)
    sizes = place.put(np.zeros(left.num_rows, np.int64))
    ending = (place.put(offsets), *out, sizes)
    unit = _unit(code, kind)
    least = 0
    for size in _TABLES:
        rows = np.flatnonzero((bounds > least) & (bounds <= size // 2))
        least = size // 2
        if rows.shape[0]:
            if (size, kind.str) not in _made:
                _made[size, kind.str] = _shared_kernel(size, kind.type)
            grid = min(rows.shape[0], 1 << 16), _THREADS[size]
            place.run(_made[size, kind.str], *grid, code, unit, place.put(rows), *matrices, *ending)
    _long_rows(place, (code, unit), np.flatnonzero(bounds > least), bounds, matrices, ending, kind)
    indptr = np.concatenate([[0], np.cumsum(place.fetch(sizes)[0])]).astype(np.int64)
    found = place.empty(int(indptr[-1]), np.int32), place.empty(int(indptr[-1]), kind)
    if indptr[-1]:
        place.run(_gather, min(left.num_rows, 1 << 12), _LANES, ending[0], place.put(indptr), *out, *found)
    indices, values = np.empty(int(indptr[-1]), np.int32), np.empty(int(indptr[-1]), kind)  # to be kept, so not pinned
    place.send(found[0], indices)
    place.send(found[1], values)
    place.wait()
    return indptr, indices, values


def _long_rows(
    place: Place, rule: tuple[int, Any], rows: NDArray[np.int64], bounds: NDArray[np.int64], matrices: Any, ending: Any,
    kind: Any,
) -> None:  # fmt: skip
    rows = rows[np.argsort(bounds[rows], kind="stable")]
    threads = _LANES if _SIMULATED else 512
    while rows.shape[0]:
        size = 1 << int(2 * bounds[rows[0]] - 1).bit_length()
        same = int((2 * bounds[rows] <= size).sum())
        count = max(1, min(same, _GLOBAL_BYTES // (size * (4 + kind.itemsize))))
        tables = place.empty((count, size), np.int32), place.empty((count, size), kind)
        place.run(_rows_in_global_memory, count, threads, *rule, place.put(rows[:count]), *matrices, tables, *ending)
        rows = rows[count:]


def _unit(code: int, kind: np.dtype[Any]) -> Any:
    if code in (PLUS_TIMES, PLUS_PAIR):
        return kind.type(0)
    limits = np.iinfo(kind) if kind.kind == "i" else np.finfo(kind)
    return kind.type(limits.min if code == MAX_TIMES else limits.max)


def _on_device(place: Place, m: CSR, kind: np.dtype[Any]) -> tuple[Any, ...]:
    values = np.ones(m.num_entries, kind) if m.values is None else m.values.astype(kind, copy=False)
    return place.put(m.indptr), place.put(m.indices.astype(np.int32, copy=False)), place.put(values)
