"""Linear maps between features of ego networks that commute with every renumbering of their nodes.

Features of order 2 are a matrix of vectors per ego network, of order 1 a vector per node, of order 0 one vector. Of the
fifteen basis maps from order 2 to order 2 only X and its transposed need a product per entry: the others are spread out
from the diagonal and from means of rows and columns, and channels are mixed there.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...graphlib.errors import InvalidInput, InvalidType
from .layer import Source, invariants, layer
from .plan import BagPlan

_WRITES, _EVERYWHERE = {2: 3, 1: 1, 0: 0}, {2: 2, 1: 1, 0: 1}  # parts per place and per ego network, by order


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
        Mixes means over an ego network, of diagonals and of all its pairs (e = 2) or of its nodes (e = 1), into what
        goes to the diagonal and everywhere (f = 2), or to all nodes or the ego network (f = 1).
    entry : Parameter (num_classes, C_in, 2 C_out)
        2 -> 2 only: the weights of X and of its transposed.
    bias : Parameter (num_classes, f C_out)

    Notes
    -----
    Sums over the m nodes of an ego network are divided by m, over its pairs by m^2. Weights start normal with variance
    2 / (C_in + C_out), biases at zero. With C channels, an ego network costs O(m^2 C + m C^2) and a pair O(C^2) for
    each class that holds copies of it, instead of O(15 m^2 C^2) with each basis map computed. There are no second
    derivatives on the processor.

    References
    ----------
    H. Maron et al., "Invariant and equivariant graph networks", arXiv:1812.09902, appendix A.

    Examples
    --------
    >>> import numpy as np, torch, nearhop
    >>> from nearhop.gnn.spen import BagPlan, EquivariantMap, SizeClasses
    >>> from nearhop.sampling import ego_bag
    >>> bag = ego_bag(nearhop.GraphStore.from_edges([0, 1], [1, 2]))
    >>> plan = BagPlan(bag, SizeClasses.fit(bag.sizes))
    >>> EquivariantMap(2, 1, 4, 8)(torch.ones(plan.num_pairs, 4), plan).shape
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

    def forward(self, x: Tensor, plan: BagPlan) -> Tensor | tuple[Tensor, ...]:
        """Features of the next order from those of pairs (num_pairs, C_in) or nodes (num_nodes, C_in).

        (num_pairs, C_out), (num_nodes, C_out) or (num_egos, C_out); a tuple of two.
        """
        source = self.source(x, plan)
        if self.orders_out == (0,):
            return invariants([source], plan)
        found: Any = layer([source], self.orders_out, plan)
        return found if len(self.orders_out) > 1 else found[2 - self.orders_out[0]]

    def source(self, x: Tensor, plan: BagPlan) -> Source:
        """Features and what maps them, as `layer.layer` and `layer.invariants` take them."""
        self._check(x, plan)
        return Source(x, self.order_in, self.place, self.ego, self.bias, self.entry)

    def _check(self, x: Tensor, plan: BagPlan) -> None:
        what, rows = ("pair", plan.num_pairs) if self.order_in == 2 else ("node", plan.num_nodes)
        count = self.ego.shape[1] // self.order_in
        if x.dim() != 2 or x.shape != (rows, count):
            raise InvalidInput(f"{what} features must have shape ({rows}, {count}); got {tuple(x.shape)}")
        if x.dtype != self.bias.dtype:
            raise InvalidType(
                f"{what} features are {x.dtype} but the map's weights {self.bias.dtype}; convert one of them"
            )
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
