"""A bag of ego networks as a layer reads it: tensors, rows of weight classes, and the pairs that each class mixes."""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...sampling.subgraphs.bags import EgoBag, copies_of, place_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .sizes import SizeClasses

_STEP = 1 << 12  # rows that are mixed at a time; fixed, so that sums have one order


class BagPlan:
    """What maps on a bag of ego networks need, on one device.

    Copies of a pair in ego networks of one class are mixed with the same weights, so a class mixes every pair once:
    `mixed_pair` lists these (pair, class), class by class, and the factor "share" is the part of the pair's copies that
    they stand for. Mixed and averaged over copies, this is what mixing every copy by itself and averaging gives.

    Parameters
    ----------
    bag : EgoBag
    classes : SizeClasses
    device : torch device, default "cpu"

    Attributes
    ----------
    num_graphs, num_nodes, num_pairs, num_egos, num_places, num_entries : int
    egos, places, mixed : list of int
        Where the rows of each class begin.

    Notes
    -----
    O(entries) to build; 16 bytes per entry beside the bag's.
    """

    def __init__(self, bag: EgoBag, classes: SizeClasses, *, device: torch.device | str = "cpu") -> None:
        self._device = torch.device(device)
        sizes = bag.sizes
        self.num_graphs, self.num_egos = bag.num_graphs, bag.num_egos
        self.num_nodes, self.num_pairs = int(bag.node_ptr[-1]), bag.pairs.shape[0]
        self.num_places, self.num_entries = bag.nodes.shape[0], bag.pair.shape[0]
        self.egos = [*np.searchsorted(classes.of(sizes), np.arange(len(classes))).tolist(), self.num_egos]
        self.places = bag.indptr[self.egos].tolist()

        put = self._put
        self.indptr, self.entry_ptr, self.pair = put(bag.indptr), put(bag.entry_ptr), put(bag.pair)
        self.nodes, self.node_copies = put(bag.nodes), (put(bag.node_copies[0]), put(bag.node_copies[1]))
        self.ego_of_place = put(np.repeat(np.arange(self.num_egos), sizes))
        ptr, copies = copies_of(bag.graph, self.num_graphs)
        self.graph_of_ego, self.ego_copies = put(bag.graph), (put(ptr), put(copies))
        self.node_ptr, self.graph_pair_ptr = put(bag.node_ptr), put(bag.pair_ptr)
        self._factors: dict[tuple[str, torch.dtype], Tensor] = {}
        self._arrays: dict[tuple[str, torch.dtype], NDArray[Any]] = {}
        self._keep("size", 1 / np.repeat(sizes, sizes))
        self._keep("one", np.ones(self.num_pairs))

        ptr, copies = bag.pair_copies
        row, col = place_pairs(bag)
        counts = np.diff(ptr)
        self.pair_ptr = put(ptr)
        self.row, self.col = put(row[copies].astype(np.int32)), put(col[copies].astype(np.int32))
        self.pair_of_copy = put(np.repeat(np.arange(self.num_pairs), counts))
        self._keep("count", 1 / counts)
        self._mix(np.repeat(classes.of(sizes), sizes**2)[copies], counts, bag.transposed, len(classes))

    def _mix(self, kind: NDArray[Any], counts: NDArray[Any], transposed: NDArray[Any], classes: int) -> None:
        """List (pair, class); copies of a pair come in the order of their ego networks, so in that of classes."""
        put, of = self._put, np.repeat(np.arange(self.num_pairs), counts)
        new = np.ones(kind.shape[0], np.bool_)
        new[1:] = (kind[1:] != kind[:-1]) | (of[1:] != of[:-1])
        first = np.flatnonzero(new)
        number = np.diff(np.append(first, kind.shape[0]))
        order = np.argsort(kind[first].astype(np.int16 if classes < 32768 else np.int64), kind="stable")
        pair = of[first]
        self.mixed_pair, self.mixed_turned = put(pair[order]), put(transposed[pair[order]].astype(np.int64))
        self._keep("share", (number / counts[pair])[order])
        self.mixed = [*np.searchsorted(kind[first][order], np.arange(classes)).tolist(), order.shape[0]]

    @cached_property
    def mixed_parts(self) -> list[tuple[slice, list[tuple[int, int, int]]]]:
        """Rows that are mixed together, some thousand, and the classes (k, first, last) in them, counted from there."""
        parts = []
        for start in range(0, self.mixed[-1], _STEP):
            stop = min(start + _STEP, self.mixed[-1])
            spans = [(k, max(a, start), min(b, stop)) for k, (a, b) in enumerate(pairwise(self.mixed))]
            parts.append((slice(start, stop), [(k, a - start, b - start) for k, a, b in spans if a < b]))
        return parts

    def factor(self, name: str, dtype: torch.dtype) -> Tensor:
        """1 / size per place ("size"), 1 / copies per pair ("count"), the share of mixed pairs ("share"), 1 ("one")."""
        if (name, dtype) not in self._factors:
            self._factors[name, dtype] = self._factors[name, torch.float64].to(dtype)
        return self._factors[name, dtype]

    def host_factor(self, name: str, dtype: torch.dtype) -> NDArray[Any]:
        """`factor` as an array."""
        if (name, dtype) not in self._arrays:
            self._arrays[name, dtype] = self.factor(name, dtype).numpy()
        return self._arrays[name, dtype]

    @cached_property
    def host(self) -> SimpleNamespace:
        """The plan's tensors on the processor as arrays, by the same names."""
        return SimpleNamespace(**{k: v.numpy() for k, v in vars(self).items() if isinstance(v, Tensor)})

    def _keep(self, name: str, values: NDArray[Any]) -> None:
        self._factors[name, torch.float64] = self._put(values)

    def _put(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)

    def __repr__(self) -> str:
        return (
            f"BagPlan({self.num_graphs:,} graphs, {self.num_egos:,} ego networks, {self.num_pairs:,} pairs, "
            f"{self.mixed[-1]:,} of them by class)"
        )
