"""The operations of `ops` in plain torch: what other devices run, and what tests hold the kernels against."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .plan import BagPlan


def moments(x: Tensor, plan: BagPlan) -> tuple[Tensor, Tensor]:
    """See `ops.moments`."""
    width = x.shape[1]
    values = x.index_select(0, plan.pair_of_copy)
    scaled = values * plan.factor("size", x.dtype).index_select(0, plan.row)[:, None]
    diagonal = torch.where((plan.row == plan.col)[:, None], values, 0)
    nothing = torch.zeros_like(values)
    out = x.new_zeros((plan.num_places, 3 * width))
    out = out.index_add(0, plan.row, torch.cat([diagonal, scaled, nothing], 1))
    out = out.index_add(0, plan.col, torch.cat([nothing, nothing, scaled], 1))
    return out, mean_rows(out[:, : 2 * width], plan.ego_of_place, (plan.indptr, plan.ego_of_place))


def take_nodes(x: Tensor, plan: BagPlan) -> tuple[Tensor, Tensor]:
    """See `ops.take_nodes`."""
    out = x.index_select(0, plan.nodes)
    return out, mean_rows(out, plan.ego_of_place, (plan.indptr, plan.ego_of_place))


def assemble(parts: Sequence[tuple[Tensor, Tensor]], orders: tuple[int, ...], plan: BagPlan) -> tuple[Tensor, Tensor]:
    """See `ops.assemble`."""
    two, one = 2 in orders, 1 in orders
    diagonal, row, col = [], [], []
    nodes = []
    for places, egos in parts:
        width = egos.shape[1] // (2 * two + one)
        below = egos.index_select(0, plan.ego_of_place)
        if two:
            diagonal.append(places[:, :width] + below[:, :width])
            row.append(places[:, width : 2 * width] + below[:, width : 2 * width])
            col.append(places[:, 2 * width : 3 * width])
        if one:
            nodes.append(places[:, -width:] + below[:, -width:])
    none = parts[0][0].new_empty((0, 0))
    return torch.cat([*diagonal, *row, *col], 1) if two else none, torch.cat(nodes, 1) if one else none


def spread(terms: Tensor, x: Tensor | None, weight: Tensor | None, plan: BagPlan) -> Tensor:
    """See `ops.spread`."""
    diagonal, row, col = terms.chunk(3, dim=1)
    values = row.index_select(0, plan.row) + col.index_select(0, plan.col)
    values = values + torch.where((plan.row == plan.col)[:, None], diagonal.index_select(0, plan.row), 0)
    values = values * plan.factor("count", terms.dtype).index_select(0, plan.pair_of_copy)[:, None]
    out = terms.new_zeros((plan.num_pairs, row.shape[1])).index_add(0, plan.pair_of_copy, values)
    if x is None or weight is None:
        return out
    rows = x.index_select(0, plan.mixed_pair)
    mixed = torch.cat([rows[a:b] @ weight[k] for k, (a, b) in enumerate(pairwise(plan.mixed))])
    left, right = (mixed * plan.factor("share", mixed.dtype)[:, None]).chunk(2, dim=1)
    first = out[:, : left.shape[1]].index_add(0, plan.mixed_pair, left)
    first = first.index_add(0, plan.mixed_turned, right)
    return torch.cat([first, out[:, left.shape[1] :]], 1)


def mean_rows(x: Tensor, of: Tensor, copies: tuple[Tensor, Tensor]) -> Tensor:
    """See `ops.mean_rows`."""
    counts = copies[0].diff().clamp(min=1).to(x.dtype)
    return x.new_zeros((counts.shape[0], x.shape[1])).index_add(0, of, x) / counts[:, None]


def graph_norm(x: Tensor, ptr: Tensor, gamma: Tensor, beta: Tensor, alpha: Tensor, eps: float) -> Tensor:
    """See `ops.graph_norm`."""
    counts = ptr.diff()
    of = torch.repeat_interleave(torch.arange(counts.shape[0], device=x.device), counts)
    mean = mean_rows(x, of, (ptr, of))
    centred = x - alpha * mean.index_select(0, of)
    variance = mean_rows(centred**2, of, (ptr, of))
    return gamma * centred / (variance + eps).sqrt().index_select(0, of) + beta
