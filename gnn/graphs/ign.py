"""IGN: the same equivariant maps on whole graphs, whose memory grows as the square of the graph."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.nn.functional import elu

from ...sampling.arguments import check_count
from ..spen.maps import EquivariantMap
from ..spen.sizes import SizeClasses
from ..spen.spen import classifier

if TYPE_CHECKING:
    from ..spen.data import EgoBatch, EgoGraphs

_ONE = SizeClasses((1,))


class IGN(nn.Module):
    """Invariant graph network of order 2: maps of all pairs of nodes of a graph, then 2 -> 0 and a perceptron.

    Parameters
    ----------
    num_tags, num_classes : int >= 1
    hidden : sequence of int, default (16, 32, 32)
    head : sequence of int, default (256, 128)
    dropout : float, default 0.5

    Notes
    -----
    Its data are `EgoGraphs(graphs, hops=None)`. All graphs share weights, whatever their size.

    References
    ----------
    H. Maron et al., "Invariant and equivariant graph networks", arXiv:1812.09902.

    Examples
    --------
    >>> import nearhop
    >>> from nearhop.datasets.graphs import GraphSet
    >>> from nearhop.gnn.graphs import IGN
    >>> from nearhop.gnn.spen import EgoGraphs
    >>> path = nearhop.GraphStore.from_edges([0, 1], [1, 2])
    >>> data, model = EgoGraphs(GraphSet.of([path, path], [0, 1]), hops=None), IGN(1, 2)
    >>> model(model.batch(data, [0, 1])).shape
    torch.Size([2, 2])
    """

    def __init__(
        self,
        num_tags: int,
        num_classes: int,
        *,
        hidden: Sequence[int] = (16, 32, 32),
        head: Sequence[int] = (256, 128),
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        widths = [num_tags + 1, *(check_count(f"hidden[{i}]", width, 1) for i, width in enumerate(hidden))]
        self.maps = nn.ModuleList(EquivariantMap(2, 2, a, b) for a, b in pairwise(widths))
        self.last = EquivariantMap(2, 0, widths[-1], widths[-1])
        self.head = classifier(widths[-1], head, num_classes, dropout)

    def batch(self, data: EgoGraphs, ids: Any) -> EgoBatch:
        """Some graphs, as `forward` takes them."""
        return data.batch(ids, _ONE, device=next(self.parameters()).device)

    def forward(self, batch: EgoBatch) -> Tensor:
        """Scores of the classes before softmax: (num_graphs, num_classes)."""
        x, plan = batch.pairs, batch.plan
        for layer in self.maps:
            x = elu(layer(x, plan))
        per_graph = self.last(x, plan).index_select(0, plan.ego_copies[1])  # by graph, not by size
        scores: Tensor = self.head(elu(per_graph))
        return scores
