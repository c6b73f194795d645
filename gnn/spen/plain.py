"""The operations of `ops` in plain torch: what other devices run, and what tests hold the kernels against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .plan import BagPlan


def moments(x: Tensor, plan: BagPlan) -> Tensor:
    """See `ops.moments`."""
    width = x.shape[1]
    of = plan.pair_of_copy
    values = x.index_select(0, of)
    scaled = values * plan.factor("size", x.dtype).index_select(0, plan.row)[:, None]
    diagonal = torch.where((plan.row == plan.col)[:, None], values, 0)
    out = x.new_zeros((plan.num_places, 3 * width))
    out = out.index_add(0, plan.row, torch.cat([diagonal, scaled, torch.zeros_like(values)], 1))
    return out.index_add(0, plan.col, torch.cat([torch.zeros_like(values)] * 2 + [scaled], 1))


def spread(terms: Tensor, plan: BagPlan) -> Tensor:
    """See `ops.spread`."""
    diagonal, row, col = terms.chunk(3, dim=1)
    values = row.index_select(0, plan.row) + col.index_select(0, plan.col)
    values = values + torch.where((plan.row == plan.col)[:, None], diagonal.index_select(0, plan.row), 0)
    values = values * plan.factor("count", terms.dtype).index_select(0, plan.pair_of_copy)[:, None]
    return terms.new_zeros((plan.num_pairs, row.shape[1])).index_add(0, plan.pair_of_copy, values)


def add_shares(mixed: Tensor, base: Tensor, plan: BagPlan) -> Tensor:
    """See `ops.add_shares`."""
    left, right = (mixed * plan.factor("share", mixed.dtype)[:, None]).chunk(2, dim=1)
    out = base.index_add(0, plan.mixed_pair, left)
    return out.index_add(0, plan.transposed.index_select(0, plan.mixed_pair), right)


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
