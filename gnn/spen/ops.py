"""What equivariant layers are made of, as torch functions: moments, spread, shares, means of copies, grouped products.

On the processor they run compiled kernels with gradients of their own; elsewhere, or with `plain=True`, the same in
torch. There are no second derivatives of the compiled ones.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..threads import kernel_threads
from . import plain as in_torch

if TYPE_CHECKING:
    from .plan import BagPlan

_LARGE = 1 << 15  # numbers from which threads pay
_PRODUCT = 1 << 17  # multiplications that take as long as a call of torch
_SHORT = 1 << 22  # numbers that take milliseconds: not worth a clock on one thread


def moments(x: Tensor, plan: BagPlan) -> tuple[Tensor, Tensor]:
    """Of pair features (num_pairs, C): diagonal, row mean and column mean at every place, and means of the first two.

    Shapes (num_places, 3 C) and (num_egos, 2 C).
    """
    if x.device.type != "cpu":
        return in_torch.moments(x, plan)
    places, means = _Moments.apply(x.contiguous(), plan)
    return places, means


def take_nodes(x: Tensor, plan: BagPlan) -> tuple[Tensor, Tensor]:
    """Node features (num_nodes, C) at every place, and their means: (num_places, C) and (num_egos, C)."""
    if x.device.type != "cpu":
        return in_torch.take_nodes(x, plan)
    places, means = _TakeNodes.apply(x.contiguous(), plan)
    return places, means


def assemble(parts: Sequence[tuple[Tensor, Tensor]], orders: tuple[int, ...], plan: BagPlan) -> tuple[Tensor, Tensor]:
    """Terms of pairs (num_places, 3 C) and of nodes (num_places, C) from what maps of several sources give.

    Each source gives a tensor of places and one of ego networks (see `ops_cpu.assemble`); C is the sum of their widths.
    What is not among `orders` has no rows.
    """
    if parts[0][0].device.type != "cpu":
        return in_torch.assemble(parts, orders, plan)
    pairs, nodes = _Assemble.apply(orders, plan, *(part.contiguous() for source in parts for part in source))
    return pairs, nodes


def spread(terms: Tensor, x: Tensor | None, weight: Tensor | None, plan: BagPlan) -> Tensor:
    """Pair features from terms along diagonals, rows and columns, averaged over copies, and from mixed pairs.

    terms (num_places, 3 C), x (num_pairs, C_in), weight (num_classes, C_in, 2 c) -> (num_pairs, C). To the first c
    columns, x and its transposed are added, multiplied by the left and the right half of their classes' weights.

    Notes
    -----
    Products are made and put to their places some thousand rows at a time, and made again for the gradient: nothing as
    large as the pairs is kept but x.
    """
    if terms.device.type != "cpu":
        return in_torch.spread(terms, x, weight, plan)
    result: Tensor = _Spread.apply(terms.contiguous(), x, weight, plan)
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


class _Moments(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, plan: BagPlan) -> Any:
        ctx.plan, ctx.shape = plan, x.shape
        out = x.new_empty((plan.num_places, 3 * x.shape[1]))
        means = x.new_empty((plan.num_egos, 2 * x.shape[1]))
        lists, whole, work = plan.host, plan.host_factor("one", x.dtype), plan.num_entries * x.shape[1]
        run("moments", work, x, lists.pair, whole, lists.indptr, lists.entry_ptr, True, out, means)
        return out, means

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor, grad_means: Tensor) -> Any:
        plan, out = ctx.plan, grad.new_empty(ctx.shape)
        size, whole = plan.host_factor("size", grad.dtype), plan.host_factor("one", grad.dtype)
        work, lists, terms = plan.num_entries * out.shape[1], plan.host, torch.empty_like(grad)
        run("add_means_gradient", grad.numel(), grad.contiguous(), grad_means.contiguous(), lists.indptr, terms)
        run("spread", work, terms, lists.pair_ptr, lists.row, lists.col, size, whole, True, out)
        return out, None


class _TakeNodes(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, plan: BagPlan) -> Any:
        ctx.plan, ctx.shape = plan, x.shape
        out, means = x.new_empty((plan.num_places, x.shape[1])), x.new_empty((plan.num_egos, x.shape[1]))
        run("take_nodes", out.numel(), x, plan.host.nodes, plan.host.indptr, out, means)
        return out, means

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor, grad_means: Tensor) -> Any:
        plan, out, terms = ctx.plan, grad.new_empty(ctx.shape), torch.empty_like(grad)
        run("add_means_gradient", grad.numel(), grad.contiguous(), grad_means.contiguous(), plan.host.indptr, terms)
        run("sum_rows", grad.numel(), terms, *plan.node_copies, out)
        return out, None


class _Assemble(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, orders: tuple[int, ...], plan: BagPlan, *parts: Tensor) -> Any:
        two, one = 2 in orders, 1 in orders
        widths = [egos.shape[1] // (2 * two + one) for egos in parts[1::2]]
        like, total = parts[0], sum(widths)
        pairs = like.new_empty((plan.num_places, 3 * total) if two else (0, 0))
        nodes = like.new_empty((plan.num_places, total) if one else (0, 0))
        ctx.plan, ctx.two, ctx.one = plan, two, one
        ctx.shapes, ctx.starts = [part.shape for part in parts], [sum(widths[:i]) for i in range(len(widths))]
        for places, egos, at in zip(parts[::2], parts[1::2], ctx.starts, strict=True):
            run("assemble", places.numel(), places, egos, plan.host.indptr, two, one, at, pairs, nodes)
        return pairs, nodes

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_pairs: Tensor, d_nodes: Tensor) -> Any:
        d_pairs, d_nodes = d_pairs.contiguous(), d_nodes.contiguous()
        found = [d_pairs.new_empty(shape) for shape in ctx.shapes]
        for places, egos, at in zip(found[::2], found[1::2], ctx.starts, strict=True):
            arguments = (d_pairs, d_nodes, ctx.plan.host.indptr, ctx.two, ctx.one, at, places, egos)
            run("assemble_gradient", places.numel(), *arguments)
        return None, None, *found


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, terms: Tensor, x: Tensor | None, weight: Tensor | None, plan: BagPlan) -> Tensor:
        ctx.plan, ctx.shape = plan, terms.shape
        ctx.save_for_backward(x, weight)
        out = terms.new_empty((plan.num_pairs, terms.shape[1] // 3))
        size, scale = plan.host_factor("size", terms.dtype), plan.host_factor("count", terms.dtype)
        work, lists = plan.num_entries * out.shape[1], plan.host
        run("spread", work, terms, lists.pair_ptr, lists.row, lists.col, size, scale, False, out)
        if x is None or weight is None:
            return out
        share, half = plan.host_factor("share", x.dtype), weight.shape[2] // 2
        for part, classes in plan.mixed_parts:
            given = x.index_select(0, plan.mixed_pair[part])
            rows = x.new_empty((given.shape[0], weight.shape[2]))
            for k, a, b in classes:
                torch.mm(given[a:b], weight[k], out=rows[a:b])
            _add_at(rows, classes, 0, half, lists.mixed_pair[part], share[part], True, out)
            _add_at(rows, classes, half, half, lists.mixed_turned[part], share[part], True, out)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        plan, out, none = ctx.plan, grad.new_empty(ctx.shape), grad.new_empty((0, 0))
        scale, grad = plan.host_factor("count", grad.dtype), grad.contiguous()
        work, lists = plan.num_entries * grad.shape[1], plan.host
        run("moments", work, grad, lists.pair, scale, lists.indptr, lists.entry_ptr, False, out, none)
        x, weight = ctx.saved_tensors
        if x is None:
            return out, None, None, None
        share = plan.host_factor("share", grad.dtype)
        d_x, d_weight = torch.zeros_like(x), torch.zeros_like(weight)
        for part, classes in plan.mixed_parts:
            pair, rows = lists.mixed_pair[part], grad.new_empty((part.stop - part.start, weight.shape[2]))
            run("take_both", rows.numel(), grad, pair, lists.mixed_turned[part], share[part], rows)
            given, d_rows = x.index_select(0, plan.mixed_pair[part]), x.new_empty((rows.shape[0], x.shape[1]))
            for k, a, b in classes:
                d_weight[k].addmm_(given[a:b].t(), rows[a:b])
                torch.mm(rows[a:b], weight[k].t(), out=d_rows[a:b])
            _add_at(d_rows, classes, 0, d_rows.shape[1], pair, share[part], False, d_x)
        return out, d_x, d_weight, None


def _add_at(
    rows: Tensor, classes: Sequence[tuple[int, int, int]], at: int, width: int, target: Any, weight: Any, *rest: Any
) -> None:
    """Columns of rows to their targets, which differ within a class: one class after the other on several threads."""
    if kernel_threads() == 1:
        classes = [(0, 0, rows.shape[0])]
    for _, a, b in classes:
        run("add_at", (b - a) * width, rows[a:b], at, width, target[a:b], weight[a:b], *rest)


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
        ctx.spans = _spans(bounds, weight)
        out = x.new_empty((x.shape[0], weight.shape[2]))
        small, large = ctx.spans
        if small.shape[0]:
            run(
                "grouped",
                out.numel(),
                x.contiguous(),
                weight,
                x.new_empty((0, 0)) if bias is None else bias,
                small,
                out,
            )
        for k, a, b in large:
            if bias is None:
                torch.mm(x[a:b], weight[k], out=out[a:b])
            else:
                torch.addmm(bias[k], x[a:b], weight[k], out=out[a:b])
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        d_x, d_bias = grad.new_empty((0, 0)), grad.new_empty((0, 0))
        if ctx.needs_input_grad[0]:
            d_x = torch.empty_like(x)
        d_weight = torch.empty_like(weight)
        if ctx.needs_input_grad[2]:
            d_bias = grad.new_zeros((weight.shape[0], weight.shape[2]))
        small, large = ctx.spans
        for k in set(range(weight.shape[0])) - {*small[:, 0].tolist(), *(k for k, _, _ in large)}:
            d_weight[k].zero_()
        if small.shape[0]:
            arrays = (grad.contiguous(), x.contiguous(), weight, small, d_x, d_weight, d_bias)
            run("grouped_gradient", grad.numel(), *arrays)
        for k, a, b in large:
            upper = grad[a:b]
            if ctx.needs_input_grad[0]:
                torch.mm(upper, weight[k].t(), out=d_x[a:b])
            torch.mm(x[a:b].t(), upper, out=d_weight[k])
            if ctx.needs_input_grad[2]:
                torch.sum(upper, 0, out=d_bias[k])
        wanted = ctx.needs_input_grad
        return d_x if wanted[0] else None, d_weight, d_bias if wanted[2] else None, None


def _spans(bounds: Sequence[int], weight: Tensor) -> tuple[Any, list[tuple[int, int, int]]]:
    """Classes (k, first, last) with rows: those whose product is less than a call of torch, and the others."""
    if weight.device.type != "cpu":
        return np.empty((0, 3), np.int64), [(k, a, b) for k, (a, b) in enumerate(pairwise(bounds)) if a < b]
    each: tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]] = ([], [])
    size = weight.shape[1] * weight.shape[2]
    for k, (a, b) in enumerate(pairwise(bounds)):
        if a < b:
            each[(b - a) * size > _PRODUCT].append((k, a, b))
    return np.array(each[0], np.int64).reshape(-1, 3), each[1]


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
        kept = tuple(_array(part) for part in saved)
        run("normalise_gradient", grad.numel(), grad.contiguous(), kept, d_x, d_gamma, d_beta, d_alpha)
        return d_x, None, d_gamma.sum(0), d_beta.sum(0), d_alpha.sum(0), None
