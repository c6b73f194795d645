"""What equivariant layers are made of, as torch functions: moments, spread, means of copies, normalisation.

On the processor they run compiled kernels with gradients of their own; elsewhere, the same in torch (`plain`). There are
no second derivatives of the compiled ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..threads import kernel_threads
from . import plain as in_torch
from .products import run, turned_for, weigh

if TYPE_CHECKING:
    from .plan import BagPlan


def moments(x: Tensor, plan: BagPlan) -> tuple[Tensor, Tensor, Tensor]:
    """What maps read of pair features (num_pairs, C): see `Reduced`.

    Row and column means at every place (num_places, 2 C); the diagonal and the means of these by group (num_groups, 3 C);
    means of the diagonal and of the row means in every ego network (num_egos, 2 C).
    """
    if x.device.type != "cpu":
        return in_torch.moments(x, plan)
    places, groups, egos = _Moments.apply(x.contiguous(), plan)
    return places, groups, egos


def take_nodes(x: Tensor, plan: BagPlan) -> tuple[Tensor, Tensor]:
    """Node features (num_nodes, C) of every group, and their means in every ego network: (num_groups, C), (num_egos, C)."""
    if x.device.type != "cpu":
        return in_torch.take_nodes(x, plan)
    groups, egos = _TakeNodes.apply(x.contiguous(), plan)
    return groups, egos


def spread(terms: Tensor, diagonal: Tensor, x: Tensor | None, weight: Tensor | None, plan: BagPlan) -> Tensor:
    """Pair features from terms along rows and columns, averaged over copies, from diagonals, and from mixed pairs.

    terms (num_places, 2 C), diagonal (num_nodes, C), x (num_pairs, C_in), weight (num_classes, C_in, 2 c) -> (num_pairs,
    C). To the first c columns, x and its transposed are added, multiplied by the left and the right half of their
    classes' weights.

    Notes
    -----
    Products are made and put to their places some dozen rows at a time, and their gradients some thousand: nothing as
    large as the pairs is kept but x.
    """
    if terms.device.type != "cpu":
        return in_torch.spread(terms, diagonal, x, weight, plan)
    result: Tensor = _Spread.apply(terms.contiguous(), diagonal.contiguous(), x, weight, plan)
    return result


def mean_rows(x: Tensor, of: Tensor, copies: tuple[Tensor, Tensor]) -> Tensor:
    """Means of the rows that share a number in `of`; `copies` lists them."""
    if x.device.type != "cpu":
        return in_torch.mean_rows(x, of, copies)
    result: Tensor = _Mean.apply(x.contiguous(), copies)
    return result


def graph_norm(x: Tensor, ptr: Tensor, gamma: Tensor, beta: Tensor, alpha: Tensor, eps: float) -> Tensor:
    """See `GraphNorm`."""
    if x.device.type != "cpu":
        return in_torch.graph_norm(x, ptr, gamma, beta, alpha, eps)
    result: Tensor = _Norm.apply(x.contiguous(), ptr, gamma, beta, alpha, eps)
    return result


def _gather_gradients(plan: BagPlan, d_groups: Tensor, d_means: Tensor) -> Tensor:
    """The gradient of nodes, or pairs of a node with itself, from those of groups and of means, in their first columns."""
    host, dtype = plan.host, d_groups.dtype
    width = d_groups.shape[1] // 3 if d_groups.shape[1] != d_means.shape[1] else d_groups.shape[1]
    out = d_groups.new_empty((plan.num_nodes, width))
    lists = (*host.node_copies, host.group_of_place, host.ego_of_place)
    factors = plan.host_factor("group", dtype), plan.host_factor("size", dtype)
    run("to_nodes", plan.num_places * width, d_groups, 0, d_means, 0, lists, *factors, out, 0, width)
    return out


class _Moments(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, plan: BagPlan) -> Any:
        ctx.plan, ctx.shape, host, width = plan, x.shape, plan.host, x.shape[1]
        places, groups = x.new_empty((plan.num_places, 2 * width)), x.new_empty((plan.num_groups, 3 * width))
        means = x.new_empty((plan.num_egos, 2 * width))
        whole, size, share = (plan.host_factor(name, x.dtype) for name in ("one", "size", "group"))
        work = plan.num_entries * width
        run("moments", work, x, host.pair, whole, host.indptr, host.entry_ptr, size, places, means)
        lists = (host.diagonal, places, host.node_of_group, *host.group_copies)
        run("group_means", places.numel(), x, *lists, share, groups)
        return places, groups, means

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_places: Tensor, d_groups: Tensor, d_means: Tensor) -> Any:
        plan, host, out = ctx.plan, ctx.plan.host, d_places.new_empty(ctx.shape)
        whole, size, share = (plan.host_factor(name, out.dtype) for name in ("one", "size", "group"))
        d_groups, d_means, terms = d_groups.contiguous(), d_means.contiguous(), torch.empty_like(d_places)
        lists = (host.group_of_place, share, host.indptr, size)
        run("moments_back", terms.numel(), d_groups, d_means, *lists, d_places.contiguous(), terms)
        diagonal = _gather_gradients(plan, d_groups, d_means)
        entries = (host.pair_ptr, host.row, host.col, host.nodes)
        run("spread", plan.num_entries * out.shape[1], terms, diagonal, entries, size, whole, True, out)
        return out, None


class _TakeNodes(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, plan: BagPlan) -> Any:
        ctx.plan, means = plan, x.new_empty((plan.num_egos, x.shape[1]))
        host, work = plan.host, plan.num_places * x.shape[1]
        run("take_nodes", work, x, host.nodes, host.indptr, plan.host_factor("size", x.dtype), means)
        return x.index_select(0, plan.node_of_group), means

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_groups: Tensor, d_means: Tensor) -> Any:
        return _gather_gradients(ctx.plan, d_groups.contiguous(), d_means.contiguous()), None


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, terms: Tensor, diagonal: Tensor, x: Tensor | None, weight: Tensor | None, plan: BagPlan
    ) -> Tensor:
        ctx.plan, ctx.shapes, host = plan, (terms.shape, diagonal.shape), plan.host
        ctx.save_for_backward(x, weight)
        out = terms.new_empty((plan.num_pairs, diagonal.shape[1]))
        size, scale = plan.host_factor("size", terms.dtype), plan.host_factor("count", terms.dtype)
        entries = (host.pair_ptr, host.row, host.col, host.nodes)
        run("spread", plan.num_entries * out.shape[1], terms, diagonal, entries, size, scale, False, out)
        if x is None or weight is None:
            return out
        share, sides = plan.host_factor("share", x.dtype), _sides(weight)
        for part in plan.mixed_parts:
            for blocks in _apart(part.blocks):
                work = len(blocks) * x.shape[1]
                run("mix", work << 6, x, host.mixed_pair, host.mixed_turned, share, sides, blocks, out)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        plan, host, grad = ctx.plan, ctx.plan.host, grad.contiguous()
        out, none = grad.new_empty(ctx.shapes[0]), grad.new_empty((0, 0))
        size, scale = plan.host_factor("size", grad.dtype), plan.host_factor("count", grad.dtype)
        work = plan.num_entries * grad.shape[1]
        run("moments", work, grad, host.pair, scale, host.indptr, host.entry_ptr, size, out, none)
        diagonal = grad.index_select(0, plan.diagonal)
        x, weight = ctx.saved_tensors
        if x is None:
            return out, diagonal, None, None, None
        sides = _sides(weight)
        d_x, d_sides = torch.zeros_like(x), torch.zeros_like(sides)
        turned, lists = (
            turned_for(sides, plan.mixed[-1] // weight.shape[0]),
            (host.mixed_pair, host.mixed_turned, plan.host_factor("share", grad.dtype)),
        )
        for part in plan.mixed_parts:
            rows = part.last - part.first
            kept = [grad.new_empty((rows, width)) for width in (x.shape[1], x.shape[1], sides.shape[3], sides.shape[3])]
            arrays = tuple(one.numpy() for one in kept)
            for blocks in _apart(part.blocks):
                run("mix_back", rows * x.shape[1], x, grad, lists, sides, turned, blocks, part.first, arrays, d_x)
            weigh(kept[0], kept[2], part.sums, d_sides[0], afresh=False)
            weigh(kept[1], kept[3], part.differences, d_sides[1], afresh=False)
        d_weight = torch.cat([d_sides[0] + d_sides[1], d_sides[0] - d_sides[1]], 2)
        return out, diagonal, d_x, d_weight, None


def _sides(weight: Tensor) -> Tensor:
    """A + B and A - B of weights (num_classes, C, 2 c) of pairs and of their transposed: (2, num_classes, C, c)."""
    a, b = weight.chunk(2, dim=2)
    return torch.stack([a + b, a - b])


def _apart(blocks: Any) -> list[Any]:
    """The blocks of each class, whose targets differ, if several threads could meet at those of different ones."""
    if kernel_threads() == 1:
        return [blocks]
    return [blocks[blocks[:, 0] == k] for k in sorted({*blocks[:, 0].tolist()})]


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
        kept = tuple(part.detach().numpy() for part in saved)
        run("normalise_gradient", grad.numel(), grad.contiguous(), kept, d_x, d_gamma, d_beta, d_alpha)
        return d_x, None, d_gamma.sum(0), d_beta.sum(0), d_alpha.sum(0), None
