"""Normalisation of features within each graph."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from . import ops


class GraphNorm(nn.Module):
    """gamma (x - alpha mean) / std + beta, with mean and deviation over the rows of each graph and learned alpha.

    Parameters
    ----------
    channels : int
    eps : float, default 1e-5
        Added to the variance.

    Attributes
    ----------
    weight : Parameter (3, channels)
        gamma, beta and alpha.

    References
    ----------
    T. Cai et al., "GraphNorm", arXiv:2009.03294, equation 4.

    Examples
    --------
    >>> import torch
    >>> from nearhop.gnn.spen import GraphNorm
    >>> GraphNorm(1)(torch.tensor([[1.0], [3.0], [7.0]]), torch.tensor([0, 2, 3])).round().flatten().tolist()
    [-1.0, 1.0, 0.0]
    """

    def __init__(self, channels: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.tensor([[1.0], [0.0], [1.0]]).repeat(1, channels))

    def forward(self, x: Tensor, ptr: Tensor) -> Tensor:
        """x (n, channels), rows `ptr[g]:ptr[g + 1]` of graph g."""
        return ops.graph_norm([self.given(x, ptr)], self.eps)[0]

    def given(self, x: Tensor, ptr: Tensor) -> tuple[Tensor, ...]:
        """What `ops.graph_norm` takes."""
        return x, ptr, self.weight
