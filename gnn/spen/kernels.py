"""The kernels of this room by name, on as many threads as torch has, and arrays for them."""

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
    from ...sampling.subgraphs import bags_cpu
    from . import layer_cpu, norm_cpu, products_cpu

    found = next(module for module in (layer_cpu, products_cpu, norm_cpu, bags_cpu) if hasattr(module, name))
    return getattr(found, name), threads_in_use


def array(part: Tensor) -> NDArray[Any]:
    """A tensor on the processor as the array that it is."""
    return part.detach().numpy() if part.requires_grad else part.numpy()


@functools.cache
def whole(count: int, width: int) -> NDArray[np.int64]:
    """The one job of a product with all of the weights, which is added to what is there: see `products_cpu`."""
    return np.array([(0, 0, count, 0, width, 0, 0, 1)], np.int64)
