"""nearhop's samplers behind PyTorch Geometric's own loaders."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch_geometric.sampler import (
    BaseSampler,
    EdgeSamplerInput,
    HeteroSamplerOutput,
    NodeSamplerInput,
    SamplerOutput,
)

from ..graphlib.errors import InvalidInput
from ..graphlib.given_store import check_store
from ..sampling.negatives.negatives import NegativeSampler
from ..sampling.neighbors.neighbor import NeighborSampler
from ..sampling.neighbors.typed import TypedNeighborSampler, TypedSubgraph

if TYPE_CHECKING:
    from ..graphlib.store.store import GraphStore
    from ..sampling.neighbors.subgraph import SampledSubgraph

_ONE_TYPE = ""


class Sampler(BaseSampler):
    """`NeighborSampler` or `TypedNeighborSampler` for PyG's `NodeLoader`, `LinkLoader` and their short forms.

    Parameters
    ----------
    store : GraphStore
    num_neighbors : sequence of int, or mapping from edge type to sequence of int
        Edges per node, nearest hop first; -1 takes all. A mapping, or a store of several types, makes typed batches.
    epoch : int, default 0
        Draws depend on (seed, epoch): count `sampler.epoch` up before each pass over the loader.
    **options
        As for `nearhop.sampling.NeighborSampler`: replace, method, weighted, temporal, disjoint, seed.

    Notes
    -----
    In a batch, `n_id[:batch_size]` are the seeds in the order asked for, `e_id` are edge ids of the store, and messages
    flow from `edge_index[0]` to `edge_index[1]`. Seeds must be distinct within a batch unless trees are disjoint.

    Beside a `Data` or `HeteroData` instead of `pyg_stores(store)`, edge columns are looked up by `e_id`: make the store
    with `from_pyg(data, directed=True)`, so that edges have the same numbers.

    Differences from PyG: negatives are never edges of the graph, and belong to the `input_id` of the edge they are for
    (a "triplet" always, a "binary" pair where it comes after that edge), so that they repeat from run to run. With
    `neg_sampling` of mode "binary" both ends are drawn.

    Raises
    ------
    InvalidInput
        What the samplers refuse; seeds that repeat; `direction` other than "in"; `src_weight`.

    Examples
    --------
    >>> import numpy as np, torch, nearhop
    >>> from torch_geometric.loader import LinkNeighborLoader
    >>> from nearhop.graphlib.convert import to_pyg
    >>> from nearhop.interop.pyg_sampler import Sampler
    >>> store = nearhop.GraphStore.from_edges(np.arange(9), np.arange(1, 10), directed=True)
    >>> data = to_pyg(store)
    >>> loader = LinkNeighborLoader(
    ...     data, num_neighbors=[2], neighbor_sampler=Sampler(store, [2]), edge_label_index=data.edge_index,
    ...     neg_sampling="binary", batch_size=3,
    ... )
    >>> [batch.edge_label.tolist() for batch in loader][0]
    [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    """

    def __init__(
        self,
        store: GraphStore,
        num_neighbors: Sequence[int] | Mapping[tuple[str, str, str], Sequence[int]],
        *,
        epoch: int = 0,
        **options: Any,
    ) -> None:
        check_store(store)
        if options.get("direction", "in") != "in":
            raise InvalidInput('PyG expects in-neighbours: leave direction at "in"')
        self._typed = isinstance(num_neighbors, Mapping) or len(store.node_types) > 1 or len(store.edge_types) > 1
        self._store = store
        self._seed = options.get("seed", 0)
        made: Any = TypedNeighborSampler if self._typed else NeighborSampler
        self._sampler = made(store, num_neighbors, **options)
        self._negatives: dict[tuple[Any, int], NegativeSampler] = {}
        self.epoch = epoch

    def sample_from_nodes(self, inputs: NodeSamplerInput, **kwargs: Any) -> SamplerOutput | HeteroSamplerOutput:
        """What `NodeLoader` calls for a batch of seeds."""
        kind = self._node_type(inputs.input_type)
        found, local = self._draw({kind: inputs.node}, None if inputs.time is None else {kind: inputs.time})
        if not np.array_equal(local[kind], np.arange(local[kind].shape[0])):
            raise InvalidInput("a batch names a seed twice; give distinct input_nodes, or use disjoint=True")
        output = self._output(found)
        output.metadata = (inputs.input_id, inputs.time)
        return output

    def sample_from_edges(
        self, inputs: EdgeSamplerInput, neg_sampling: Any = None
    ) -> SamplerOutput | HeteroSamplerOutput:
        """What `LinkLoader` calls for a batch of edges."""
        edge_type = self._edge_type(inputs.input_type)
        near, far = (_ONE_TYPE, _ONE_TYPE) if not self._typed else (edge_type[0], edge_type[2])
        count = inputs.row.numel()
        src, dst, label = self._with_negatives(inputs, edge_type, neg_sampling)
        seeds = {near: torch.cat([src, dst])} if near == far else {near: src, far: dst}
        times, when = None, inputs.time
        if when is not None:
            times = {name: when[_pair(nodes.numel(), src.numel(), count)] for name, nodes in seeds.items()}
        found, local = self._draw(seeds, times)
        output = self._output(found, {name: (nodes.numel(), src.numel(), count) for name, nodes in seeds.items()})
        ends = [torch.from_numpy(np.ascontiguousarray(local[name])) for name in (near, far)]
        if near == far:
            ends = [ends[0][: src.numel()], ends[1][src.numel() :]]
        if neg_sampling is not None and neg_sampling.is_triplet():
            wrong = ends[1][count:].view(-1, count).t().squeeze(-1)
            output.metadata = (inputs.input_id, ends[0], ends[1][:count], wrong, when)
        else:
            every = None if when is None else when[_pair(src.numel(), src.numel(), count)]
            output.metadata = (inputs.input_id, torch.stack(ends), label, every)
        return output

    def _with_negatives(self, inputs: EdgeSamplerInput, edge_type: Any, rule: Any) -> tuple[Any, Any, Any]:
        """Ends and labels, the negatives behind the edges: round after round, one per edge."""
        src, dst, label = inputs.row, inputs.col, inputs.label
        if rule is None:
            return src, dst, label
        count = src.numel()
        wanted = math.ceil(count * rule.amount)
        rounds = math.ceil(rule.amount)
        ids = np.arange(count) if inputs.input_id is None else inputs.input_id.numpy()
        keys = (ids * rounds + np.arange(rounds)[:, None]).reshape(-1)[:wanted]
        sampler = self._negative_sampler(edge_type, rule)
        if rule.is_triplet():
            given = src.repeat(rounds).numpy()
            wrong = sampler.sample(given, 1, epoch=self.epoch, keys=keys)[:, 0]
            if (wrong < 0).any():
                full = int(given[int(np.argmax(wrong < 0))])
                raise InvalidInput(f"node {full} is linked to every node, so it has no negatives")
            return src, torch.cat([dst, torch.from_numpy(wrong)]), None
        near, far = map(torch.from_numpy, sampler.sample_pairs(wanted, epoch=self.epoch, keys=keys))
        positive = torch.ones(count) if label is None else label
        labels = torch.cat([positive, positive.new_zeros((wanted, *positive.shape[1:]))])
        return torch.cat([src, near]), torch.cat([dst, far]), labels

    def _negative_sampler(self, edge_type: Any, rule: Any) -> NegativeSampler:
        if rule.src_weight is not None:
            raise InvalidInput("negatives are drawn uniformly over sources: leave out src_weight")
        name = edge_type, id(rule.dst_weight)
        if name not in self._negatives:
            mass = None if rule.dst_weight is None else rule.dst_weight.numpy()
            self._negatives[name] = NegativeSampler(self._store, mass=mass, edge_type=edge_type, seed=self._seed)
        return self._negatives[name]

    def _draw(
        self, seeds: dict[str, Any], times: dict[str, Any] | None
    ) -> tuple[SampledSubgraph | TypedSubgraph, dict[str, Any]]:
        """A sample, and the local number of every seed by node type."""
        nodes = {name: values.numpy() for name, values in seeds.items()}
        when = None if times is None else {name: values.numpy() for name, values in times.items()}
        if self._typed:
            found = self._sampler.sample(nodes, self.epoch, seed_time=when)
            return found, found.seed_index
        when = None if when is None else when[_ONE_TYPE]
        found = self._sampler.sample(nodes[_ONE_TYPE], self.epoch, seed_time=when)
        return found, {_ONE_TYPE: found.seed_index}

    def _output(
        self, found: Any, pairs: Mapping[str, tuple[int, int, int]] | None = None
    ) -> SamplerOutput | HeteroSamplerOutput:
        """`found` in PyG's form. Trees are called by their seed or, with `pairs`, by the edge their seed belongs to."""
        if not self._typed:
            tree = found.tree if found.tree is None or pairs is None else _pair(*pairs[_ONE_TYPE])[found.tree]
            return SamplerOutput(
                node=_tensor(found.nodes),
                row=_tensor(found.row),
                col=_tensor(found.col),
                edge=_tensor(found.edge_ids),
                batch=None if tree is None else _tensor(tree),
                num_sampled_nodes=list(found.num_sampled_nodes),
                num_sampled_edges=list(found.num_sampled_edges),
            )
        trees = found.tree
        if trees is not None and pairs is not None:
            of_seed = np.concatenate([_pair(*pairs[name]) for name in found.seed_index])
            trees = {name: of_seed[tree] for name, tree in trees.items()}
        return HeteroSamplerOutput(
            node={name: _tensor(nodes) for name, nodes in found.nodes.items()},
            row={name: _tensor(row) for name, row in found.row.items()},
            col={name: _tensor(col) for name, col in found.col.items()},
            edge={name: _tensor(edges) for name, edges in found.edge_ids.items()},
            batch=None if trees is None else {name: _tensor(tree) for name, tree in trees.items()},
            num_sampled_nodes={name: list(counts) for name, counts in found.num_sampled_nodes.items()},
            num_sampled_edges={name: list(counts) for name, counts in found.num_sampled_edges.items()},
        )

    def _node_type(self, given: str | None) -> str:
        if not self._typed:
            return _ONE_TYPE
        if given is None:
            raise InvalidInput(f"seeds need a node type, one of {', '.join(map(repr, self._store.node_types))}")
        return given

    def _edge_type(self, given: Any) -> Any:
        if not self._typed:
            return None
        if given is None:
            raise InvalidInput(f"edges need an edge type, one of {', '.join(map(repr, self._store.edge_types))}")
        return tuple(given)


def _pair(seeds: int, sources: int, count: int) -> Any:
    """The edge that each of `seeds` seeds belongs to: sources, then destinations, both as `count` edges and rounds."""
    place = np.arange(seeds)
    return np.where(place < sources, place, place - sources) % max(count, 1)


def _tensor(array: Any) -> Any:
    return torch.from_numpy(np.ascontiguousarray(array, np.int64))


__all__ = ["Sampler"]
