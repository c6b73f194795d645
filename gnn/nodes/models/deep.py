"""Layers of GCNII as one operation of torch: forward and backward by kernels, nothing kept but what gradients need."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ....graphlib.compute.threads import threads_in_use
from ....graphlib.sparse.csr import as_adjacency
from ....graphlib.sparse.spmm import multiply_into
from ...sparse.sparse_tensor import float_values
from ...threads import kernel_threads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ...sparse.sparse_tensor import SparseTensor


def residual_layers(
    h: Tensor,
    start: Tensor,
    adjacency: SparseTensor,
    maps: Sequence[Tensor],
    *,
    alpha: float,
    lam: float,
    dropout: float,
    dtype: torch.dtype,
) -> Tensor:
    """Dropout(relu(S ((1 - b) I + b W))) with S = (1 - alpha) P H + alpha H0, layer after layer; float32 (n, width).

    Parameters
    ----------
    h, start : Tensor (n, width)
        What the first layer reads, after dropout, and H0.
    adjacency : SparseTensor
        P.
    maps : sequence of Tensor (width, width)
        W of every layer; b = log(lam / l + 1) of layer l, from 1.
    dropout : float in [0, 1)
        Of what every layer gives; 0 when the model is judged. Drawn from torch's generator.
    dtype : torch.dtype
        float32 or bfloat16, of the products with W and their gradients; sums and everything else are float32.

    Notes
    -----
    For the backward pass a layer keeps S in `dtype` and a byte per entry. Gradients of gradients are not known.
    """
    made: Tensor = _Layers.apply(h, start, adjacency, (alpha, lam, dropout, dtype), *maps)
    return made


class _Layers(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, h: Tensor, start: Tensor, adjacency: SparseTensor, options: tuple[Any, ...], *maps: Tensor
    ) -> Tensor:
        from . import gcn2_cpu as kernels

        alpha, lam, dropout, dtype = options
        activate = kernels.activate_16 if dtype == torch.bfloat16 else kernels.activate_32
        keeps = any(context.needs_input_grad)
        threshold = np.uint64(round(dropout * (1 << 32)))
        keys = torch.randint(1 << 62, (len(maps),)).numpy() if dropout else np.zeros(len(maps), np.int64)
        m, first = adjacency.matrix, _array(start)
        values = float_values(m)
        out = np.empty_like(first)
        read, support = _array(h), np.empty_like(first)
        kept: list[NDArray[np.bool_]] = []
        supports, used = [], []
        with threads_in_use(kernel_threads()):
            for number, weight in enumerate(maps, 1):
                if keeps and dtype == torch.float32:
                    support = np.empty_like(first)
                kernels.blend((m.indptr, m.indices), values, read, first, alpha, support)
                given = torch.from_numpy(support).to(dtype)
                mapped = given @ weight.to(dtype)
                stays = np.empty((first.shape[0], first.shape[1] if threshold else 0), np.bool_)
                draws = np.uint64(keys[number - 1]), threshold
                activate(support, _bits(mapped), share_of_map(lam, number), draws, 1 / (1 - dropout), out, stays)
                if keeps:
                    kept.append(stays if threshold else out > 0)
                    supports.append(given)
                    used.append(weight)
                read = out
        context.saved = kept, supports, adjacency.transpose if keeps else None, options
        context.save_for_backward(*used)
        return torch.from_numpy(out)

    @staticmethod
    @once_differentiable
    def backward(context: Any, *gradients: Tensor) -> tuple[Any, ...]:
        from . import gcn2_cpu as kernels

        kept, supports, back, (alpha, lam, dropout, dtype) = context.saved
        maps = context.saved_tensors
        merge = kernels.merge_16 if dtype == torch.bfloat16 else kernels.merge_32
        rows = as_adjacency(back)
        scale = 1 / (1 - dropout)
        gradient = np.array(_array(gradients[0]))
        other, start = np.empty_like(gradient), np.zeros_like(gradient)
        found: list[Tensor] = []
        with threads_in_use(kernel_threads()):
            for at in reversed(range(len(maps))):
                kernels.mask(gradient, kept[at], scale if at == len(maps) - 1 else scale * (1 - alpha))
                near = share_of_map(lam, at + 1)
                given = torch.from_numpy(gradient).to(dtype)
                found.append((supports[at].t() @ given).float().mul_(near))
                mapped = given @ maps[at].to(dtype).t()
                merge(gradient, _bits(mapped), near, alpha, start)
                multiply_into(rows, gradient, other, threads=None)
                gradient, other = other, gradient
        return torch.from_numpy(gradient).mul_(1 - alpha), torch.from_numpy(start), None, None, *reversed(found)


def share_of_map(lam: float, number: int) -> float:
    """b of a layer, counted from 1."""
    return math.log(lam / number + 1)


def _array(x: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(x.detach().numpy(), np.float32)


def _bits(x: Tensor) -> NDArray[Any]:
    made: NDArray[Any] = x.view(torch.int16).numpy().view(np.uint16) if x.dtype == torch.bfloat16 else x.numpy()
    return made
