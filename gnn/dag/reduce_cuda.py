"""The kernels of `reduce_cpu` on a GPU, a thread per row and column: sums have the same order, so they are the same.

Only the gradient of gates adds over columns; there a thread takes a whole edge.
"""

from __future__ import annotations

import math
from typing import Any

from numba import config

from ...graphlib.compute.launch_cuda import launching
from ...graphlib.compute.numba_cuda import cuda, cuda_kernel

_SIMULATED = bool(config.ENABLE_CUDASIM)  # type: ignore[attr-defined]
_BLOCK = 32 if _SIMULATED else 128


@cuda_kernel
def add_rows(messages, indptr, mean, out):
    width = out.shape[1]
    for t in range(cuda.grid(1), out.shape[0] * width, cuda.gridsize(1)):
        r = t // width
        j = t - r * width
        total = messages[indptr[r], j]
        for e in range(indptr[r] + 1, indptr[r + 1]):
            total += messages[e, j]
        out[r, j] = total / (indptr[r + 1] - indptr[r]) if mean else total


@cuda_kernel
def add_rows_gradient(grad, indptr, mean, out):
    width = grad.shape[1]
    for t in range(cuda.grid(1), grad.shape[0] * width, cuda.gridsize(1)):
        r = t // width
        j = t - r * width
        value = grad[r, j] / (indptr[r + 1] - indptr[r]) if mean else grad[r, j]
        for e in range(indptr[r], indptr[r + 1]):
            out[e, j] = value


@cuda_kernel
def max_rows(messages, indptr, out, winners):
    width = out.shape[1]
    for t in range(cuda.grid(1), out.shape[0] * width, cuda.gridsize(1)):
        r = t // width
        j = t - r * width
        best, winner = messages[indptr[r], j], indptr[r]
        for e in range(indptr[r] + 1, indptr[r + 1]):
            value = messages[e, j]
            if value > best or value != value:
                best, winner = value, e
        out[r, j] = best
        winners[r, j] = winner


@cuda_kernel
def max_rows_gradient(grad, winners, indptr, out):
    width = grad.shape[1]
    for t in range(cuda.grid(1), grad.shape[0] * width, cuda.gridsize(1)):
        r = t // width
        j = t - r * width
        for e in range(indptr[r], indptr[r + 1]):
            out[e, j] = grad[r, j] if winners[r, j] == e else grad[r, j] * 0


@cuda.jit(device=True)
def _gate(value):
    return 1 / (1 + math.exp(-value))


@cuda_kernel
def gated_rows(messages, indptr, out, winners):
    half = out.shape[1] // 2
    for t in range(cuda.grid(1), out.shape[0] * half, cuda.gridsize(1)):
        r = t // half
        j = t - r * half
        first = indptr[r]
        gate = _gate(messages[first, 0])
        total = messages.dtype.type(gate * messages[first, 1 + j])
        best, winner = messages.dtype.type(gate * messages[first, 1 + half + j]), first
        for e in range(first + 1, indptr[r + 1]):
            gate = _gate(messages[e, 0])
            total = messages.dtype.type(total + gate * messages[e, 1 + j])
            value = messages.dtype.type(gate * messages[e, 1 + half + j])
            if value > best or value != value:
                best, winner = value, e
        out[r, j] = total
        out[r, half + j] = best
        winners[r, j] = winner


@cuda_kernel
def gated_rows_gradient(grad, messages, winners, indptr, out):
    half = grad.shape[1] // 2
    for r in range(cuda.grid(1), grad.shape[0], cuda.gridsize(1)):
        for e in range(indptr[r], indptr[r + 1]):
            gate = _gate(messages[e, 0])
            total = messages[e, 0] * 0
            for j in range(half):
                summed = grad[r, j]
                won = grad[r, half + j] if winners[r, j] == e else grad[r, half + j] * 0
                out[e, 1 + j] = gate * summed
                out[e, 1 + half + j] = gate * won
                total += messages[e, 1 + j] * summed
                total += messages[e, 1 + half + j] * won
            out[e, 0] = total * gate * (1 - gate)


@cuda_kernel
def add_to_sources(grad, edges, indptr, sources, out):
    width = grad.shape[1]
    for t in range(cuda.grid(1), sources.shape[0] * width, cuda.gridsize(1)):
        s = t // width
        j = t - s * width
        total = out[sources[s], j]
        for k in range(indptr[s], indptr[s + 1]):
            total += grad[edges[k], j]
        out[sources[s], j] = total


def launch(name: str, arguments: tuple[Any, ...]) -> None:
    """Start the kernel `name` on torch's current stream with arguments as `reduce_cpu` takes them, less rows.

    Tensors lie on one device; the simulator takes those of the processor.
    """
    import torch

    tensors = [part.detach() if isinstance(part, torch.Tensor) else part for part in arguments]
    needed = max(tensors[0].numel(), arguments[-1].numel())
    blocks = max(1, min(needed, 64 if _SIMULATED else 1 << 20) // _BLOCK)
    with launching(tensors[0].device.index) as place:
        ready = [part.numpy() if _SIMULATED and isinstance(part, torch.Tensor) else part for part in tensors]
        place.run(globals()[name], blocks, _BLOCK, *ready)
