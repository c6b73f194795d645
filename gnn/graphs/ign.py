"""IGN: the same equivariant maps on whole graphs, whose memory grows as the square of the graph."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from ...sampling.arguments import check_count
from ..spen.maps import EquivariantMap
from ..spen.sizes import SizeClasses
from ..spen.spen import classifier

if TYPE_CHECKING:
    from ..spen.data import EgoBatch, EgoGraphs
    from ..spen.plan import BagPlan

_ONE = SizeClasses((1,))


class IGN(nn.Module):
    """Invariant graph network of order 2: maps of all pairs of nodes, the largest entries of a graph, a perceptron.

    Parameters
    ----------
    num_tags, num_classes : int >= 1
    hidden : sequence of int, default (16, 32, 256)
    head : sequence of int, default (512, 256)
    dropout : float, default 0

    Notes
    -----
    Its data are `EgoGraphs(graphs, hops=None)`. All graphs share weights, whatever their size. A graph is read out as
    the largest entry of each channel on the diagonal and off it, zero where it has one node. Memory grows as the sum of
    squares of the graphs' sizes.

    References
    ----------
    H. Maron et al., "Invariant and equivariant graph networks", arXiv:1812.09902; widths, activation and read-out are
    those of its public code (Haggaim/InvariantGraphNetworks).

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
        hidden: Sequence[int] = (16, 32, 256),
        head: Sequence[int] = (512, 256),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        tags, num_classes = check_count("num_tags", num_tags, 1), check_count("num_classes", num_classes, 1)
        widths = [tags + 1, *(check_count(f"hidden[{i}]", width, 1) for i, width in enumerate(hidden))]
        self.maps = nn.ModuleList(EquivariantMap(2, 2, a, b) for a, b in pairwise(widths))
        self.head = classifier(2 * widths[-1], head, num_classes, dropout, nn.ReLU)

    def batch(self, data: EgoGraphs, ids: Any) -> EgoBatch:
        """Some graphs, as `forward` takes them."""
        return data.batch(ids, _ONE, device=next(self.parameters()).device)

    def forward(self, batch: EgoBatch) -> Tensor:
        """Scores of the classes before softmax: (num_graphs, num_classes)."""
        x, plan = batch.pairs, batch.plan
        for layer in self.maps:
            x = relu(layer(x, plan))
        scores: Tensor = self.head(_largest(x, plan))
        return scores


def _largest(x: Tensor, plan: BagPlan) -> Tensor:
    """The largest entries of every graph on the diagonal and off it, side by side.

    Equal entries, which are many behind ReLU, share the gradient; `torch.segment_reduce` gives all of it to each.
    """
    nodes, pairs = plan.node_ptr.diff().tolist(), plan.graph_pair_ptr.diff().tolist()
    diagonal = torch.stack([part.amax(0) for part in x[plan.diagonal].split(nodes)])
    others = x.index_fill(0, plan.diagonal, -torch.inf)
    between = torch.stack([part.amax(0) for part in others.split(pairs)])
    return torch.cat([diagonal, torch.where(between == -torch.inf, 0.0, between)], 1)
