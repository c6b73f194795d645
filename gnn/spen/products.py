"""Compiled kernels on torch tensors, and among them products whose weights depend on the class of a row."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from torch import Tensor

from ..threads import kernel_threads

_LARGE = 1 << 15  # numbers from which threads pay
_SHORT = 1 << 22  # numbers that take milliseconds: not worth a clock on one thread


def run(name: str, work: int, *arguments: Any) -> None:
    """Run a kernel on tensors and the plan's arrays: few numbers at once, many on as many threads as torch has."""
    kernel, threads_in_use = _kernel(name)
    arrays = [_array(part) if isinstance(part, Tensor) else part for part in arguments]
    if work <= _LARGE or (work <= _SHORT and kernel_threads() == 1):
        kernel.at_once(*arrays)
        return
    with threads_in_use(kernel_threads()):
        kernel(*arrays)


@functools.cache
def _kernel(name: str) -> tuple[Any, Any]:
    from ...graphlib.compute.jit import threads_in_use
    from . import ops_cpu

    return getattr(ops_cpu, name), threads_in_use


def _array(part: Tensor) -> Any:
    return part.detach().numpy() if part.requires_grad else part.numpy()


@functools.cache
def whole(count: int, width: int) -> Any:
    """The one job of a product with all of the weights: see `products_cpu`."""
    return np.array([(0, 0, count, 0, width, 0)], np.int64)


def multiply(x: Tensor, weight: Tensor, blocks: Any, out: Tensor, *, jobs: Any = None, at: int = 0) -> Tensor:
    """`out`, to which products by class have been added."""
    run("multiply", out.numel(), x, weight, blocks, whole(*weight.shape[1:]) if jobs is None else jobs, at, out)
    return out


def multiply_back(grad: Tensor, weight: Tensor, blocks: Any, d_x: Tensor, *, jobs: Any = None, at: int = 0) -> Tensor:
    """`d_x`, to which the gradient of `multiply` by x has been added."""
    chosen = whole(*weight.shape[1:]) if jobs is None else jobs
    turned = turned_for(weight, grad.shape[0] // weight.shape[0])
    run("multiply_back", d_x.numel(), grad, weight, turned, blocks, chosen, at, d_x)
    return d_x


def turned_for(weight: Tensor, rows: int) -> Tensor:
    """Weights with rows and columns changed, if so many rows of each class meet them that this pays, else nothing."""
    if rows < weight.shape[-1]:
        return weight.new_empty((0,) * weight.dim())
    return weight.transpose(-1, -2).contiguous()


def weigh(
    x: Tensor, grad: Tensor, spans: Any, d_weight: Tensor, *, jobs: Any = None, at: int = 0, afresh: bool = True
) -> Tensor:
    """`d_weight`, in which the gradient of `multiply` by the weights has been written, or unless `afresh` added."""
    chosen = whole(*d_weight.shape[1:]) if jobs is None else jobs
    run("weigh", x.shape[0] * d_weight.shape[2], x, grad, spans, chosen, at, afresh, d_weight)
    return d_weight
