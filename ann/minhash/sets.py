"""Many sets of integers in two flat arrays, made from a store, arrays, lists or tokens."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...graphlib.checks import unmasked
from ...graphlib.compute.jit import threads_in_use
from ...graphlib.errors import InvalidInput, InvalidType
from ...graphlib.given_store import chosen_edge_type

if TYPE_CHECKING:
    from ...graphlib.store.adjacency import Adjacency
    from ...graphlib.store.store import GraphStore

Array = NDArray[Any]
EDGE = ("node", "edge", "node")
_FEW_PAIRS = 2048  # compared before other threads have woken up
TokenHash = Callable[[Array, Array], Array]


@dataclass(frozen=True, eq=False)
class RaggedSets:
    """Row `i` holds the elements `values[offsets[i]:offsets[i + 1]]`; elements may repeat and need no order.

    Attributes
    ----------
    offsets : ndarray of int64, shape (n + 1,)
    values : ndarray of int32, int64 or uint32
        The elements of all sets, one set after the other.
    weights : ndarray of float32, optional
        A weight per element, for the weighted scheme.
    keys : ndarray, optional
        What element e is hashed as: `keys[e]`. Stores with user ids have them, so that signatures do not depend on the
        order in which nodes are stored.
    ascending : bool
        Whether every row is known to be in ascending order; a store's rows are.

    Examples
    --------
    >>> sets = RaggedSets.of([[1, 2, 3], [], [3]])
    >>> sets
    RaggedSets(3 sets, 4 elements of int64, 1 empty)
    >>> sets.row(0).tolist()
    [1, 2, 3]
    """

    offsets: Array
    values: Array
    weights: Array | None = None
    keys: Array | None = None
    ascending: bool = False

    @classmethod
    def of(
        cls,
        source: Any,
        *,
        weights: Any = None,
        edge_type: tuple[str, str, str] | None = None,
        direction: str = "out",
        token_hash: TokenHash | None = None,
    ) -> RaggedSets:
        """See any supported `source` as ragged sets; arrays are shared where their dtype allows.

        Parameters
        ----------
        source : GraphStore, Adjacency, SciPy CSR matrix, (values, offsets), 2-D integer array, or a list of sets
            A store or adjacency gives one set per node: its neighbours. The sets of a list hold integers, or tokens
            (str or bytes), which are hashed to 32 bits.
        weights : array of float, optional
            One weight per element, in the order of the elements. A store's edge weights are taken without asking.
        edge_type : tuple, optional
            Which edges of a typed store.
        direction : {"out", "in"}
            Whether a node's set holds the nodes it points to or those that point to it.
        token_hash : callable, optional
            `hash(data, offsets) -> uint32` for tokens; default: a fast non-cryptographic hash.

        Raises
        ------
        InvalidType, InvalidInput
            Naming what was given and what is taken.
        """
        if direction not in ("out", "in"):
            raise InvalidInput(f'direction must be "out" or "in"; got {direction!r}')
        if isinstance(source, RaggedSets):
            return source if weights is None else cls._checked(source.values, source.offsets, weights)
        if hasattr(source, "csr") and hasattr(source, "csc"):
            sets = cls._of_adjacency(_adjacency(source, edge_type, direction), weights)
            return cls(sets.offsets, sets.values, sets.weights, element_keys(source, edge_type, direction), True)
        if edge_type is not None or direction != "out":
            raise InvalidInput("edge_type and direction choose the edges of a store; the source given is not a store")
        if hasattr(source, "indptr") and hasattr(source, "indices"):
            if getattr(source, "format", "csr") != "csr":
                raise InvalidInput(f"a sparse matrix must be in CSR format; got {source.format}: call .tocsr() first")
            return cls._of_adjacency(source, weights)
        if isinstance(source, np.ndarray) and source.ndim == 2:
            offsets = np.arange(source.shape[0] + 1, dtype=np.int64) * source.shape[1]
            return cls._checked(source.reshape(-1), offsets, weights)
        if isinstance(source, tuple) and len(source) == 2 and all(isinstance(part, np.ndarray) for part in source):
            return cls._checked(source[0], source[1], weights)
        if isinstance(source, (str, bytes)) or not isinstance(source, Iterable) or isinstance(source, np.ndarray):
            raise InvalidType(
                "sets are read from a store, an adjacency, (values, offsets), a 2-D integer array or a list of sets; "
                f"got {_kind(source)}"
            )
        return cls._of_list(list(source), weights, token_hash or fast_token_hash)

    @classmethod
    def _of_adjacency(cls, adjacency: Adjacency | Any, weights: Any) -> RaggedSets:
        if weights is None:
            weights = getattr(adjacency, "weight", None)
        if weights is None and hasattr(adjacency, "data") and hasattr(adjacency, "format"):
            weights = adjacency.data  # a SciPy matrix
        return cls._checked(adjacency.indices, adjacency.indptr, weights, trusted=hasattr(adjacency, "edge_ids"))

    @classmethod
    def _of_list(cls, sets: list[Any], weights: Any, token_hash: TokenHash) -> RaggedSets:
        if any(isinstance(s, (str, bytes)) for s in sets):
            raise InvalidType(
                "each set must be a collection of elements; got a text. Cut texts into sets with "
                "nearhop.ann.shingles(texts, width=5), or wrap tokens in lists"
            )
        alone = [s for s in sets if not hasattr(s, "__iter__")]
        if alone:
            raise InvalidType(f"each set must be a collection of elements; got {_kind(alone[0])}")
        sets = [s if hasattr(s, "__len__") else list(s) for s in sets]
        sizes = np.fromiter((len(s) for s in sets), np.int64, len(sets))
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        probe = next((next(iter(s)) for s in sets if len(s)), 0)
        if isinstance(probe, (str, bytes)):
            data, token_offsets = encode_strings(list(itertools.chain.from_iterable(sets)))
            return cls._checked(token_hash(data, token_offsets), offsets, weights)
        parts = [unmasked("a set", s) if isinstance(s, np.ndarray) else np.array(list(s)) for s in sets if len(s)]
        values = np.concatenate(parts) if parts else np.empty(0, np.int64)
        return cls._checked(values, offsets, weights)

    @classmethod
    def _checked(cls, values: Any, offsets: Any, weights: Any, *, trusted: bool = False) -> RaggedSets:
        values, offsets = _as_elements(values), unmasked("offsets", offsets)
        if offsets.ndim != 1 or offsets.dtype.kind not in "iu" or len(offsets) == 0:
            raise InvalidInput(f"offsets must be one integer array of n + 1 entries; got {_kind(offsets)}")
        offsets = offsets.astype(np.int64, copy=False)
        if not trusted and (offsets[0] != 0 or offsets[-1] != len(values) or np.any(offsets[1:] < offsets[:-1])):
            raise InvalidInput(
                f"offsets must rise from 0 to the number of elements ({len(values)}); got {offsets[0]}..{offsets[-1]}"
                + (" with a step down between" if np.any(offsets[1:] < offsets[:-1]) else "")
            )
        if weights is not None:
            weights = unmasked("weights", weights)
            if weights.shape != values.shape or weights.dtype.kind not in "fiub":
                raise InvalidInput(f"weights must be {len(values)} numbers, one per element; got {_kind(weights)}")
            if weights.size and not (np.isfinite(weights).all() and weights.min() >= 0):
                raise InvalidInput("weights of elements must be finite and >= 0")
            weights = weights.astype(np.float32, copy=False)
        return cls(read_only(offsets), read_only(values), None if weights is None else read_only(weights))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def sizes(self) -> Array:
        """Number of elements of every set, repeats counted."""
        return np.diff(self.offsets)

    def row(self, index: int) -> Array:
        """The elements of one set."""
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def part(self, start: int, stop: int) -> RaggedSets:
        """Sets start..stop-1 by themselves, elements replaced by their keys where there are any."""
        first, last = int(self.offsets[start]), int(self.offsets[stop])
        values = self.values[first:last] if self.keys is None else self.keys[self.values[first:last]]
        offsets = self.offsets[start : stop + 1]
        weights = None if self.weights is None else self.weights[first:last]
        return RaggedSets(read_only(offsets - first if first else offsets), read_only(values), weights)

    def blocks(self, elements: int = 1 << 24, rows: int = 1 << 20) -> Iterator[tuple[int, int]]:
        """Ranges of sets with about so many elements (one set at least) and at most so many sets."""
        start, count = 0, len(self)
        while start < count:
            stop = int(np.searchsorted(self.offsets, self.offsets[start] + elements, side="right")) - 1
            stop = min(max(stop, start + 1), start + rows, count)
            yield start, stop
            start = stop

    def in_order(self) -> RaggedSets:
        """These sets with the elements of each row ascending; itself when they are (a store's rows always are)."""
        from .sets_cpu import find_descents, sort_rows

        descends = np.zeros(1, np.bool_)
        if not self.ascending:
            find_descents(self.offsets, self.values, descends)
        if not descends[0]:
            return self
        values = np.array(self.values)
        weights = np.array(self.weights) if self.weights is not None else np.empty(0, np.float32)
        sort_rows(self.offsets, values, weights)
        return RaggedSets(
            self.offsets, read_only(values), read_only(weights) if self.weights is not None else None, self.keys, True
        )

    def jaccard(
        self, left: Array, right: Array, *, other: RaggedSets | None = None, threads: int | None = None
    ) -> NDArray[np.float32]:
        """Exact Jaccard similarity of set `left[i]` and set `right[i]` (of `other`), float32; 0 if both are empty.

        Examples
        --------
        >>> RaggedSets.of([[1, 2, 3], [2, 3, 4, 4]]).jaccard([0], [1]).tolist()
        [0.5]
        """
        from .sets_cpu import jaccard_of_pairs

        mine, theirs = self.in_order(), (self if other is None else other).in_order()
        ends = []
        for name, given, count in (("left", left, len(mine)), ("right", right, len(theirs))):
            rows = unmasked(f"jaccard: {name}", given)
            if rows.size and (rows.dtype.kind not in "iu" or rows.ndim != 1 or rows.min() < 0 or rows.max() >= count):
                raise InvalidInput(f"jaccard: {name} must be one array of set numbers 0..{count - 1}")
            ends.append(rows.astype(np.int64))
        if len(ends[0]) != len(ends[1]):
            raise InvalidInput(f"jaccard: left has {len(ends[0])} entries, right has {len(ends[1])}")
        out = np.empty(len(ends[0]), np.float32)
        with threads_in_use(1 if len(out) < _FEW_PAIRS else threads):
            jaccard_of_pairs(mine.offsets, mine.values, theirs.offsets, theirs.values, *ends, out)
        return out

    def __repr__(self) -> str:
        empty = int(np.count_nonzero(self.offsets[1:] == self.offsets[:-1]))
        weighted = "" if self.weights is None else ", weighted"
        return (
            f"RaggedSets({len(self)} sets, {len(self.values)} elements of {self.values.dtype}{weighted}, {empty} empty)"
        )


def fast_token_hash(data: Array, offsets: Array) -> Array:
    """32-bit hashes of byte strings; not cryptographic."""
    from .hashing_cpu import token_hashes

    out = np.empty(len(offsets) - 1, np.uint32)
    token_hashes(read_only(data), read_only(offsets), out)
    return out


def encode_strings(strings: Sequence[str | bytes]) -> tuple[Array, Array]:
    """The UTF-8 bytes of all strings in one array, and the offset where each begins."""
    odd = next((s for s in strings if not isinstance(s, (str, bytes))), None)
    if odd is not None:
        raise InvalidType(f"strings and bytes cannot be mixed with other elements; got {_kind(odd)}")
    try:
        parts = [s.encode() if isinstance(s, str) else s for s in strings]
    except UnicodeEncodeError as error:
        raise InvalidInput(f"a string cannot be written as UTF-8: {error}") from None
    data, sizes = b"".join(parts), map(len, parts)
    offsets = np.zeros(len(strings) + 1, np.int64)
    np.cumsum(np.fromiter(sizes, np.int64, len(strings)), out=offsets[1:])
    return np.frombuffer(data, np.uint8), offsets


def read_only(array: Array) -> Array:
    """A plain, read-only, contiguous view, so that kernels are compiled once for maps, views and arrays alike."""
    view = np.ascontiguousarray(array).view(np.ndarray)[...]
    view.flags.writeable = False
    return view


def _as_elements(values: Any) -> Array:
    array = unmasked("the elements of sets", values)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        if array.size == 0 and array.ndim == 1:
            return np.empty(0, np.int64)
        raise InvalidType(f"the elements of sets must be integers (or str or bytes tokens); got {_kind(array)}")
    if array.dtype == np.uint64:
        return array.view(np.int64)
    if array.dtype in (np.int64, np.uint32):
        return array
    return array.astype(np.int32, copy=False)


def _adjacency(store: GraphStore, edge_type: tuple[str, str, str] | None, direction: str) -> Adjacency:
    return store.csr(edge_type) if direction == "out" else store.csc(edge_type)


def element_keys(store: GraphStore, edge_type: tuple[str, str, str] | None, direction: str) -> Array | None:
    """What a store's neighbours are hashed as: user ids where there are any (texts as 32-bit hashes), else None."""
    named = chosen_edge_type(store, edge_type)
    ids = store.ids(named[2] if direction == "out" else named[0])
    if ids is None:
        return None
    if ids.dtype.kind in "iu":
        return read_only(_as_elements(ids))
    return read_only(fast_token_hash(*encode_strings(ids.tolist())))


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    return f"{type(value).__name__} {str(value)[:40]!r}"
