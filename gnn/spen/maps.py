"""Linear maps between features of ego networks that commute with every renumbering of their nodes.

Features of order 2 are a matrix of vectors per ego network, of order 1 a vector per node, of order 0 one vector. Of the
fifteen basis maps from order 2 to order 2 only X and its transposed need a product per entry: the others are spread out
from the diagonal and from means of rows and columns, and channels are mixed there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...graphlib.errors import InvalidInput
from . import ops
from .plan import BagPlan


@dataclass(frozen=True)
class Reduced:
    """What maps read of features on a bag, computed once for all maps of a layer.

    Attributes
    ----------
    plan : BagPlan
    places : Tensor (num_places, 3 C) or (num_places, C)
        Of pair features, the diagonal, row means and column means in their ego network; node features as they are.
    egos : Tensor (num_egos, 2 C) or (num_egos, C)
        Means over an ego network's places of the diagonal and of the row means; of node features.
    pairs : Tensor (num_pairs, C), optional
        The pair features themselves.
    """

    plan: BagPlan
    places: Tensor
    egos: Tensor
    pairs: Tensor | None = None


def reduce_pairs(x: Tensor, plan: BagPlan) -> Reduced:
    """Prepare pair features (num_pairs, C)."""
    _check("pair", x, plan.num_pairs)
    places = ops.moments(x, plan)
    means = ops.mean_rows(places[:, : 2 * x.shape[1]], plan.ego_of_place, plan.place_copies)
    return Reduced(plan, places, means, x)


def reduce_nodes(x: Tensor, plan: BagPlan) -> Reduced:
    """Prepare node features (num_nodes, C)."""
    _check("node", x, plan.num_nodes)
    places = ops.take_rows(x, plan.nodes, plan.node_copies)
    return Reduced(plan, places, ops.mean_rows(places, plan.ego_of_place, plan.place_copies))


class EquivariantMap(nn.Module):
    """The linear map of one order to another, with weights per class of sizes, averaged over copies where it ends.

    Parameters
    ----------
    order_in, order_out : int
        2 -> 2 (15 basis maps), 2 -> 1 (5), 1 -> 2 (5), 1 -> 1 (2), 2 -> 0 (2) or 1 -> 0 (1).
    channels_in, channels_out : int >= 1
    num_classes : int >= 1, default 1
        Classes of sizes (`SizeClasses`), each with weights of its own.

    Attributes
    ----------
    place : Parameter (num_classes, p C_in, q C_out)
        Mixes what `Reduced.places` holds into what goes to diagonals, rows and columns (q = 3), or to nodes (q = 1).
    ego : Parameter (num_classes, e C_in, f C_out)
        Mixes `Reduced.egos` into what goes to the diagonal and everywhere (f = 2), or to all nodes or the ego network.
    entry : Parameter (num_classes, C_in, 2 C_out)
        2 -> 2 only: the weights of X and of its transposed.
    bias : Parameter (num_classes, f C_out)

    Notes
    -----
    Sums over the m nodes of an ego network are divided by m, over its pairs by m^2. Weights start normal with variance
    2 / (C_in + C_out), biases at zero. With C channels, an ego network costs O(m^2 C + m C^2) and a pair O(C^2) for
    each class that holds copies of it, instead of O(15 m^2 C^2) with each basis map computed.

    References
    ----------
    H. Maron et al., "Invariant and equivariant graph networks", arXiv:1812.09902, appendix A.

    Examples
    --------
    >>> import numpy as np, torch, nearhop
    >>> from nearhop.gnn.spen import BagPlan, EquivariantMap, SizeClasses, reduce_pairs
    >>> from nearhop.sampling import ego_bag
    >>> bag = ego_bag(nearhop.GraphStore.from_edges([0, 1], [1, 2]))
    >>> plan = BagPlan(bag, SizeClasses.fit(bag.sizes))
    >>> EquivariantMap(2, 1, 4, 8)(reduce_pairs(torch.ones(plan.num_pairs, 4), plan)).shape
    torch.Size([3, 8])
    """

    def __init__(
        self, order_in: int, order_out: int, channels_in: int, channels_out: int, *, num_classes: int = 1
    ) -> None:
        super().__init__()
        if (order_in, order_out) not in ((2, 2), (2, 1), (1, 2), (1, 1), (2, 0), (1, 0)):
            raise InvalidInput(f"maps lead from order 2 or 1 to 2, 1 or 0; got {order_in} -> {order_out}")
        self.orders, self.channels_out = (order_in, order_out), channels_out
        reads, means = (3, 2) if order_in == 2 else (1, 1)
        writes, everywhere = {2: (3, 2), 1: (1, 1), 0: (0, 1)}[order_out]
        scale = (2 / (channels_in + channels_out)) ** 0.5

        def weight(first: int, last: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(num_classes, first * channels_in, last * channels_out) * scale)

        self.place = weight(reads, writes) if writes else None
        self.ego = weight(means, everywhere)
        self.entry = weight(1, 2) if self.orders == (2, 2) else None
        self.bias = nn.Parameter(torch.zeros(num_classes, everywhere * channels_out))

    def forward(self, given: Reduced) -> Tensor:
        """Features of the next order: (num_pairs, C_out), (num_nodes, C_out) or (num_egos, C_out)."""
        plan, width = given.plan, self.channels_out
        if len(plan.egos) - 1 != self.bias.shape[0]:
            raise InvalidInput(f"the plan has {len(plan.egos) - 1} size classes but the map {self.bias.shape[0]}")
        egos = ops.grouped(given.egos, self.ego, plan.egos, self.bias)
        if self.place is None:
            return egos
        places = ops.grouped(given.places, self.place, plan.places)
        below = ops.take_rows(egos, plan.ego_of_place, plan.place_copies)
        if self.orders[1] == 1:
            return ops.mean_rows(places + below, plan.nodes, plan.node_copies)
        places = torch.cat([places[:, : 2 * width] + below, places[:, 2 * width :]], 1)  # everywhere = along rows
        out = ops.spread(places, plan)
        if self.entry is None or given.pairs is None:
            return out
        rows = ops.take_rows(given.pairs, plan.mixed_pair, plan.mixed_copies)
        return ops.add_shares(ops.grouped(rows, self.entry, plan.mixed), out, plan)

    def basis_weights(self) -> Tensor:
        """The weights by basis map: (num_classes, basis, C_in, C_out).

        2 -> 2: d on the diagonal, along rows, along columns; the same three of r/m; of c/m; s/m on the diagonal and
        everywhere; the same two of t/m^2; X; X^T. The others likewise, without what they lack.
        """
        parts = []
        c_in = self.ego.shape[1] // (2 if self.orders[0] == 2 else 1)
        for weight in (self.place, self.ego, self.entry):
            if weight is not None:
                k, rows, cols = weight.shape
                blocks = weight.reshape(k, rows // c_in, c_in, cols // self.channels_out, self.channels_out)
                parts.append(blocks.permute(0, 1, 3, 2, 4).reshape(k, -1, c_in, self.channels_out))
        return torch.cat(parts, 1)


def _check(what: str, x: Tensor, rows: int) -> None:
    if x.dim() != 2 or x.shape[0] != rows:
        raise InvalidInput(f"{what} features must have shape ({rows}, C); got {tuple(x.shape)}")
