"""Means of copies and normalisation as torch functions.

On the processor they run compiled kernels with gradients of their own, without second derivatives; elsewhere, the same
in torch (`plain`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import plain as in_torch
from .kernels import array, run


def mean_rows(x: Tensor, of: Tensor, copies: tuple[Tensor, Tensor]) -> Tensor:
    """Means of the rows that share a number in `of`; `copies` lists them."""
    if x.device.type != "cpu":
        return in_torch.mean_rows(x, of, copies)
    result: Tensor = _Mean.apply(x.contiguous(), copies)
    return result


def graph_norm(parts: Sequence[tuple[Tensor, ...]], eps: float, *, activated: bool = False) -> tuple[Tensor, ...]:
    """GraphNorm of features (x, ptr, weight), of ELU of them if `activated`."""
    if parts[0][0].device.type != "cpu":
        return in_torch.graph_norm(parts, eps, activated=activated)
    flat = [part for x, *rest in parts for part in (x.contiguous(), *rest)]
    result: tuple[Tensor, ...] = _Norm.apply(eps, activated, *flat)
    return result


class _Mean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, copies: tuple[Tensor, Tensor]) -> Tensor:
        ctx.copies, ctx.shape = tuple(map(array, copies)), x.shape
        out = x.new_empty((copies[0].shape[0] - 1, x.shape[1]))
        run("mean_rows", x.numel(), array(x), *ctx.copies, out.numpy())
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        out = grad.new_empty(ctx.shape)
        run("mean_rows_gradient", out.numel(), array(grad.contiguous()), *ctx.copies, out.numpy())
        return out, None


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, eps: float, activated: bool, *flat: Tensor) -> Any:
        found, kept = [], []
        for i in range(0, len(flat), 3):
            x, ptr, weight = map(array, flat[i : i + 3])
            out, *rest = normalised(x, ptr, weight, eps, activated)
            kept += [*flat[i + 1 : i + 3], *map(torch.from_numpy, rest)]
            found.append(torch.from_numpy(out))
        ctx.save_for_backward(*kept)
        ctx.activated = activated
        return tuple(found)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *upper: Tensor) -> Any:
        found: list[Tensor | None] = []
        for i, grad in enumerate(upper):
            ptr, weight, *rest = map(array, ctx.saved_tensors[4 * i : 4 * i + 4])
            d_x, d_weight = normalised_back(array(grad.contiguous()), ptr, weight, rest, ctx.activated)
            found += [torch.from_numpy(d_x), None, torch.from_numpy(d_weight)]
        return None, None, *found


def normalised(x: Any, ptr: Any, weight: Any, eps: float, activated: bool) -> tuple[Any, Any, Any]:
    """GraphNorm of x, of ELU of it if `activated`; what it was taken of; means and deviations of every graph."""
    given, out = np.empty_like(x) if activated else x, np.empty_like(x)
    graphs = np.empty((2, ptr.shape[0] - 1, x.shape[1]), x.dtype)
    run("normalise", x.size, x, ptr, weight, eps, activated, given, out, graphs)
    return out, given, graphs


def normalised_back(upper: Any, ptr: Any, weight: Any, kept: Sequence[Any], activated: bool) -> tuple[Any, Any]:
    """Gradients by x and by the weights from what `normalised` kept."""
    given, graphs = kept
    d_x, sums = np.empty_like(given), np.empty((3, *graphs.shape[1:]), given.dtype)
    run("normalise_gradient", d_x.size, upper, (given, ptr, weight, graphs), activated, d_x, sums)
    return d_x, sums.sum(1)
