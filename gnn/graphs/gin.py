"""GIN: sums over neighbours and perceptrons, summed over nodes at every layer."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ...graphlib.scalars import share
from ...sampling.arguments import check_count, node_positions
from ...sampling.subgraphs.bags import slices

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ...datasets.graphs import GraphSet


@dataclass(frozen=True)
class GraphBatch:
    """Several graphs as one.

    Attributes
    ----------
    x : float32 (num_nodes, num_tags)
        One-hot tags.
    src, dst : int64 (num_entries,)
        Every edge, in each direction.
    graph : int64 (num_nodes,)
    num_graphs : int
    """

    x: Tensor
    src: Tensor
    dst: Tensor
    graph: Tensor
    num_graphs: int


class NodeGraphs:
    """A `GraphSet` in batches for networks that pass messages along edges.

    Examples
    --------
    >>> import nearhop
    >>> from nearhop.datasets.graphs import GraphSet
    >>> path = nearhop.GraphStore.from_edges([0, 1], [1, 2])
    >>> NodeGraphs(GraphSet.of([path, path], [0, 1])).batch([1]).src.tolist()
    [1, 0, 2, 1]
    """

    def __init__(self, graphs: GraphSet) -> None:
        self._rows = graphs.store.csr()
        self._tags, self.num_tags = graphs.tags, graphs.num_tags
        self._first = np.searchsorted(graphs.store.nodes["graph"], np.arange(len(graphs) + 1))

    def batch(self, ids: ArrayLike, *, device: torch.device | str = "cpu") -> GraphBatch:
        """The graphs `ids`, in that order."""
        chosen = node_positions("ids", ids, self._first.shape[0] - 1, of="graph")
        sizes = self._first[chosen + 1] - self._first[chosen]
        nodes, graph = slices(self._first[chosen], sizes)
        shift = np.cumsum(sizes) - sizes - self._first[chosen]
        ptr = self._rows.indptr
        entries, dst = slices(ptr[nodes], ptr[nodes + 1] - ptr[nodes])
        src = self._rows.indices[entries].astype(np.int64) + shift[graph[dst]]
        x = torch.nn.functional.one_hot(torch.from_numpy(self._tags[nodes]), self.num_tags).float()
        ends = [torch.from_numpy(part).to(device) for part in (src, dst, graph)]
        return GraphBatch(x.to(device), ends[0], ends[1], ends[2], len(chosen))


class GIN(nn.Module):
    """Graph isomorphism network with epsilon 0, sum pooling of every layer, and one linear classifier per layer.

    Parameters
    ----------
    num_tags, num_classes : int >= 1
    hidden : int, default 64
    layers : int >= 1, default 4
        Message-passing layers; the paper counts the input as a fifth.
    dropout : float, default 0.5
        On each layer's scores.

    References
    ----------
    K. Xu et al., "How powerful are graph neural networks?", arXiv:1810.00826, section 4.

    Examples
    --------
    >>> import nearhop
    >>> from nearhop.datasets.graphs import GraphSet
    >>> from nearhop.gnn.graphs import GIN, NodeGraphs
    >>> path = nearhop.GraphStore.from_edges([0, 1], [1, 2])
    >>> data, model = NodeGraphs(GraphSet.of([path, path], [0, 1])), GIN(1, 2, hidden=8)
    >>> model(model.batch(data, [0, 1])).shape
    torch.Size([2, 2])
    """

    def __init__(
        self, num_tags: int, num_classes: int, *, hidden: int = 64, layers: int = 4, dropout: float = 0.5
    ) -> None:
        super().__init__()
        tags, num_classes = check_count("num_tags", num_tags, 1), check_count("num_classes", num_classes, 1)
        widths = [tags] + [check_count("hidden", hidden, 1)] * check_count("layers", layers, 1)
        self.perceptrons = nn.ModuleList(
            nn.Sequential(
                nn.Linear(before, after),
                nn.BatchNorm1d(after),
                nn.ReLU(),
                nn.Linear(after, after),
                nn.BatchNorm1d(after),
                nn.ReLU(),
            )
            for before, after in pairwise(widths)
        )
        self.scores = nn.ModuleList(nn.Linear(width, num_classes) for width in widths)
        self.dropout, self.num_classes = nn.Dropout(share("dropout", dropout)), num_classes

    def batch(self, data: NodeGraphs, ids: Any) -> GraphBatch:
        """Some graphs, as `forward` takes them."""
        return data.batch(ids, device=next(self.parameters()).device)

    def forward(self, batch: GraphBatch) -> Tensor:
        """Scores of the classes before softmax: (num_graphs, num_classes)."""
        x = batch.x
        total = x.new_zeros((batch.num_graphs, self.num_classes))
        for depth, score in enumerate(self.scores):
            if depth:
                x = self.perceptrons[depth - 1](x.index_add(0, batch.dst, x.index_select(0, batch.src)))
            pooled = x.new_zeros((batch.num_graphs, x.shape[1])).index_add(0, batch.graph, x)
            total = total + self.dropout(score(pooled))
        return total
