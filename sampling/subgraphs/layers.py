"""Layer-wise sampling: a fixed number of nodes per layer, shared by all that are there already (LADIES, FastGCN)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.streams import Purpose, root_of
from ...graphlib.errors import InvalidInput
from ...graphlib.given_store import chosen_edge_type
from ..arguments import check_count, check_epoch, node_positions, words_of
from ..neighbors.picks import checked_weight
from ..neighbors.subgraph import SampledSubgraph
from ..snapshot import EdgesThen

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore


@dataclass(frozen=True, eq=False, repr=False)
class LayerSample(SampledSubgraph):
    """A `SampledSubgraph` whose edges carry weights.

    Attributes
    ----------
    weight : float32 (num_edges,)
        Factor of the message along each edge. Layer l (the seeds' is the first) has `num_sampled_edges[l]` of them, and
        messages of later layers go to all nodes of earlier ones.
    """

    weight: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))


class LayerSampler:
    """Draw each layer's nodes together, in proportion to what they send to the layer before.

    With P the matrix of in-edges whose rows sum to 1 (by edge count, or by weight), and S the nodes so far, a layer
    draws `size` nodes without replacement from those that S has in-edges from, node j in proportion to

        q_j = sum over i in S of P_ij ** 2

    and keeps every edge from a drawn node, or a node of S that would be a candidate, to S. So the number of nodes grows
    linearly with depth, and not exponentially.

    Parameters
    ----------
    store : GraphStore
    sizes : sequence of int >= 1
        Nodes drawn per layer, the seeds' layer first.
    method : {"ladies", "fastgcn"}, default "ladies"
        "fastgcn" takes q_j over all nodes of the graph instead of S; candidates are still those S has in-edges from.
    normalize : bool, default True
        Scale the weights of the edges into every node to sum to 1, as LADIES does. Without, the sum of weight times
        value over a node's edges is an unbiased estimate of its mean (or weighted mean) over all neighbours.
    weighted : bool, default False
        P by edge weight.
    edge_type : optional
    seed : int, default 0

    Notes
    -----
    What is drawn depends on the set of seeds, by definition of the method, and on (seed, epoch, hop); not on the order
    of the seeds or on threads. O(sum of the in-degrees of the nodes reached) per layer; 16 bytes per node of the store.

    Differences from the papers: the drawn nodes are weighted by P_ij / p_j, where p_j is the chance that j is drawn
    given the smallest key that was left out (rank conditioning), instead of P_ij / (size * q_j), which is right for
    draws with replacement only. Nodes of S are kept for certain.

    References
    ----------
    D. Zou et al., "Layer-dependent importance sampling for training deep and large graph convolutional networks",
    arXiv:1911.07323, Alg. 1 and section 3.2. J. Chen, T. Ma, C. Xiao, "FastGCN", arXiv:1801.10247, section 3.2.
    E. Cohen and H. Kaplan, "Tighter estimation using bottom k sketches", VLDB 2008.

    Raises
    ------
    InvalidInput
        Sizes below 1, seeds out of range, weights that are missing, negative or NaN, edges between two node types.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.sampling import LayerSampler
    >>> star = nearhop.GraphStore.from_edges(np.arange(1, 9), np.zeros(8, np.int64), directed=True)
    >>> sample = LayerSampler(star, [3], seed=1).sample([0])
    >>> sample.num_sampled_nodes, float(sample.weight.sum())
    ((1, 3), 1.0)
    """

    def __init__(
        self,
        store: GraphStore,
        sizes: Sequence[int],
        *,
        method: str = "ladies",
        normalize: bool = True,
        weighted: bool = False,
        edge_type: Any = None,
        seed: int = 0,
    ) -> None:
        if method not in ("ladies", "fastgcn"):
            raise InvalidInput(f'method must be "ladies" or "fastgcn"; got {method!r}')
        self.sizes = tuple(check_count(f"sizes[{layer}]", size, 1) for layer, size in enumerate(sizes))
        self.method = method
        self.normalize = normalize
        self.seed = seed
        self._root = root_of(seed, Purpose.LAYERS, *words_of(chosen_edge_type(store, edge_type)))
        self._then = EdgesThen("LayerSampler", store, chosen_edge_type(store, edge_type))
        self._rows = rows = store.csc(edge_type)
        if rows.num_rows != rows.num_cols:
            raise InvalidInput(f"edges {edge_type!r} join two node types; a LayerSampler needs one")
        self._weight = checked_weight(rows, edge_type) if weighted else np.empty(0, np.float32)
        self._mass = np.empty(0, np.float64)
        if method == "fastgcn":
            from . import layers_cpu

            self._mass = np.zeros(rows.num_cols)
            everyone = np.arange(rows.num_rows)
            layers_cpu.squared_shares(rows.indptr, rows.indices, self._weight, everyone, self._mass)

    def sample(self, seeds: ArrayLike, epoch: int = 0) -> LayerSample:
        """Sample around `seeds` (node positions, any order, repeats allowed)."""
        from . import layers_cpu

        self._then.check()
        rows, epoch = self._rows, check_epoch(epoch)
        given = node_positions("seeds", seeds, rows.num_rows)
        _, first = np.unique(given, return_index=True)
        nodes = given[np.sort(first)]
        order = np.argsort(nodes)
        seed_index = order[np.searchsorted(nodes[order], given)] if given.size else given
        place = np.full(rows.num_rows, -1, np.int64)
        place[nodes] = np.arange(nodes.shape[0])
        parts: list[tuple[NDArray[Any], ...]] = []
        counts = [nodes.shape[0]]
        for layer, size in enumerate(self.sizes):
            own = np.zeros(rows.num_rows)
            found = np.unique(layers_cpu.squared_shares(rows.indptr, rows.indices, self._weight, nodes, own))
            candidates = found[place[found] < 0]
            mass = (own if self.method == "ladies" else self._mass)[candidates]
            candidates, mass = candidates[mass > 0], mass[mass > 0]
            drawn, chance = self._draw(candidates, mass, size, epoch, layer)
            chances = np.zeros(rows.num_rows)
            chances[nodes] = 1.0
            chances[drawn] = chance
            place[drawn] = nodes.shape[0] + np.arange(drawn.shape[0])
            ends = layers_cpu.kept_edges(rows.indptr, rows.indices, self._weight, nodes, place, chances, self.normalize)
            parts.append(ends)
            nodes = np.concatenate([nodes, drawn])
            counts.append(drawn.shape[0])
        near, far, positions, weight = (np.concatenate(p) for p in zip(*parts, strict=True)) if parts else _NOTHING
        return LayerSample(
            nodes=nodes,
            row=far,
            col=near,
            edge_ids=rows.edge_ids[positions],
            num_sampled_nodes=tuple(counts),
            num_sampled_edges=tuple(part[0].shape[0] for part in parts),
            seed_index=seed_index,
            weight=weight,
        )

    def _draw(
        self, candidates: NDArray[Any], mass: NDArray[np.float64], size: int, epoch: int, layer: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The nodes of smallest -ln(u) / q, ascending, and the chance of each to be among them."""
        from . import layers_cpu

        if candidates.shape[0] <= size:
            return candidates, np.ones(candidates.shape[0])
        keys = np.empty(candidates.shape[0])
        layers_cpu.random_keys(candidates, mass, self._root, epoch, layer, keys)
        smallest = np.argpartition(keys, size)
        bar = keys[smallest[size]]
        chosen = np.sort(smallest[:size])
        return candidates[chosen], -np.expm1(-mass[chosen] * bar)


_NOTHING = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
