"""Heads: scores of pairs from node states, from common neighbours' states, or from sketches of neighbourhoods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ...graphlib.compute.streams import Purpose, root_of
from ...graphlib.scalars import integer, share
from ...graphlib.sparse.shared import shared_neighbors
from ..sparse.propagation import kept_entries
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


def behind_relu(width: int, *, norms: list[bool], dropout: float) -> nn.Sequential:
    """A square linear map per entry of `norms`, each with layer norm (where it says so), dropout and ReLU behind it."""
    parts: list[nn.Module] = []
    for norm in norms:
        parts.append(nn.Linear(width, width))
        parts += [nn.LayerNorm(width)] if norm else []
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
        integer("hidden", hidden, 1), integer("layers", layers, 1), share("dropout", dropout)
        self.mlp = perceptron(hidden, hidden, 1, layers=layers, dropout=dropout, norm=layer_norm)

    def forward(self, states: Tensor, src: NDArray[np.int64], dst: NDArray[np.int64], neighbors: CSR) -> Tensor:
        """Scores (m,) of the pairs."""
        scores: Tensor = self.mlp(states[torch.from_numpy(src)] * states[torch.from_numpy(dst)])
        return scores.squeeze(1)


class CommonNeighborHead(nn.Module):
    """NCN: an MLP of the product of both states and of the sum of the states of common neighbours.

    The graph whose neighbours are pooled is the one handed to `forward`; `train_links` leaves the pairs that are being
    scored out of it, as the paper does (target link removal).

    Parameters
    ----------
    hidden : int
    dropout : float in [0, 1), default 0
    edge_dropout : float in [0, 1), default 0
        Share of the entries of `neighbors` that training leaves out of the pooling, drawn for every call.
    layers : int >= 1, default 1
        Hidden layers of the MLP that scores.
    layer_norm : bool, default True
    seed : int, default 0
        Of the entries that are left out; weights are drawn by torch's generator.

    Notes
    -----
    With h the states: MLP(beta f(sum over common neighbours of (h + g(h))) + p(h_u * h_v)). f and g have two layers and
    p one, each behind a ReLU, as in the authors' code.

    References
    ----------
    X. Wang, H. Yang, M. Zhang, "Neural common neighbor with completion for link prediction", arXiv:2302.00890.
    """

    def __init__(
        self,
        hidden: int,
        *,
        dropout: float = 0.0,
        edge_dropout: float = 0.0,
        layers: int = 1,
        layer_norm: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        for name, count, low in (("hidden", hidden, 1), ("layers", layers, 0)):
            integer(name, count, low)
        share("dropout", dropout), share("edge_dropout", edge_dropout)
        norm = [layer_norm]
        self.own = behind_relu(hidden, norms=[False, *norm], dropout=dropout)
        self.common = behind_relu(hidden, norms=[False, *norm], dropout=dropout)
        self.pair = behind_relu(hidden, norms=norm, dropout=dropout)
        self.out = behind_relu(hidden, norms=norm * layers, dropout=dropout).append(nn.Linear(hidden, 1))
        self.beta = nn.Parameter(torch.ones(1))
        self.edge_dropout = edge_dropout
        self._generator = torch.Generator().manual_seed(root_of(integer("seed", seed, 0), Purpose.TRAINING, "head"))

    def forward(self, states: Tensor, src: NDArray[np.int64], dst: NDArray[np.int64], neighbors: CSR) -> Tensor:
        """Scores (m,) of the pairs."""
        if self.training and self.edge_dropout > 0:
            kept = torch.rand(neighbors.num_entries, generator=self._generator) >= self.edge_dropout
            neighbors = kept_entries(neighbors, kept.numpy())
        shared = SparseTensor(shared_neighbors(neighbors, src, dst))
        pooled = self.common(shared @ (states + self.own(states)))
        pair = self.pair(states[torch.from_numpy(src)] * states[torch.from_numpy(dst)])
        scores: Tensor = self.out(pooled * self.beta + pair)
        return scores.squeeze(1)


class SketchHead(nn.Module):
    """BUDDY's form: an MLP of the product of both states beside counts of nodes at pairs of distances.

    Nodes are counted in the graph that `forward` is handed, which is sketched where it is another than the last one;
    `train_links` leaves the pairs that are being scored out of it. Where they stay in, both ends of a training link are
    among the nodes near both, and it is recognised by that.

    B. Chamberlain et al., "Graph neural networks for link prediction with subgraph sketching", arXiv:2209.15486.
    """

    def __init__(self, hidden: int, sketches: PairSketches, *, dropout: float = 0.5, layer_norm: bool = True) -> None:
        super().__init__()
        integer("hidden", hidden, 1), share("dropout", dropout)
        self.sketches = sketches
        width = sketches.num_counts
        self.counts = nn.Sequential(nn.BatchNorm1d(width), nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout))
        self.mlp = perceptron(2 * hidden, hidden, 1, layers=2, dropout=dropout, norm=layer_norm)

    def forward(self, states: Tensor, src: NDArray[np.int64], dst: NDArray[np.int64], neighbors: CSR) -> Tensor:
        """Scores (m,) of the pairs."""
        self.sketches = self.sketches.of(neighbors)
        counts = self.counts(torch.log1p(torch.from_numpy(self.sketches.counts(src, dst))))
        pair = states[torch.from_numpy(src)] * states[torch.from_numpy(dst)]
        scores: Tensor = self.mlp(torch.cat([pair, counts], dim=1))
        return scores.squeeze(1)
