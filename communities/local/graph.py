"""The part of a graph that a local method has touched: a small graph that grows row by row.

What flows in are rows of a store's adjacency, only those asked for; what flows out are slots (small consecutive
numbers) and rows of slots, whose weights may depend on labels or attributes of the touched nodes. Nothing is as long
as the graph.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import unmasked
from ...graphlib.errors import InvalidInput, InvalidType
from ...graphlib.scalars import is_number
from ...graphlib.store.adjacency import id_dtype

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.adjacency import Adjacency
    from ...graphlib.store.store import GraphStore
    from ...graphlib.types import EdgeType

Labels = Any  # an integer or boolean array, one per node, or a callable from nodes to labels

ENTRIES_AT_ONCE = 1 << 23  # a kernel visits, about a tenth of a second, before Ctrl-C is heard again
_SAMPLE = 4096
_ROWS = 1 << 14  # of attributes, looked through at a time
_volumes: weakref.WeakKeyDictionary[Adjacency, float] = weakref.WeakKeyDictionary()


class LocalGraph:
    """Slots of the touched nodes, and the rows of those that were opened.

    Parameters
    ----------
    store : GraphStore
        With undirected edges; weights, where there are any, are not negative.
    labels : integer or bool array (num_nodes,), or callable, optional
        An edge between different labels counts `epsilon` times its weight. A negative label is unknown, and edges of
        unlabelled nodes keep their weight. A callable takes positions (int64) and returns their labels; it is asked
        once per touched node.
    epsilon : float in [0, 1]
    attributes : array (num_nodes, width), optional
        Edge (i, j) counts exp(-gamma |X_i - X_j|^2) times its weight. Rows of touched nodes only are read, so a memory
        map is fine.
    gamma : float >= 0

    Notes
    -----
    Memory and time are proportional to the entries of opened rows. On a weighted graph the degree of every touched
    node is summed once, too.
    """

    def __init__(
        self,
        store: GraphStore,
        *,
        labels: Labels = None,
        epsilon: float = 0.05,
        attributes: ArrayLike | None = None,
        gamma: float = 0.02,
        edge_type: EdgeType | None = None,
    ) -> None:
        from . import graph_cpu as local_graph_cpu

        if store.is_directed(edge_type):
            raise InvalidInput(
                "local clustering needs undirected edges, since cuts and flows have no direction; make a store with "
                "directed=False from the same edges"
            )
        self._kernels = local_graph_cpu
        self.rows = store.csr(edge_type)
        self._weight = np.empty(0, np.float32) if self.rows.weight is None else self.rows.weight
        self.epsilon = _in_range("epsilon", epsilon, 0.0, 1.0)
        self.gamma = _in_range("gamma", gamma, 0.0, np.inf)
        self._label_source = _check_labels(labels, self.num_nodes)
        self._attributes = _check_attributes(attributes, self.num_nodes)
        self._sampled_share: float | None = None
        self.count = 0
        self.entries = 0
        self._table = np.full(64, -1, np.int64)
        self.nodes = np.empty(0, np.int64)
        self.degree = np.empty(0, np.float64)
        self.row_start = np.empty(0, np.int64)
        self.row_stop = np.empty(0, np.int64)
        self.row_weight = np.empty(0, np.float64)
        self.loops = np.empty(0, np.float64)
        self.labels = np.empty(0, np.int64)
        self.entry_slot = np.empty(0, id_dtype(self.num_nodes))
        self.entry_weight = np.empty(0, np.float64)

    @property
    def num_nodes(self) -> int:
        """Nodes of the whole graph."""
        return self.rows.num_rows

    @property
    def reweighted(self) -> bool:
        """Whether labels or attributes change the weights."""
        return self._label_source is not None or self._attributes is not None

    @property
    def total_volume(self) -> float:
        """Sum of all degrees of the store's graph: O(1) without weights, else one pass that is remembered."""
        if self.rows.weight is None:
            return float(self.rows.num_entries)
        if self.rows not in _volumes:
            _volumes[self.rows] = float(self.rows.weight.sum(dtype=np.float64))
        return _volumes[self.rows]

    def volume_beside(self, part: float) -> float:
        """The volume of the whole reweighted graph, as far as it matters beside a part of volume `part`.

        To know it exactly would take every label. Labels leave at least `epsilon` of the volume, and a part that is
        less than half of that is the smaller side whatever the rest weighs; otherwise it is estimated from a fixed
        sample of 4,096 adjacency entries, or computed where there are no more.
        """
        if not self.reweighted:
            return self.total_volume
        least = self.epsilon * self.total_volume if self._attributes is None else 0.0
        if 2 * part <= least:
            return least
        if self._sampled_share is None:
            self._sampled_share = self._sample_share()
        return self._sampled_share * self.total_volume

    def _sample_share(self) -> float:
        """Reweighted volume / volume of the store's graph."""
        entries = self.rows.num_entries
        if entries <= _SAMPLE:
            chosen = np.arange(entries)
        else:
            chosen = np.sort(np.random.default_rng(0).integers(entries, size=_SAMPLE))
        near = np.searchsorted(self.rows.indptr, chosen, side="right") - 1
        far = self.rows.indices[chosen].astype(np.int64)
        weight = np.ones(chosen.shape[0]) if self.rows.weight is None else self.rows.weight[chosen].astype(np.float64)
        share = np.ones(chosen.shape[0])
        if self._label_source is not None:
            nodes, place = np.unique(np.concatenate([near, far]), return_inverse=True)
            own, other = np.split(_labels_of(self._label_source, nodes)[place], 2)
            share[(own >= 0) & (other >= 0) & (own != other)] *= self.epsilon
        if self._attributes is not None:
            check_finite_rows("attributes", self._attributes, np.concatenate([near, far]))
            gaps = np.empty(chosen.shape[0])
            self._kernels.squared_gaps(near, far, self._attributes, gaps)
            share *= np.exp(-self.gamma * gaps)
        total = float(weight.sum())
        return float((weight * share).sum()) / total if total > 0 else 1.0

    @property
    def open_rows(self) -> tuple[NDArray[Any], ...]:
        """The rows that were copied, as kernels take them: (start, stop, total, loops, slot, weight).

        Row s is entries start[s]..stop[s] - 1, or start[s] < 0 where it was not copied yet. `total` is the weight of a
        row and `loops` that of its self-loops, which are no entries; an entry leads to `slot` with `weight`.
        """
        return self.row_start, self.row_stop, self.row_weight, self.loops, self.entry_slot, self.entry_weight

    def touch(self, nodes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Slots of nodes; new ones are entered."""
        slots = np.empty(nodes.shape[0], np.int64)
        self._reserve(nodes.shape[0], 0)
        before = self.count
        self.count = self._kernels.enter_all(self._table, self.nodes, before, nodes, slots)
        self._meet(before)
        return slots

    def open(self, slots: NDArray[np.int64]) -> None:
        """Copy the rows of those slots that are not open yet, entering their neighbours."""
        slots = slots[self.row_start[slots] < 0]
        if slots.shape[0] == 0:
            return
        nodes = self.nodes[slots]
        widest = int((self.rows.indptr[nodes + 1] - self.rows.indptr[nodes]).sum())
        self._reserve(min(widest, self.num_nodes - self.count), widest)
        before = self.count
        source, copied = (self.rows.indptr, self.rows.indices, self._weight), self.open_rows
        self.count, self.entries = self._kernels.copy_rows(
            slots, source, self._table, self.nodes, before, copied, self.entries
        )
        self._meet(before)
        if self._label_source is not None:
            self._kernels.weigh_by_labels(slots, copied, self.labels, self.epsilon)
        if self._attributes is not None:
            self._kernels.weigh_by_attributes(slots, copied, self.nodes, self._attributes, self.gamma)
        self._kernels.row_sums(slots, copied)

    def slots(self, nodes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Slots of nodes, -1 where a node was not touched."""
        out = np.empty(nodes.shape[0], np.int64)
        self._kernels.slots_of(self._table, self.nodes, nodes, out)
        return out

    def fit(self, values: NDArray[Any]) -> NDArray[Any]:
        """`values` with room for every slot; new places are 0."""
        return _longer(values, self.nodes.shape[0], 0)

    def _meet(self, first: int) -> None:
        """Fill in what is known of slots first..count-1."""
        if first == self.count:
            return
        bad = self._kernels.degrees(first, self.count, self.nodes, self.rows.indptr, self._weight, self.degree)
        if bad >= 0:
            raise InvalidInput(
                f"node {self.nodes[bad]} has an edge of negative weight, and weights of flows and walks are >= 0; "
                "drop such edges or shift the weights"
            )
        if self._label_source is not None:
            fresh = self.nodes[first : self.count]
            self.labels[first : self.count] = _labels_of(self._label_source, fresh)
        if self._attributes is not None:
            check_finite_rows("attributes", self._attributes, self.nodes[first : self.count])

    def _reserve(self, slots: int, entries: int) -> None:
        """Room for so many more slots and entries; arrays at least double."""
        needed = self.count + slots
        if needed > self.nodes.shape[0]:
            size = max(needed, 2 * self.nodes.shape[0], 16)
            self.nodes = _longer(self.nodes, size, 0)
            self.degree = _longer(self.degree, size, 0)
            self.row_start = _longer(self.row_start, size, -1)
            self.row_stop = _longer(self.row_stop, size, -1)
            self.row_weight = _longer(self.row_weight, size, 0)
            self.loops = _longer(self.loops, size, 0)
            if self._label_source is not None:
                self.labels = _longer(self.labels, size, -1)
            if 2 * size > self._table.shape[0]:
                self._table = np.empty(1 << (2 * size - 1).bit_length(), np.int64)
                self._kernels.refill(self._table, self.nodes, self.count)
        if self.entries + entries > self.entry_slot.shape[0]:
            size = max(self.entries + entries, 2 * self.entry_slot.shape[0])
            self.entry_slot = _longer(self.entry_slot, size, 0)
            self.entry_weight = _longer(self.entry_weight, size, 0)


def _longer(values: NDArray[Any], size: int, fill: int) -> NDArray[Any]:
    if values.shape[0] >= size:
        return values
    out = np.full(size, fill, values.dtype)
    out[: values.shape[0]] = values
    return out


def _in_range(name: str, given: float, low: float, high: float) -> float:
    if not is_number(given):
        raise InvalidType(f"{name} must be a number; got {given!r}")
    if not low <= given <= high or given == np.inf:
        allowed = f"in [{low:g}, {high:g}]" if high < np.inf else f"finite and >= {low:g}"
        raise InvalidInput(f"{name} must be {allowed}; got {given}")
    return float(given)


def _check_labels(labels: Labels, num_nodes: int) -> NDArray[Any] | Callable[[Any], Any] | None:
    if labels is None or callable(labels):
        return labels
    found: NDArray[Any] = unmasked("labels", labels)
    if found.dtype.kind not in "iub":
        raise InvalidType(f"labels must be integers or booleans, one per node; got dtype {found.dtype}")
    if found.shape != (num_nodes,):
        raise InvalidInput(
            f"labels must have shape ({num_nodes},), one per node of the graph; got {found.shape} (to label only the "
            "nodes that are touched, give a function from positions to labels)"
        )
    return found


def _labels_of(source: NDArray[Any] | Callable[[Any], Any], nodes: NDArray[np.int64]) -> NDArray[np.int64]:
    if not callable(source):
        return source[nodes].astype(np.int64)
    found: NDArray[Any] = unmasked("labels", source(nodes.copy()))
    if found.shape != nodes.shape or found.dtype.kind not in "iub":
        raise InvalidInput(
            f"the function given as labels returned shape {found.shape}, dtype {found.dtype} for {nodes.shape[0]} "
            "nodes; it must return one integer or boolean per node"
        )
    return found.astype(np.int64)


def check_finite_rows(name: str, rows: NDArray[Any], nodes: NDArray[np.int64]) -> None:
    """Refuse NaN and infinite values in the rows of some nodes, which are all that is read."""
    if rows.dtype.kind != "f":
        return
    for start in range(0, nodes.shape[0], _ROWS):
        part = nodes[start : start + _ROWS]
        odd = ~np.isfinite(rows[part]).all(axis=1)
        if odd.any():
            node = int(part[int(np.argmax(odd))])
            raise InvalidInput(
                f"{name} must be finite; row {node} is {rows[node]!s:.60}. Say what stands there, as np.nan_to_num does"
            )


def _check_attributes(attributes: ArrayLike | None, num_nodes: int) -> NDArray[Any] | None:
    if attributes is None:
        return None
    found: NDArray[Any] = unmasked("attributes", attributes)
    if found.dtype.kind not in "iufb" or found.dtype == np.float16:
        raise InvalidType(f"attributes must be a matrix of integers, booleans, float32 or float64; got {found.dtype}")
    if found.ndim != 2 or found.shape[0] != num_nodes:
        raise InvalidInput(f"attributes must have shape ({num_nodes}, width), one row per node; got {found.shape}")
    return found
