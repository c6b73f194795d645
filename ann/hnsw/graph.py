"""The arrays of an HNSW graph, and the batches in which they grow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.jit import plain_view, threads_in_use
from ...graphlib.errors import IndexMismatch, StoreCorrupt
from ..locking import SharedLock
from ..storage.room import grown
from ..storage.rows import Rows
from .bulk.batches import batches
from .bulk.grouped import by_target
from .packed.blocks import Blocks
from .parts_cpu import Graph, PackedGraph, Scratch, Table
from .scratch import Bits, VisitScratch, lent

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Rows whose links take longer to look for, and nodes that take longer to link back, than a thread takes to wake.
_SHARED_FROM, _LINKED_BACK_FROM = 16, 128
# Rows that pruning cut off are looked for when a hundredth of the rows are new, a 20th of many.
_SMALL, _REPAIR_SMALL_AT, _REPAIR_AT = 20_000, 100, 20

_NO_MARKS = np.empty(0, bool)
_Links = tuple["NDArray[np.int64]", "NDArray[np.int32]", "NDArray[np.int32]"]  # starts, links, counts


class HNSWGraph:
    """Links of all levels as flat int32 rows padded with -1, beside the rows they join.

    Attributes
    ----------
    rows : Rows
        How rows are kept, and the rows; `vectors`, `scale` and `codes` are what it holds.
    levels : int8 (capacity,)
    links : int32 (capacity, 2M), counts : int32 (capacity,)
        Level 0. `clean` (capacity,) counts the leading links that pass the selection rule among one another.
    upper : int32 (rows, M), upper_count, upper_clean : int32 (rows,)
        Node v's links at level l are `upper[upper_row[v] + l - 1]`.
    count, entry, top : int
        Nodes in use, the node where searches start (-1: none) and its level.
    unchecked : bool
        The arrays lie in a file, and nobody has looked at them yet. Searches stay within bounds whatever they hold.
    free : int64 (any number,) or None
        Deleted nodes that nothing links to, rising: places for new nodes. None until it is asked for.
    blocks : Blocks or None
        Codes beside the links of level 0, where searches walk them.
    """

    def __init__(self, rows: Rows, M: int, *, packed: bool = False) -> None:
        self.rows, self.M = rows, M
        self.blocks = Blocks(2 * M) if packed else None
        self.count, self.entry, self.top = 0, -1, -1
        self.levels: NDArray[np.int8] = np.empty(0, np.int8)
        self.links: NDArray[np.int32] = np.empty((0, 2 * M), np.int32)
        self.counts: NDArray[np.int32] = np.empty(0, np.int32)
        self.clean: NDArray[np.int32] = np.empty(0, np.int32)
        self.upper_row: NDArray[np.int64] = np.empty(0, np.int64)
        self.upper: NDArray[np.int32] = np.empty((0, M), np.int32)
        self.upper_count: NDArray[np.int32] = np.empty(0, np.int32)
        self.upper_clean: NDArray[np.int32] = np.empty(0, np.int32)
        self.unrepaired = 0
        self.free: NDArray[np.int64] | None = None
        self.unchecked = False
        self.scratch = VisitScratch()
        self.lock = SharedLock()

    @property
    def vectors(self) -> NDArray[Any]:
        """What is kept of the rows, with the room behind them."""
        return self.rows.kept

    @property
    def scale(self) -> NDArray[np.float32]:
        """The factors of the rows."""
        return self.rows.scale

    @property
    def codes(self) -> Any:
        """The codes beside the vectors, where the storage keeps both."""
        return getattr(self.rows, "codes", None)

    def reserve(self, levels: NDArray[np.int8]) -> None:
        """Make room for the links of nodes behind the present ones, whose rows are there; `count` stays."""
        n, total, room = self.count, self.count + len(levels), len(self.rows.kept)
        if len(self.links) < room or not self.links.flags.writeable:
            self.levels, self.upper_row = grown(self.levels, n, room), grown(self.upper_row, n, room)
            self.links = grown(self.links, n, room, -1)
            self.counts, self.clean = grown(self.counts, n, room), grown(self.clean, n, room)
        if self.blocks is not None:
            self.blocks.make_room(len(self.links))
            self.blocks.changed[n:total] = True
        self.levels[n:total] = levels
        used = rows = self.upper_rows(n)
        if len(levels) == 1:
            self.upper_row[n], rows = used, used + int(levels[0])
        elif len(levels):
            above = np.cumsum(levels, dtype=np.int64)
            self.upper_row[n:total], rows = used + above - levels, used + int(above[-1])
        if rows > len(self.upper) or not self.upper.flags.writeable:
            room = max(rows, used + used // 2, len(self.upper))
            self.upper = grown(self.upper, used, room, -1)
            self.upper_count = grown(self.upper_count, used, room)
            self.upper_clean = grown(self.upper_clean, used, room)

    def read_into_memory(self, *, walks_only: bool = False) -> None:
        """Copy rows and links out of the file where it is mapped, or only what walks read of them."""
        self.rows.into_memory(walks_only=walks_only)
        for name in ("links", "upper", "upper_row"):
            setattr(self, name, getattr(self, name).copy())
        if self.blocks is not None:
            self.blocks.into_memory()

    def truncate(self) -> None:
        """Give up the room behind the rows in use."""
        n, used = self.count, self.upper_rows(self.count)
        self.rows.truncate(n)
        self.levels, self.upper_row = self.levels[:n], self.upper_row[:n]
        self.links, self.counts, self.clean = self.links[:n], self.counts[:n], self.clean[:n]
        self.upper, self.upper_count = self.upper[:used], self.upper_count[:used]
        self.upper_clean = self.upper_clean[:used]
        if self.blocks is not None:
            self.blocks.truncate(n)

    def clear(self, nodes: NDArray[np.int64]) -> None:
        """Take the links out of the rows of nodes, at every level."""
        for level in range(int(self.levels[nodes].max(initial=0)) + 1):
            rows = self.rows_of(nodes[self.levels[nodes] >= level], level)
            table, counts, clean = self.level(level)
            table[rows], counts[rows], clean[rows] = -1, 0, 0
            if level == 0:
                self.mark(rows)

    def level(self, level: int) -> tuple[Any, Any, Any]:
        """The table that holds the rows of a level, their counts and clean counts."""
        return (self.links, self.counts, self.clean) if level == 0 else (self.upper, self.upper_count, self.upper_clean)

    def rows_of(self, nodes: NDArray[np.int64], level: int) -> NDArray[np.int64]:
        """The rows of nodes in the table of a level that they reach."""
        return nodes if level == 0 else self.upper_row[nodes] + level - 1

    def upper_rows(self, n: int) -> int:
        """Rows of the upper levels that the first n nodes take."""
        return int(self.upper_row[n - 1] + self.levels[n - 1]) if n else 0

    def walked(self) -> Graph:
        """The graph as kernels walk it."""
        upper = plain_view(self.upper_row), plain_view(self.upper)
        return Graph(*upper, plain_view(self.links), self.entry, self.top)

    def table(self, level: int) -> Table:
        """The links of a level as kernels write them."""
        marks = _NO_MARKS if level or self.blocks is None else self.blocks.changed
        if marks is not _NO_MARKS:
            self.blocks.fresh = False  # type: ignore[union-attr]
        return Table(*self.level(level), marks)

    def searched(self) -> Graph | PackedGraph:
        """The graph as searches walk it: with blocks, where it has them and they are those of its links."""
        usable = self.blocks is not None and self.blocks.fresh and self.is_coded
        return self.blocks.over(self.walked(), self.codes.width) if usable else self.walked()  # type: ignore[union-attr]

    def mark(self, nodes: NDArray[np.int64] | None = None) -> None:
        """The links of these nodes, or of all, are written: their blocks are not those of their links any more."""
        if self.blocks is not None:
            self.blocks.fresh = False
            self.blocks.changed[slice(None) if nodes is None else nodes] = True

    def write_blocks(self, threads: int | None) -> None:
        """Write the blocks of nodes whose links have changed. Searches walk links meanwhile, and blocks afterwards."""
        blocks = self.blocks
        if blocks is None or blocks.fresh or not self.count or not self.is_coded:
            return
        with threads_in_use(threads) as workers:
            blocks.write(self, workers)
        with self.lock.changing():
            blocks.fresh = True

    def insert(
        self,
        members: NDArray[np.int64],
        ef: int,
        threads: int | None,
        published: Callable[[int, int], None],
        committed: Callable[[int], None],
    ) -> None:
        """Link `members`, free places or reserved rows behind those in use, rising, batch by batch.

        `published(first, last)` is called for `members[first:last]` while searches wait, before they may find the
        batch; `committed(last)` after it. The graph is valid between any two steps. Searches run while a batch looks
        for its links, and wait while those are written. Nodes that pruning cut off are linked again when that is due.
        """
        free = np.empty(0, np.int64) if self.free is None else self.free
        done = 0
        try:
            with threads_in_use(threads) as workers:
                for last, batch in batches(members, self.count - len(free)):
                    with threads_in_use(workers if len(batch) >= _SHARED_FROM else 1) as some:
                        links = self.find_links(batch, ef, some)
                        self.unrepaired += len(batch)
                        with self.lock.changing():
                            published(done, last)
                            self.count = max(self.count, int(batch[-1]) + 1)
                            if self.free is not None:
                                self.free = free[last:]
                            self.join(batch, links, ef)
                    done = last
                    committed(last)
        finally:
            left = members[done:]
            self.clear(left[left < self.count])
        self.repair_if_due(ef)

    def join(self, batch: NDArray[np.int64], links: _Links, ef: int) -> None:
        """Make the links found for a batch, and the entry its highest node if none was as high."""
        self._link(batch, links)
        self._lead_to(batch, ef)
        highest = int(batch[np.argmax(self.levels[batch])])
        if self.levels[highest] > self.top:
            self.entry, self.top = highest, int(self.levels[highest])

    def insert_one(self, members: NDArray[np.int64], ef: int) -> None:
        """Link one node, which makes the same graph as `insert`, while searches wait; nothing but the links."""
        from . import build_cpu as kernels

        node, scratch = int(members[0]), self.take_scratch(1)
        kernels.insert_one(
            self.rows.exact, self.rows.walk, self.walked(), self.table(0), self.table(1), self.levels, members, ef,
            self.M, Scratch(scratch[0][0], scratch[1][0]),
        )  # fmt: skip
        self.scratch.give(scratch)
        self.unrepaired += 1
        self.count = max(self.count, node + 1)
        if self.free is not None:
            self.free = self.free[1:]
        if self.levels[node] > self.top:
            self.entry, self.top = node, int(self.levels[node])

    def repair_if_due(self, ef: int) -> None:
        """Repair once that costs little beside what was added since the last time: at the end, where many are."""
        if self.unrepaired * (_REPAIR_SMALL_AT if self.count < _SMALL else _REPAIR_AT) >= self.count > 0:
            with self.lock.changing():
                self.repair(ef)

    def mend(self, ef: int, threads: int | None) -> None:
        """Look again for the links of nodes whose links were picked by codes that held them ill."""
        asked = self.rows.to_mend()
        if len(asked):
            nodes = asked[asked < self.count]
            with threads_in_use(threads) as workers:
                self.look_again(nodes[self.counts[nodes] > 0], ef, workers)  # the others are free places
                with self.lock.changing():
                    self.repair(ef)
            self.rows.mended(asked)

    def look_again(self, nodes: NDArray[np.int64], ef: int, workers: int) -> None:
        """Search for more links of nodes that have some, batch by batch."""
        for _, batch in batches(nodes, self.count):
            links = self.find_links(batch, ef, workers)
            with self.lock.changing():
                self._link_more(batch, links)

    def find_links(self, members: NDArray[np.int64], ef: int, workers: int) -> _Links:
        """The forward links of members, at all their levels: see the kernel."""
        from . import build_cpu as kernels

        starts, rows = np.zeros(len(members) + 1, np.int64), self.rows
        np.cumsum(self.levels[members] + 1, out=starts[1:])
        found, counts = np.empty((starts[-1], self.M), np.int32), np.empty(starts[-1], np.int32)
        with lent(self, workers) as scratch:
            given = self.walked(), self.levels, members, ef, scratch, starts, (found, counts)
            kernels.find_links(rows.exact, rows.walk, *given)
        return starts, found, counts

    def _link(self, members: NDArray[np.int64], links: _Links) -> None:
        """Give members, which have none, the links found for them, and those that they lead to a link back."""
        for level, chosen, found, counts in self._by_level(members, links):
            rows, (table, held, clean) = self.rows_of(chosen, level), self.level(level)
            present = np.arange(self.M) < counts[:, None]
            held[rows] = clean[rows] = counts
            table[rows, : self.M] = np.where(present, found, -1)
            if level == 0:
                self.mark(rows)
            self.link_back(level, np.repeat(chosen, counts), found[present].astype(np.int64))

    def _link_more(self, members: NDArray[np.int64], links: _Links) -> None:
        """Join members with what was found for them, both ways, where they are not; full rows are pruned."""
        for level, chosen, found, counts in self._by_level(members, links):
            here = np.repeat(chosen, counts)
            there = found[np.arange(self.M) < counts[:, None]].astype(np.int64)
            pairs = np.concatenate([here * self.count + there, there * self.count + here])
            sources, targets = np.divmod(np.unique(pairs), self.count)
            self.link_back(level, sources, targets)

    def _by_level(self, members: NDArray[np.int64], links: _Links) -> Iterator[tuple[int, Any, Any, Any]]:
        """Per level: the members that reach it, and the links found for them there with their counts."""
        starts, found, counts = links
        for level in range(int(self.levels[members].max()) + 1):
            reach = np.flatnonzero(self.levels[members] >= level)
            places = starts[reach] + level
            yield level, members[reach], found[places], counts[places]

    def link_back(self, level: int, sources: NDArray[np.int64], targets: NDArray[np.int64]) -> None:
        """Link every target to its source, unless it is; full rows are pruned. No pair may stand there twice.

        Grouped by target, sources in order: the outcome does not depend on threads.
        """
        from . import build_cpu as kernels

        if not len(targets):
            return
        owners, starts, sources = by_target(sources, targets, self.count)
        run = kernels.add_reverse if len(owners) >= _LINKED_BACK_FROM else kernels.add_reverse.at_once
        run(self.rows.exact, starts, self.rows_of(owners, level), owners, sources, self.table(level))

    def reached(self) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Which nodes level 0 leads to from the entry (free places count as reached), and the queue that found them."""
        from . import build_cpu as kernels

        seen, queue = np.zeros(self.count, bool), np.empty(self.count, np.int64)
        if self.free is not None:
            seen[self.free] = True
        if self.entry >= 0:
            kernels.reach(self.links, self.counts, self.entry, seen, queue)
        return seen, queue

    def repair(self, ef: int) -> int:
        """Link every node that level 0 does not reach from one near it; O(links) plus a search per such node."""
        seen, queue = self.reached()
        made = 0 if seen.all() else self._link_unreached(np.flatnonzero(~seen), seen, queue, ef, one_by_one=False)
        self.unrepaired = 0
        return made

    def _lead_to(self, members: NDArray[np.int64], ef: int) -> None:
        """Lead to members of a batch that only others of it lead to, since these know one another without a search.

        Rows far from all before and from one another would else hang on one link together, which no search meets.
        """
        from . import build_cpu as kernels

        doubtful = np.empty(len(members), bool)
        if len(members) > 1 and kernels.held_by_peers(self.links, self.counts, members, doubtful):
            self.lead_to(members[doubtful], ef)

    def lead_to(self, nodes: NDArray[np.int64], ef: int, workers: int = 0) -> None:
        """Link nodes from what a search for them finds, unless it does: one by one, or `workers` first ask of all."""
        found = np.ones(self.count, bool)
        found[nodes] = False
        if workers:
            from . import build_cpu as kernels

            with lent(self, workers) as scratch:
                kernels.find_rows(self.rows.exact, self.rows.walk, self.walked(), nodes, ef, scratch, found)
        self._link_unreached(nodes, found, np.empty(0, np.int64), ef, one_by_one=True)

    def _link_unreached(
        self, nodes: NDArray[np.int64], reached: NDArray[np.bool_], queue: NDArray[np.int64], ef: int, *,
        one_by_one: bool,
    ) -> int:  # fmt: skip
        from . import build_cpu as kernels

        scratch = self.take_scratch(1)
        made = kernels.repair(
            self.rows.exact, self.rows.walk, self.walked(), self.table(0), nodes, reached, queue, ef,
            Scratch(scratch[0][0], scratch[1][0]), one_by_one,
        )  # fmt: skip
        self.scratch.give(scratch)
        return int(made)

    @property
    def together(self) -> int:
        """How many nodes of a beam are expanded at a time: two where their neighbours' rows take little to compare."""
        return 2 if self.is_coded else 1

    @property
    def is_coded(self) -> bool:
        """Whether walks compare 8-bit codes."""
        return self.rows.is_coded

    def take_scratch(self, workers: int) -> Bits:
        """Visit bits and lists per worker; `scratch.give` takes them back."""
        return self.scratch.take(workers, len(self.vectors), 3 * self.links.shape[1])

    def check(self) -> None:
        """Check every link of a graph that was opened in place, once, before anything but a search reads it."""
        if self.unchecked:
            from .check import check_graph

            try:
                check_graph(self)
            except IndexMismatch as error:
                raise StoreCorrupt(f"the index is damaged: {error}") from error
            self.unchecked = False
