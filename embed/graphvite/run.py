"""A run of GraphVite from the first pool to the last: what it derives from the graph, two buffers, interruptions."""

from __future__ import annotations

import math
import os
import threading
import time
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.jit import resolve_threads
from ...graphlib.compute.streams import Purpose, root_of
from ...graphlib.compute.threads import Workers
from ...graphlib.errors import IndexMismatch, InvalidInput
from ...graphlib.given_store import one_node_type
from ..fastrp.parameters import adjacency_of
from ..progress import Meter
from ..skipgram.walk_source import WalkSource, initial_vertex
from .grid import MAX_PARTS, Grid
from .pools import Pool, PoolMaker
from .tables import NUM_MOMENTS, RunState, Tables, load_run, save_run
from .train import CpuTrainer, Progress, Rules

if TYPE_CHECKING:
    from ...graphlib.store.store import GraphStore
    from ...graphlib.types import EdgeType
    from .graphvite import GraphVite

_OWNER = "GraphVite"
_SAMPLES_PER_NODE = 12_000
_POOL_PER_NODE, _LEAST_POOL, _LARGEST_POOL = 64, 1 << 20, 1 << 24
_PARTS, _NODES_PER_PART = 8, 64
_MOST_WAIT = 0.1  # of the time of training, for the pools that come after the first
_LEAST_RATE = 1e-4  # the learning rate falls to this share of lr
_REPORTING = ("device", "threads", "checkpoint", "checkpoint_every_s", "progress", "tensorboard")
_LR = {"sgd": 0.025, "momentum": 0.025, "adagrad": 0.025, "adam": 0.001}


def run(
    model: GraphVite,
    store: GraphStore,
    resumed: str | os.PathLike[str] | None,
    edge_type: EdgeType | None = None,
) -> None:
    """Train `model` on `store`, from the start or from a checkpoint; its tables can be seen from the first pool on."""
    source = WalkSource.for_model(_OWNER, model, store, edge_type)
    n, edges = source.num_nodes, store.num_edges_of(one_node_type(store, _OWNER, edge_type))
    on_gpu = _on_gpu(model)
    grid = Grid.zigzag(source.mass, parts_of(model, n, on_gpu=on_gpu))
    node_of = np.empty(n, np.int64)
    node_of[grid.row_of] = np.arange(n)
    tables = Tables.new(initial_vertex(source, model.dim, model.seed, node_of), model.optimizer)
    about = {"graph": source.fingerprint(), "nodes": n, "parameters": _defining(model, grid.parts)}
    state = RunState(0, 0) if resumed is None else load_run(resumed, tables, about)
    step = step_of(model, edges, n)
    base = step if model.model == "line" else 1
    empty = _pinned_arrays() if on_gpu else np.empty
    maker = PoolMaker(source, grid, step=step, edges=_walk_edges(model, step), base=base, empty=empty)
    keep, alias = source.alias_of(source.frequency(model.exponent)[node_of], grid.offsets)
    chosen = root_of(model.seed, Purpose.POOL_NEGATIVES)
    rules = Rules(
        *(model.optimizer, model.num_negatives, model.negative_weight, model.weight_decay, keep, alias, chosen)
    )
    model._fitted = tables, grid
    trainer: Any
    faster: Any = None
    if on_gpu:
        from .pools_cuda import device_maker
        from .train_cuda import CudaTrainer

        trainer = CudaTrainer(tables, grid, rules)
        faster = device_maker(maker, trainer.places[0], _pool_samples(model, n))
    else:
        threads = resolve_threads(model.threads)
        trainer = CpuTrainer(tables, grid, rules, threads=threads, lock_free=not model.deterministic)
    try:
        size = _pool_samples(model, n)
        loop = _Loop(model, (maker, faster), trainer, tables, about, epochs_of(model, edges, n) * edges, size)
        loop.go(state)
    finally:
        trainer.close()


def _on_gpu(model: GraphVite) -> bool:
    if model.device == "cpu":
        return False
    from .train_cuda import available

    if model.device == "cuda" and not available():
        raise InvalidInput('GraphVite: device="cuda", but there is no CUDA device; use device="cpu" or "auto"')
    return available()


def _pinned_arrays() -> Any:
    """Makes arrays in page-locked memory."""
    from ...graphlib.compute.launch_cuda import launching

    def empty(size: int, dtype: Any) -> Any:
        with launching() as place:
            return place.pinned(size, dtype)

    return empty


class _Loop:
    """Pools in turn: one is trained while the next is made. Ctrl-C ends both within a second and saves the state.

    `makers` are one that makes pools and, or None, one that makes the same pools faster once the first cannot keep up.

    The state is set by the thread that trains, which no signal reaches, so it is always that of the tables.
    """

    def __init__(
        self,
        model: GraphVite,
        makers: tuple[PoolMaker, Any],
        trainer: Any,
        tables: Tables,
        about: dict[str, Any],
        total: int,
        pool_samples: int,
    ) -> None:
        self._model, self._trainer, self._tables = model, trainer, tables
        self._maker: Any
        self._maker, self._faster = makers
        self._about, self._total, self._pool_samples = about, total, pool_samples
        self._on = "cpu" if isinstance(trainer, CpuTrainer) else "cuda"
        self._stop = threading.Event()
        self._state = RunState(0, 0)

    def go(self, state: RunState) -> None:
        if state.turn and state.on != self._on:
            raise IndexMismatch(
                f"the run was interrupted within a pool on {state.on!r} and cannot go on there on {self._on!r}; resume "
                f"with device={state.on!r}"
            )
        self._state = state
        meter = Meter(_OWNER, self._total, state.done, self._model.progress, self._model.tensorboard)
        try:
            try:
                self._all_pools(meter)
            except KeyboardInterrupt:
                self._save()
                raise
            self._save()
        finally:
            meter.close()

    def _all_pools(self, meter: Meter) -> None:
        saved = time.monotonic()
        with Workers(1) as sampler, Workers(1) as driver:
            try:
                upcoming = self._order(sampler, self._state)
                while upcoming is not None:
                    begin = time.monotonic()
                    pool = upcoming.result()
                    waited = time.monotonic() - begin
                    state = self._state
                    reached = RunState(state.done + pool.size, state.pools + 1)
                    upcoming = self._order(sampler, reached)
                    rate, last = self._rate(state.done), self._rate(reached.done)
                    slope = (last - rate) / max(1, pool.size)
                    loss = driver.submit(self._train, pool, rate, slope, reached).result()
                    self._keep_up(state.pools, waited, time.monotonic() - begin - waited)
                    meter.update(pool.size, loss)
                    if time.monotonic() - saved > self._model.checkpoint_every_s:
                        self._save()
                        saved = time.monotonic()
            except BaseException:
                self._stop.set()
                raise

    def _keep_up(self, pools: int, waited: float, trained: float) -> None:
        """Take the faster maker for the pools to come, which are the same, where training has waited for one."""
        if self._faster is not None and pools > 0 and waited > _MOST_WAIT * trained:
            self._maker, self._faster = self._faster, None

    def _train(self, pool: Pool, rate: float, slope: float, reached: RunState) -> float:
        before = self._state
        progress: Progress = self._trainer.train(pool, rate, slope, before.turn, self._stop)
        turn = progress.stopped
        self._state = reached if turn is None else replace(before, turn=turn, on=self._on)
        return progress.loss

    def _order(self, sampler: Workers, state: RunState) -> Future[Pool] | None:
        left = self._total - state.done
        return sampler.submit(self._maker.make, state.pools, min(left, self._pool_samples)) if left > 0 else None

    def _rate(self, done: int) -> float:
        lr = _LR[self._model.optimizer] if self._model.lr is None else self._model.lr
        return float(lr) * max(1.0 - done / self._total, _LEAST_RATE)

    def _save(self) -> None:
        self._trainer.finish()
        if self._model.checkpoint is not None:
            save_run(self._model.checkpoint, self._tables, self._state, self._about)


def epochs_of(model: GraphVite, edges: int, nodes: int) -> int:
    """Samples to train, in multiples of the edges."""
    return model.epochs if model.epochs is not None else max(1, round(_SAMPLES_PER_NODE * nodes / edges))


def parts_of(model: GraphVite, nodes: int, *, on_gpu: bool = False) -> int:
    """Parts of the grid: independent of the threads, since it decides the result."""
    if model.partitions != "auto":
        return min(int(model.partitions), nodes)
    if on_gpu:
        from .train_cuda import parts_on_devices

        return min(parts_on_devices(_table_bytes(model, nodes) * (1 + NUM_MOMENTS[model.optimizer])), MAX_PARTS, nodes)
    return max(1, min(_PARTS, nodes // _NODES_PER_PART)) if model.deterministic else 1


def _table_bytes(model: GraphVite, nodes: int) -> int:
    """Bytes of the vertex and the context table together."""
    return 2 * nodes * -(-model.dim // 16) * 16 * 4


def step_of(model: GraphVite, edges: int, nodes: int) -> int:
    """The augmentation step: as many hops as reach about 1,600 nodes, at most 5."""
    if model.augmentation_step is not None:
        return model.augmentation_step
    density = edges / nodes
    hops = 5 if density <= math.exp(math.log(1600) / 6) else int(math.log(1600) / math.log(density))
    return max(1, min(5, hops, model.walk_length))


def _walk_edges(model: GraphVite, step: int) -> int:
    return 1 if model.model == "line" and step == 1 else model.walk_length


def _pool_samples(model: GraphVite, nodes: int) -> int:
    if model.pool_size is not None:
        return model.pool_size
    return max(_LEAST_POOL, min(_LARGEST_POOL, _POOL_PER_NODE * nodes))


def _defining(model: GraphVite, parts: int) -> dict[str, Any]:
    """The parameters that decide what a run computes, as JSON keeps them."""
    given = {name: value for name, value in model.get_params().items() if name not in _REPORTING}
    chosen = {name: value.item() if isinstance(value, np.generic) else value for name, value in given.items()}
    return {**chosen, "partitions": parts}


def estimate_bytes(model: GraphVite, store: GraphStore, edge_type: EdgeType | None = None) -> dict[str, int]:
    """Bytes that training allocates, by component."""
    chosen = one_node_type(store, _OWNER, edge_type)
    rows = adjacency_of(store, model.direction, _OWNER, chosen)
    n, entries = rows.num_rows, rows.num_entries
    samples, step = _pool_samples(model, n), step_of(model, max(1, store.num_edges_of(chosen)), n)
    edges = _walk_edges(model, step)
    walks = -(-samples // sum(max(0, edges + 1 - k) for k in range(1, step + 1)))
    weighted = model.use_weights and rows.weight is not None
    found = {
        "vertex and context": _table_bytes(model, n),
        "moments": _table_bytes(model, n) * NUM_MOMENTS[model.optimizer],
        "two pools": 2 * 8 * samples,
        "walks": walks * (rows.indices.itemsize * (edges + 1) + 12),
        "alias tables": 16 * n + (8 * entries if weighted else 0),
        "degrees and rows": 32 * n,
    }
    return {**found, "all": sum(found.values())}
