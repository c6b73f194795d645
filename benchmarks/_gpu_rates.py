"""Parts of `gpu.py` that measure rates: copies, gathers over the bus, samples, sparse products."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from _gpu_place import SIMULATED, Row, Rows, device, seconds, sized
from _graphs import power_law

from nearhop.sampling.features import device_rows
from nearhop.sampling.features.unified_tensor import UnifiedTensor


def copy_rate(nbytes: int, *, pinned: bool) -> float:
    """GB/s of copies from host memory to the device."""
    source = torch.empty(nbytes, dtype=torch.uint8, pin_memory=pinned and not SIMULATED).random_()
    target = torch.empty(nbytes, dtype=torch.uint8, device=device())
    return nbytes / seconds(lambda: target.copy_(source, non_blocking=True), 5) / 1e9


def copies() -> Rows:
    """What the bus and the memory can do."""
    nbytes = sized(1 << 30, 1 << 16)
    yield Row("host to device, pinned", copy_rate(nbytes, pinned=True), "GB/s")
    yield Row("host to device, pageable", copy_rate(nbytes, pinned=False), "GB/s")
    here = torch.empty(nbytes, dtype=torch.uint8, device=device()).random_()
    there = torch.empty(nbytes, dtype=torch.uint8, pin_memory=not SIMULATED)
    taken = seconds(lambda: there.copy_(here, non_blocking=True), 5)
    yield Row("device to host, pinned", nbytes / taken / 1e9, "GB/s")
    beside = torch.empty_like(here)
    taken = seconds(lambda: beside.copy_(here), 5)
    yield Row("device to device, read plus written", 2 * nbytes / taken / 1e9, "GB/s")


def big_table(nbytes: int) -> Any:
    """Random words, written by several threads."""
    flat = np.empty(nbytes // 4, np.int32)
    tile = np.random.default_rng(0).integers(0, 1 << 20, min(flat.size, 1 << 24), dtype=np.int32)

    def write(start: int) -> None:
        part = flat[start : start + tile.size]
        np.add(tile[: part.size], np.int32(start >> 24), out=part)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(0, flat.size, tile.size)))
    return flat.view(np.float32)


def on_the_bus(rows: Any) -> UnifiedTensor:
    """A pinned table; in a rehearsal the simulator's kernels read host memory."""
    if not SIMULATED:
        return UnifiedTensor(rows, placement="pinned")
    made = UnifiedTensor(rows, placement="host")
    made._over_bus = device_rows.DeviceRows(torch.from_numpy(rows), max_threads=64)
    return made


def gather() -> Rows:
    """Rows from pinned memory beside a copy of as many bytes, ids as they come and sorted on the way."""
    total, picked = sized(16 << 30, 1 << 14), sized(256 << 20, 1 << 11)
    flat = big_table(total)
    copied = copy_rate(picked, pinned=True)
    rng = np.random.default_rng(1)
    for width in sized((64, 512, 1024, 4096), (64, 256)):
        rows = flat.reshape(-1, width // 4)
        index = rng.integers(0, rows.shape[0], picked // width)
        ids = torch.from_numpy(index).to(device())
        with on_the_bus(rows) as table:
            in_order = torch.arange(index.shape[0], device=device())
            check = table[ids[:4]].cpu().numpy()
            np.testing.assert_array_equal(check.view(np.int32), rows[index[:4]].view(np.int32))
            rates = {}
            for name, sort_from in (("sorted", 1), ("as they come", 1 << 60)):
                device_rows._SORT_FROM_BYTES, device_rows._SORT_FROM_PICKS = 1, sort_from
                rates[name] = picked / seconds(lambda t=table, i=ids: t[i], 5) / 1e9
            share = 100 * max(rates.values()) / copied
            mark = 85.0 if width >= 512 else None
            yield Row(f"rows of {width} B from {total >> 30} GiB, sorted first", rates["sorted"], "GB/s")
            yield Row(f"rows of {width} B from {total >> 30} GiB, ids as they come", rates["as they come"], "GB/s")
            yield Row(f"rows of {width} B, the better of both against a pinned copy", share, "%", at_least=mark)
            ordered = torch.sort(ids)[0]
            device_rows._SORT_FROM_PICKS = 1 << 60
            rate = picked / seconds(lambda t=table, i=in_order: t[i], 3) / 1e9
            yield Row(f"rows of {width} B, one after another: what a kernel can read over the bus", rate, "GB/s")
            over_bus: Any = table._over_bus
            over_bus._max_threads *= 4
            rate = picked / seconds(lambda t=table, i=in_order: t[i], 3) / 1e9
            yield Row(f"rows of {width} B, one after another, by four times as many threads", rate, "GB/s")
            over_bus._max_threads //= 4
            gain = seconds(lambda t=table, i=ids: t[i], 3) / seconds(lambda t=table, i=ordered: t[i], 3)
            yield Row(f"rows of {width} B, ascending ids against random ones", gain, "x", at_least=2.0)


def sampling() -> Rows:
    """Neighbour samples: the graph in device memory and pinned, beside one thread of the processor."""
    from nearhop.sampling import NeighborSampler
    from nearhop.sampling.features.pinned_adjacency import PinnedAdjacency
    from nearhop.sampling.neighbors.neighbor_cuda import CudaSampler

    store = power_law(*sized((1_000_000, 20_000_000), (30, 90)))
    rows = store.csc()
    count, batch = sized((50, 1024), (1, 4))
    batches = list(np.random.default_rng(2).integers(0, store.num_nodes, (count, batch)))
    pinned = None if SIMULATED else PinnedAdjacency(rows)
    host = (rows.indptr, rows.indices, rows.edge_ids)
    for fanouts in sized(([15, 10], [15, 10, 5]), ([2, 2],)):
        ours = NeighborSampler(store, fanouts, seed=1, threads=1)
        edges = sum(ours.sample(seeds).num_edges for seeds in batches)
        one = edges / seconds(lambda s=ours: [s.sample(seeds) for seeds in batches], 3) / 1e6
        yield Row(f"{fanouts}, one thread of the processor", one, "M edges/s")
        for name, arrays, mark in (
            ("in device memory", None, 20.0),
            ("pinned", host if pinned is None else pinned.arrays, 5.0),
        ):
            sampler = CudaSampler(rows, fanouts, seed=1, arrays=arrays)
            found: list[int] = []

            def run(sampler=sampler, found=found) -> None:
                found.append(sum(int(sampler.sample(seeds).row.shape[0]) for seeds in batches))

            rate = edges / seconds(run, sized(3, 1), sized(1, 0)) / 1e6
            assert set(found) == {edges}, (found, edges)
            yield Row(f"{fanouts}, graph {name}", rate, "M edges/s")
            yield Row(f"{fanouts}, graph {name} against one thread", rate / one, "x", at_least=mark)
    if pinned is not None:
        pinned.close()


def sparse() -> Rows:
    """A matrix times itself by hashing, beside the processor's product."""
    import scipy.sparse as sp

    from nearhop.graphlib.sparse import spgemm
    from nearhop.graphlib.sparse.products.multiply_cuda import spgemm as on_gpu

    n, degree = sized((500_000, 12), (6, 1))
    ends = np.random.default_rng(0).integers(0, n, (2, n * degree))
    A = sp.coo_matrix((np.ones(n * degree, np.float32), (ends[0], ends[1])), shape=(n, n)).tocsr()
    A.sum_duplicates()
    A.data[:] = np.random.default_rng(1).integers(1, 4, A.nnz)
    expected = spgemm(A, A, threads=1)
    found: list[Any] = []
    there = seconds(lambda: found.append(on_gpu(A, A)), sized(3, 1), sized(1, 0))
    np.testing.assert_array_equal(found[0].indices, expected.indices)
    np.testing.assert_allclose(found[0].values, np.asarray(expected.values), rtol=1e-5)
    here = seconds(lambda: spgemm(A, A, threads=1), sized(3, 1), 0)
    yield Row(f"random matrix of {n:,} rows squared, with copies", expected.num_entries / there / 1e6, "M entries/s")
    yield Row("the same against one thread of the processor", here / there, "x")
