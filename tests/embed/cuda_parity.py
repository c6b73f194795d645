"""Parity of GraphVite's GPU training with the processor's; a script, so that the simulator can be chosen first.

python cuda_parity.py        # on the GPU, or with NUMBA_ENABLE_CUDASIM=1 in the simulator

Prints one line per check that passed, and exits with an error at the first that did not.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
from numba import config

from nearhop import GraphStore
from nearhop.embed import GraphVite
from nearhop.embed.graphvite import pools_cuda, run
from nearhop.embed.graphvite import train_cuda as graphvite_cuda
from nearhop.embed.graphvite.grid import Grid
from nearhop.embed.graphvite.pools import PoolMaker
from nearhop.embed.graphvite.tables import Tables
from nearhop.embed.graphvite.train import CpuTrainer, Rules
from nearhop.embed.skipgram.walk_source import WalkSource, initial_vertex
from nearhop.graphlib.compute.launch_cuda import launching

SIMULATED = bool(config.ENABLE_CUDASIM)


def setting(parts, optimizer, samples=22, negatives=2):
    rng = np.random.default_rng(1)
    store = GraphStore.from_edges(*rng.integers(0, 24, (2, 60)), num_nodes=25)
    source = WalkSource.of("x", store, direction="both", use_weights=True, p=1, q=1, seed=2, threads=1)
    grid = Grid.zigzag(source.mass, parts)
    node_of = np.argsort(grid.row_of)
    keep, alias = source.alias_of(source.frequency(0.75)[node_of], grid.offsets)
    rules = Rules(optimizer, negatives, 5.0, 0.005, keep, alias, 2)
    pool = PoolMaker(source, grid, step=2, edges=6, base=2).make(0, samples)
    tables = []
    for _ in range(2):
        tables.append(Tables.new(initial_vertex(source, 20, 3, node_of) * np.float32(20), optimizer))
        tables[-1].context[:, :20] = np.random.default_rng(4).standard_normal((25, 20))
    return grid, rules, pool, tables


def one_warp(run):
    """Run with a single warp, which trains in the processor's order."""
    before = graphvite_cuda._BLOCKS, graphvite_cuda.WARPS_PER_BLOCK
    graphvite_cuda._BLOCKS, graphvite_cuda.WARPS_PER_BLOCK = 1, 1
    try:
        return run()
    finally:
        graphvite_cuda._BLOCKS, graphvite_cuda.WARPS_PER_BLOCK = before


def check_one_part():
    """Tables that stay on the device, by every rule."""
    for optimizer, samples in (("sgd", 22), ("momentum", 11), ("adagrad", 11), ("adam", 22)):
        grid, rules, pool, (mine, theirs) = setting(1, optimizer, samples)
        expected = CpuTrainer(theirs, grid, rules, threads=1, lock_free=False).train(pool, 0.05, -0.0005)
        trainer = graphvite_cuda.CudaTrainer(mine, grid, rules)
        before = mine.vertex.copy()
        found = one_warp(lambda t=trainer, p=pool: t.train(p, 0.05, -0.0005))
        np.testing.assert_array_equal(mine.vertex, before)
        trainer.finish()
        for name, table in mine.named().items():
            np.testing.assert_allclose(table, theirs.named()[name], rtol=1e-4, atol=1e-5, err_msg=f"{optimizer} {name}")
        np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-4)


def check_parts_travel():
    """Three parts on one device and on two: the blocks in the devices' order, on the processor."""
    for devices in ([0], [0, 0]):
        grid, rules, pool, (mine, theirs) = setting(3, "sgd")
        trainer = graphvite_cuda.CudaTrainer(mine, grid, rules, devices=devices)
        one_warp(lambda t=trainer, p=pool: t.train(p, 0.05, 0.0))
        cpu = CpuTrainer(theirs, grid, rules, threads=1, lock_free=False)
        for tail in range(0, 3, len(devices)):
            for step in range(3):
                for part in range(tail, min(tail + len(devices), 3)):
                    block = (part + step) % 3 * 3 + part
                    first, last = pool.starts[block], pool.starts[block + 1]
                    cpu._run(pool, block, part, first, first, last, 0.05, 0.0)
        np.testing.assert_allclose(mine.vertex, theirs.vertex, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(mine.context, theirs.context, rtol=1e-4, atol=1e-5)


def on_host(array):
    return array.copy_to_host() if hasattr(array, "copy_to_host") else array.cpu().numpy()


def check_pools():
    """Drawn on the device: the processor's, number for number, also where walks end early, and by weight."""
    rng = np.random.default_rng(2)
    nodes, edges = (20, 40) if SIMULATED else (2000, 6000)
    ends = rng.integers(0, nodes, (2, edges))
    weights = rng.random(edges) * (rng.random(edges) > 0.2)
    early = 0
    for weight, direction, shape in (
        (None, "both", {"step": 2, "edges": 6, "base": 2}),
        (weights, "out", {"step": 3, "edges": 5, "base": 1}),
        (None, "out", {"step": 1, "edges": 1, "base": 1}),
    ):
        store = GraphStore.from_edges(*ends, num_nodes=nodes + 1, weight=weight, directed=direction == "out")
        options = {"direction": direction, "use_weights": True, "p": 1, "q": 1, "seed": 2, "threads": 1}
        source = WalkSource.of("x", store, **options)
        maker = PoolMaker(source, Grid.zigzag(source.mass, 1), **shape)
        with launching() as place:
            drawn = pools_cuda.device_maker(maker, place, 1000)
        for number, samples in ((0, 1), (3, 600 if SIMULATED else 50_000)):
            expected, got = maker.make(number, samples), drawn.make(number, samples)
            np.testing.assert_array_equal(on_host(got.heads), expected.heads)
            np.testing.assert_array_equal(on_host(got.tails), expected.tails)
            np.testing.assert_array_equal(got.starts, expected.starts)
        early += int(expected.size < maker.walks_of(samples) * maker.pairs_per_walk)
    if not early:
        raise AssertionError("no walk ended early, so this checks less than it says")
    with launching() as place:
        for parts, p in ((2, 1.0), (1, 0.5)):
            source = WalkSource.of("x", store, **{**options, "p": p})
            if (
                pools_cuda.device_maker(PoolMaker(source, Grid.zigzag(source.mass, parts), **shape), place, 9)
                is not None
            ):
                raise AssertionError(f"{parts} parts and p = {p} are not drawn on a device")


def check_whole_run():
    rng = np.random.default_rng(0)
    group = rng.integers(0, 8, (2, 60)) + 8 * rng.integers(0, 2, 60)
    store = GraphStore.from_edges(*group, num_nodes=17)
    epochs = 3 if SIMULATED else 2000
    seen = []
    options = {"dim": 16, "augmentation_step": 2, "lr": 0.2, "partitions": 2}
    model = GraphVite(epochs=epochs, device="cuda", progress=seen.append, **options).fit(store)
    if model.vertex_.shape != (17, 16) or model.vertex_[16].any() or not np.isfinite(model.vertex_).all():
        raise AssertionError(f"bad vectors {model.vertex_}")
    made = []
    make = pools_cuda.CudaPoolMaker.make
    pools_cuda.CudaPoolMaker.make = lambda self, *given: made.append(given) or make(self, *given)
    run._MOST_WAIT = -1.0  # as if training had waited for every pool: the device draws the third on
    auto = GraphVite(
        epochs=2, device="auto", dim=16, augmentation_step=2, walk_length=8, pool_size=30, optimizer="adam"
    )
    auto.fit(store)
    if not made or made[0][0] != 3:
        raise AssertionError(f"the device drew the pools {made}")
    if not (np.isfinite(auto.vertex_).all() and auto.vertex_[:16].any()):
        raise AssertionError(f"bad vectors {auto.vertex_}")
    other = []
    GraphVite(epochs=epochs, progress=other.append, **options).fit(store)
    np.testing.assert_allclose(seen[-1].loss, other[-1].loss, rtol=0.1)


if __name__ == "__main__":
    warnings.simplefilter("ignore", RuntimeWarning)  # the simulator's NumPy words warn where they wrap around
    for check in (check_one_part, check_parts_travel, check_pools, check_whole_run):
        check()
        sys.stdout.write(f"{check.__name__}\n")
