"""Channels mixed where equivariant maps are small: by group, by place and by ego network."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from . import plain as in_torch
from .products import multiply, multiply_back, run, weigh

if TYPE_CHECKING:
    from .plan import BagPlan

_NONE: Any = np.empty(0, np.int64)


def terms(sources: Sequence[Sequence[Tensor | None]], orders: tuple[int, ...], plan: BagPlan) -> tuple[Tensor, ...]:
    """Terms of places (num_places, 2 C), of diagonals and of nodes (num_nodes, C), from maps of one or two sources.

    A source is (places, groups, egos) as `Reduced` has them and the parameters (place, ego, bias) of its map; places are
    None where it has node features. C is the sum of the sources' widths. Terms of places go along rows and along columns;
    those of diagonals and nodes are averaged over places. What is not among `orders` has no rows.
    """
    if sources[0][1] is not None and sources[0][1].device.type != "cpu":
        return in_torch.terms(sources, orders, plan)
    parts: tuple[Tensor, ...] = _Terms.apply(
        orders, plan, *(None if x is None else x.contiguous() for source in sources for x in source)
    )
    return parts


def mix_egos(egos: Tensor, weight: Tensor, bias: Tensor, plan: BagPlan) -> Tensor:
    """Rows of ego networks times the weights of their class, plus its bias: (num_egos, C_in) -> (num_egos, C_out)."""
    if egos.device.type != "cpu":
        return in_torch.by_class(egos, weight, plan.egos, bias)
    result: Tensor = _Egos.apply(egos.contiguous(), weight, bias, plan)
    return result


@functools.cache
def _jobs(order_in: int, count: int, width: int, total: int, two: bool, one: bool) -> tuple[Any, Any]:
    """What of the weights mixes groups and what places: see `products_cpu`."""
    whole, nodes = (3 * two + one) * width, 3 * two * width
    by_group, by_place = [(0, 0, count, 0, whole, 0)], []
    if order_in == 2:
        by_group += [(count, count, 2 * count, 0, width, 0)] * two
        by_group += [(count, count, 2 * count, nodes, width, nodes)] * one
        by_place += [(0, count, 2 * count, (1 + part) * width, width, part * total) for part in range(2 * two)]
    return np.array(by_group, np.int64), np.array(by_place, np.int64).reshape(-1, 6)


class _Terms(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, orders: tuple[int, ...], plan: BagPlan, *given: Tensor | None) -> Any:
        two, one = 2 in orders, 1 in orders
        ctx.save_for_backward(*given)
        ctx.plan, ctx.two, ctx.one = plan, two, one
        sources: Any = [given[i : i + 6] for i in range(0, len(given), 6)]
        ctx.widths = [bias.shape[1] // (2 * two + one) for *_, bias in sources]
        like, total, host, at = sources[0][1], sum(ctx.widths), plan.host, 0
        made = like.new_empty((plan.num_places, 2 * total) if two else (0, 0))
        diagonal = like.new_empty((plan.num_nodes, total) if two else (0, 0))
        nodes = like.new_empty((plan.num_nodes, total) if one else (0, 0))
        lists = (*host.node_copies, host.group_of_place, host.ego_of_place)
        share = plan.host_factor("node", like.dtype)
        for width, (places, groups, egos, place, ego, bias) in zip(ctx.widths, sources, strict=True):
            by_group, by_place = _jobs(
                1 if places is None else 2, groups.shape[1] // (1 if places is None else 3), width, total, two, one
            )
            found = multiply(
                groups, place, plan.blocks.groups, like.new_zeros((plan.num_groups, place.shape[2])), jobs=by_group
            )
            every = multiply(egos, ego, plan.blocks.egos, bias.index_select(0, plan.class_of_ego))
            if two:
                work = plan.num_places * width
                run("place_terms", work, found, every, host.group_of_place, host.indptr, width, at, made)
                run("to_nodes", work, found, 0, every, 0, lists, share, share, diagonal, at, width)
            if one:
                g_at, e_at = 3 * two * width, 2 * two * width
                run(
                    "to_nodes", plan.num_places * width, found, g_at, every, e_at, lists, share, share, nodes, at, width
                )
            if len(by_place):
                multiply(places, place, plan.blocks.places, made, jobs=by_place, at=at)
            at += width
        return made, diagonal, nodes

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *upper: Tensor) -> Any:
        plan, given, host, at = ctx.plan, ctx.saved_tensors, ctx.plan.host, 0
        sources: Any = [given[i : i + 6] for i in range(0, len(given), 6)]
        wanted = [ctx.needs_input_grad[2 + i : 8 + i] for i in range(0, len(given), 6)]
        grads = [part.contiguous() for part in upper]
        arrays, share = tuple(part.numpy() for part in grads), plan.host_factor("node", grads[0].dtype)
        total, found = sum(ctx.widths), []
        for width, (places, groups, egos, place, ego, _), need in zip(ctx.widths, sources, wanted, strict=True):
            order = 1 if places is None else 2
            by_group, by_place = _jobs(
                order, groups.shape[1] // (1 if places is None else 3), width, total, ctx.two, ctx.one
            )
            upper_groups = groups.new_empty((plan.num_groups, place.shape[2]))
            upper_egos = groups.new_empty((plan.num_egos, ego.shape[2]))
            work, rest = plan.num_places * width, (host.nodes, share)
            run("terms_back", work, arrays, at, *host.group_copies, *rest, 2 * ctx.two, upper_groups)
            run("terms_back", work, arrays, at, host.indptr, _NONE, *rest, 1 * ctx.two, upper_egos)
            d_place = weigh(groups, upper_groups, plan.spans.groups, torch.empty_like(place), jobs=by_group)
            d_ego = weigh(egos, upper_egos, plan.spans.egos, torch.empty_like(ego))
            d_bias = groups.new_empty((ego.shape[0], ego.shape[2]))
            run("sum_spans", upper_egos.numel(), upper_egos, plan.spans.egos, d_bias)
            d_places = d_groups = d_egos = None
            if len(by_place):
                weigh(places, grads[0], plan.spans.places, d_place, jobs=by_place, at=at)
            if need[1]:
                d_groups = multiply_back(
                    upper_groups, place, plan.blocks.groups, torch.zeros_like(groups), jobs=by_group
                )
                d_egos = multiply_back(upper_egos, ego, plan.blocks.egos, torch.zeros_like(egos))
                if places is not None:
                    d_places = torch.zeros_like(places)
                    multiply_back(grads[0], place, plan.blocks.places, d_places, jobs=by_place, at=at)
            found += [d_places, d_groups, d_egos, d_place, d_ego, d_bias]
            at += width
        return None, None, *found


class _Egos(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, egos: Tensor, weight: Tensor, bias: Tensor, plan: BagPlan) -> Tensor:
        ctx.plan = plan
        ctx.save_for_backward(egos, weight)
        return multiply(egos, weight, plan.blocks.egos, bias.index_select(0, plan.class_of_ego))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        plan, (egos, weight), grad = ctx.plan, ctx.saved_tensors, grad.contiguous()
        d_egos = multiply_back(grad, weight, plan.blocks.egos, torch.zeros_like(egos))
        d_weight, d_bias = (
            weigh(egos, grad, plan.spans.egos, torch.empty_like(weight)),
            grad.new_empty((weight.shape[0], weight.shape[2])),
        )
        run("sum_spans", grad.numel(), grad, plan.spans.egos, d_bias)
        return d_egos, d_weight, d_bias, None
