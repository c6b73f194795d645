"""A graph auto-encoder: node features squeezed through a few numbers that also know the neighbourhood.

Its latent is a column for other models: what a circuit looks like around each pin, learned without labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ...embed.progress import TrainingDiverged
from ...graphlib.checks import kind_of
from ...graphlib.compute.streams import Purpose, root_of
from ...graphlib.errors import InvalidInput
from ...graphlib.scalars import integer, is_finite, is_integer
from .plan import LevelPlan
from .reduce import segment_reduce, spread, take_sources

if TYPE_CHECKING:
    from .plan import Slice


class GatedConv(nn.Module):
    """A residual layer over all edges at once, with edge gates and four reductions.

    Each edge carries sigmoid(gate) times a message of both ends; a node reads its sum, mean, largest and smallest.
    Nodes read along edges and against them, by different weights.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.messages = nn.ModuleList([nn.Linear(2 * dim, 2 * dim) for _ in range(2)])
        self.update = nn.Linear(9 * dim, dim)

    def forward(self, h: Tensor, pieces: Sequence[tuple[Slice, Slice]]) -> Tensor:
        """h (nodes, dim) in level order -> (nodes, dim); `pieces` are each relation's edges in both directions."""
        x = torch.relu(self.norm(h))
        parts = [x]
        for side, layer in enumerate(self.messages):
            total = x.new_zeros((x.shape[0], 4 * x.shape[1]))
            for both in pieces:
                piece = both[side]
                x_rows = x.index_select(0, piece.rows)
                gate, message = layer(torch.cat([take_sources(x, piece), spread(x_rows, piece)], 1)).chunk(2, 1)
                message = torch.sigmoid(gate) * message
                reduced = [segment_reduce(message, piece, how) for how in ("sum", "mean", "max")]
                smallest = -segment_reduce(-message, piece, "max")
                total = total.index_add(0, piece.rows, torch.cat([*reduced, smallest], 1))
            parts.append(total)
        result: Tensor = h + self.update(torch.cat(parts, 1))
        return result


class GraphAutoEncoder(nn.Module):
    """Node features to a latent of a few numbers and back.

    Parameters
    ----------
    in_dim : int
        Width of the features.
    hidden, latent : int, default 32 and 4
    layers : int, default 4
        Graph layers of the encoder, and its receptive field in edges; the decoder has two.

    References
    ----------
    Zhong et al., AAAI 2024, arXiv:2403.00012, section "Global circuit pre-training".

    Examples
    --------
    >>> import torch, nearhop
    >>> from nearhop.gnn.dag import GraphAutoEncoder, LevelPlan
    >>> plan = LevelPlan.from_store(nearhop.GraphStore.from_edges([0, 0], [1, 2], directed=True))
    >>> GraphAutoEncoder(5).encode(plan, torch.randn(3, 5)).shape
    torch.Size([3, 4])
    """

    def __init__(self, in_dim: int, *, hidden: int = 32, latent: int = 4, layers: int = 4) -> None:
        super().__init__()
        for name, value in (("in_dim", in_dim), ("hidden", hidden), ("latent", latent), ("layers", layers)):
            if not is_integer(value) or value < 1:
                raise InvalidInput(f"GraphAutoEncoder: {name} must be a positive integer; got {value!r}")
        self.into = nn.Linear(in_dim, hidden)
        self.encoder = nn.ModuleList([GatedConv(hidden) for _ in range(layers)])
        self.squeeze = nn.Linear(hidden, latent)
        self.widen = nn.Linear(latent, hidden)
        self.decoder = nn.ModuleList([GatedConv(hidden) for _ in range(2)])
        self.out = nn.Linear(hidden, in_dim)

    def encode(self, plan: LevelPlan, x: Tensor) -> Tensor:
        """Latent (num_nodes, latent) of features (num_nodes, in_dim), by node id."""
        self._check(plan, x)
        order, places = plan.order_on(x.device)
        return self._encode(both_directions(plan, x.device), x.index_select(0, order)).index_select(0, places)

    def forward(self, plan: LevelPlan, x: Tensor) -> Tensor:
        """The features as the decoder gives them back."""
        self._check(plan, x)
        order, places = plan.order_on(x.device)
        pieces = both_directions(plan, x.device)
        h = self.widen(self._encode(pieces, x.index_select(0, order)))
        for layer in self.decoder:
            h = layer(h, pieces)
        result: Tensor = self.out(torch.relu(h)).index_select(0, places)
        return result

    def _check(self, plan: LevelPlan, x: Tensor) -> None:
        wanted = plan.num_nodes, self.into.in_features
        if not isinstance(x, Tensor) or not x.is_floating_point() or x.shape != wanted:
            told = f"{x.dtype} {tuple(x.shape)}" if isinstance(x, Tensor) else kind_of(x)
            raise InvalidInput(f"GraphAutoEncoder: features must be a tensor of floats {wanted}, by node; got {told}")

    def _encode(self, pieces: Sequence[tuple[Slice, Slice]], x: Tensor) -> Tensor:
        h = self.into(x)
        for layer in self.encoder:
            h = layer(h, pieces)
        result: Tensor = self.squeeze(torch.relu(h))
        return result


def both_directions(plan: LevelPlan, device: torch.device) -> list[tuple[Slice, Slice]]:
    """All edges of each relation at once, along and against their direction; relations without edges are left out."""
    found = []
    for relation in plan.relations.values():
        along, against = relation.slice(-1, device), relation.reversed().slice(-1, device)
        if along is not None and against is not None:
            found.append((along, against))
    return found


@dataclass(frozen=True)
class Pretraining:
    """What `pretrain` did: the mean squared error of every epoch, over standardised features."""

    losses: list[float]


def pretrain(
    model: GraphAutoEncoder,
    graphs: Sequence[tuple[LevelPlan, Tensor]],
    *,
    epochs: int = 200,
    lr: float = 5e-4,
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
) -> Pretraining:
    """Learn to give features back.

    Parameters
    ----------
    graphs : sequence of (plan, features)
        Features should be standardised; a step is taken after each graph.
    epochs : int, default 200
        The paper takes 10,000.
    lr : float, default 5e-4
    seed : int, default 0
        Of the order of the graphs.
    progress : callable, optional
        Called with (epoch, loss) after each epoch.

    Raises
    ------
    TrainingDiverged
        A loss is not finite any more.

    Differences from the paper
    --------------------------
    No divergence term, whose weight is 0 in the released code.
    """
    if not any(plan.num_nodes for plan, _ in graphs):
        raise InvalidInput("pretrain: there are no graphs with nodes to learn from")
    integer("epochs", epochs, 0)
    if not is_finite(lr) or lr <= 0:
        raise InvalidInput(f"lr must be a number > 0; got {lr!r}")
    generator = torch.Generator().manual_seed(root_of(integer("seed", seed, 0), Purpose.TRAINING, "auto-encoder"))
    optimiser = torch.optim.Adam(model.parameters(), lr=lr)
    model.train()
    losses = []
    for epoch in range(epochs):
        total, count = 0.0, 0
        for place in torch.randperm(len(graphs), generator=generator).tolist():
            plan, x = graphs[place]
            if not plan.num_nodes:
                continue
            optimiser.zero_grad()
            loss = nn.functional.mse_loss(model(plan, x), x)
            value = loss.item()
            if not math.isfinite(value):
                raise TrainingDiverged(
                    f"the loss of epoch {epoch} became {value}; use finite features and an lr below {lr}"
                )
            loss.backward()
            optimiser.step()
            total, count = total + value * x.numel(), count + x.numel()
        losses.append(total / count)
        if progress is not None:
            progress(epoch, losses[-1])
    return Pretraining(losses)
