"""Bags of ego networks of many graphs, by size: dense blocks taken out of node and pair features, and merged back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import unmasked
from ...graphlib.compute.grouping import places_of
from ...graphlib.errors import InvalidInput, InvalidType
from ...graphlib.store.store import GraphStore
from ...graphlib.store.union import disjoint_union
from ..arguments import check_count, node_positions, threads_for
from .subgraphs import ego_networks

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_LARGEST = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False, repr=False)
class EgoBag:
    """The ego networks of every node of one or several graphs, smallest first.

    A *place* is a node in an ego network, an *entry* an ordered pair of nodes in one. A node has as many places as ego
    networks hold it, a pair as many entries as hold both. Entry (i, j) of ego network e, of size m, lies at
    `entry_ptr[e] + i * m + j`, so that those of one size are dense blocks.

    Attributes
    ----------
    indptr : int64 (num_egos + 1,)
        Places of ego network e: `indptr[e]:indptr[e + 1]`; the first is its centre.
    nodes : int32 (num_places,)
        The node at every place.
    graph : int32 (num_egos,)
        The graph of every ego network.
    entry_ptr : int64 (num_egos + 1,)
    pair : int32 (num_entries,)
        The pair at every entry.
    pairs : int32 (num_pairs, 2)
        Ordered pairs of nodes that share an ego network, sorted; each node with itself is one.
    transposed : int32 (num_pairs,)
        Where the pair (b, a) of (a, b) stands.
    node_ptr, pair_ptr : int64 (num_graphs + 1,)
        Nodes and pairs of graph g: `node_ptr[g]:node_ptr[g + 1]`, likewise pairs.
    """

    indptr: NDArray[np.int64]
    nodes: NDArray[np.int32]
    graph: NDArray[np.int32]
    entry_ptr: NDArray[np.int64]
    pair: NDArray[np.int32]
    pairs: NDArray[np.int32]
    transposed: NDArray[np.int32]
    node_ptr: NDArray[np.int64]
    pair_ptr: NDArray[np.int64]

    @property
    def num_graphs(self) -> int:
        return self.node_ptr.shape[0] - 1

    @property
    def num_egos(self) -> int:
        return self.graph.shape[0]

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Nodes of every ego network, ascending: int64 (num_egos,)."""
        return np.diff(self.indptr)

    @cached_property
    def node_copies(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Offsets per node and, behind them, its places in order."""
        return places_of(self.nodes, int(self.node_ptr[-1]))

    @cached_property
    def pair_copies(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Offsets per pair and, behind them, its entries in order."""
        return places_of(self.pair, self.pairs.shape[0])

    def extract(self, features: ArrayLike, *, order: int) -> NDArray[Any]:
        """Features of nodes (order 1) or of pairs (order 2) at every place or entry: rows are copied."""
        rows = self._rows(features, order, (int(self.node_ptr[-1]), self.pairs.shape[0]), ("node", "pair"))
        return rows[self.nodes if order == 1 else self.pair]

    def merge(self, values: ArrayLike, *, order: int) -> NDArray[Any]:
        """The mean over all places of each node (order 1), or over all entries of each pair (order 2).

        `merge(extract(x, order=k), order=k)` is x again, to rounding. Takes and gives float32 or float64 (rows, d).
        """
        from . import bags_cpu

        rows = self._rows(values, order, (self.nodes.shape[0], self.pair.shape[0]), ("place", "entry"))
        if rows.dtype not in (np.float32, np.float64):
            rows = rows.astype(np.float64)
        ptr, copies = self.node_copies if order == 1 else self.pair_copies
        flat = np.ascontiguousarray(rows.reshape(rows.shape[0], -1))
        out = np.empty((ptr.shape[0] - 1, flat.shape[1]), rows.dtype)
        bags_cpu.mean_rows(flat, ptr, copies, out)
        return out.reshape(-1, *rows.shape[1:])

    def blocks(self, values: NDArray[Any], *, order: int) -> dict[int, NDArray[Any]]:
        """Views of `extract`'s rows by size m: (number, m, ...) for order 1 and (number, m, m, ...) for order 2."""
        self._rows(values, order, (self.nodes.shape[0], self.pair.shape[0]), ("place", "entry"))
        starts = self.indptr if order == 1 else self.entry_ptr
        found, first = np.unique(self.sizes, return_index=True)
        ends = [*first[1:], self.num_egos]
        return {
            int(m): values[starts[a] : starts[b]].reshape(b - a, *[int(m)] * order, *values.shape[1:])
            for m, a, b in zip(found, first, ends, strict=True)
        }

    def take(self, graphs: ArrayLike) -> EgoBag:
        """The bag of some graphs, numbered anew in the order given; costs what it holds."""
        chosen = node_positions("graphs", graphs, self.num_graphs)
        egos, of = ragged(*self._egos_of_graph, chosen)
        egos = self._egos_by_graph[egos]
        order = np.argsort(self.sizes[egos], kind="stable")
        egos, of = egos[order], of[order]
        node_ptr, pair_ptr = (_offsets(ptr[chosen + 1] - ptr[chosen]) for ptr in (self.node_ptr, self.pair_ptr))
        node_shift, pair_shift = node_ptr[:-1] - self.node_ptr[chosen], pair_ptr[:-1] - self.pair_ptr[chosen]
        sizes = self.sizes[egos]
        places, place_ego = slices(self.indptr[egos], sizes)
        entries, entry_ego = slices(self.entry_ptr[egos], sizes**2)
        pairs, pair_of = slices(self.pair_ptr[chosen], np.diff(pair_ptr))
        return EgoBag(
            indptr=_offsets(sizes),
            nodes=(self.nodes[places] + node_shift[of][place_ego]).astype(np.int32),
            graph=of.astype(np.int32),
            entry_ptr=_offsets(sizes**2),
            pair=(self.pair[entries] + pair_shift[of][entry_ego]).astype(np.int32),
            pairs=(self.pairs[pairs] + node_shift[pair_of, None]).astype(np.int32),
            transposed=(self.transposed[pairs] + pair_shift[pair_of]).astype(np.int32),
            node_ptr=node_ptr,
            pair_ptr=pair_ptr,
        )

    def apart(self) -> EgoBag:
        """The bag in which every ego network is a graph of its own, so that entries and pairs are the same thing."""
        sizes = self.sizes
        row, col = place_pairs(self)
        swapped = np.empty(row.shape[0], np.int32)
        shift = np.repeat(self.entry_ptr[:-1] - self.indptr[:-1] * (sizes + 1), sizes**2)
        swapped[:] = col * np.repeat(sizes, sizes**2) + row + shift
        return EgoBag(
            indptr=self.indptr,
            nodes=np.arange(self.nodes.shape[0], dtype=np.int32),
            graph=np.arange(self.num_egos, dtype=np.int32),
            entry_ptr=self.entry_ptr,
            pair=np.arange(self.pair.shape[0], dtype=np.int32),
            pairs=np.stack([row, col], axis=1).astype(np.int32),
            transposed=swapped,
            node_ptr=self.indptr,
            pair_ptr=self.entry_ptr,
        )

    @cached_property
    def _egos_by_graph(self) -> NDArray[np.int64]:
        return np.argsort(self.graph, kind="stable")

    @cached_property
    def _egos_of_graph(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        counts = np.bincount(self.graph, minlength=self.num_graphs)
        return _offsets(counts)[:-1], counts

    def _rows(self, values: ArrayLike, order: int, counts: tuple[int, int], words: tuple[str, str]) -> NDArray[Any]:
        if order not in (1, 2):
            raise InvalidInput(f"order must be 1 (nodes) or 2 (pairs of nodes); got {order!r}")
        rows: NDArray[Any] = unmasked("values", values)
        if rows.ndim == 0 or rows.shape[0] != counts[order - 1]:
            raise InvalidInput(f"needs {counts[order - 1]} rows, one per {words[order - 1]}; got shape {rows.shape}")
        return rows

    def __repr__(self) -> str:
        largest = int(self.sizes.max(initial=0))
        return (
            f"EgoBag({self.num_graphs:,} graphs, {self.num_egos:,} ego networks of up to {largest} nodes, "
            f"{self.pair.shape[0]:,} entries of {self.pairs.shape[0]:,} pairs)"
        )


def ego_bag(
    graphs: GraphStore | Sequence[GraphStore],
    *,
    hops: int = 1,
    graph: str = "graph",
    max_size: int | None = None,
    direction: str = "out",
    threads: int | None = None,
) -> EgoBag:
    """The ego networks of every node of many graphs.

    Parameters
    ----------
    graphs : GraphStore or sequence of GraphStore
        One store whose node column `graph` numbers the graphs 0, 1, ... in order, a store without that column for one
        graph, or one store per graph.
    hops : int >= 0, default 1
        An ego network holds its centre and what lies within so many hops.
    graph : str, default "graph"
        Name of the column.
    max_size : int >= 1, optional
        Refuse ego networks of more nodes: entries take memory by the square of the size.
    direction : {"out", "in"}, default "out"
        Which edges of directed graphs are followed.
    threads : int, optional
        All cores by default; the result does not depend on it.

    Returns
    -------
    EgoBag

    Raises
    ------
    InvalidInput
        There is no graph, a graph has no nodes, an edge joins two graphs, or an ego network is larger than `max_size`
        or all together have more than 2^31 - 1 entries. The message names graph and node.

    Notes
    -----
    Time and memory are O(sum of squared sizes), 4 bytes per entry, and 4 bytes per node and thread. Parallel edges
    and self-loops change nothing.

    References
    ----------
    J. Mitton, R. Murray-Smith, "Subgraph Permutation Equivariant Networks", arXiv:2111.11840.

    Examples
    --------
    >>> import nearhop
    >>> from nearhop.sampling import ego_bag
    >>> bag = ego_bag([nearhop.GraphStore.from_edges([0, 1], [1, 2]), nearhop.GraphStore.from_edges([0], [1])])
    >>> bag
    EgoBag(2 graphs, 5 ego networks of up to 3 nodes, 25 entries of 13 pairs)
    >>> bag.merge(bag.extract([0.0, 1, 2, 3, 4], order=1), order=1).tolist()
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    from ...graphlib.compute.jit import threads_in_use
    from . import bags_cpu

    most = None if max_size is None else check_count("max_size", max_size, 1)
    store = graphs if isinstance(graphs, GraphStore) else disjoint_union(graphs, name=graph)
    of, node_ptr = _graph_of_nodes(store, graph, None if isinstance(graphs, GraphStore) else len(graphs))
    egos = ego_networks(store, np.arange(store.num_nodes), hops=hops, direction=direction, threads=threads)
    sizes = np.diff(egos.indptr)
    _check_sizes(sizes, of, node_ptr, most)
    stray = of[egos.nodes] != np.repeat(of, sizes)
    if stray.any():
        place = int(np.argmax(stray))
        centre = int(np.searchsorted(egos.indptr, place, side="right")) - 1
        raise InvalidInput(
            f"nodes {centre} and {int(egos.nodes[place])} are joined but belong to graphs {of[centre]} and "
            f"{of[egos.nodes[place]]}; graphs of a bag have no edges between them"
        )
    order = np.argsort(sizes, kind="stable")
    places, _ = ragged(egos.indptr[:-1], sizes, order)
    nodes, indptr = egos.nodes[places].astype(np.int32), _offsets(sizes[order])
    entry_ptr = _offsets(sizes[order] ** 2)
    ptr, copies = places_of(nodes, store.num_nodes)
    mates = np.searchsorted(indptr, copies, side="right") - 1
    ends = np.zeros(store.num_nodes + 1, np.int64)
    pair = np.empty(int(entry_ptr[-1]), np.int32)
    with threads_in_use(threads_for(threads, store.num_nodes)) as parts:
        mark = np.full((parts, store.num_nodes), -1, np.int32)
        bags_cpu.count_entries(ptr, mates, indptr, nodes, mark, ends)
        np.cumsum(ends, out=ends)
        mark[:] = -1
        other = np.empty(int(ends[-1]), np.int32)
        bags_cpu.fill_entries(ptr, mates, copies, indptr, nodes, entry_ptr, mark, ends, other, pair)
    row = np.repeat(np.arange(store.num_nodes, dtype=np.int32), np.diff(ends))
    # Pairs are sorted by (row, column); stably sorted by column, their k-th is the transposed of the k-th.
    return EgoBag(
        indptr=indptr,
        nodes=nodes,
        graph=of[order].astype(np.int32),
        entry_ptr=entry_ptr,
        pair=pair,
        pairs=np.stack([row, other], axis=1),
        transposed=places_of(other, store.num_nodes)[1].astype(np.int32),
        node_ptr=node_ptr,
        pair_ptr=ends[node_ptr],
    )


def graph_bag(graphs: GraphStore | Sequence[GraphStore], *, graph: str = "graph") -> EgoBag:
    """The bag in which every graph is one "ego network" of all its nodes; its entries grow as the squared graph.

    Parameters and errors as of `ego_bag`.

    Examples
    --------
    >>> import nearhop
    >>> from nearhop.sampling import graph_bag
    >>> graph_bag([nearhop.GraphStore.from_edges([0, 1], [1, 2]), nearhop.GraphStore.from_edges([0], [1])])
    EgoBag(2 graphs, 2 ego networks of up to 3 nodes, 13 entries of 13 pairs)
    """
    store = graphs if isinstance(graphs, GraphStore) else disjoint_union(graphs, name=graph)
    of, node_ptr = _graph_of_nodes(store, graph, None if isinstance(graphs, GraphStore) else len(graphs))
    sizes = np.diff(node_ptr)
    _check_sizes(sizes, np.arange(sizes.shape[0]))
    order = np.argsort(sizes, kind="stable")
    nodes, _ = ragged(node_ptr[:-1], sizes, order)
    pair_ptr = _offsets(sizes**2)
    row = np.repeat(np.arange(of.shape[0]), sizes[of])
    of_row = of[row]
    local = np.arange(row.shape[0]) - pair_ptr[of_row]
    i, j = np.divmod(local, sizes[of_row])
    col = node_ptr[of_row] + j
    swapped = pair_ptr[of_row] + j * sizes[of_row] + i
    return EgoBag(
        indptr=_offsets(sizes[order]),
        nodes=nodes.astype(np.int32),
        graph=order.astype(np.int32),
        entry_ptr=_offsets(sizes[order] ** 2),
        pair=ragged(pair_ptr[:-1], sizes**2, order)[0].astype(np.int32),
        pairs=np.stack([row, col], axis=1).astype(np.int32),
        transposed=swapped.astype(np.int32),
        node_ptr=node_ptr,
        pair_ptr=pair_ptr,
    )


def place_pairs(bag: EgoBag) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places of the row and of the column of every entry."""
    sizes = bag.sizes
    size = np.repeat(sizes, sizes)
    row = np.repeat(np.arange(bag.nodes.shape[0]), size)
    col = np.arange(bag.pair.shape[0]) - np.repeat(_offsets(size)[:-1] - np.repeat(bag.indptr[:-1], sizes), size)
    return row, col


def ragged(
    starts: NDArray[Any], lengths: NDArray[Any], rows: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the slices of `rows`, one behind the other, and for each its number in `rows`."""
    return slices(starts[rows], lengths[rows])


def slices(starts: NDArray[Any], lengths: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of slices, one behind the other, and for each the number of its slice."""
    of = np.repeat(np.arange(lengths.shape[0]), lengths)
    shift = starts - (np.cumsum(lengths) - lengths)
    return np.arange(of.shape[0]) + shift[of], of


def _offsets(counts: NDArray[Any]) -> NDArray[np.int64]:
    out = np.zeros(counts.shape[0] + 1, np.int64)
    np.cumsum(counts, out=out[1:])
    return out


def _graph_of_nodes(store: GraphStore, name: str, count: int | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The graph of every node, and where the nodes of each begin."""
    of: NDArray[Any] = np.asarray(store.nodes[name]) if name in store.nodes else np.zeros(store.num_nodes, np.int64)
    if of.dtype.kind not in "iu" or of.ndim != 1:
        raise InvalidType(f"node column {name!r} must number graphs by integers; got {of.dtype} of shape {of.shape}")
    of = of.astype(np.int64)
    if of.size == 0:
        raise InvalidInput("graph 0 has no nodes; every graph of a bag needs one" if count else "there is no graph")
    if of[0] < 0 or (np.diff(of) < 0).any():
        where = 0 if of[0] < 0 else int(np.argmax(np.diff(of) < 0)) + 1
        raise InvalidInput(f"node column {name!r} must rise from 0, graph by graph; node {where} has {of[where]}")
    sizes = np.bincount(of, minlength=count or 0)
    if (sizes == 0).any():
        raise InvalidInput(f"graph {int(np.argmin(sizes))} has no nodes; every graph of a bag needs one")
    return of, _offsets(sizes)


def _check_sizes(
    sizes: NDArray[Any], of: NDArray[Any], node_ptr: NDArray[Any] | None = None, most: int | None = None
) -> None:
    """Refuse what is too large: ego networks of nodes, or with `node_ptr` None graphs."""
    node = int(np.argmax(sizes))
    where = f"graph {of[node]}" if node_ptr is None else f"graph {of[node]}, node {node - node_ptr[of[node]]}"
    if most is not None and sizes[node] > most:
        raise InvalidInput(
            f"the ego network of {where} has {sizes[node]} nodes but max_size is {most}; use fewer hops or raise it"
        )
    entries = int((sizes.astype(np.float64) ** 2).sum())
    if entries > _LARGEST:
        raise InvalidInput(
            f"the bag would have {entries:,} entries, most for {where} with {sizes[node]:,}^2; it can hold "
            f"{_LARGEST:,}: take fewer graphs or hops"
        )
