"""One set of edges: the list in edge-id order, and the adjacency made from it when asked."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import check_signed, unmasked, whole_numbers
from ..errors import InvalidInput, InvalidType, OutOfMemory
from ..types import EdgeType
from .adjacency import Adjacency, build_adjacency, id_dtype, merge_adjacency, ordered_by_time, with_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import ArrayLike, NDArray

    from .guard import Guard


@dataclass(frozen=True, eq=False, repr=False)
class EdgeList:
    """Edges in edge-id order: `src`, `dst` (num_edges,), and `weight`, `time` where the edges have them."""

    src: NDArray[Any]
    dst: NDArray[Any]
    weight: NDArray[np.float32] | None = None
    time: NDArray[Any] | None = None

    def __len__(self) -> int:
        return int(self.src.shape[0])

    def slice(self, start: int, stop: int) -> EdgeList:
        """Edges start..stop-1, as views."""
        cut = (None if a is None else a[start:stop] for a in (self.src, self.dst, self.weight, self.time))
        return EdgeList(*cut)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        carries = [name for name in ("weight", "time") if getattr(self, name) is not None]
        return f"EdgeList({len(self):,} edges, {self.src.dtype}{', with ' + ' and '.join(carries) if carries else ''})"


def check_edges(
    src: ArrayLike,
    dst: ArrayLike,
    weight: ArrayLike | None,
    time: ArrayLike | None,
    *,
    limits: tuple[int | None, int | None] = (None, None),
) -> EdgeList:
    """Validate an edge list at the boundary; int32 and int64 arrays are kept as they are.

    `limits` are the numbers of source and destination nodes, where they are fixed.
    """
    ends = []
    for name, given, limit in (("src", src, limits[0]), ("dst", dst, limits[1])):
        ids = unmasked(name, given)
        if ids.size == 0 and ids.dtype.kind == "f":
            ids = ids.astype(np.int64)
        if ids.dtype.kind not in "iu":
            raise InvalidType(f"{name} must hold integer node ids; got dtype {ids.dtype} (map other ids with ingest)")
        if ids.ndim != 1:
            raise InvalidInput(f"{name} must have one dimension; got shape {ids.shape}")
        check_signed(name, ids)
        if ids.size and ids.min() < 0:
            raise InvalidInput(f"{name}[{int(np.argmax(ids < 0))}] is {ids.min()}; node ids are >= 0")
        if limit is not None and ids.size and ids.max() >= limit:
            where = int(np.argmax(ids >= limit))
            raise InvalidInput(f"{name}[{where}] is {ids[where]}, but nodes are 0..{limit - 1} (num_nodes={limit})")
        ends.append(ids)
    if ends[0].shape != ends[1].shape:
        raise InvalidInput(f"src and dst must be equally long; got {ends[0].shape[0]} and {ends[1].shape[0]}")
    dtype = np.int32 if all(e.dtype.itemsize < 4 or e.dtype == np.int32 for e in ends) else np.int64
    src_ids, dst_ids = (e.astype(dtype, copy=False) for e in ends)
    count = src_ids.shape[0]
    return EdgeList(src_ids, dst_ids, check_weight(weight, count), check_time(time, count))


def check_weight(weight: ArrayLike | None, count: int) -> NDArray[np.float32] | None:
    """Weights as finite float32, one per edge."""
    if weight is None:
        return None
    values = _one_per_edge("weight", weight, count, "biuf")
    with np.errstate(over="ignore"):  # what overflows is reported below
        narrow = values.astype(np.float32, copy=False)
    bad = ~np.isfinite(narrow)
    if bad.any():
        where = int(np.argmax(bad))
        raise InvalidInput(f"weight[{where}] is {values[where]}; weights must be finite in float32")
    return narrow


def check_time(time: ArrayLike | None, count: int) -> NDArray[Any] | None:
    """Times as int64 (also datetime64, in its own unit) or finite float64, one per edge."""
    if time is None:
        return None
    values = _one_per_edge("time", time, count, "iufM")
    if values.dtype.kind == "M":
        if np.isnat(values).any():
            raise InvalidInput(f"time[{int(np.argmax(np.isnat(values)))}] is NaT; every edge needs a time")
        return values.astype(np.int64)
    if values.dtype.kind == "f":
        bad = ~np.isfinite(values)
        if bad.any():
            where = int(np.argmax(bad))
            raise InvalidInput(f"time[{where}] is {values[where]}; times must be finite")
        return values.astype(np.float64, copy=False)
    return whole_numbers("time", values)


def _one_per_edge(name: str, given: ArrayLike, count: int, kinds: str) -> NDArray[Any]:
    values = unmasked(name, given)
    if values.dtype.kind not in kinds:
        raise InvalidType(f"{name} must hold numbers; got dtype {values.dtype}")
    if values.shape != (count,):
        raise InvalidInput(f"{name} must have shape ({count},), one per edge; got {values.shape}")
    return values


class EdgeSet:
    """The edges of one type, those appended later, and their adjacency in both directions."""

    def __init__(
        self,
        edge_type: EdgeType,
        directed: bool,
        edges: EdgeList,
        num_nodes: Callable[[str], int],
        guard: Guard,
    ) -> None:
        self.edge_type = edge_type
        self.directed = directed
        self._parts = [(edges, len(edges))]  # with the number of edges up to the end of each
        self._num_nodes = num_nodes
        self._guard = guard
        self._rows: dict[tuple[str, str], Adjacency] = {}
        self._rows_cover: dict[str, int] = {}
        self._checks: dict[str, Callable[[], None]] = {}

    @property
    def count(self) -> int:
        return self._parts[-1][1]

    @property
    def _first(self) -> EdgeList:
        return self._parts[0][0]

    def has(self, name: str) -> bool:
        """Whether the edges carry "weight" or "time"."""
        return getattr(self._first, name) is not None

    @property
    def time_dtype(self) -> str | None:
        return None if self._first.time is None else str(self._first.time.dtype)

    @property
    def list(self) -> EdgeList:
        """All edges; parts appended since are joined here, once."""
        with self._guard.lock:
            self._check("list")
            if len(self._parts) > 1:
                parts, first = [part for part, _ in self._parts], self._first
                joined = EdgeList(
                    _join([p.src for p in parts]),
                    _join([p.dst for p in parts]),
                    None if first.weight is None else _join([p.weight for p in parts]),
                    None if first.time is None else _join([p.time for p in parts]),
                )
                self._parts = [(joined, len(joined))]
            return self._first

    def check_fits(self, edges: EdgeList) -> None:
        """Weight and time must be given exactly when the set has them, and be of its dtype."""
        if not self.count:
            return
        for name in ("weight", "time"):
            ours, given = getattr(self._first, name), getattr(edges, name)
            if (ours is None) != (given is None):
                state = "have no" if ours is None else "have"
                verb = "were given" if ours is None else "are missing"
                raise InvalidInput(f"append_edges: {name}s {verb}, but the edges so far {state} {name}")
            if ours is not None and given.dtype != ours.dtype:
                raise InvalidInput(f"append_edges: {name}s are {given.dtype}, but the edges so far have {ours.dtype}")

    def append(self, edges: EdgeList) -> None:
        """Add edges behind the present ones, in one step; they must fit (`check_fits`)."""
        self.check_fits(edges)
        part = edges, self.count + len(edges)
        if self.count:
            self._parts.append(part)
        else:
            self._parts = [part]

    def rebase(self, edges: EdgeList) -> None:
        """Take the same edges from other arrays, such as memory maps of what was written."""
        self._parts = [(edges, len(edges))]
        self._rows.clear()
        self._checks.clear()

    def check_later(self, part: str, check: Callable[[], None]) -> None:
        """Run `check` before the first use of "list", "csr" or "csc", which come from a file."""
        self._checks[part] = check

    def _check(self, part: str) -> None:
        if part in self._checks:
            self._checks[part]()
            del self._checks[part]

    def verify(self) -> None:
        """Run the checks that wait for a first use."""
        with self._guard.lock:
            for part in list(self._checks):
                self._check(part)

    @contextlib.contextmanager
    def rows_for_now(self, side: str) -> Iterator[Adjacency]:
        """Adjacency that is forgotten afterwards, unless it was there before."""
        there = (side, "id") in self._rows and self._rows_cover[side] == self.count
        yield self.rows(side)
        if not there:
            self._rows.pop((side, "id"), None)

    def adopt_rows(self, side: str, rows: Adjacency, covers: int) -> None:
        """Use `rows`, made earlier from the first `covers` edges, instead of building them."""
        self._rows[side, "id"] = rows
        self._rows_cover[side] = covers

    def rows(self, side: str, order: str = "id") -> Adjacency:
        """Adjacency by source ("csr") or destination ("csc"); undirected edges have one that serves both."""
        with self._guard.lock:
            try:
                return self._made_rows(side if self.directed else "csr", order)
            except MemoryError as error:
                counts = f"{self.count:,} edges between {', '.join(self._sizes())}"
                raise OutOfMemory(f"the adjacency of {counts} does not fit in memory ({error})") from error

    def _sizes(self) -> dict[str, None]:
        return dict.fromkeys(f"{self._num_nodes(n):,} {n} nodes" for n in (self.edge_type[0], self.edge_type[2]))

    def _made_rows(self, side: str, order: str) -> Adjacency:
        self._check(side)
        source, _, target = self.edge_type
        near, far = (source, target) if side == "csr" else (target, source)
        num_rows, num_cols = self._num_nodes(near), self._num_nodes(far)
        rows = self._rows.get((side, "id"))
        if (
            rows is None
            or self._rows_cover[side] != self.count
            or (rows.num_rows, rows.num_cols) != (num_rows, num_cols)
        ):
            rows = self._build(side, rows, num_rows, num_cols)
            self._rows = {key: kept for key, kept in self._rows.items() if key[0] != side}
            self.adopt_rows(side, rows, self.count)
        if order == "id":
            return rows
        if (side, order) not in self._rows:
            self._rows[side, order] = ordered_by_time(rows)
        return self._rows[side, order]

    def _build(self, side: str, before: Adjacency | None, num_rows: int, num_cols: int) -> Adjacency:
        edges = self.list
        near, far = (edges.src, edges.dst) if side == "csr" else (edges.dst, edges.src)
        covered = self._rows_cover.get(side, 0) if before is not None else 0
        size = {"num_rows": num_rows, "num_cols": num_cols}
        fresh = build_adjacency(near[covered:], far[covered:], **size, both_ends=not self.directed, first_edge=covered)
        merged = fresh if before is None else merge_adjacency(before, fresh, **size)
        return with_values(merged, edges.weight, edges.time)


def _join(parts: list[Any]) -> NDArray[Any]:
    return np.concatenate(parts)


def widest_id(edges: EdgeList) -> tuple[int, int]:
    """One more than the largest source and destination."""
    return int(edges.src.max(initial=-1)) + 1, int(edges.dst.max(initial=-1)) + 1


__all__ = ["EdgeList", "EdgeSet", "EdgeType", "check_edges", "check_time", "check_weight", "id_dtype", "widest_id"]
