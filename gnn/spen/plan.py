"""A bag of ego networks as a layer reads it: tensors, rows of weight classes, and what each class mixes."""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...graphlib.compute.grouping import places_of
from ...sampling.subgraphs.bags import EgoBag, place_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .sizes import SizeClasses

_BLOCK = 64  # rows that a turn multiplies
_CHUNK = 1 << 11  # mixed pairs whose gradients are kept at a time; fixed, as the block, so that sums have one order


class BagPlan:
    """What maps on a bag of ego networks need, on one device.

    Ego networks of one class have the same weights, so that what does not differ between them is mixed once per class
    and not once per copy. A *group* is a node and a class that has places of it: mixed by group is what depends on the
    node alone, and what is averaged over its places afterwards. `mixed_pair` lists the pairs (a, b), a <= b, of each
    class, class by class, those of a node with itself behind the others, and with them goes the part of a pair's copies
    that they stand for. Mixed and averaged over copies, this is what mixing every copy by itself and averaging gives.

    Parameters
    ----------
    bag : EgoBag
    classes : SizeClasses
    device : torch device, default "cpu"

    Attributes
    ----------
    num_graphs, num_nodes, num_pairs, num_egos, num_places, num_entries, num_groups : int
    egos, places, groups : list of int
        Where the rows of each class begin.
    mixed : list of int
        Where the mixed pairs of each class begin, and behind each of these its pairs of a node with itself.

    Notes
    -----
    O(entries) to build; 16 bytes per entry beside the bag's.
    """

    def __init__(self, bag: EgoBag, classes: SizeClasses, *, device: torch.device | str = "cpu") -> None:
        self._device = torch.device(device)
        sizes = bag.sizes
        kind = classes.of(sizes)
        self.num_graphs, self.num_egos = bag.num_graphs, bag.num_egos
        self.num_nodes, self.num_pairs = int(bag.node_ptr[-1]), bag.pairs.shape[0]
        self.num_places, self.num_entries = bag.nodes.shape[0], bag.pair.shape[0]
        self.egos = [*np.searchsorted(kind, np.arange(len(classes))).tolist(), self.num_egos]
        self.places = bag.indptr[self.egos].tolist()
        self.class_of_ego = self._put(kind)

        put = self._put
        self.indptr, self.entry_ptr, self.pair = put(bag.indptr), put(bag.entry_ptr), put(bag.pair)
        self.nodes, self.node_copies = put(bag.nodes), (put(bag.node_copies[0]), put(bag.node_copies[1]))
        self.ego_of_place = put(np.repeat(np.arange(self.num_egos), sizes))
        ptr, copies = places_of(bag.graph, self.num_graphs)
        self.graph_of_ego, self.ego_copies = put(bag.graph), (put(ptr), put(copies))
        self.node_ptr, self.graph_pair_ptr = put(bag.node_ptr), put(bag.pair_ptr)
        self._factors: dict[tuple[str, torch.dtype], Tensor] = {}
        self._arrays: dict[tuple[str, Any], NDArray[Any]] = {}
        self._keep("size", 1 / np.repeat(sizes, sizes))
        self._keep("one", np.ones(self.num_pairs))
        self._group(np.repeat(kind, sizes), bag.node_copies, len(classes))

        ptr, copies = bag.pair_copies
        row, col = place_pairs(bag)
        counts = np.diff(ptr)
        self.pair_ptr = put(ptr)
        self.row, self.col = put(row[copies].astype(np.int32)), put(col[copies].astype(np.int32))
        self.pair_of_copy = put(np.repeat(np.arange(self.num_pairs), counts))
        self._keep("count", 1 / counts)
        self.diagonal = put(np.flatnonzero(bag.transposed == np.arange(self.num_pairs)))
        self._mix(np.repeat(kind, sizes**2)[copies], counts, bag.transposed, len(classes))

    def _group(self, kind: NDArray[Any], copies: tuple[NDArray[Any], NDArray[Any]], classes: int) -> None:
        """List (node, class), class by class; copies of a node come in the order of their ego networks."""
        counts = np.diff(copies[0])
        of = np.repeat(np.arange(self.num_nodes), counts)
        first, number, order, self.groups = _runs(kind[copies[1]], of, classes)
        self.num_groups, rank = order.shape[0], np.empty_like(order)
        rank[order] = np.arange(order.shape[0])
        group = np.empty(self.num_places, np.int64)
        group[copies[1]] = np.repeat(rank, number)
        self.group_of_place, self.node_of_group = self._put(group), self._put(of[first][order])
        ptr, places = places_of(group, self.num_groups)
        self.group_copies = self._put(ptr), self._put(places)
        self._keep("group", (1 / number)[order][group])
        self._keep("node", np.repeat(1 / counts, counts)[np.argsort(copies[1])])

    def _mix(self, kind: NDArray[Any], counts: NDArray[Any], transposed: NDArray[Any], classes: int) -> None:
        """List (pair, class); copies of a pair come in the order of their ego networks, so in that of classes."""
        of = np.repeat(np.arange(self.num_pairs), counts)
        above = transposed >= np.arange(self.num_pairs)
        kept = above[of]
        of, same = of[kept], (transposed == np.arange(self.num_pairs))[of[kept]]
        first, number, order, self.mixed = _runs(2 * kind[kept] + same, of, 2 * classes)
        pair = of[first][order]
        turned = transposed[pair].astype(np.int64)
        self.mixed_pair, self.mixed_turned = self._put(pair), self._put(turned)
        self._keep("share", number[order] / counts[pair] / np.where(pair == turned, 4, 2))

    @cached_property
    def blocks(self) -> tuple[NDArray[np.int64], ...]:
        """Spans (class, first, last) of rows that a turn multiplies: of places, groups and egos."""
        return tuple(map(_blocks, (self.places, self.groups, self.egos)))

    @cached_property
    def spans(self) -> tuple[NDArray[np.int64], ...]:
        """Spans (class, first, last) of the rows of each class, those without rows too."""
        return tuple(map(_spans, (self.places, self.groups, self.egos)))

    @cached_property
    def mixed_parts(self) -> list[SimpleNamespace]:
        """Mixed pairs whose gradients are kept at a time.

        Their first and last, blocks that a turn multiplies, and, counted from the first, the spans of all pairs of each
        class ("sums") and of those of two nodes ("differences").
        """
        parts = []
        for first in range(0, self.mixed[-1], _CHUNK):
            last = min(first + _CHUNK, self.mixed[-1])
            cut = np.clip(self.mixed, first, last).tolist()
            blocks = _blocks(cut)
            blocks[:, 0] //= 2
            sums, differences = _spans(cut[::2]), _spans(cut)[::2]
            sums[:, 1:] -= first
            differences[:, 1:] -= first
            differences[:, 0] //= 2
            parts.append(SimpleNamespace(first=first, last=last, blocks=blocks, sums=sums, differences=differences))
        return parts

    def factor(self, name: str, dtype: torch.dtype) -> Tensor:
        """What sums are multiplied by.

        1 / copies per pair ("count"), 1 per pair ("one"), half the part of a pair's copies that a mixed pair stands
        for, or a quarter where it is a node with itself ("share"), and per place: 1 / size ("size"), 1 / places of its
        group ("group"), 1 / places of its node ("node").
        """
        if (name, dtype) not in self._factors:
            self._factors[name, dtype] = self._factors[name, torch.float64].to(dtype)
        return self._factors[name, dtype]

    def host_factor(self, name: str, dtype: Any) -> NDArray[Any]:
        """`factor` as an array."""
        if (name, dtype) not in self._arrays:
            self._arrays[name, dtype] = self._factors[name, torch.float64].numpy().astype(dtype)
        return self._arrays[name, dtype]

    @cached_property
    def host(self) -> SimpleNamespace:
        """The plan's tensors on the processor as arrays, by the same names, and in the tuples that kernels take.

        `of_entry`: the pair of each entry, where places and entries of ego networks begin. `of_place`: the places of
        each node (offsets and places), the group and the ego network of each place. `of_pair`: the entries of each pair
        (offsets, in the order of pairs, the places of their rows and columns), the node of each place. `of_group`: the
        node of each group and its places (offsets and places). `in_places`: these places again, where those of ego
        networks begin, the node of each place. `of_graph`, by order: where the pairs and the nodes of graphs begin.
        """
        kept = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        host = SimpleNamespace(**{name: value.numpy() for name, value in kept.items()})
        by_node, by_group = (tuple(part.numpy() for part in found) for found in (self.node_copies, self.group_copies))
        host.of_entry = host.pair, host.indptr, host.entry_ptr
        host.of_place = *by_node, host.group_of_place, host.ego_of_place
        host.of_pair = host.pair_ptr, host.row, host.col, host.nodes
        host.of_group = host.node_of_group, *by_group
        host.in_places = *by_group, host.indptr, host.nodes
        host.of_graph = {2: host.graph_pair_ptr, 1: host.node_ptr}
        return host

    def _keep(self, name: str, values: NDArray[Any]) -> None:
        self._factors[name, torch.float64] = self._put(values)

    def _put(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)

    def __repr__(self) -> str:
        return (
            f"BagPlan({self.num_graphs:,} graphs, {self.num_egos:,} ego networks, {self.num_pairs:,} pairs, "
            f"{self.mixed[-1]:,} of them by class)"
        )


def _runs(
    kind: NDArray[Any], of: NDArray[Any], kinds: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], list[int]]:
    """Runs of equal (kind, of): where each begins, its length, their order by kind, and where kinds begin in that."""
    new = np.ones(kind.shape[0], np.bool_)
    new[1:] = (kind[1:] != kind[:-1]) | (of[1:] != of[:-1])
    first = np.flatnonzero(new)
    found = kind[first]
    order = np.argsort(found.astype(np.int16 if kinds < 32768 else np.int64), kind="stable")
    bounds = np.searchsorted(found[order], np.arange(kinds)).tolist()
    return first, np.diff(np.append(first, kind.shape[0])), order, [*bounds, order.shape[0]]


def _spans(bounds: list[int]) -> NDArray[np.int64]:
    return np.stack([np.arange(len(bounds) - 1), bounds[:-1], bounds[1:]], axis=1)


def _blocks(bounds: list[int]) -> NDArray[np.int64]:
    """Spans of at most some dozen rows."""
    parts = [(k, x, min(x + _BLOCK, b)) for k, (a, b) in enumerate(pairwise(bounds)) for x in range(a, b, _BLOCK)]
    return np.array(parts, np.int64).reshape(-1, 3)
