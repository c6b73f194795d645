"""Batches of tokens: for each node a set of nodes, their features and hop contexts, gathered from wherever they lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...graphlib.compute.streams import Purpose, generator
from ...graphlib.errors import InvalidInput, InvalidType
from ...graphlib.sparse.contexts import check_contexts
from ...sampling.arguments import check_count, node_positions
from ...sampling.features.unified_tensor import UnifiedTensor
from ...sampling.loaders.streams import ahead
from ...sampling.prefetch import Stopwatch
from ...sampling.subgraphs.node_sets import NodeSets, check_node_sets

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore
    from ...sampling.loaders.streams import ahead
from ...sampling.prefetch import LoaderReport


@dataclass(frozen=True, eq=False, repr=False)
class TokenBatch:
    """The tokens of some nodes; each node that several sets share is gathered once.

    Attributes
    ----------
    nodes : int64 (B,)
    index : int64 (B, K)
        The set of each node, as rows of the tables; column 0 is the node itself.
    tables : tuple of float (U, D)
        Features of the U distinct nodes, then their contexts, hop after hop.
    position : float32 (B, g), optional
        Positional encodings of the nodes.
    """

    nodes: Tensor
    index: Tensor
    tables: tuple[Tensor, ...]
    position: Tensor | None

    @property
    def num_tokens(self) -> int:
        """Of the whole batch: B * K * (1 + hops)."""
        return self.index.numel() * len(self.tables)

    def dense(self) -> Tensor:
        """The tokens (B, (1 + hops) * K, D) in their order: K features, then K contexts of each hop."""
        return torch.cat([table[self.index] for table in self.tables], 1)

    def to(self, device: Any) -> TokenBatch:
        """The batch on another device."""
        return replace(
            self,
            nodes=self.nodes.to(device, non_blocking=True),
            index=self.index.to(device, non_blocking=True),
            tables=tuple(table.to(device, non_blocking=True) for table in self.tables),
            position=None if self.position is None else self.position.to(device, non_blocking=True),
        )

    def __repr__(self) -> str:
        rows, width = self.tables[0].shape
        return (
            f"TokenBatch({self.nodes.shape[0]:,} nodes, sets of {self.index.shape[1]}, {rows:,} distinct rows of "
            f"{len(self.tables)} x {width}, on {self.index.device})"
        )


class TokenLoader:
    """Makes token batches from a store's columns. Training never touches the edges.

    Parameters
    ----------
    store : GraphStore
        With contexts of `column` (`nearhop.graphlib.sparse.hop_contexts`).
    column : str, default "x"
        Features (num_nodes, D).
    sets : str or NodeSets, default "node_set"
        A column that `NodeSets.write` made, or a `NodeSets` that draws afresh in every epoch.
    size : int >= 1, optional
        K, nodes of a set that are taken: by default all. A part of a larger set is a smaller one.
    hops : int >= 0, default 2
        Contexts per node.
    position : str, optional
        A column of positional encodings (num_nodes, g), such as FastRP's or node2vec's.
    node_type : str, optional
    placement, device : optional
        Where the tables lie and where batches go, as in `nearhop.sampling.UnifiedTensor`.
    threads : int, optional
        For gathering.

    Raises
    ------
    NotFound, InvalidInput, InvalidType
        Contexts or sets are missing, too small, or belong to another version of the store; a column of another shape.

    Notes
    -----
    A batch is a function of (store, nodes, epoch). Making the loader reads edges and features once, to compare them
    with the fingerprints kept with contexts and sets; a batch costs O(B * K * hops * D) and does not depend on the
    number of edges. Threads may ask for batches at the same time.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.gnn.large_gt import TokenLoader
    >>> from nearhop.graphlib.sparse import hop_contexts
    >>> from nearhop.sampling import NodeSets
    >>> store = nearhop.GraphStore.from_edges([0, 1], [1, 2])
    >>> store.nodes["x"] = np.eye(3, dtype=np.float32)
    >>> names, column = hop_contexts(store), NodeSets(store, 5).write()
    >>> TokenLoader(store).batch([2, 0])
    TokenBatch(2 nodes, sets of 5, 3 distinct rows of 3 x 3, on cpu)
    """

    def __init__(
        self,
        store: GraphStore,
        column: str = "x",
        *,
        sets: str | NodeSets = "node_set",
        size: int | None = None,
        hops: int = 2,
        position: str | None = None,
        node_type: str | None = None,
        placement: str = "auto",
        device: Any = None,
        threads: int | None = None,
    ) -> None:
        columns = store.nodes if node_type is None else store.nodes(node_type)
        size = None if size is None else check_count("size", size, 1)
        check_count("hops", hops)
        if isinstance(sets, NodeSets):
            chosen = node_type if node_type is not None else store._parts.node_type(None)
            if sets.edge_type[0] != chosen or sets.num_nodes != store.num_nodes_of(chosen):
                raise InvalidInput(f"{sets!r} draws from another graph than this store's {chosen} nodes")
            if size is not None and size > sets.size:
                raise InvalidInput(f"size is {size}, but {sets!r} draws {sets.size} nodes per set; take at most those")
            self._sets: NodeSets | NDArray[Any] = sets
            self.size = sets.size if size is None else size
        else:
            self._sets = check_node_sets(store, sets, size, node_type=node_type)
            self.size = int(self._sets.shape[1]) if size is None else size
        names = [column, *(check_contexts(store, column, hops, node_type=node_type, threads=threads) if hops else ())]
        given = [columns[name] for name in names]
        for name, table in zip(names, given, strict=True):
            if table.ndim != 2 or table.dtype not in (np.float32, np.float16) or table.shape != given[0].shape:
                raise InvalidType(
                    f"column {name!r} must be float32 or float16 of shape ({given[0].shape[0]}, D); got "
                    f"{table.dtype} {table.shape}"
                )
        options: dict[str, Any] = {"placement": placement, "device": device, "threads": threads}
        self._tables = [UnifiedTensor(table, **options) for table in given]
        self._position = None
        if position is not None:
            encoding = columns[position]
            if encoding.ndim != 2 or encoding.dtype.kind != "f":
                raise InvalidType(
                    f"column {position!r} must hold positional encodings, floats (num_nodes, g); got {encoding.dtype} "
                    f"{encoding.shape}"
                )
            self._position = UnifiedTensor(encoding, **options)
        self.num_nodes, self.width = (int(extent) for extent in given[0].shape)
        self.device = self._tables[0].device
        self._watch = Stopwatch()
        self._workers = 0

    @property
    def kinds(self) -> int:
        """Tokens per node of a set: 1 + hops."""
        return len(self._tables)

    @property
    def position_width(self) -> int | None:
        """g, or None without positional encodings."""
        return None if self._position is None else int(self._position.shape[1])

    def batch(self, nodes: ArrayLike, *, epoch: int = 0) -> TokenBatch:
        """The tokens of some nodes. `epoch` names the draw of a `NodeSets`; a column has one."""
        seeds = node_positions("nodes", nodes, self.num_nodes)
        if isinstance(self._sets, NodeSets):
            picked = self._sets.sample(seeds, epoch=epoch)[:, : self.size]
        else:
            picked = self._sets[seeds, : self.size]
        distinct, index = np.unique(picked, return_inverse=True)
        rows = torch.from_numpy(seeds)
        return TokenBatch(
            nodes=rows.to(self.device),
            index=torch.from_numpy(index.reshape(picked.shape)).to(self.device),
            tables=tuple(table[distinct] for table in self._tables),
            position=None if self._position is None else self._position[seeds].float(),
        )

    def seeds(self, nodes: ArrayLike) -> tuple[Tensor, Tensor]:
        """Features (B, D) and positional encodings (B, g) of some nodes, without their sets."""
        chosen = node_positions("nodes", nodes, self.num_nodes)
        if self._position is None:
            raise InvalidInput("this loader has no positional encodings; give it position=, the name of a column")
        return self._tables[0][chosen], self._position[chosen].float()

    def batches(
        self,
        nodes: ArrayLike,
        batch_size: int,
        *,
        epoch: int = 0,
        shuffle: bool = True,
        seed: int = 0,
        workers: int = 1,
    ) -> Iterator[TokenBatch]:
        """Batches of `nodes`, in an order named by (seed, epoch), prepared by `workers` threads while the caller works.

        `report()` tells afterwards how long the caller waited.
        """
        seeds = node_positions("nodes", nodes, self.num_nodes)
        size = check_count("batch_size", batch_size, 1)
        if shuffle:
            seeds = seeds[generator(seed, Purpose.BATCHES, epoch).permutation(seeds.shape[0])]
        parts = [seeds[at : at + size] for at in range(0, seeds.shape[0], size)]
        self._workers = check_count("workers", workers)
        devices = (table.device for table in self._tables)

        def make(part: NDArray[np.int64]) -> TokenBatch:
            return self.batch(part, epoch=epoch)

        yield from ahead(make, parts, devices=devices, workers=workers, watch=self._watch)

    def report(self) -> LoaderReport:
        """Where the time of `batches` went so far."""
        return self._watch.report(self._workers)

    def __repr__(self) -> str:
        drawn = repr(self._sets) if isinstance(self._sets, NodeSets) else f"sets of {self.size}"
        return f"TokenLoader({self.num_nodes:,} nodes, {self.kinds} x {self.width}, {drawn}, on {self.device})"
