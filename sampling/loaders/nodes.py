"""Batches of nodes and their sampled neighbourhoods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import unmasked
from ...graphlib.errors import InvalidInput, InvalidType, NotFound
from ...graphlib.given_store import check_store
from ..arguments import mask_positions, node_positions
from ..neighbors.neighbor import NeighborSampler
from ..neighbors.typed import TypedNeighborSampler
from .batches import Batching
from .loader import Fanouts, Loader

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore


class NodeLoader(Loader):
    """Batches of nodes with their sampled neighbourhoods, as `torch_geometric.data.Data` or `HeteroData`.

    Parameters
    ----------
    store : GraphStore
    sampler : NeighborSampler or TypedNeighborSampler, or fanouts for one
        `[15, 10]` means `NeighborSampler(store, [15, 10], seed=seed)`; in a store of several types, and with fanouts by
        edge type, a `TypedNeighborSampler`, whose batches are `HeteroData`.
    nodes : int or bool array, optional
        Seeds: distinct positions, or a mask over the nodes; all nodes by default. With several types, a node type, or
        (node type, positions or mask).
    tables : mapping, optional
        Attributes of a batch: name -> column name, array or `UnifiedTensor`. By default x and y where the store has
        them. Names that begin with `edge_` are looked up by edge, the others by node. With several types: node or edge
        type -> such a mapping.
    batch_size : int >= 1, default 1024
    shuffle, drop_last : bool, default False
    seed : int, default 0
        The order of a pass is a function of (seed, epoch).
    part : (int, int), default (0, 1)
        (rank, parts): this process's share of batches of `parts * batch_size` nodes, for training with several
        processes. The shares of one batch differ by at most one node; of a last batch with fewer nodes than parts some
        are empty, which a mean over nodes makes NaN: `drop_last` leaves that batch out.
    workers : int >= 0, default 1
        Threads that prepare batches, each up to two ahead. With 0 the caller's thread does it.

    Notes
    -----
    A batch holds `x`, `y`, `edge_index` (messages go from row 0 to row 1), `n_id`, `e_id`, `batch_size`, `input_id`
    (positions in `nodes`), `num_sampled_nodes` and `num_sampled_edges`. The seeds are the first `batch_size` nodes, in
    order; with several types, all this is found under the node and edge types. What a batch holds depends on the
    arguments and `epoch` alone, not on threads. Leaving a loop early ends the threads. A loader cannot be used in a
    forked child; make it there.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.sampling import NodeLoader
    >>> store = nearhop.GraphStore.from_edges(np.arange(9), np.arange(1, 10))
    >>> store.nodes["x"] = np.eye(10, dtype=np.float32)
    >>> loader = NodeLoader(store, [2, 2], batch_size=4, shuffle=True)
    >>> [batch.batch_size for batch in loader]
    [4, 4, 2]
    >>> loader.report().batches
    3
    """

    def __init__(
        self,
        store: GraphStore,
        sampler: NeighborSampler | TypedNeighborSampler | Fanouts,
        *,
        nodes: ArrayLike | str | tuple[str, ArrayLike | None] | None = None,
        tables: Mapping[Any, Any] | None = None,
        batch_size: int = 1024,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int = 0,
        part: tuple[int, int] = (0, 1),
        workers: int = 1,
    ) -> None:
        check_store(store)
        super().__init__(store, sampler, tables, Batching(batch_size, shuffle, drop_last, seed, part), workers)
        given: Any = nodes
        self.node_type = ""
        if self.typed:
            self.node_type, given = _node_type(store, nodes)
        count = store.num_nodes_of(self.node_type) if self.typed else store.num_nodes_of(self._edge_type[0])
        self.nodes = _seeds(given, count)
        self._total = self.nodes.shape[0]

    def _draw(self, batch: NDArray[np.int64], epoch: int) -> tuple[Any, dict[Any, dict[str, Any]]]:
        seeds: Any = {self.node_type: self.nodes[batch]} if self.typed else self.nodes[batch]
        return self.sampler.sample(seeds, epoch=epoch), {self.node_type: {"input_id": batch}}


def _node_type(store: GraphStore, given: Any) -> tuple[str, Any]:
    """The node type that seeds are of, and the seeds."""
    name, nodes = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    if not isinstance(name, str) or name not in store.node_types:
        known = ", ".join(map(repr, store.node_types))
        raise NotFound(f"nodes must be a node type or (node type, positions or mask), of {known}; got {given!r}")
    return name, nodes


def _seeds(given: ArrayLike | None, num_nodes: int) -> NDArray[np.int64]:
    """Distinct node positions from positions, a mask, or nothing for all."""
    if given is None:
        return np.arange(num_nodes)
    nodes: NDArray[Any] = unmasked("nodes", given)
    if nodes.dtype == np.bool_:
        return mask_positions("node", nodes, num_nodes)
    if nodes.dtype.kind not in "iu" and nodes.size:
        raise InvalidType(f"nodes must hold node positions or be a mask; got dtype {nodes.dtype}")
    nodes = node_positions("nodes", nodes, num_nodes)
    values, counts = np.unique(nodes, return_counts=True)
    if (counts > 1).any():
        raise InvalidInput(f"nodes must be distinct; {values[np.argmax(counts > 1)]} is there more than once")
    return nodes
