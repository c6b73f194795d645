"""Rows gathered from a large table in host memory, against torch.index_select and numpy.take.

python benchmarks/gather.py [--short] [--gib 4] [--widths 64 256 1024] [--threads 1 2] [--gpu]

Every contender gathers the same ids from the same memory. "new" rows allocate their result, as callers do by default;
"into" rows write to memory that is already there. The copy is a plain one of as many contiguous bytes, on one thread.
Sorted ids are random ones in order, about one row in thirty-two of 4 GiB; dense ones pick about half of the rows.
Rates count the bytes of the result once. With --gpu, a GPU gathers the rows from pinned memory instead, beside a copy
of as many bytes from pinned memory to it.
"""

from __future__ import annotations

import argparse
import functools
from typing import Any

import numpy as np
from _measure import interleave, table, versions

from nearhop.sampling.features.gather import gather


def contenders(rows, index, threads):
    """What is timed, by name."""
    count, width = index.shape[0], rows.shape[1]
    memory = np.zeros(count * width + 16, np.float32)
    start = -memory.ctypes.data % 64 // 4
    into = memory[start : start + count * width].reshape(count, width)
    found = {
        "plain copy": lambda: np.copyto(into, rows[:count]),
        "numpy.take, new": lambda: np.take(rows, index, axis=0),
        "numpy.take, into": lambda: np.take(rows, index, axis=0, out=into, mode="clip"),
    }
    try:
        import torch

        source, ids, target = torch.from_numpy(rows), torch.from_numpy(index), torch.from_numpy(into)

        def select(out=None):
            torch.set_num_threads(threads)
            return torch.index_select(source, 0, ids, out=out)

        found["torch.index_select, new"] = select
        found["torch.index_select, into"] = lambda: select(target)
    except ImportError:
        print("torch is not installed and is left out")
    found["nearhop, new"] = lambda: gather(rows, index, threads=threads)
    found["nearhop, into"] = lambda: gather(rows, index, out=into, threads=threads)
    return found


def measure_cpu(flat, widths, orders, picked, thread_counts, repeats):
    """A table per width, order of ids and number of threads."""
    rng = np.random.default_rng(0)
    for width in widths:
        rows = flat[: flat.size // (width // 4) * (width // 4)].reshape(-1, width // 4)
        for order in orders:
            count = picked // width
            # "dense": every other row of a part of the table, in order
            index = rng.integers(0, 2 * count if order == "dense" else rows.shape[0], count)
            if order != "random":
                index.sort()
            for threads in thread_counts:
                size = rows.nbytes / 2**30
                print(f"### {width} B rows, {order} ids, {threads} threads, table of {size:.3g} GiB\n")
                timings = interleave(contenders(rows, index, threads), repeats=repeats)
                names = [t.name for t in timings]
                baseline = next(n for n in ("torch.index_select, new", "numpy.take, new") if n in names)
                print(table(timings, baseline=baseline, work=picked / 1e9, unit="GB/s"), "\n", flush=True)


def gpu_contenders(pinned, rows, index, max_threads):
    """The GPU's ways to the same rows: a plain copy, gathers over the bus, and the processor's gather with a copy."""
    import torch

    from nearhop.sampling.features.gather_cuda import gather_rows
    from nearhop.sampling.features.registration import Pinned

    held = Pinned(rows)
    over_bus = held.device_array("cuda")
    ids = torch.from_numpy(index).cuda()
    count = index.shape[0]

    def synchronised(run):
        def timed():
            run()
            torch.cuda.synchronize()

        return timed

    found: dict[str, Any] = {
        "copy from pinned memory": lambda: torch.from_numpy(rows[:count]).to("cuda", non_blocking=True),
        "torch.index_select, processor, then copy": lambda: torch.from_numpy(rows).index_select(0, ids.cpu()).cuda(),
        "nearhop on the processor, then copy": lambda: torch.from_numpy(gather(rows, index)).cuda(),
        "nearhop, UnifiedTensor": lambda: pinned[ids],
        "nearhop, kernel": lambda: gather_rows(over_bus, ids),
    }
    for most in max_threads:
        found[f"nearhop, kernel, {most:,} threads"] = functools.partial(gather_rows, over_bus, ids, max_threads=most)
    return {name: synchronised(run) for name, run in found.items()}, held


def measure_gpu(flat, widths, orders, picked, max_threads, repeats):
    """Tables for a GPU; the ids are on it already, as a sampler there would leave them."""
    from nearhop.sampling.features.unified_tensor import UnifiedTensor

    rng = np.random.default_rng(0)
    for width in widths:
        rows = flat[: flat.size // (width // 4) * (width // 4)].reshape(-1, width // 4)
        for order in orders:
            index = rng.integers(0, rows.shape[0], picked // width)
            if order == "sorted":
                index.sort()
            with UnifiedTensor(rows, placement="pinned") as pinned:
                found, held = gpu_contenders(pinned, rows, index, max_threads)
                print(f"### {width} B rows, {order} ids, table of {rows.nbytes / 2**30:.3g} GiB, GPU\n")
                timings = interleave(found, repeats=repeats)
                print(
                    table(timings, baseline="copy from pinned memory", work=picked / 1e9, unit="GB/s"), "\n", flush=True
                )
                held.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a table of 1 GiB, three widths, under a minute")
    parser.add_argument("--gib", type=float, help="size of the table, 4 by default")
    parser.add_argument("--widths", type=int, nargs="+", help="bytes per row")
    parser.add_argument("--orders", nargs="+", default=["random", "sorted", "dense"], help="of the ids")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--gpu", action="store_true", help="a GPU gathers, from pinned memory")
    parser.add_argument("--max-threads", type=int, nargs="+", default=[10_240], help="of a GPU's gather")
    given = parser.parse_args()
    size = int((given.gib or (1 if given.short else 4)) * 2**30)
    widths = given.widths or ([64, 512, 4096] if given.short else [64, 128, 256, 400, 512, 1024, 2048, 4096])
    picked = (32 if given.short else 128) << 20

    print(versions("torch"), "\n")
    rng = np.random.default_rng(0)
    flat = rng.integers(0, 1 << 20, size // 4, dtype=np.int32).view(np.float32)
    if given.gpu:
        orders = [order for order in given.orders if order != "dense"]
        measure_gpu(flat, widths, orders, picked, given.max_threads, 3 if given.short else 5)
    else:
        measure_cpu(flat, widths, given.orders, picked, given.threads, 3 if given.short else 5)


if __name__ == "__main__":
    main()
