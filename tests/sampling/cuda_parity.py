"""Parity of the GPU samplers with the processor's; a script, so that the simulator can be chosen before Numba loads.

python cuda_parity.py        # on the GPU, or with NUMBA_ENABLE_CUDASIM=1 in the simulator

Prints one line per check that passed, and exits with an error at the first that did not.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
import torch
from numba import config, cuda

from nearhop import GraphStore
from nearhop.graphlib.compute import random_cpu, random_cuda
from nearhop.graphlib.errors import InvalidInput
from nearhop.sampling import NCache, NeighborSampler, random_walks
from nearhop.sampling.features import device_rows
from nearhop.sampling.features.device_rows import DeviceRows
from nearhop.sampling.features.gather_cuda import gather_rows
from nearhop.sampling.features.pinned_adjacency import PinnedAdjacency
from nearhop.sampling.features.unified_tensor import UnifiedTensor
from nearhop.sampling.ncache.cache import COLUMNS
from nearhop.sampling.ncache.cache_cuda import CudaNCache
from nearhop.sampling.neighbors import pick_cpu, picks_cuda
from nearhop.sampling.neighbors.neighbor_cuda import CudaSampler, to_host
from nearhop.sampling.walks import walks_cuda

SIMULATED = bool(config.ENABLE_CUDASIM)


def on_host(array):
    """An array of the device: torch's, or Numba's."""
    return array.cpu().numpy() if isinstance(array, torch.Tensor) else array.copy_to_host()


FIELDS = ("nodes", "row", "col", "edge_ids", "seed_index")


def power_law(num_nodes, num_edges):
    rng = np.random.default_rng(0)
    src, dst = ((rng.random(num_edges) ** 3 * num_nodes).astype(np.int64) for _ in range(2))
    return GraphStore.from_edges(src, dst, num_nodes=num_nodes + 2, directed=True)


@cuda.jit
def all_functions(keys, bounds, words, fractions, below, counters):
    for i in range(cuda.grid(1), keys.shape[0], cuda.gridsize(1)):
        key = random_cuda.stream(keys[i], i, i * 7, 3)
        words[i] = random_cuda.draw(key, i)
        fractions[i] = random_cuda.uniform(key, i)
        below[i], counters[i] = random_cuda.bounded(key, i, bounds[i])


def check_random_numbers():
    """A bound of nearly 2**63 makes half of the draws be rejected, so the loop is exercised as well."""
    count = 64
    keys = np.random.default_rng(1).integers(0, 2**63, count)
    bounds = np.where(np.arange(count) % 2, np.int64(2**62 + 2**61 + 1), np.arange(1, count + 1))
    dtypes = (np.uint64, np.float64, np.int64, np.int64)
    got = [cuda.device_array(count, dtype) for dtype in dtypes]
    all_functions[2, 32](cuda.to_device(keys), cuda.to_device(bounds), *got)
    expected = [np.empty(count, dtype) for dtype in dtypes]
    for i in range(count):
        key = np.uint64(random_cpu.stream(keys[i], i, i * 7, 3))
        expected[0][i] = random_cpu.draw(key, i)
        expected[1][i] = random_cpu.uniform(key, i)
        expected[2][i], expected[3][i] = random_cpu.bounded(key, i, bounds[i])
    if not (expected[3] > np.arange(count) + 1).any():
        raise AssertionError("no draw was rejected, so this checks less than it says")
    for mine, theirs in zip(got, expected, strict=True):
        np.testing.assert_array_equal(mine.copy_to_host(), theirs)


def check_samples():
    """Every way of picking: all, Floyd by a warp, repeats, more than a warp by Floyd and by shuffle, dead ends."""
    store = power_law(40, 600) if SIMULATED else power_law(2000, 60_000)
    seeds = [5, 0, 5, 41, 17]
    cases = [([3, 2], False), ([-1], False), ([0], False), ([], False), ([4, 2], True), ([34], False), ([40], True)]
    cases += [] if SIMULATED else [([32, 5], False), ([33, 40], False), ([100], False)]
    long_rows = 0
    for fanouts, replace in cases:
        every = not SIMULATED or fanouts in ([3, 2], [34], [4, 2])
        for direction in ("in", "out") if every else ("in",):
            options = {"replace": replace, "direction": direction, "seed": 3}
            expected = NeighborSampler(store, fanouts, **options).sample(seeds, epoch=2)
            rows = store.csc() if direction == "in" else store.csr()
            long_rows += 34 in fanouts and int(rows.degrees()[0] > 34)
            got = to_host(CudaSampler(rows, fanouts, **options).sample(seeds, epoch=2))
            for field in FIELDS:
                np.testing.assert_array_equal(
                    getattr(got, field), getattr(expected, field), err_msg=f"{fanouts} {field}"
                )
            if got.num_sampled_nodes != expected.num_sampled_nodes:
                raise AssertionError(f"{got.num_sampled_nodes} != {expected.num_sampled_nodes}")
            if got.num_sampled_edges != expected.num_sampled_edges:
                raise AssertionError(f"{got.num_sampled_edges} != {expected.num_sampled_edges}")
        if not every:
            continue
        rows = store.csc()  # read where it lies: host memory that is pinned, or that the simulator reads as it is
        host = (rows.indptr, rows.indices, rows.edge_ids)
        pinned = None if SIMULATED else PinnedAdjacency(rows)
        reader = CudaSampler(rows, fanouts, replace=replace, seed=3, arrays=host if pinned is None else pinned.arrays)
        expected = NeighborSampler(store, fanouts, replace=replace, seed=3).sample(seeds)
        np.testing.assert_array_equal(to_host(reader.sample(seeds)).edge_ids, expected.edge_ids)
        if pinned is not None:
            pinned.close()
    if long_rows == 0:
        raise AssertionError("no row is longer than a warp's picks, so this checks less than it says")


def check_long_rows():
    """Rows of more than eight times the picks, which are more than a warp's: Floyd's rule by all lanes in turn."""
    for degree, picks in ((300, 33), (600, 70)):
        star = GraphStore.from_edges(np.arange(1, degree + 1), np.zeros(degree, np.int64), directed=True)
        expected = NeighborSampler(star, [picks], seed=1).sample([0])
        got = to_host(CudaSampler(star.csc(), [picks], seed=1).sample([0]))
        for field in FIELDS:
            np.testing.assert_array_equal(getattr(got, field), getattr(expected, field))


def check_room():
    """Rows far longer than usual need more room than the guess: the same sample is drawn again with more."""
    degree = 400 if SIMULATED else 6_000_000
    star = GraphStore.from_edges(
        np.arange(1, degree + 1),
        np.zeros(degree, np.int64),
        num_nodes=20 * degree if SIMULATED else None,
        directed=True,
    )
    sampler = CudaSampler(star.csc(), [-1, 2], seed=1)
    made = []
    make = sampler._make
    sampler._make = lambda *given: made.append(given) or make(*given)
    for turn in range(2 if SIMULATED else 4):
        expected = NeighborSampler(star, [-1, 2], seed=1).sample([0, 5], epoch=turn)
        got = to_host(sampler.sample([0, 5], epoch=turn))
        for field in FIELDS:
            np.testing.assert_array_equal(getattr(got, field), getattr(expected, field))
    if len(made) != 2:
        raise AssertionError(f"room was made {len(made)} times, so this checks less than it says")


def check_recorded():
    """Samples of one size are replayed from the third on, those between of other sizes are not disturbed."""
    store = power_law(40, 120) if SIMULATED else power_law(200_000, 2_000_000)
    for fanouts in ([3, 2],) if SIMULATED else ([3, 2], [10, 5]):
        ours, theirs = NeighborSampler(store, fanouts, seed=2), CudaSampler(store.csc(), fanouts, seed=2)
        kept = []
        for turn in range(3 if SIMULATED else 8):
            for size in (5, 3 if SIMULATED else 1024):
                seeds = np.random.default_rng(turn).integers(0, 40, size)
                kept.append((ours.sample(seeds, epoch=turn), theirs.sample(seeds, epoch=turn)))
        for expected, sample in kept:
            got = to_host(sample)
            for field in FIELDS:
                np.testing.assert_array_equal(getattr(got, field), getattr(expected, field))


@cuda.jit
def draws_in_order(key, degree, picks, replace, targets, positions):
    picks_cuda._draw_in_order(key, 1000, degree, picks, replace, 0, targets, positions)


def check_draws_in_order():
    """What one lane does when a word was rejected, which no real row provokes: repeats, Floyd's rule, a shuffle."""
    key = np.uint64(random_cpu.stream(5, 1, 2, 3))
    for degree, picks, replace in ((7, 40, True), (900, 40, False), (60, 40, False)):
        targets, got = (cuda.device_array(picks, np.int64) for _ in range(2))
        draws_in_order[1, 1](key, degree, picks, replace, targets, got)
        low, high, offsets = np.array([1000]), np.array([1000 + degree]), np.array([0, picks])
        expected = np.empty(picks, np.int64)
        # streams are called (seed, epoch, item, hop)
        pick_cpu.pick_uniform(low, high, np.array([2]), (5, 1, 3), picks, replace, offsets, expected)
        np.testing.assert_array_equal(got.copy_to_host(), expected)


def check_walks():
    store = power_law(40, 120) if SIMULATED else power_law(2000, 3_000)
    starts = [3, 3, 41, 0, 8, 3]
    expected = random_walks(store, starts, length=6, seed=4, epoch=1, weighted=False)
    if not ((expected == -1).any() and (expected[:, -1] >= 0).any()):
        raise AssertionError("the walks are all of one kind, so this checks less than it says")
    got = on_host(walks_cuda.random_walks(store.csr(), starts, length=6, seed=4, epoch=1))
    np.testing.assert_array_equal(got.T, expected)


def check_gather():
    for width, dtype in ((1, np.float32), (3, np.uint8), (32, np.float32), (33, np.float32), (67, np.float64)):
        table = np.arange(50 * width).reshape(50, width).astype(dtype)
        index = np.array([49, 0, 7, 7, 20])
        got = on_host(gather_rows(cuda.to_device(table), cuda.to_device(index)))
        np.testing.assert_array_equal(got, table[index])
        order = np.argsort(index, kind="stable")
        arrays = (cuda.to_device(table), cuda.to_device(index[order]))
        sorted_ids = gather_rows(*arrays, order=cuda.to_device(order), max_threads=64)
        np.testing.assert_array_equal(on_host(sorted_ids), table[index])
        for bad in (-1, 50):
            try:
                gather_rows(cuda.to_device(table), cuda.to_device(np.array([3, bad])))
            except InvalidInput as error:
                if "row 1 of the result is outside" not in str(error):
                    raise
            else:
                raise AssertionError(f"id {bad} was not noticed")


def unified_tensors(table, hot, hot_bytes):
    """A pinned and a split table; in the simulator the processor's memory stands for both pinned memory and a GPU's."""
    split = {"hot": hot, "gpu_bytes": hot_bytes}
    if not SIMULATED:
        return [UnifiedTensor(table, placement="pinned"), UnifiedTensor(table, placement="split", **split)]
    made = [UnifiedTensor(table, placement="host"), UnifiedTensor(table, placement="split", device="cpu", **split)]
    cold = table.copy()
    cold[hot >= 40] = 0  # what is hot must not be read from here
    for t, rows in zip(made, (table, cold), strict=True):
        t._over_bus = DeviceRows(torch.from_numpy(rows).view(t.dtype), t._on_gpu, t._slots, max_threads=64)
    return made


def check_unified_tensor():
    """Rows of every width and word, hot and cold, sorted on the way or not; ids outside are found by the kernel."""
    rng = np.random.default_rng(5)
    hot = rng.permutation(60)
    shapes: list[tuple[tuple[int, ...], Any]] = [
        ((1,), np.float32),
        ((3,), np.uint8),
        ((5,), np.int16),
        ((2, 9), np.float32),
        ((40,), np.float64),
        ((), "?"),
    ]
    for shape, dtype in shapes:
        table = rng.integers(0, 2 if dtype == "?" else 100, (60, *shape)).astype(np.dtype(dtype))
        row_bytes = table.nbytes // 60
        index = rng.integers(0, 60, 25)
        for sort_from in (1, 1000):
            device_rows._SORT_FROM_BYTES, device_rows._SORT_FROM_PICKS = 1, sort_from
            for t in unified_tensors(table, hot, 20 * row_bytes):
                for given in (index, index.astype(np.int32), torch.from_numpy(index).to(t.device)):
                    got = t[given]
                    if got.device != t.device or got.dtype != t.dtype:
                        raise AssertionError(f"{got.device} {got.dtype}")
                    np.testing.assert_array_equal(got.cpu().numpy(), table[index])
                expected = 3 * int((hot[index] >= 40).sum()) if t.placement == "split" else 0
                if t.report().hot_rows != expected:
                    raise AssertionError(f"{t.report().hot_rows} hot rows, not {expected}")
                if len(t[[]]) != 0:
                    raise AssertionError("no ids, no rows")
                for bad in (-1, 60):
                    wrong = torch.from_numpy(np.where(np.arange(25) < 17, index, bad)).to(t.device)
                    out = torch.empty((25, *shape), dtype=t.dtype, device=t.device)
                    try:
                        t._over_bus.read(wrong, out)
                    except InvalidInput as error:
                        if f"index[17] is {bad}, but the table has rows 0..59" not in str(error):
                            raise
                    else:
                        raise AssertionError(f"id {bad} was not noticed")
                t.close()


def check_ncache():
    """Crowded tables, repeated nodes and times, self-loops: keys, ids and times are the processor's, values nearly."""
    num_nodes, batch, rounds = (9, 12, 3) if SIMULATED else (3000, 4000, 4)
    rng = np.random.default_rng(2)
    for sizes, kind, keep_self in (((1, 5, 4), "prime", True), ((1, 3, 2), "quadratic", False), ((1, 4), "prime", True), ((1,), "prime", True)):  # fmt: skip  # noqa: E501
        options = {"value_dim": 2, "replace_prob": 0.6, "seed": 5, "hash": kind, "keep_self": keep_self}
        host, device = NCache(num_nodes, sizes, **options), CudaNCache(NCache(num_nodes, sizes, **options))
        refused = 0
        for turn in range(rounds):
            src, dst = rng.integers(0, num_nodes, (2, batch))
            events = {"time": rng.integers(0, 5, batch), "edge_ids": rng.permutation(batch) + turn * batch}
            nodes = rng.permutation(num_nodes)
            read, theirs = host.lookup(nodes), device.lookup(nodes)
            grown = (read.value + 1 + read.key[:, None]).astype(np.float32)
            dense = np.zeros((num_nodes, host.keys.shape[1], 2), np.float32)
            dense[read.place >= 0] = grown[read.place[read.place >= 0]]
            before = host.keys.copy()
            host.insert(src, dst, read=read, values=grown, epoch=1, **events)
            device.insert(src, dst, read=theirs, values=cuda.to_device(dense), epoch=1, **events)
            refused += int(((host.keys == before) & (before >= 0))[:, 1:].sum())
            for name in COLUMNS:
                np.testing.assert_array_equal(
                    on_host(getattr(device, name)), getattr(host, name), err_msg=f"{sizes} {name}"
                )
        if len(sizes) > 1 and refused == 0:
            raise AssertionError("no slot kept its key, so this checks less than it says")
        first, second = rng.integers(0, num_nodes, (2, 12))
        read = host.lookup(np.arange(num_nodes))
        joint = read.join(first, second)
        theirs = device.lookup(np.arange(num_nodes))
        code, member = device.join(theirs, first, second)
        total = on_host(device.sums(theirs.value, member))
        code, member = on_host(code), on_host(member)
        np.testing.assert_array_equal(code[code > 0], joint.code)
        np.testing.assert_array_equal((code > 0).sum(axis=1), np.diff(joint.indptr))
        np.testing.assert_array_equal((member[code > 0] >= 0).sum(), len(joint.slot))
        if (member[code == 0] >= 0).any():
            raise AssertionError("a place without a row names slots")
        np.testing.assert_allclose(total[code > 0], joint.sums(read.value), rtol=1e-5)
    if device.to_host().keys.max() != num_nodes - 1:
        raise AssertionError("the contents did not come back")


if __name__ == "__main__":
    warnings.simplefilter("ignore", RuntimeWarning)  # the simulator's NumPy words warn where they wrap around
    for check in (
        check_random_numbers,
        check_samples,
        check_long_rows,
        check_room,
        check_recorded,
        check_draws_in_order,
        check_walks,
        check_gather,
        check_unified_tensor,
        check_ncache,
    ):
        check()
        sys.stdout.write(f"{check.__name__}\n")
