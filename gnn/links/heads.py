"""Heads: scores of pairs from node states, from common neighbours' states, or from sketches of neighbourhoods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ...graphlib.sparse.shared import shared_neighbors
from ..sparse.sparse_tensor import SparseTensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ...graphlib.sparse.csr import CSR
    from .sketches import PairSketches


def perceptron(width: int, hidden: int, out: int, *, layers: int, dropout: float, norm: bool) -> nn.Sequential:
    """`layers` linear maps with layer norm (where asked for), dropout and ReLU between them."""
    parts: list[nn.Module] = []
    for layer in range(layers):
        last = layer + 1 == layers
        parts.append(nn.Linear(width if layer == 0 else hidden, out if last else hidden))
        if not last:
            parts += [nn.LayerNorm(hidden)] if norm else []
            parts += [nn.Dropout(dropout), nn.ReLU()]
    return nn.Sequential(*parts)


class DotHead(nn.Module):
    """The inner product of both states: with a GCN encoder the graph auto-encoder.

    T. Kipf, M. Welling, "Variational graph auto-encoders", arXiv:1611.07308.
    """

    def forward(self, states: Tensor, src: NDArray[np.int64], dst: NDArray[np.int64], neighbors: CSR) -> Tensor:
        """Scores (m,) of the pairs; `neighbors` is the graph that may be read."""
        return (states[torch.from_numpy(src)] * states[torch.from_numpy(dst)]).sum(dim=1)


class ProductHead(nn.Module):
    """An MLP of the elementwise product of both states."""

    def __init__(self, hidden: int, *, layers: int = 2, dropout: float = 0.0, layer_norm: bool = False) -> None:
        super().__init__()
        self.mlp = perceptron(hidden, hidden, 1, layers=layers, dropout=dropout, norm=layer_norm)

    def forward(self, states: Tensor, src: NDArray[np.int64], dst: NDArray[np.int64], neighbors: CSR) -> Tensor:
        """Scores (m,) of the pairs."""
        scores: Tensor = self.mlp(states[torch.from_numpy(src)] * states[torch.from_numpy(dst)])
        return scores.squeeze(1)


class CommonNeighborHead(nn.Module):
    """NCN: an MLP of the product of both states and of the sum of the states of common neighbours.

    The graph whose neighbours are pooled is the one handed to `forward`; `train_links` leaves the pairs that are being
    scored out of it, as the paper does (target link removal).

    X. Wang, H. Yang, M. Zhang, "Neural common neighbor with completion for link prediction", arXiv:2302.00890.
    """

    def __init__(self, hidden: int, *, dropout: float = 0.0, layers: int = 1, layer_norm: bool = True) -> None:
        super().__init__()
        self.common = perceptron(hidden, hidden, hidden, layers=3, dropout=dropout, norm=layer_norm)
        self.pair = perceptron(hidden, hidden, hidden, layers=2, dropout=dropout, norm=layer_norm)
        self.out = perceptron(hidden, hidden, 1, layers=layers + 1, dropout=dropout, norm=layer_norm)
        self.own = perceptron(hidden, hidden, hidden, layers=2, dropout=dropout, norm=layer_norm)
        self.beta = nn.Parameter(torch.ones(1))

    def forward(self, states: Tensor, src: NDArray[np.int64], dst: NDArray[np.int64], neighbors: CSR) -> Tensor:
        """Scores (m,) of the pairs."""
        states = states + self.own(states)
        shared = SparseTensor(shared_neighbors(neighbors, src, dst))
        pooled = self.common(shared @ states)
        pair = self.pair(states[torch.from_numpy(src)] * states[torch.from_numpy(dst)])
        scores: Tensor = self.out(pooled * self.beta + pair)
        return scores.squeeze(1)


class SketchHead(nn.Module):
    """BUDDY's form: an MLP of the product of both states beside counts of nodes at pairs of distances.

    B. Chamberlain et al., "Graph neural networks for link prediction with subgraph sketching", arXiv:2209.15486.
    """

    def __init__(self, hidden: int, sketches: PairSketches, *, dropout: float = 0.5, layer_norm: bool = True) -> None:
        super().__init__()
        self.sketches = sketches
        width = sketches.num_counts
        self.counts = nn.Sequential(nn.BatchNorm1d(width), nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout))
        self.mlp = perceptron(2 * hidden, hidden, 1, layers=2, dropout=dropout, norm=layer_norm)

    def forward(self, states: Tensor, src: NDArray[np.int64], dst: NDArray[np.int64], neighbors: CSR) -> Tensor:
        """Scores (m,) of the pairs."""
        counts = self.counts(torch.log1p(torch.from_numpy(self.sketches.counts(src, dst))))
        pair = states[torch.from_numpy(src)] * states[torch.from_numpy(dst)]
        scores: Tensor = self.mlp(torch.cat([pair, counts], dim=1))
        return scores.squeeze(1)
