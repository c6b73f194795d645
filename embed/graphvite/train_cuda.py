"""GraphVite's training on GPUs: a warp per sample, its head row in shared memory, parts of the tables that travel.

With one device and one part both tables stay on the device until `finish`. Otherwise a context part stays on a device
while the vertex parts pass by, one after another and different ones on different devices, so that no two devices hold
the same part and none waits for another's gradients.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import config, float32

from ...graphlib.compute.alias_cpu import alias_pick
from ...graphlib.compute.launch_cuda import Place, launching
from ...graphlib.compute.numba_cuda import cuda, cuda_kernel
from ...graphlib.compute.random_cuda import draw, high64, stream
from ...graphlib.compute.twins_cuda import on_device
from ...graphlib.compute.warp_cuda import LANES, WARPS_PER_BLOCK, sum_lanes
from ..skipgram.logistic_cpu import CELLS, cell, logistic_table
from .parts_cpu import Draws, Moments, Negatives, Samples, Step
from .train import Progress
from .train_cpu import ADAGRAD, ADAM, MOMENTUM, moved

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .grid import Grid
    from .pools import Pool
    from .tables import Tables
    from .train import Rules

RULES = {"sgd": 0, "momentum": MOMENTUM, "adagrad": ADAGRAD, "adam": ADAM}
_SIMULATED = bool(config.ENABLE_CUDASIM)  # type: ignore[attr-defined]
_ONE, _ZERO = np.float32(1.0), np.float32(0.0)
_BLOCKS = 1 if _SIMULATED else 1 << 13
_cell = on_device(cell)
_alias_pick = on_device(alias_pick, high64=high64)
_moved_by_moments = on_device(moved)


@cuda.jit(device=True)
def _moved(rule, theta, r, lr, first, second, i, j):
    if rule == 0:
        return theta - lr * r
    return _moved_by_moments(rule, theta, r, lr, first, second, i, j)


@cuda_kernel
def train_block(vertex, context, moments, samples, head_row, negatives, step, draws, table, losses):
    """As `train_cpu.train_moments`, on the rows `head_row` on of the vertices and `negatives.row` on of the contexts.

    The negatives are the processor's. Warps take samples in turn and update rows without locks; one warp alone trains
    in the processor's order. `losses[0]` receives the sum of the losses, not divided.
    """
    rule, vertex_first, vertex_second, context_first, context_second = moments
    heads, tails, _ = samples
    each, weight, tail_row, rows, keep, alias = negatives
    rate, slope, decay = step
    root, pool, block = draws
    lane = cuda.threadIdx.x % LANES
    within = cuda.threadIdx.x // LANES
    warp = cuda.blockIdx.x * (cuda.blockDim.x // LANES) + within
    warps = cuda.gridDim.x * (cuda.blockDim.x // LANES)
    columns = vertex.shape[1]
    rows_shared = cuda.shared.array(0, float32)
    base = within * columns
    key = stream(root, pool, block, 0)
    loss = _ZERO
    for i in range(warp, heads.shape[0], warps):
        v = np.int64(heads[i]) - head_row
        lr = np.float32(rate + i * slope)
        for j in range(lane, columns, LANES):
            rows_shared[base + j] = vertex[v, j]
        for k in range(each + 1):
            if k < each:
                c = _alias_pick(draw(key, i * each + k), keep, alias, tail_row, rows)
                label, scale = _ZERO, weight
            else:
                c = np.int64(tails[i]) - tail_row
                label, scale = _ONE, _ONE
            part = _ZERO
            for j in range(lane, columns, LANES):
                part += rows_shared[base + j] * context[c, j]
            score = sum_lanes(part, lane)
            at = _cell(score)
            g = table[at, 0] - label
            loss += scale * (table[at if k == each else CELLS - 1 - at, 1] + _ZERO * score)
            for j in range(lane, columns, LANES):
                x, y = rows_shared[base + j], context[c, j]
                rows_shared[base + j] = _moved(
                    rule, x, scale * (g * y + decay * x), lr, vertex_first, vertex_second, v, j
                )
                context[c, j] = _moved(rule, y, scale * (g * x + decay * y), lr, context_first, context_second, c, j)
        for j in range(lane, columns, LANES):
            vertex[v, j] = rows_shared[base + j]
    if lane == 0:
        cuda.atomic.add(losses, 0, loss)


def available() -> bool:
    """Whether there is a CUDA device."""
    return bool(cuda.is_available())


def parts_needed(table_bytes: int, device_bytes: float, devices: int) -> int:
    """The least multiple of the devices for which two parts of the tables (with moments) fill 80 % of one at most.

    >>> parts_needed(10 << 30, 141 << 30, 1), parts_needed(100 << 30, 80 << 30, 1), parts_needed(100 << 30, 80 << 30, 4)
    (1, 2, 4)
    """
    parts = devices
    while table_bytes > 0.8 * device_bytes * parts:
        parts += devices
    return parts


def parts_on_devices(table_bytes: int) -> int:
    """`parts_needed` for the devices of this machine and the memory that is free on the fullest."""
    free = []
    for device in range(len(cuda.gpus)):
        with cuda.gpus[device]:
            free.append(float(cuda.current_context().get_memory_info()[0]))
    return parts_needed(table_bytes, max(1.0, min(free)), len(free))


@dataclass(eq=False)
class _Part:
    """A part of one side on a device: its table and moments, and where they go home to."""

    home: list[NDArray[np.float32]]
    arrays: list[Any]

    @classmethod
    def on_device(cls, place: Place, home: list[NDArray[np.float32]]) -> _Part:
        return cls(home, [place.put(table) for table in home])

    def back(self, place: Place) -> None:
        for array, table in zip(self.arrays, self.home, strict=True):
            place.send(array, table)
        place.wait()


class CudaTrainer:
    """Trains `tables` on the devices; the interface of `CpuTrainer`.

    Parameters
    ----------
    tables, grid, rules
        As for `CpuTrainer`.
    devices : sequence of int, optional
        Default all. There are never more at work than the grid has parts.

    Attributes
    ----------
    places : list of Place
        Of the devices at work: kernels run on the streams that are current where this is made.
    """

    def __init__(self, tables: Tables, grid: Grid, rules: Rules, *, devices: Sequence[int] | None = None) -> None:
        self._tables, self._grid, self._rules = tables, grid, rules
        found = list(range(len(cuda.gpus))) if devices is None else list(devices)
        self.places: list[Place] = []
        self._constant = []
        self._resident: tuple[_Part, _Part] | None = None
        for device in found[: grid.parts]:
            with launching(device) as place:
                self.places.append(place)
                self._constant.append([place.put(a) for a in (rules.keep, rules.alias, logistic_table())])
                if grid.parts == 1:
                    self._resident = self._vertex_part(place, 0), self._context_part(place, 0)

    def train(
        self, pool: Pool, rate: float, slope: float, begin: int = 0, stop: threading.Event | None = None
    ) -> Progress:
        """Train on `pool` from turn `begin` on; the learning rate of its sample i is rate + i * slope.

        A turn is one block on every device; `stop` is obeyed between two.
        """
        parts, width = self._grid.parts, len(self.places)
        total, done, trained, turn = 0.0, 0, 0, 0
        stopped: int | None = None
        for tail in range(0, parts, width):
            team = list(zip(range(tail, min(tail + width, parts)), self.places, self._constant, strict=False))
            contexts = []
            for part, like, _ in team:
                with launching(like=like) as place:
                    contexts.append(self._resident[1] if self._resident else self._context_part(place, part))
            for step in range(parts):
                running = []
                if turn >= begin and stop is not None and stop.is_set():
                    stopped = turn
                    break
                for (part, like, constant), context in zip(team, contexts, strict=True):
                    head = (part + step) % parts
                    block = head * parts + part
                    size = int(pool.starts[block + 1] - pool.starts[block])
                    if turn < begin:
                        done += size
                        continue
                    with launching(like=like) as place:
                        vertex = self._resident[0] if self._resident else self._vertex_part(place, head)
                        losses = place.put(np.zeros(1, np.float32))
                        if size:
                            first = rate + slope * done
                            pace = slope * len(team)  # the devices of a step walk down the rates side by side
                            self._launch(place, pool, (head, part), vertex, context, constant, (first, pace), losses)
                    running.append((like, vertex, losses, size))
                for like, vertex, losses, size in running:
                    with launching(like=like) as place:
                        total += float(place.fetch(losses)[0][0])
                        if self._resident is None:
                            vertex.back(place)
                    done += size
                    trained += size
                turn += 1
            for (_, like, _), context in zip(team, contexts, strict=True):
                if self._resident is None:
                    with launching(like=like) as place:
                        context.back(place)
            if stopped is not None:
                break
        return Progress(total / (1.0 + self._rules.weight * self._rules.negatives) / max(1, trained), stopped)

    def finish(self) -> None:
        """Bring tables that live on the device home."""
        if self._resident is not None:
            with launching(like=self.places[0]) as place:
                for part in self._resident:
                    part.back(place)

    def close(self) -> None:
        """Give the device's memory back."""
        self._resident = None
        self._constant = []

    def _launch(
        self, place: Place, pool: Pool, at: tuple[int, int], vertex: _Part, context: _Part, constant: list[Any],
        rates: tuple[float, float], losses: Any
    ) -> None:  # fmt: skip
        """Train the block of vertex part `at[0]` and context part `at[1]`."""
        rules, (head, tail) = self._rules, at
        block = head * self._grid.parts + tail
        head_row, tail_row, tail_end = (int(self._grid.offsets[part]) for part in (head, tail, tail + 1))
        here = slice(int(pool.starts[block]), int(pool.starts[block + 1]))
        keep, alias, table = constant
        warps = 1 if _SIMULATED else WARPS_PER_BLOCK
        # more warps than rows would only write over each other
        least = min(part.arrays[0].shape[0] for part in (vertex, context))
        blocks = max(1, min(_BLOCKS, -(-(here.stop - here.start) // warps), least // warps))
        shared = warps * self._tables.vertex.shape[1] * 4
        heads, tails = (_samples(place, side, here) for side in (pool.heads, pool.tails))
        place.run(
            *(train_block, blocks, LANES * warps),
            *(vertex.arrays[0], context.arrays[0], _moments(RULES[rules.optimizer], vertex, context)),
            *(Samples(heads, tails, 0), head_row),
            Negatives(rules.negatives, np.float32(rules.weight), tail_row, tail_end - tail_row, keep, alias),
            *(Step(*rates, np.float32(rules.decay)), Draws(rules.root, pool.number, block), table, losses),
            shared=shared,
        )

    def _vertex_part(self, place: Place, part: int) -> _Part:
        return self._part(place, part, self._tables.vertex, self._tables.vertex_moments)

    def _context_part(self, place: Place, part: int) -> _Part:
        return self._part(place, part, self._tables.context, self._tables.context_moments)

    def _part(
        self, place: Place, part: int, table: NDArray[np.float32], moments: tuple[NDArray[np.float32], ...]
    ) -> _Part:
        rows = slice(int(self._grid.offsets[part]), int(self._grid.offsets[part + 1]))
        return _Part.on_device(place, [array[rows] for array in (table, *moments)])


def _samples(place: Place, rows: Any, here: slice) -> Any:
    """A block's side of a pool: copied, without waiting where it is pinned, or where it was drawn."""
    if isinstance(rows, np.ndarray):
        return place.put(rows[here])
    return rows if here == slice(0, rows.shape[0]) else rows[here]


def _moments(rule: int, vertex: _Part, context: _Part) -> Moments:
    """The tables themselves stand in for moments that no rule reads."""
    return Moments(rule, *(side.arrays[min(at, len(side.arrays) - 1)] for side in (vertex, context) for at in (1, 2)))
