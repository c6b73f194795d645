"""What a sampler returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...graphlib.notebook import table

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, repr=False)
class SampledSubgraph:
    """Nodes and edges reached from a batch of seeds.

    Attributes
    ----------
    nodes : int64 (num_nodes,)
        Store positions in order of first visit, the distinct seeds first. Disjoint: once per tree.
    row, col : int64 (num_edges,)
        Local numbers (positions in `nodes`) of the edges' sources and destinations: messages go from `row` to `col`.
    edge_ids : int32 or int64 (num_edges,)
        Positions in the store's edge columns.
    num_sampled_nodes, num_sampled_edges : tuple of int
        New nodes per hop (entry 0: the seeds) and edges per hop.
    seed_index : int64 (num_seeds,)
        Local number of every seed as given; repeated seeds share one unless trees are disjoint.
    seed_time : array (num_seeds,) or None
        The times the seeds were sampled at.
    tree : int64 (num_nodes,) or None
        In disjoint mode, the position in the batch of the seed each node belongs to.
    """

    nodes: NDArray[Any]
    row: NDArray[Any]
    col: NDArray[Any]
    edge_ids: NDArray[Any]
    num_sampled_nodes: tuple[int, ...]
    num_sampled_edges: tuple[int, ...]
    seed_index: NDArray[Any]
    seed_time: NDArray[Any] | None = None
    tree: NDArray[Any] | None = None

    @property
    def num_nodes(self) -> int:
        return int(self.nodes.shape[0])

    @property
    def num_edges(self) -> int:
        return int(self.row.shape[0])

    def __repr__(self) -> str:
        kind = "" if self.tree is None else ", disjoint trees"
        return (
            f"SampledSubgraph({self.num_nodes:,} nodes {self.num_sampled_nodes}, {self.num_edges:,} edges "
            f"{self.num_sampled_edges}, {self.seed_index.shape[0]:,} seeds{kind})"
        )

    def _repr_html_(self) -> str:
        edges = ("", *self.num_sampled_edges)
        rows = [(hop, f"{count:,}", edges[hop]) for hop, count in enumerate(self.num_sampled_nodes)]
        return table(repr(self), ["hop", "new nodes", "edges"], rows)
