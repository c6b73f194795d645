"""SPEN: graphs classified by equivariant maps on the ego networks of their nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.nn.functional import elu

from ...graphlib.errors import InvalidInput
from ...graphlib.scalars import share
from ...sampling.arguments import check_count
from .layer import Norm, invariants, layer
from .maps import EquivariantMap
from .norm import GraphNorm
from .ops import graph_norm, mean_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .data import EgoBatch, EgoGraphs
    from .plan import BagPlan
    from .sizes import SizeClasses

NORMS = ("graph", "none")


class EgoLayer(nn.Module):
    """Equivariant maps from the orders that come in to orders 1 and 2, ELU, normalisation.

    Features of pairs become [2 -> 2 of pairs; 1 -> 2 of nodes], those of nodes [2 -> 1; 1 -> 1], each part `width`
    wide, or as many of these as there are inputs; all are averaged over copies.

    Parameters
    ----------
    channels : (int, int)
        Channels of nodes and of pairs that come in; 0 for none.
    width : int
    orders : sequence of int
        Which of 1 and 2 go out.
    num_classes : int
        Classes of sizes.
    norm : {"graph", "none"}
    """

    def __init__(
        self, channels: tuple[int, int], width: int, *, orders: Sequence[int], num_classes: int, norm: str
    ) -> None:
        super().__init__()
        self.orders = tuple(sorted(orders, reverse=True))
        self.maps = nn.ModuleDict(
            {
                str(source): EquivariantMap(source, self.orders, wide, width, num_classes=num_classes)
                for source, wide in zip((2, 1), reversed(channels), strict=True)
                if wide
            }
        )
        wide = width * len(self.maps)
        self.norms = nn.ModuleDict({str(target): GraphNorm(wide) for target in self.orders if norm == "graph"})

    def forward(
        self, nodes: Tensor | None, pairs: Tensor | None, plan: BagPlan, before: dict[int, Tensor] | None = None
    ) -> tuple[Tensor | None, Tensor | None, dict[int, Tensor]]:
        """Features of nodes and of pairs, None where there are none, and by order what ELU has been taken of.

        To that, what an earlier layer says of it (`before`) is added where it is as wide. Without `before` it is not
        told.
        """
        sources: list[Any] = []
        for name, x in (("2", pairs), ("1", nodes)):
            if x is not None and name in self.maps:
                equivariant: Any = self.maps[name]
                sources.append(equivariant.source(x, plan))
        norms: list[Any] = [self.norms[str(order)] for order in self.orders] if self.norms else []
        if norms and before is None:
            norm = Norm(norms[0].eps, tuple(each.weight for each in norms))
            found = layer(sources, self.orders, plan, norm)
            return found[1], found[0], {}
        made = {order: x for order, x in zip((2, 1), layer(sources, self.orders, plan), strict=True) if x is not None}
        for order, x in (before or {}).items():
            if order in made and x.shape == made[order].shape:
                made[order] = made[order] + x
        if not norms:
            out = {order: elu(x) for order, x in made.items()}
        else:
            ptr = {2: plan.graph_pair_ptr, 1: plan.node_ptr}
            given = [norm.given(made[order], ptr[order]) for norm, order in zip(norms, self.orders, strict=True)]
            out = dict(zip(self.orders, graph_norm(given, norms[0].eps, activated=True), strict=True))
        return out.get(1), out.get(2), made


class SPEN(nn.Module):
    """Subgraph permutation equivariant network: maps on ego networks, averaged between layers, and a read-out.

    Every node's ego network carries a feature per pair of its nodes and one per node. A layer maps them by all linear
    maps that commute with the ego network's permutations, with weights by its size, and averages what different ego
    networks say of the same pair or node. The last layer gives a vector per ego network; their mean is classified.

    Parameters
    ----------
    num_tags : int >= 1
        Kinds of nodes.
    num_classes : int >= 1
        Classes of graphs.
    sizes : SizeClasses
        Which sizes of ego networks share weights; fit it to the training graphs.
    hidden : sequence of int, default (64, 64, 64, 64, 64)
        Width of each layer's maps; features are twice as wide from the second on, where both orders are used.
    orders : {(1, 2), (1,), (2,)}, default (1, 2)
        Features of nodes, of pairs, or of both. Those of nodes alone see edges only as who shares an ego network.
    head : sequence of int, default (256, 128)
        Widths of the read-out's hidden layers.
    dropout : float in [0, 1), default 0.5
        Behind each of them.
    norm : {"graph", "none"}, default "graph"
    residual : bool, default False
        To what a layer's maps give, what the layer before it gave is added before ELU, where both are as wide; the
        first layer's maps are twice as wide then, where both orders are used.

    Notes
    -----
    Memory grows as the sum over ego networks of m^2 indices, and of m features; that of pair features as the number of
    pairs that share an ego network. The result of a graph does not depend on the other graphs of the batch, nor, to
    rounding, on how its nodes are numbered; on the processor it is the same bits at any thread count inside `steady`.

    Differences from the paper: biases and weights are per class of sizes in every map; the centre is in its ego network
    where nodes have no tags, too; parts of the mean over copies that share weights are mixed once.

    References
    ----------
    J. Mitton, R. Murray-Smith, "Subgraph Permutation Equivariant Networks", TMLR 2023, arXiv:2111.11840.

    Examples
    --------
    >>> import nearhop, torch
    >>> from nearhop.datasets.graphs import GraphSet
    >>> from nearhop.gnn import SPEN
    >>> from nearhop.gnn.spen import EgoGraphs, SizeClasses
    >>> path, ring = nearhop.GraphStore.from_edges([0, 1], [1, 2]), nearhop.GraphStore.from_edges([0, 1, 2], [1, 2, 0])
    >>> data = EgoGraphs(GraphSet.of([path, ring], [0, 1]))
    >>> model = SPEN(data.num_tags, 2, sizes=SizeClasses.fit(data.bag.sizes), hidden=(8, 8))
    >>> model(model.batch(data, [0, 1])).shape
    torch.Size([2, 2])
    """

    def __init__(
        self,
        num_tags: int,
        num_classes: int,
        *,
        sizes: SizeClasses,
        hidden: Sequence[int] = (64, 64, 64, 64, 64),
        orders: Sequence[int] = (1, 2),
        head: Sequence[int] = (256, 128),
        dropout: float = 0.5,
        norm: str = "graph",
        residual: bool = False,
    ) -> None:
        super().__init__()
        tags, classes = check_count("num_tags", num_tags, 1), check_count("num_classes", num_classes, 1)
        widths = [check_count(f"hidden[{i}]", width, 1) for i, width in enumerate(hidden)]
        if not widths:
            raise InvalidInput("hidden needs at least one width; got none")
        if tuple(sorted(orders)) not in ((1, 2), (1,), (2,)):
            raise InvalidInput(f"orders must be (1, 2), (1,) or (2,); got {tuple(orders)}")
        if norm not in NORMS:
            raise InvalidInput(f"norm must be one of {', '.join(map(repr, NORMS))}; got {norm!r}")
        self.sizes, self.orders = sizes, tuple(sorted(orders))
        channels = (0, tags + 1) if 2 in self.orders else (tags, 0)
        self.layers = nn.ModuleList()
        self.residual = residual
        for number, width in enumerate(widths):
            if residual and number == 0:  # as wide as the layers behind it, whose features are of two sources
                width *= len(self.orders)
            self.layers.append(EgoLayer(channels, width, orders=self.orders, num_classes=len(sizes), norm=norm))
            wide = width * sum(c > 0 for c in channels)
            channels = (wide if 1 in self.orders else 0, wide if 2 in self.orders else 0)
        self.last = nn.ModuleDict(
            {
                str(order): EquivariantMap(order, 0, wide, widths[-1], num_classes=len(sizes))
                for order, wide in zip((2, 1), reversed(channels), strict=True)
                if wide
            }
        )
        self.head = classifier(widths[-1] * len(self.last), head, classes, dropout)

    def batch(self, data: EgoGraphs, ids: NDArray[np.int64] | Sequence[int]) -> EgoBatch:
        """Some graphs, as `forward` takes them."""
        return data.batch(ids, self.sizes, device=next(self.parameters()).device)

    def forward(self, batch: EgoBatch) -> Tensor:
        """Scores of the classes before softmax: (num_graphs, num_classes)."""
        plan = batch.plan
        nodes, pairs = (None, batch.pairs) if 2 in self.orders else (batch.nodes, None)
        before: dict[int, Tensor] = {}
        for step in self.layers:
            nodes, pairs, before = step(nodes, pairs, plan, before if self.residual else None)
        last: dict[str, Any] = dict(self.last.items())
        sources = [last[name].source(x, plan) for name, x in (("2", pairs), ("1", nodes)) if x is not None]
        egos = elu(invariants(sources, plan))
        scores: Tensor = self.head(mean_rows(egos, plan.graph_of_ego, plan.ego_copies))
        return scores


def classifier(
    width: int, hidden: Sequence[int], classes: int, dropout: float, activation: type[nn.Module] = nn.ELU
) -> nn.Sequential:
    """A perceptron with an activation and dropout behind its hidden layers."""
    share("dropout", dropout)
    layers: list[nn.Module] = []
    for wide in [check_count(f"head[{i}]", wide, 1) for i, wide in enumerate(hidden)]:
        layers += [nn.Linear(width, wide), activation(), nn.Dropout(dropout)]
        width = wide
    return nn.Sequential(*layers, nn.Linear(width, classes))
