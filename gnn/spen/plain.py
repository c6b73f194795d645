"""The operations of `layer` and `ops` in plain torch: what other devices run, and what tests hold kernels against."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import elu

if TYPE_CHECKING:
    from .layer import Norm, Source
    from .plan import BagPlan


def moments(x: Tensor, plan: BagPlan) -> tuple[Tensor, Tensor, Tensor]:
    """See `layer._Read`: row and column means, what groups read, what ego networks read."""
    width = x.shape[1]
    values = x.index_select(0, plan.pair_of_copy)
    scaled = values * plan.factor("size", x.dtype).index_select(0, plan.row)[:, None]
    nothing = torch.zeros_like(values)
    places = x.new_zeros((plan.num_places, 2 * width))
    places = places.index_add(0, plan.row, torch.cat([scaled, nothing], 1))
    places = places.index_add(0, plan.col, torch.cat([nothing, scaled], 1))
    diagonal = x.index_select(0, plan.diagonal)
    by_group = mean_rows(places, plan.group_of_place, plan.group_copies)
    below = torch.cat([diagonal.index_select(0, plan.nodes), places[:, :width]], 1)
    means = mean_rows(below, plan.ego_of_place, (plan.indptr, plan.ego_of_place))
    return places, torch.cat([diagonal.index_select(0, plan.node_of_group), by_group], 1), means


def take_nodes(x: Tensor, plan: BagPlan) -> tuple[Tensor, Tensor]:
    """See `layer._Read`: what groups read, what ego networks read."""
    means = mean_rows(x.index_select(0, plan.nodes), plan.ego_of_place, (plan.indptr, plan.ego_of_place))
    return x.index_select(0, plan.node_of_group), means


def layer(
    sources: Sequence[Source], orders: Sequence[int], plan: BagPlan, norm: Norm | None = None
) -> tuple[Tensor | None, Tensor | None]:
    """See `layer.layer`."""
    made = dict(zip((2, 1), _maps(sources, orders, plan), strict=True))
    if norm is not None:
        given, ptr = [order for order in (2, 1) if order in orders], {2: plan.graph_pair_ptr, 1: plan.node_ptr}
        parts: Any = [(made[order], ptr[order], by) for order, by in zip(given, norm.weights, strict=True)]
        made.update(zip(given, graph_norm(parts, norm.eps, activated=True), strict=True))
    return made[2], made[1]


def _maps(sources: Sequence[Source], orders: Sequence[int], plan: BagPlan) -> tuple[Tensor | None, Tensor | None]:
    two, one = 2 in orders, 1 in orders
    rows, cols, diagonals, nodes = [], [], [], []
    for source in sources:
        x, order, ego, bias = source.x, source.order, source.ego, source.bias
        place: Any = source.place
        places, groups, egos = moments(x, plan) if order == 2 else (None, *take_nodes(x, plan))
        count, width = x.shape[1], bias.shape[1] // (2 * two + one)
        every = by_class(egos, ego, plan.egos, bias).index_select(0, plan.ego_of_place)
        mixed = by_class(groups[:, :count], place[:, :count], plan.groups)
        if places is not None:  # to diagonals and nodes by group, along rows and columns by place
            means = by_class(groups[:, count:], place[:, count:], plan.groups)
            apart = torch.ones_like(means)
            apart[:, width : 3 * width * two] = 0
            mixed = mixed + means * apart
        found = mixed.index_select(0, plan.group_of_place)
        if two:
            along = found[:, width : 3 * width]
            if places is not None:
                along = along + by_class(places, place[:, count:, width : 3 * width], plan.places)
            rows.append(along[:, :width] + every[:, width : 2 * width])
            cols.append(along[:, width:])
            diagonals.append(found[:, :width] + every[:, :width])
        if one:
            nodes.append(found[:, -width:] + every[:, -width:])
    node = mean_rows(torch.cat(nodes, 1), plan.nodes, plan.node_copies) if one else None
    if not two:
        return None, node
    diagonal = mean_rows(torch.cat(diagonals, 1), plan.nodes, plan.node_copies)
    return spread(torch.cat([*rows, *cols], 1), diagonal, sources[0].x, sources[0].entry, plan), node


def invariants(sources: Sequence[Source], plan: BagPlan) -> Tensor:
    """See `layer.invariants`."""
    read = [(moments if source.order == 2 else take_nodes)(source.x, plan)[-1] for source in sources]
    return torch.cat(
        [by_class(x, source.ego, plan.egos, source.bias) for x, source in zip(read, sources, strict=True)], 1
    )


def by_class(x: Tensor, weight: Tensor, bounds: Sequence[int], bias: Tensor | None = None) -> Tensor:
    """Rows `bounds[k]:bounds[k + 1]` times `weight[k]`, plus `bias[k]`: (n, C_in), (K, C_in, C_out) -> (n, C_out)."""
    spans = enumerate(pairwise(bounds))
    return torch.cat([x[a:b] @ weight[k] + (0 if bias is None else bias[k]) for k, (a, b) in spans])


def spread(terms: Tensor, diagonal: Tensor, x: Tensor, weight: Tensor | None, plan: BagPlan) -> Tensor:
    """Terms along rows and columns (num_places, 2 C) averaged over copies, and diagonals; pairs x mixed by `weight`."""
    row, col = terms.chunk(2, dim=1)
    values = row.index_select(0, plan.row) + col.index_select(0, plan.col)
    values = values * plan.factor("count", terms.dtype).index_select(0, plan.pair_of_copy)[:, None]
    out = terms.new_zeros((plan.num_pairs, row.shape[1])).index_add(0, plan.pair_of_copy, values)
    out = out.index_add(0, plan.diagonal, diagonal)
    if weight is None:
        return out
    first, second, width = plan.mixed_pair, plan.mixed_turned, weight.shape[2] // 2
    share = plan.factor("share", x.dtype)[:, None]
    a, b = weight.chunk(2, dim=2)
    sums = share * by_class(x.index_select(0, first) + x.index_select(0, second), a + b, plan.mixed[::2])
    differences = share * by_class(x.index_select(0, first) - x.index_select(0, second), a - b, plan.mixed[::2])
    mixed = out[:, :width].index_add(0, first, sums + differences).index_add(0, second, sums - differences)
    return torch.cat([mixed, out[:, width:]], 1)


def mean_rows(x: Tensor, of: Tensor, copies: tuple[Tensor, Tensor]) -> Tensor:
    """See `ops.mean_rows`."""
    counts = copies[0].diff().clamp(min=1).to(x.dtype)
    return x.new_zeros((counts.shape[0], x.shape[1])).index_add(0, of, x) / counts[:, None]


def graph_norm(parts: Sequence[tuple[Tensor, ...]], eps: float, *, activated: bool = False) -> tuple[Tensor, ...]:
    """See `ops.graph_norm`."""
    return tuple(_normalised(elu(part[0]) if activated else part[0], part[1:], eps) for part in parts)


def _normalised(x: Tensor, given: tuple[Tensor, ...], eps: float) -> Tensor:
    ptr, (gamma, beta, alpha) = given
    counts = ptr.diff()
    of = torch.repeat_interleave(torch.arange(counts.shape[0], device=x.device), counts)
    mean = mean_rows(x, of, (ptr, of))
    centred = x - alpha * mean.index_select(0, of)
    variance = mean_rows(centred**2, of, (ptr, of))
    return gamma * centred / (variance + eps).sqrt().index_select(0, of) + beta
