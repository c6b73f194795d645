"""The LSH loss on triples, with the hardest negative of the batch for every anchor."""

from __future__ import annotations

import torch
from torch import Tensor


def lsh_loss(anchor: Tensor, match: Tensor, other: Tensor, R: float, c: float) -> Tensor:
    """max(R, |p - q|) - min(c R, |p - r|), per triple: matches within R, others beyond c R, then no gradient.

    Parameters
    ----------
    anchor, match, other : Tensor (triples, dim)
    R : float > 0
    c : float > 1

    Examples
    --------
    >>> one, two = torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]])
    >>> [round(lsh_loss(one, *pair, 0.5, 4.0).item(), 3) for pair in ((one, two), (two, one))]
    [-1.5, 5.0]
    """
    near = (anchor - match).pow(2).sum(-1).clamp_min(1e-12).sqrt()
    far = (anchor - other).pow(2).sum(-1).clamp_min(1e-12).sqrt()
    return near.clamp_min(R) - far.clamp_max(c * R)


def hardest(anchor: Tensor, others: Tensor, allowed: Tensor) -> tuple[Tensor, Tensor]:
    """For every anchor the nearest of `others` that is `allowed` (anchors, others), and whether there is any."""
    distance = torch.cdist(anchor.detach(), others.detach()).masked_fill(~allowed, float("inf"))
    best = distance.min(dim=1)
    return best.indices, best.values.isfinite()


__all__ = ["hardest", "lsh_loss"]
