"""Every CUDA kernel compiled for one compute capability, without a device: registers, shared memory, occupancy.

python benchmarks/gpu_kernels.py [--cc 9.0] [--only NAME ...] [--json FILE]

Needs `pip install nearhop[cuda]`: numba-cuda with the compiler and linker of CUDA 13. A kernel that numba-cuda cannot
type, or that the linker refuses, ends the run with an error. Occupancy is on paper: the warps of a multiprocessor that
registers, shared memory and block size leave room for, out of 64 (compute capability 9.0: 65,536 registers given out by
256 per warp, 228 KiB of shared memory of which a block costs 1 KiB more, 32 blocks).
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

PACKAGE = "nearhop."
# How each kernel is called: a letter per argument, i, q, Q int32, int64, uint64; f, d float32, float64; B uint8; ?
# bool.
# A digit makes it a C-contiguous array of so many dimensions; brackets make a tuple. Then threads per block, and bytes
# of dynamic shared memory.
KERNELS: dict[str, dict[str, tuple[list[str], int, int]]] = {
    "sampling.neighbors.picks_cuda": {
        "count_picks": (["q1 q1 q1 q q ? q1 q1"], 256, 0),
        "place_picks": (["q1 q1 q q q1 q q1"], 256, 0),
        "pick_uniform": (["q1 q1 q1 q1 (q q q q ?) q1 q1 q1 q1"], 128, 0),
    },
    "sampling.neighbors.numbering_cuda": {
        "reset_table": (["q1 q1 q1"], 256, 0),
        "enter": (["i1 q1 q1 q q q1 q1 q1", "q1 q1 q1 q q q1 q1 q1"], 256, 0),
        "count_new": (["q1 q q q q1 q1 q1"], 256, 0),
        "number_new": (["i1 q1 q1 q q q1 q1 q1 q1", "q1 q1 q1 q q q1 q1 q1 q1"], 256, 0),
        "read_numbers": (["i1 q1 q1 q q q1 q1 q1 i1", "q1 q1 q1 q q q1 q1 q1 q1"], 256, 0),
    },
    "sampling.walks.walks_cuda": {
        "uniform_walks": (["q1 i1 q1 i1 q q i2", "q1 q1 q1 i1 q q q2"], 256, 0),
        "weighted_walks": (["q1 i1 f1 i1 q1 i1 q q i2"], 256, 0),
    },
    "sampling.features.gather_cuda": {
        "gather_narrow": (["q2 q2 i1 q1 q1 q2 q1", "i2 i2 i1 i1 q1 i2 q1", "B2 B2 q1 q1 q1 B2 q1"], 128, 0),
        "gather_wide": (["q2 q q2 i1 q1 q1 q2 q1", "i2 q i2 i1 i1 q1 i2 q1"], 128, 0),
    },
    "sampling.ncache.cache_cuda": {
        "fill": (["q1 q"], 256, 0),
        "read_rows": (["i2 q2 d2 f3 q1 i2 q2 d2 f3"], 256, 0),
        "join_rows": (["i2 q1 i1 q q q1 q1 B2 i3"], 256, 0),
        "sum_members": (["f2 i2 f2"], 256, 0),
        "claim": (["i2 q1 (q q d ? q q) (q1 q1 q1 q1 q1) i2 q2"], 256, 0),
        "write_winners": (["(i2 q2 d2 f3) q1 (q1 q1 q1 q1 q1) d1 q1 (i2 q2 d2 f3) q2"], 256, 0),
    },
    "embed.graphvite.pools_cuda": {
        "draw_starts": (["f1 i1 q q q1 i1"], 256, 0),
        "count_pairs": (["i2 q q1 q1"], 256, 0),
        "place_pairs": (["q1 q1 q1"], 256, 0),
        "deal_pairs": (["i2 q q1 q q1 i1 i1"], 256, 0),
    },
    "embed.graphvite.train_cuda": {
        "train_block": (["f2 f2 (q f2 f2 f2 f2) (i1 i1 q) q (q f q q f1 i1) (d d f) (q q q) f2 f1"], 128, 4 * 128 * 4),
    },
    "ann.cann.exact_cuda": {"scan_colors": (["f2 f2 f q1 (? d d) d2", "f2 B2 f q1 (? d d) d2"], 256, 0)},
    "gnn.nat.layers_cuda": {
        "update_rows": (["(f2 q1 f2 f2) f2 ?1 f2"], 128, 0),
        "update_rows_gradient": (["(f2 q1 f2 f2) f2 ?1 f2 f2 f2"], 128, 0),
        "attend": (["(B2 i3) f2 (f2 f2 f1) (f3 f2 f2)"], 128, 0),
        "attend_gradient": (["(B2 i3) (f2 f2 f1) (f3 f2 f2) f2 f2 f3"], 128, 4 * 8 * 64),
        "drop_numbers": (["f1 Q d f f1"], 128, 0),
    },
    "gnn.dag.reduce_cuda": {
        "add_rows": (["f2 q1 ? f2"], 128, 0),
        "add_rows_gradient": (["f2 q1 ? f2"], 128, 0),
        "max_rows": (["f2 q1 f2 q2"], 128, 0),
        "max_rows_gradient": (["f2 q2 q1 f2"], 128, 0),
        "gated_rows": (["f2 q1 f2 q2"], 128, 0),
        "gated_rows_gradient": (["f2 f2 q2 q1 f2"], 128, 0),
        "add_to_sources": (["f2 q1 q1 q1 f2"], 128, 0),
    },
    "graphlib.sparse.products.multiply_cuda": {
        "_rows_in_global_memory": (["q f q1 (q1 i1 f1) (q1 i1 f1) (i2 f2) q1 i1 f1 q1"], 512, 0),
        "_gather": (["q1 q1 i1 f1 i1 f1", "q1 q1 i1 d1 i1 d1"], 32, 0),
    },
}
_WARPS, _BLOCKS, _REGISTERS, _SHARED, _RESERVED = 64, 32, 65536, 228 << 10, 1 << 10


def types_of(words: str) -> tuple[Any, ...]:
    """The argument types that a line of `KERNELS` names."""
    from numba import types

    scalars = {
        "i": types.int32, "q": types.int64, "Q": types.uint64, "f": types.float32, "d": types.float64,
        "B": types.uint8, "?": types.boolean,
    }  # fmt: skip
    found: list[Any] = []
    for part in re.findall(r"\([^)]*\)|\S+", words):
        if part.startswith("("):
            inner = types_of(part[1:-1])
            found.append(types.Tuple(inner))
        else:
            scalar = scalars[part[0]]
            found.append(types.Array(scalar, int(part[1]), "C") if len(part) > 1 else scalar)
    return tuple(found)


def kernels() -> list[tuple[str, str, Any, str, int, int]]:
    """Module, name, kernel, call, threads per block and bytes of dynamic shared memory of everything there is."""
    found = []
    for module_name, table in KERNELS.items():
        module = importlib.import_module(PACKAGE + module_name)
        for name, (calls, threads, dynamic) in table.items():
            found += [(module_name, name, getattr(module, name), call, threads, dynamic) for call in calls]
    return found + _made()


def _made() -> list[tuple[str, str, Any, str, int, int]]:
    """Kernels that are made for a size and a type: the shared hash tables of sparse products."""
    import numpy as np

    products: Any = importlib.import_module(PACKAGE + "graphlib.sparse.products.multiply_cuda")
    found = []
    for size in products._TABLES:
        for letter, kind in (("f", np.float32), ("d", np.float64), ("i", np.int32), ("q", np.int64)):
            call = "q L q1 (q1 i1 L1) (q1 i1 L1) q1 i1 L1 q1".replace("L", letter)
            kernel = products._shared_kernel(size, kind)
            name = f"rows_in_shared_memory, {size}"
            found.append(("graphlib.sparse.products.multiply_cuda", name, kernel, call, products._THREADS[size], 0))
    return found


def compile_kernel(kernel: Any, call: str, cc: tuple[int, int]) -> tuple[str, dict[str, int]]:
    """PTX and what the linker's assembler says of it: registers, stack, spilled, shared bytes."""
    from cuda.bindings import nvjitlink
    from numba import cuda

    numba_cuda: Any = cuda
    dispatcher: Any = importlib.import_module("numba.cuda.dispatcher")
    # functions that kernels call are compiled for the current device; here none is, and this stands in for it
    dispatcher.get_current_device = lambda: argparse.Namespace(compute_capability=cc)
    ptx, _ = numba_cuda.compile(kernel.py_func, types_of(call), device=False, abi="numba", cc=cc, output="ptx")
    code = ptx.encode()
    handle = nvjitlink.create(3, [f"-arch=sm_{cc[0]}{cc[1]}", "-verbose", "-O3"])
    try:
        nvjitlink.add_data(handle, nvjitlink.InputType.PTX, code, len(code), "kernel")
        nvjitlink.complete(handle)
        log = bytearray(nvjitlink.get_info_log_size(handle))
        nvjitlink.get_info_log(handle, log)
    finally:
        nvjitlink.destroy(handle)
    said = log.decode(errors="replace")

    def number(pattern: str) -> int:
        matches = re.findall(pattern, said)
        return max(map(int, matches), default=0)

    return ptx, {
        "registers": number(r"Used (\d+) registers"),
        "stack": number(r"(\d+) bytes stack frame"),
        "spilled": number(r"(\d+) bytes spill stores"),
        "shared": max(0, number(r"(\d+) bytes smem") - _RESERVED),  # the system's part is counted in
    }


def occupancy(threads: int, registers: int, shared: int) -> int:
    """Warps that a multiprocessor of compute capability 9.0 holds at once.

    >>> occupancy(256, 32, 0), occupancy(256, 64, 0), occupancy(32, 32, 0), occupancy(512, 40, 49152)
    (64, 32, 32, 48)
    """
    warps = threads // 32
    per_warp = -(-max(1, registers) * 32 // 256) * 256
    fits = [_WARPS // warps, _BLOCKS, _REGISTERS // per_warp // warps]
    fits.append(_SHARED // (shared + _RESERVED))
    return min(fits) * warps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cc", default="9.0", help="compute capability")
    parser.add_argument("--only", nargs="+", help="kernels whose name begins so")
    parser.add_argument("--json", type=Path, help="write the rows here too")
    given = parser.parse_args()
    major, minor = map(int, given.cc.split("."))
    print("| kernel | arguments | registers | stack B | spilled B | shared B | threads | warps of 64 |")
    print("|---|---|---|---|---|---|---|---|")
    rows = []
    for module, name, kernel, call, threads, dynamic in kernels():
        if given.only and not name.startswith(tuple(given.only)):
            continue
        try:
            ptx, used = compile_kernel(kernel, call, (major, minor))
        except Exception as error:
            sys.exit(f"{module}.{name} ({call}) does not compile for {given.cc}: {type(error).__name__}: {error}")
        used["shared"] += dynamic
        held = occupancy(threads, used["registers"], used["shared"])
        rows.append({"module": module, "name": name, "call": call, "ptx_bytes": len(ptx), **used, "warps": held})
        columns = (used["registers"], used["stack"], used["spilled"], used["shared"], threads, held)
        print(f"| {name} | {call} | {' | '.join(map(str, columns))} |", flush=True)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
