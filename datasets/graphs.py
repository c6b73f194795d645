"""Lists of small graphs with one class each: one store of their union, seen as a sequence of stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ..graphlib.errors import InvalidInput, InvalidType
from ..graphlib.scalars import is_integer
from ..graphlib.store.store import GraphStore
from ..graphlib.store.union import disjoint_union

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False, repr=False)
class GraphSet(Sequence[GraphStore]):
    """Graphs to classify, their nodes' tags and their classes.

    A sequence of stores: `graphs[i]` is graph i alone, with the column "tag".

    Attributes
    ----------
    store : GraphStore
        All graphs, one behind the other; node column "graph" numbers them.
    tags : int64 (num_nodes,)
        The kind of every node, 0..num_tags - 1.
    labels : int64 (num_graphs,)
        The class of every graph, 0..num_classes - 1.
    """

    store: GraphStore
    tags: NDArray[np.int64]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        graph = self.store.nodes["graph"]
        if self.labels.shape != (int(graph[-1]) + 1 if len(graph) else 0,):
            raise InvalidInput(
                f"labels must have one class for each of {int(graph[-1]) + 1 if len(graph) else 0} graphs; "
                f"got shape {self.labels.shape}"
            )

    @classmethod
    def of(
        cls, graphs: GraphStore | Sequence[GraphStore], labels: ArrayLike | None = None, *, tag: str | None = "tag"
    ) -> GraphSet:
        """A set of stores of your own.

        Parameters
        ----------
        graphs : GraphStore or sequence of GraphStore
            One per graph, or one of all with the node column "graph", as `datasets.load` gives for kind "graphs".
        labels : int array (num_graphs,), optional
            The class of every graph, numbered anew in order. By default `store.attributes["graph_labels"]`.
        tag : str, optional
            The integer node column that tells kinds of nodes apart; None, or a column that is not there, for one kind.

        Raises
        ------
        InvalidInput
            There are no graphs, labels are missing, or do not fit.
        """
        store = graphs if isinstance(graphs, GraphStore) else _union(graphs, tag)
        if "graph" not in store.nodes:
            raise InvalidInput('the store has no node column "graph" that numbers its graphs; give a list of stores')
        if labels is None:
            labels = store.attributes.get("graph_labels")
        if labels is None:
            raise InvalidInput("labels are missing: give the class of every graph")
        given: NDArray[Any] = np.asarray(labels)
        if given.ndim != 1 or given.dtype.kind not in "iu":
            raise InvalidType(f"labels must be integers, one per graph; got {given.dtype} of shape {given.shape}")
        tags = store.nodes[tag] if tag is not None and tag in store.nodes else np.zeros(store.num_nodes, np.int64)
        if np.asarray(tags).dtype.kind not in "iu":
            raise InvalidType(f"node column {tag!r} must hold integers, the kind of every node; got {tags.dtype}")
        return cls(store, _codes(tags), _codes(given))

    @property
    def num_tags(self) -> int:
        return int(self.tags.max(initial=-1)) + 1

    @property
    def num_classes(self) -> int:
        return int(self.labels.max(initial=-1)) + 1

    def by_degree(self) -> GraphSet:
        """The same graphs with each node's degree as its tag, as is usual where nodes have no kinds."""
        rows = self.store.csr()
        return GraphSet(self.store, _codes(np.diff(rows.indptr)), self.labels)

    def __len__(self) -> int:
        return self.labels.shape[0]

    @overload
    def __getitem__(self, which: int) -> GraphStore: ...
    @overload
    def __getitem__(self, which: slice) -> list[GraphStore]: ...
    def __getitem__(self, which: int | slice) -> GraphStore | list[GraphStore]:
        if isinstance(which, slice):
            return [self[i] for i in range(*which.indices(len(self)))]
        if not is_integer(which):
            raise InvalidType(f"graphs are numbered by integers; got {which!r}")
        place = which + len(self) if which < 0 else which
        if not 0 <= place < len(self):
            raise IndexError(f"graph {which} of {len(self)}")
        first, last = np.searchsorted(self.store.nodes["graph"], [place, place + 1])
        edges = self.store.edge_list()
        src, dst = edges.src, edges.dst
        inside = (src >= first) & (src < last)
        made = GraphStore.from_edges(
            src[inside] - first, dst[inside] - first, num_nodes=int(last - first), directed=self.store.directed
        )
        made.nodes["tag"] = self.tags[first:last]
        return made

    def __repr__(self) -> str:
        return (
            f"GraphSet({len(self):,} graphs of {self.num_classes} classes, {self.store.num_nodes:,} nodes of "
            f"{self.num_tags} kinds, {self.store.num_edges:,} edges)"
        )


def _union(graphs: Sequence[GraphStore], tag: str | None) -> GraphStore:
    """The union of stores; tags are kept where all have them."""
    stores = list(graphs)
    kept = [tag] if tag is not None and stores and all(tag in store.nodes for store in stores) else []
    for place, store in enumerate(stores):
        if isinstance(store, GraphStore) and store.num_nodes == 0:
            raise InvalidInput(f"graph {place} has no nodes; there is nothing to classify")
    return disjoint_union(stores, columns=kept)


def _codes(values: ArrayLike) -> NDArray[np.int64]:
    return np.unique(np.asarray(values), return_inverse=True)[1].reshape(-1).astype(np.int64)
