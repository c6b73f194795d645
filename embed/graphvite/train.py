"""One pool of samples on the processor: diagonals of the grid, a block per task."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ..skipgram.logistic_cpu import logistic_table
from ..skipgram.rows_cpu import width_of
from .tables import Tables

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .grid import Grid
    from .pools import Pool

_LEAST_PIECE = 1 << 12  # samples of the smallest task
_TURN = 1 << 27  # numbers that a turn reads of both tables: some tenths of a second


@dataclass(frozen=True, eq=False)
class Rules:
    """What a training step needs to know beside the samples.

    Attributes
    ----------
    optimizer : "sgd", "momentum", "adagrad" or "adam"
    negatives : int
        Negatives per sample.
    weight, decay : float
        Weight of a negative, and of the L2 penalty per touch.
    keep, alias : arrays (n,)
        Alias tables of the negatives of each context part.
    root : int
        Of the streams of the negatives.
    """

    optimizer: str
    negatives: int
    weight: float
    decay: float
    keep: NDArray[np.float32]
    alias: NDArray[np.int32]
    root: int


@dataclass(frozen=True)
class Progress:
    """What became of a pool: the mean loss of the samples trained, and the turn that was stopped before, if any."""

    loss: float
    stopped: int | None


class CpuTrainer:
    """Trains `tables` in place, on `threads` threads.

    Blocks of a diagonal share no row, so their order does not matter and the result is the same at any thread count.
    With `lock_free`, a grid of one block is cut into pieces that threads train at the same time without locks.
    """

    def __init__(self, tables: Tables, grid: Grid, rules: Rules, *, threads: int, lock_free: bool) -> None:
        self._tables, self._grid, self._rules = tables, grid, rules
        self._threads, self._lock_free = threads, lock_free
        self._table = logistic_table()
        self._executor = ThreadPoolExecutor(threads)

    def train(
        self, pool: Pool, rate: float, slope: float, begin: int = 0, stop: threading.Event | None = None
    ) -> Progress:
        """Train on `pool` from turn `begin` on; the learning rate of its sample i is rate + i * slope.

        A diagonal is trained in turns of some tenths of a second, all its blocks side by side; `stop` is obeyed between
        two turns.
        """
        loss, before, trained, turn = 0.0, 0, 0, 0
        for step in range(self._grid.parts):
            blocks = [(tail, *self._block(pool, head, tail)) for head, tail in self._grid.diagonal(step)]
            total = sum(last - first for _, _, first, last in blocks)
            turns = self._turns(total)
            for part in range(turns):
                if turn >= begin:
                    if stop is not None and stop.is_set():
                        return Progress(loss / max(1, trained), turn)
                    tasks = []
                    for tail, block, first, last in blocks:
                        size = last - first
                        pace = slope * total / max(1, size)  # all blocks of a diagonal see the same rates
                        for a, b in self._pieces(first + size * part // turns, first + size * (part + 1) // turns):
                            place = rate + slope * before, pace
                            tasks.append(self._executor.submit(self._run, pool, block, tail, first, a, b, *place))
                            trained += b - a
                    loss += sum(task.result() for task in tasks)
                turn += 1
            before += total
        return Progress(loss / max(1, trained), None)

    def finish(self) -> None:
        """Bring the parameters home; here they never left."""

    def close(self) -> None:
        self._executor.shutdown()

    def _block(self, pool: Pool, head: int, tail: int) -> tuple[int, int, int]:
        block = head * self._grid.parts + tail
        return block, int(pool.starts[block]), int(pool.starts[block + 1])

    def _turns(self, total: int) -> int:
        """How many turns a diagonal of so many samples takes; a matter of the run's parameters, never of time."""
        reads = total * (self._rules.negatives + 1) * self._tables.vertex.shape[1]
        return max(1, min(total, reads // _TURN))

    def _pieces(self, first: int, last: int) -> list[tuple[int, int]]:
        if not self._lock_free or self._grid.parts > 1 or self._threads == 1:
            return [(first, last)]
        count = max(1, min(4 * self._threads, (last - first) // _LEAST_PIECE))
        cuts = np.linspace(first, last, count + 1).astype(np.int64)
        return [(int(a), int(b)) for a, b in pairwise(cuts)]

    def _run(self, pool: Pool, block: int, tail: int, first: int, a: int, b: int, rate: float, slope: float) -> float:
        from . import train_cpu as graphvite_cpu
        from .parts_cpu import Draws, Moments, Negatives, Samples, Step

        tables, rules, offsets = self._tables, self._rules, self._grid.offsets
        rows = int(offsets[tail]), int(offsets[tail + 1] - offsets[tail])
        common = (
            *(width_of(tables.vertex.shape[1]), tables.vertex, tables.context),
            Samples(pool.heads[a:b], pool.tails[a:b], a - first),
            Negatives(rules.negatives, np.float32(rules.weight), *rows, rules.keep, rules.alias),
            Step(rate, slope, np.float32(rules.decay)),
            Draws(rules.root, pool.number, block),
            self._table,
        )
        if rules.optimizer == "sgd":
            return float(graphvite_cpu.train_sgd(*common))
        rule = {"momentum": graphvite_cpu.MOMENTUM, "adagrad": graphvite_cpu.ADAGRAD, "adam": graphvite_cpu.ADAM}
        each = (side[at] for side in (tables.vertex_moments, tables.context_moments) for at in (0, -1))
        return float(graphvite_cpu.train_moments(*common, Moments(rule[rules.optimizer], *each)))
