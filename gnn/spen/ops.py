"""What equivariant layers are made of, as torch functions: moments, spread, shares, means of copies, grouped products.

On the processor they run compiled kernels with gradients of their own; elsewhere, or with `plain=True`, the same in
torch. There are no second derivatives of the compiled ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..threads import kernel_threads
from . import plain as in_torch

if TYPE_CHECKING:
    from .plan import BagPlan

_LARGE = 1 << 15  # numbers from which threads pay


def moments(x: Tensor, plan: BagPlan) -> Tensor:
    """Diagonal, mean of the row and mean of the column at every place: (num_pairs, C) -> (num_places, 3 C)."""
    if x.device.type != "cpu":
        return in_torch.moments(x, plan)
    result: Tensor = _Moments.apply(x.contiguous(), plan)
    return result


def spread(terms: Tensor, plan: BagPlan) -> Tensor:
    """Node terms along diagonals, rows and columns, averaged over copies: (num_places, 3 C) -> (num_pairs, C)."""
    if terms.device.type != "cpu":
        return in_torch.spread(terms, plan)
    result: Tensor = _Spread.apply(terms.contiguous(), plan)
    return result


def add_shares(mixed: Tensor, base: Tensor, plan: BagPlan) -> Tensor:
    """`base` plus what mixed pairs and their transposed add: (num_mixed, 2 C), (num_pairs, C) -> (num_pairs, C)."""
    if mixed.device.type != "cpu":
        return in_torch.add_shares(mixed, base, plan)
    result: Tensor = _Share.apply(mixed.contiguous(), base, plan)
    return result


def take_rows(x: Tensor, of: Tensor, copies: tuple[Tensor, Tensor]) -> Tensor:
    """`x[of]`; `copies` lists where each row went, for the gradient."""
    if x.device.type != "cpu":
        return x.index_select(0, of)
    result: Tensor = _Take.apply(x, of, copies)
    return result


def mean_rows(x: Tensor, of: Tensor, copies: tuple[Tensor, Tensor]) -> Tensor:
    """Means of the rows that share a number in `of`; `copies` lists them."""
    if x.device.type != "cpu":
        return in_torch.mean_rows(x, of, copies)
    result: Tensor = _Mean.apply(x.contiguous(), copies)
    return result


def grouped(x: Tensor, weight: Tensor, bounds: Sequence[int], bias: Tensor | None = None) -> Tensor:
    """Rows `bounds[k]:bounds[k + 1]` times `weight[k]`, plus `bias[k]`: (n, C_in), (K, C_in, C_out) -> (n, C_out)."""
    result: Tensor = _Grouped.apply(x, weight, bias, bounds)
    return result


def graph_norm(x: Tensor, ptr: Tensor, gamma: Tensor, beta: Tensor, alpha: Tensor, eps: float) -> Tensor:
    """See `GraphNorm`."""
    if x.device.type != "cpu":
        return in_torch.graph_norm(x, ptr, gamma, beta, alpha, eps)
    result: Tensor = _Norm.apply(x.contiguous(), ptr, gamma, beta, alpha, eps)
    return result


def run(name: str, work: int, *arguments: Any) -> None:
    """Run a kernel on tensors and the plan's arrays: few numbers at once, many on as many threads as torch has."""
    from ...graphlib.compute.jit import threads_in_use
    from . import ops_cpu

    arrays = [part.detach().numpy() if isinstance(part, Tensor) else part for part in arguments]
    kernel = getattr(ops_cpu, name)
    if work <= _LARGE:
        kernel.at_once(*arrays)
        return
    with threads_in_use(kernel_threads()):
        kernel(*arrays)


class _Moments(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, plan: BagPlan) -> Tensor:
        ctx.plan, ctx.shape = plan, x.shape
        out = x.new_empty((plan.num_places, 3 * x.shape[1]))
        lists, whole = plan.host, plan.host_factor("one", x.dtype)
        run("moments", plan.num_entries * x.shape[1], x, lists.pair, whole, lists.indptr, lists.entry_ptr, True, out)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        plan = ctx.plan
        out = grad.new_empty(ctx.shape)
        size, whole = plan.host_factor("size", grad.dtype), plan.host_factor("one", grad.dtype)
        work, lists = plan.num_entries * out.shape[1], plan.host
        run("spread", work, grad.contiguous(), lists.pair_ptr, lists.row, lists.col, size, whole, True, out)
        return out, None


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, terms: Tensor, plan: BagPlan) -> Tensor:
        ctx.plan, ctx.shape = plan, terms.shape
        out = terms.new_empty((plan.num_pairs, terms.shape[1] // 3))
        size, scale = plan.host_factor("size", terms.dtype), plan.host_factor("count", terms.dtype)
        work, lists = plan.num_entries * out.shape[1], plan.host
        run("spread", work, terms, lists.pair_ptr, lists.row, lists.col, size, scale, False, out)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        plan = ctx.plan
        out = grad.new_empty(ctx.shape)
        scale, grad = plan.host_factor("count", grad.dtype), grad.contiguous()
        work, lists = plan.num_entries * grad.shape[1], plan.host
        run("moments", work, grad, lists.pair, scale, lists.indptr, lists.entry_ptr, False, out)
        return out, None


class _Share(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, mixed: Tensor, base: Tensor, plan: BagPlan) -> Tensor:
        ctx.plan, ctx.shape = plan, mixed.shape
        out, weight = base.clone(memory_format=torch.contiguous_format), plan.host_factor("share", mixed.dtype)
        lists = plan.host
        run("share", mixed.numel(), mixed, lists.mixed_ptr, lists.mixed_at, lists.transposed, weight, out)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        plan = ctx.plan
        out, weight = grad.new_empty(ctx.shape), plan.host_factor("share", grad.dtype)
        lists = plan.host
        run("share_gradient", out.numel(), grad.contiguous(), lists.mixed_pair, lists.transposed, weight, out)
        return out, grad, None


class _Take(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, of: Tensor, copies: tuple[Tensor, Tensor]) -> Tensor:
        ctx.copies, ctx.shape = copies, x.shape
        return x.index_select(0, of)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        out = grad.new_empty(ctx.shape)
        run("sum_rows", grad.numel(), grad.contiguous(), *ctx.copies, out)
        return out, None, None


class _Mean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, copies: tuple[Tensor, Tensor]) -> Tensor:
        ctx.copies, ctx.shape = copies, x.shape
        out = x.new_empty((copies[0].shape[0] - 1, x.shape[1]))
        run("mean_rows", x.numel(), x, *copies, out)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        out = grad.new_empty(ctx.shape)
        run("mean_rows_gradient", out.numel(), grad.contiguous(), *ctx.copies, out)
        return out, None


class _Grouped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, bounds: Sequence[int]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.bounds = bounds
        out = x.new_empty((x.shape[0], weight.shape[2]))
        for k, (a, b) in enumerate(pairwise(bounds)):
            if a == b:
                continue
            if bias is None:
                torch.mm(x[a:b], weight[k], out=out[a:b])
            else:
                torch.addmm(bias[k], x[a:b], weight[k], out=out[a:b])
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        d_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        d_weight = torch.empty_like(weight)
        d_bias = grad.new_zeros((weight.shape[0], weight.shape[2])) if ctx.needs_input_grad[2] else None
        for k, (a, b) in enumerate(pairwise(ctx.bounds)):
            if a == b:
                d_weight[k].zero_()
                continue
            upper = grad[a:b]
            if d_x is not None:
                torch.mm(upper, weight[k].t(), out=d_x[a:b])
            torch.mm(x[a:b].t(), upper, out=d_weight[k])
            if d_bias is not None:
                torch.sum(upper, 0, out=d_bias[k])
        return d_x, d_weight, d_bias, None


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, ptr: Tensor, gamma: Tensor, beta: Tensor, alpha: Tensor, eps: float) -> Tensor:
        out, mean = torch.empty_like(x), x.new_empty((ptr.shape[0] - 1, x.shape[1]))
        deviation = torch.empty_like(mean)
        run("normalise", x.numel(), x, ptr, gamma, beta, alpha, eps, out, mean, deviation)
        ctx.save_for_backward(x, ptr, gamma, alpha, mean, deviation)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        saved = ctx.saved_tensors
        d_x = torch.empty_like(saved[0])
        d_gamma, d_beta, d_alpha = (torch.empty_like(saved[4]) for _ in range(3))
        run("normalise_gradient", grad.numel(), grad.contiguous(), *saved, d_x, d_gamma, d_beta, d_alpha)
        return d_x, None, d_gamma.sum(0), d_beta.sum(0), d_alpha.sum(0), None
