"""Compiled kernels, and among them products whose weights depend on the class of a row."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from ..threads import kernel_threads

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LARGE = 1 << 15  # numbers from which threads pay
_SHORT = 1 << 22  # numbers that take milliseconds: not worth a clock on one thread


def run(name: str, work: int, *arguments: Any) -> None:
    """Run a kernel of so many numbers: few at once, many on as many threads as torch has."""
    kernel, threads_in_use = _kernel(name)
    if work <= _LARGE or (work <= _SHORT and kernel_threads() == 1):
        kernel.at_once(*arguments)
        return
    with threads_in_use(kernel_threads()):
        kernel(*arguments)


@functools.cache
def _kernel(name: str) -> tuple[Any, Any]:
    from ...graphlib.compute.jit import threads_in_use
    from . import ops_cpu

    return getattr(ops_cpu, name), threads_in_use


def array(part: Tensor) -> NDArray[Any]:
    """A tensor on the processor as the array that it is."""
    return part.detach().numpy() if part.requires_grad else part.numpy()


@functools.cache
def whole(count: int, width: int) -> NDArray[np.int64]:
    """The one job of a product with all of the weights, which is added to what is there: see `products_cpu`."""
    return np.array([(0, 0, count, 0, width, 0, 0, 1)], np.int64)


def multiply(x: Any, weight: Any, blocks: Any, jobs: Any, out: Any, *, at: int = 0) -> Any:
    """`out` with products by class."""
    run("multiply", out.size, x, weight, blocks, jobs, at, out)
    return out


def multiply_back(grad: Any, weight: Any, blocks: Any, jobs: Any, d_x: Any, *, at: int = 0) -> Any:
    """`d_x` with the gradient of `multiply` by x."""
    run("multiply_back", d_x.size, grad, weight, blocks, jobs, at, d_x)
    return d_x


def weigh(x: Any, grad: Any, spans: Any, jobs: Any, d_weight: Any, *, at: int = 0, afresh: bool = True) -> Any:
    """`d_weight`, in which the gradient of `multiply` by the weights has been written, or unless `afresh` added."""
    run("weigh", x.shape[0] * d_weight.shape[2], x, grad, spans, jobs, at, afresh, d_weight)
    return d_weight
