"""Linear maps between features of ego networks that commute with every renumbering of their nodes.

Features of order 2 are a matrix of vectors per ego network, of order 1 a vector per node, of order 0 one vector. Of the
fifteen basis maps from order 2 to order 2 only X and its transposed need a product per entry: the others are spread out
from the diagonal and from means of rows and columns, and channels are mixed there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...graphlib.errors import InvalidInput
from . import ops
from .plan import BagPlan
from .terms import mix_egos, terms

_WRITES, _EVERYWHERE = {2: 3, 1: 1, 0: 0}, {2: 2, 1: 1, 0: 1}  # parts per place and per ego network, by order


@dataclass(frozen=True)
class Reduced:
    """What maps read of features on a bag, computed once for all maps of a layer.

    Attributes
    ----------
    plan : BagPlan
    groups : Tensor (num_groups, 3 C) or (num_groups, C)
        Of pair features, a node's diagonal, and the means over its places in ego networks of one class of `places`; node
        features as they are.
    egos : Tensor (num_egos, 2 C) or (num_egos, C)
        Means over an ego network's places of the diagonal and of the row means; of node features.
    places : Tensor (num_places, 2 C), optional
        Of pair features, row means and column means in their ego network.
    pairs : Tensor (num_pairs, C), optional
        The pair features themselves.
    """

    plan: BagPlan
    groups: Tensor
    egos: Tensor
    places: Tensor | None = None
    pairs: Tensor | None = None


def reduce_pairs(x: Tensor, plan: BagPlan) -> Reduced:
    """Prepare pair features (num_pairs, C)."""
    _check("pair", x, plan.num_pairs)
    places, groups, egos = ops.moments(x, plan)
    return Reduced(plan, groups, egos, places, x)


def reduce_nodes(x: Tensor, plan: BagPlan) -> Reduced:
    """Prepare node features (num_nodes, C)."""
    _check("node", x, plan.num_nodes)
    return Reduced(plan, *ops.take_nodes(x, plan))


class EquivariantMap(nn.Module):
    """The linear map of one order to another, with weights per class of sizes, averaged over copies where it ends.

    Parameters
    ----------
    order_in : int
    order_out : int or (2, 1)
        2 -> 2 (15 basis maps), 2 -> 1 (5), 1 -> 2 (5), 1 -> 1 (2), 2 -> 0 (2) or 1 -> 0 (1). With (2, 1), both maps,
        whose weights lie side by side.
    channels_in, channels_out : int >= 1
    num_classes : int >= 1, default 1
        Classes of sizes (`SizeClasses`), each with weights of its own.

    Attributes
    ----------
    place : Parameter (num_classes, p C_in, q C_out)
        Mixes diagonals, row means and column means (p = 3), or node features (p = 1), into what goes to diagonals, rows
        and columns (q = 3), or to nodes (q = 1). Of two maps, the columns of both (q = 4).
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
        self,
        order_in: int,
        order_out: int | tuple[int, ...],
        channels_in: int,
        channels_out: int,
        *,
        num_classes: int = 1,
    ) -> None:
        super().__init__()
        targets = order_out if isinstance(order_out, tuple) else (order_out,)
        if order_in not in (2, 1) or targets not in ((2,), (1,), (0,), (2, 1)):
            raise InvalidInput(f"maps lead from order 2 or 1 to 2, 1, 0 or (2, 1); got {order_in} -> {order_out}")
        self.order_in, self.orders_out, self.channels_out = order_in, targets, channels_out
        reads, means = (3, 2) if order_in == 2 else (1, 1)
        writes, everywhere = (sum(count[order] for order in targets) for count in (_WRITES, _EVERYWHERE))
        scale = (2 / (channels_in + channels_out)) ** 0.5

        def weight(first: int, last: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(num_classes, first * channels_in, last * channels_out) * scale)

        self.place = weight(reads, writes) if writes else None
        self.ego = weight(means, everywhere)
        self.entry = weight(1, 2) if order_in == 2 and 2 in targets else None
        self.bias = nn.Parameter(torch.zeros(num_classes, everywhere * channels_out))

    def forward(self, given: Reduced) -> Tensor | tuple[Tensor, ...]:
        """Features of the next order: (num_pairs, C_out), (num_nodes, C_out) or (num_egos, C_out); a tuple of two."""
        if self.orders_out == (0,):
            self.check(given.plan)
            return mix_egos(given.egos, self.ego, self.bias, given.plan)
        out = merged([self], [given], self.orders_out)
        return out[self.orders_out[0]] if len(out) == 1 else tuple(out[order] for order in self.orders_out)

    def check(self, plan: BagPlan) -> None:
        """Refuse a plan of another number of classes."""
        if len(plan.egos) - 1 != self.bias.shape[0]:
            raise InvalidInput(f"the plan has {len(plan.egos) - 1} size classes but the map {self.bias.shape[0]}")

    def basis_weights(self) -> Tensor:
        """The weights of a map to one order by basis map: (num_classes, basis, C_in, C_out).

        2 -> 2: d on the diagonal, along rows, along columns; the same three of r/m; of c/m; s/m on the diagonal and
        everywhere; the same two of t/m^2; X; X^T. The others likewise, without what they lack.
        """
        if len(self.orders_out) > 1:
            raise InvalidInput(f"basis maps lead to one order; this map leads to {self.orders_out}")
        parts = []
        c_in = self.ego.shape[1] // (2 if self.order_in == 2 else 1)
        for weight in (self.place, self.ego, self.entry):
            if weight is not None:
                k, rows, cols = weight.shape
                blocks = weight.reshape(k, rows // c_in, c_in, cols // self.channels_out, self.channels_out)
                parts.append(blocks.permute(0, 1, 3, 2, 4).reshape(k, -1, c_in, self.channels_out))
        return torch.cat(parts, 1)


def merged(maps: Sequence[EquivariantMap], given: Sequence[Reduced], orders: Sequence[int]) -> dict[int, Tensor]:
    """Features of pairs (2) and of nodes (1), averaged over copies, from maps of one or two sources, side by side.

    A source of pairs comes first.
    """
    plan, sources = given[0].plan, []
    for layer, source in zip(maps, given, strict=True):
        layer.check(plan)
        sources.append((source.places, source.groups, source.egos, layer.place, layer.ego, layer.bias))
    places, diagonal, nodes = terms(sources, tuple(orders), plan)
    out = {}
    if 2 in orders:
        out[2] = ops.spread(places, diagonal, given[0].pairs, maps[0].entry, plan)
    if 1 in orders:
        out[1] = nodes
    return out


def _check(what: str, x: Tensor, rows: int) -> None:
    if x.dim() != 2 or x.shape[0] != rows:
        raise InvalidInput(f"{what} features must have shape ({rows}, C); got {tuple(x.shape)}")
