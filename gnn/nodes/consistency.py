"""Agreement of several random views of a graph, as a loss without labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...graphlib.errors import InvalidInput
from ...graphlib.scalars import is_finite


def consistency_loss(scores: Sequence[Tensor], temperature: float = 0.5) -> Tensor:
    """Distance of the class probabilities of each view from their sharpened mean.

    Parameters
    ----------
    scores : sequence of Tensor (n, C)
        Logits, a matrix per view.
    temperature : float > 0, default 0.5
        T: the mean is raised to 1/T and made to sum to 1. No gradient flows through it.

    Returns
    -------
    Tensor ()
        Mean over views and nodes of ||p' - p||^2.

    Notes
    -----
    The mean over nodes is that of the released codes of GRAND and LAGNN; LAGNN's paper writes a sum.

    References
    ----------
    W. Feng et al., arXiv:2005.11079, equations 4 and 5.

    Examples
    --------
    >>> import torch
    >>> certain = torch.tensor([[50.0, 0.0]])
    >>> round(consistency_loss([certain, certain]).item(), 6)
    0.0
    """
    if not len(scores):
        raise InvalidInput("consistency_loss compares views; give the scores of at least one")
    if not is_finite(temperature) or temperature <= 0:
        raise InvalidInput(f"temperature must be a number > 0; got {temperature!r:.50}")
    probabilities = torch.stack([torch.softmax(part, 1) for part in scores])
    mean = probabilities.detach().mean(0)
    raised = (mean / mean.amax(1, keepdim=True)) ** (1.0 / temperature)  # the largest is 1, whatever the power
    sharp = raised / raised.sum(1, keepdim=True)
    return (probabilities - sharp).square().sum(2).mean()
