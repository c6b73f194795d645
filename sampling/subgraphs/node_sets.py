"""Node sets: a node with a sample of what lies one or two steps away, as one row of a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.fingerprint import of_rows
from ...graphlib.compute.streams import Purpose, root_of
from ...graphlib.errors import InvalidInput, NotFound
from ...graphlib.given_store import check_store
from ...graphlib.sizes import parse_bytes
from ...graphlib.types import EdgeType
from ..arguments import check_count, check_epoch, node_positions, threads_for, words_of
from ..snapshot import EdgesThen

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.adjacency import Adjacency
    from ...graphlib.store.store import GraphStore

ATTRIBUTE = "node_sets"
_MANY = 64  # neighbours and walks per node of a set up to which all are followed
_TRY = 60  # walks that are followed in the time of one try
_PIECE = 16 << 20  # bytes that are flushed and noted at a time


class NodeSets:
    """Draws sets of `size` nodes: a seed, then `size - 1` of its candidates.

    The candidates of node i are the list L = N1 ++ N2: the distinct nodes one step away, then the distinct nodes at the
    end of some walk of two steps, which are the columns of row i of A and of A·A. A node of both stands in L twice, and
    i itself is in N2 where an edge can be walked back. If L has at least `size - 1` entries, that many are drawn
    without replacement; if it has fewer, it is repeated in order (N1 ascending, N2 ascending) and cut.

    Parameters
    ----------
    store : GraphStore
    size : int >= 1
        Nodes of a set with its seed, the paper's K.
    edge_type : edge type, optional
        Both of its ends are nodes of one type.
    direction : {"out", "in"}, default "out"
        Of the steps along directed edges.
    isolated : {"random", "self"}, default "random"
        What a node without candidates gets: nodes drawn from the whole graph, distinct while there are enough, or
        itself, repeated.
    seed : int, default 0
    threads : int, optional
        All cores by default; the result does not depend on it.

    Raises
    ------
    InvalidInput, InvalidType
        A size below 1, an edge type between two node types, an unknown option.

    Notes
    -----
    A set is a function of (edges, seed, epoch, node): batches, threads and what was drawn before do not change it. A·A
    is never formed. A node with W walks of two steps costs O(W); where W exceeds 64 * `size`, expected
    O(size * W / len(L)) tries, each of which reads one row, and at most another O(W). Scratch memory per thread is a
    byte per node, 256 bytes per node of a set and 8 bytes per neighbour of the largest node; where tries give up, 4
    more bytes per node.

    References
    ----------
    V. P. Dwivedi et al., "Graph Transformers for Large Graphs", arXiv:2312.11109, section 3.1.

    Examples
    --------
    >>> import nearhop
    >>> from nearhop.sampling import NodeSets
    >>> path = nearhop.GraphStore.from_edges([0, 1, 2], [1, 2, 3])
    >>> NodeSets(path, 4).sample([0]).tolist()  # L = [1] ++ [0, 2]
    [[0, 0, 1, 2]]
    """

    def __init__(
        self,
        store: GraphStore,
        size: int,
        *,
        edge_type: EdgeType | None = None,
        direction: str = "out",
        isolated: str = "random",
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        check_store(store)
        self.store, self.size, self.seed = store, check_count("size", size, 1), seed
        self.edge_type = store._parts.edge_type(edge_type)
        if self.edge_type[0] != self.edge_type[2]:
            raise InvalidInput(f"node sets need one node type at both ends; edges {self.edge_type!r} have two")
        for name, given, allowed in (
            ("direction", direction, ("out", "in")),
            ("isolated", isolated, ("random", "self")),
        ):
            if given not in allowed:
                raise InvalidInput(f"{name} must be one of {', '.join(map(repr, allowed))}; got {given!r}")
        self.direction, self.isolated, self.threads = direction, isolated, threads
        sides = store.csr(self.edge_type), store.csc(self.edge_type)
        self._rows, self._back = sides if direction == "out" else (sides[1], sides[0])
        self._root = root_of(seed, Purpose.NODE_SETS, *words_of(self.edge_type), direction)
        self._then = EdgesThen("NodeSets", store, self.edge_type)
        self._most = int(self._rows.degrees().max(initial=0))

    @property
    def num_nodes(self) -> int:
        return self._rows.num_rows

    def sample(self, seeds: ArrayLike, *, epoch: int = 0) -> NDArray[Any]:
        """The sets of some nodes: int32 or int64 (len(seeds), size), as ids fit; column 0 is the seed.

        Another `epoch` draws afresh.
        """
        nodes = node_positions("seeds", seeds, self.num_nodes)
        out = np.empty((nodes.shape[0], self.size), self._rows.indices.dtype)
        self._draw(nodes, check_epoch(epoch), out)
        return out

    def write(
        self,
        column: str = "node_set",
        *,
        epoch: int = 0,
        memory_limit: str | int = "2GiB",
        progress: Callable[[int, int], None] | None = None,
    ) -> str:
        """Draw the sets of all nodes once and keep them as a node column (num_nodes, size); returns its name.

        Parameters
        ----------
        column : str, default "node_set"
            It waits for `commit()`.
        epoch : int, default 0
        memory_limit : int or str, default "2GiB"
            Most memory beside the arrays of the store.
        progress : callable, optional
            Called with rows written and rows in all.

        Notes
        -----
        On a store on disk rows go to a map of a file, flushed every 16 MiB; after a kill the same call on the same
        version goes on at the next unwritten row and ends with the same bytes. The store's attribute "node_sets"
        records how they were drawn and a fingerprint of the edges, which `check_node_sets` compares.
        """
        limit, needed = parse_bytes(memory_limit, least=1 << 20), self._scratch_bytes() + (1 << 20)
        if limit < needed:
            raise InvalidInput(
                f"memory_limit is {limit:,} bytes; drawing node sets of {self.num_nodes:,} nodes needs {needed:,}"
            )
        recipe = {
            "size": self.size, "seed": int(self.seed), "epoch": check_epoch(epoch),
            "edge_type": list(self.edge_type), "direction": self.direction, "isolated": self.isolated,
            "edges": of_rows(self._rows, threads=self.threads),
        }  # fmt: skip
        columns = self.store.nodes(self.edge_type[0])
        kind = self._rows.indices.dtype
        filling = columns.fill(column, (self.size,), kind, key=f"{ATTRIBUTE} {recipe}")
        # beside the row of ids that is asked for, 8 bytes per seed
        piece = max(1, min(_PIECE, limit - needed) // (self.size * kind.itemsize + 8))
        for first, last in filling.pieces(piece):
            self._draw(np.arange(first, last), epoch, filling.array[first:last])
            if progress is not None:
                progress(last, self.num_nodes)
        kept = dict(self.store.attributes.get(ATTRIBUTE, {}))
        kept[f"{self.edge_type[0]}/{column}"] = recipe
        self.store.attributes[ATTRIBUTE] = kept
        return column

    def _scratch_bytes(self) -> int:
        from ...graphlib.compute.jit import resolve_threads

        followed = _MANY * self.size + self._most + self.num_nodes  # ids of a node that tries gave up
        words = self._most + 2 * self.size
        return resolve_threads(self.threads) * (self.num_nodes + 8 * words + self._rows.indices.itemsize * followed)

    def _draw(self, nodes: NDArray[np.int64], epoch: int, out: NDArray[Any]) -> None:
        from ...graphlib.compute.jit import plain_view, threads_in_use
        from . import node_sets_cpu as kernels

        self._then.check()
        with threads_in_use(threads_for(self.threads, nodes.shape[0])) as count:
            scratch = (
                np.ones((count, self.num_nodes), np.uint8),
                np.empty((count, _MANY * self.size), out.dtype),
                np.empty((count, self._most), np.int64),
                np.empty((count, 2, self.size), np.int64),
            )
            rows, back = ((plain_view(side.indptr), plain_view(side.indices)) for side in (self._rows, self._back))
            name = (self._root, epoch)
            kernels.node_sets(nodes, rows, back, name, self.isolated == "random", _TRY, scratch, plain_view(out))

    def __repr__(self) -> str:
        return f"NodeSets({self.num_nodes:,} nodes, {self.size} per set, {self.direction}, seed {self.seed})"


def check_node_sets(
    store: GraphStore, column: str = "node_set", size: int | None = None, *, node_type: str | None = None
) -> NDArray[Any]:
    """The column of node sets (num_nodes, >= size), which must have been drawn from these very edges.

    Raises
    ------
    NotFound
        There is no such column, or it was not written by `NodeSets.write`.
    InvalidInput
        Its sets are smaller than `size`, or the edges have changed since.

    Examples
    --------
    >>> import nearhop
    >>> from nearhop.sampling import NodeSets, check_node_sets
    >>> store = nearhop.GraphStore.from_edges([0, 1], [1, 2])
    >>> check_node_sets(store, NodeSets(store, 3).write()).shape
    (3, 3)
    """
    check_store(store)
    chosen = store._parts.node_type(node_type)
    columns, recipe = store.nodes(chosen), store.attributes.get(ATTRIBUTE, {}).get(f"{chosen}/{column}")
    if column not in columns or not isinstance(recipe, dict):
        raise NotFound(
            f"there are no node sets in column {column!r}; write them with NodeSets(store, {size or 50})"
            f".write({column!r})"
        )
    table = columns[column]
    if table.ndim != 2 or table.dtype.kind != "i" or (size is not None and table.shape[1] < size):
        raise InvalidInput(
            f"column {column!r} has sets of {table.shape[-1]} nodes; {size} per set were asked for: take at most "
            f"{table.shape[-1]}, or write larger ones with NodeSets(store, {size}).write({column!r})"
        )
    rows = _rows_of(store, recipe)
    if rows is None or of_rows(rows) != recipe.get("edges"):
        raise InvalidInput(
            f"the node sets in column {column!r} belong to another version of the store: the edges have changed since "
            "they were drawn; write them again"
        )
    if table.size and (int(table.min()) < 0 or int(table.max()) >= store.num_nodes_of(chosen)):
        raise InvalidInput(f"column {column!r} holds what is no node; write the sets again")
    return table


def _rows_of(store: GraphStore, recipe: dict[str, Any]) -> Adjacency | None:
    given = recipe.get("edge_type")
    edge_type = tuple(given) if isinstance(given, list) else None
    if edge_type not in store._edge_sets:
        return None
    return store.csr(edge_type) if recipe.get("direction") == "out" else store.csc(edge_type)


__all__ = ["NodeSets", "check_node_sets"]
