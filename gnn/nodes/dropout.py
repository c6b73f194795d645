"""Dropout of dense numbers by a kernel, with gradients: what is dropped is named by one number, and nothing is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ..threads import kernel_threads

if TYPE_CHECKING:
    from numpy.typing import NDArray


def dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """Every entry zero with probability p, the others scaled up by 1 / (1 - p); drawn from torch's generator.

    Of a float32 tensor on the processor it takes one pass of a kernel, and another one for its gradient, each about a
    tenth of the time of `torch.nn.functional.dropout` on one thread; between them only a number is kept. Of others it
    is torch's own.

    Examples
    --------
    >>> import torch
    >>> from nearhop.gnn.nodes.dropout import dropout
    >>> x = dropout(torch.ones(100, 100), 0.5, True)
    >>> sorted(set(x.flatten().tolist())), 0.4 < x.mean().item() / 2 < 0.6
    ([0.0, 2.0], True)
    """
    if not training or p == 0:
        return x
    if x.device.type != "cpu" or x.dtype != torch.float32:
        return nn.functional.dropout(x, p, training=True)
    made: Tensor = _Dropped.apply(x, p, int(torch.randint(1 << 62, (1,))))
    return made


class _Dropped(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, p: float, key: int) -> Tensor:
        from ...graphlib.compute.threads import threads_in_use
        from .dropout_cpu import drop_32

        context.options = p, key
        given = x.detach().contiguous()
        out = torch.empty_like(given)
        with threads_in_use(kernel_threads()):
            drop_32(given.view(-1).numpy(), out.view(-1).numpy(), np.uint64(key), _threshold(p), 1 / (1 - p))
        return out

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        made: Tensor = _Dropped.apply(gradients[0], *context.options)
        return made, None, None


def drop_into(x: Tensor, out: Tensor, p: float, key: int) -> None:
    """Write x, float32 or bfloat16 and contiguous, with each entry zero with probability p; nothing is scaled up."""
    from ...graphlib.compute.threads import threads_in_use
    from .dropout_cpu import drop_16, drop_32

    given, to = x.view(-1), out.view(-1)
    with threads_in_use(kernel_threads()):
        if x.dtype == torch.float32:
            drop_32(given.detach().numpy(), to.detach().numpy(), np.uint64(key), _threshold(p), 1.0)
            return
        even = given.shape[0] // 2 * 2
        drop_16(_words(given[:even]), _words(to[:even]), np.uint64(key), _threshold(p))
    if even < given.shape[0]:
        to[even:] = given[even:] * (np.random.default_rng(key).random() >= p)


def _threshold(p: float) -> np.uint64:
    return np.uint64(round(p * (1 << 32)))


def _words(x: Tensor) -> NDArray[np.uint32]:
    found: NDArray[np.uint32] = x.view(torch.int32).numpy().view(np.uint32)
    return found
