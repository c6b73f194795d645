"""The graph store: nodes, edges, columns and user ids, in memory or on disk, behind one object."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InvalidInput
from ..pickling import reduced
from ..types import EDGE, NODE, EdgeType
from .arguments import check_count, check_directed
from .changes import Changes
from .edges import check_edges, widest_id

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ..disk.folder import StoreFolder
    from ..disk.folders import Version
    from ..disk.verify import Verified


class GraphStore(Changes):
    """A graph with columns on its nodes and edges.

    Make one with `from_edges` or `from_typed` (in memory), `nearhop.ingest` (from files, on disk) or `nearhop.open`.
    Node positions are 0..n-1 throughout; user ids, where the store has them, are mapped by `ids` and `lookup`. Arrays
    handed out are shared with the store: treat them as read-only.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> store = nearhop.GraphStore.from_edges(np.array([0, 0, 2]), np.array([1, 2, 3]))
    >>> store.num_nodes, store.num_edges, store.csr().neighbors(0).tolist()
    (4, 3, [1, 2])
    >>> store.nodes["x"] = np.eye(4, dtype=np.float32)
    """

    @classmethod
    def from_edges(
        cls,
        src: ArrayLike,
        dst: ArrayLike,
        *,
        num_nodes: int | None = None,
        directed: bool = False,
        weight: ArrayLike | None = None,
        time: ArrayLike | None = None,
    ) -> GraphStore:
        """A store of one node type and one edge type, in memory.

        Parameters
        ----------
        src, dst : integer arrays (num_edges,)
            Ends of the edges, >= 0. Parallel edges and self-loops are kept. int32 and int64 arrays are not copied.
        num_nodes : int, optional
            By default one more than the largest id.
        directed : bool, default False
            An undirected edge is stored once and appears in the rows of both of its ends.
        weight : array (num_edges,), optional
            Kept as float32; finite.
        time : array (num_edges,), optional
            Integers are kept as int64, floats as float64; finite. Moments (datetime64, datetime objects, a column with
            a time zone) become int64 in UTC, in their own unit, which the attribute `time_unit` names; moments given
            later are converted to it.

        Raises
        ------
        InvalidInput, InvalidType
            Ids that are negative, not integers or >= num_nodes; lengths that differ; weights or times that are not
            finite. The message names the position.
        """
        if num_nodes is not None:
            num_nodes = check_count("num_nodes", num_nodes)
        store = cls()
        time, unit = store._plain_times(time)
        edges = check_edges(src, dst, weight, time, limits=(num_nodes, num_nodes))
        store._take_unit(unit)
        store._add_nodes(NODE, max(widest_id(edges)) if num_nodes is None else num_nodes)
        store._add_edges(EDGE, edges, check_directed(directed))
        return store

    @classmethod
    def from_typed(
        cls,
        nodes: Mapping[str, int],
        edges: Mapping[EdgeType, Any],
        *,
        directed: bool = True,
    ) -> GraphStore:
        """A store of several node and edge types, in memory.

        Parameters
        ----------
        nodes : mapping from a node type's name to its number of nodes
        edges : mapping from (source type, relation, destination type) to (src, dst) or to a mapping with keys src, dst
            and optionally weight, time, directed
        directed : bool, default True
            For edge types that do not say it themselves; undirected needs equal source and destination types.

        Examples
        --------
        >>> import numpy as np, nearhop
        >>> shop = nearhop.GraphStore.from_typed(
        ...     nodes={"user": 2, "item": 3}, edges={("user", "buys", "item"): (np.array([0, 1]), np.array([2, 0]))}
        ... )
        >>> shop.csr(("user", "buys", "item")).neighbors(0).tolist()
        [2]
        """
        store = cls()
        for name, count in nodes.items():
            store.add_node_type(name, count)
        for edge_type, given in edges.items():
            parts = dict(given) if isinstance(given, Mapping) else dict(zip(("src", "dst"), given, strict=True))
            unknown = set(parts) - {"src", "dst", "weight", "time", "directed"}
            if unknown or not {"src", "dst"} <= set(parts):
                raise InvalidInput(
                    f"edges of {edge_type!r}: give (src, dst) or a mapping with src, dst and optionally weight, time, "
                    f"directed; got keys {sorted(parts)}"
                )
            store.add_edge_type(edge_type, **{"directed": directed, **parts})
        return store

    def __reduce__(self) -> tuple[Any, ...]:
        """A stored graph is pickled and copied as its path and version; see `pickling`."""
        return reduced(self, changed=self._folder is not None and self._folder.changed, opener=open)

    def save(self, path: str | Path, *, message: str = "saved") -> GraphStore:
        """Write everything as a new store and open it. All of it appears at `path`, or nothing.

        Raises `StoreExists` if the path is taken. The store at hand stays as it is.

        Examples
        --------
        >>> import numpy as np, nearhop
        >>> store = nearhop.GraphStore.from_edges(np.array([0, 1]), np.array([1, 2])).save("path.nh")
        >>> store.append_edges(np.array([2]), np.array([3]))
        >>> store.commit("one more edge")
        2
        >>> nearhop.open("path.nh").num_edges, nearhop.open("path.nh", version=1).num_edges
        (3, 2)
        """
        from ..disk.folders import save_as

        with self._guard.lock:
            save_as(self, Path(path), message)
        return open(path)

    def commit(self, message: str = "") -> int:
        """Make every change since the last commit a new version, at once and durably; returns its number.

        Until then nobody else sees the changes, and a crash loses them and nothing else. Columns that were assigned are
        memory maps of their files afterwards. Without changes, nothing is written.

        Raises
        ------
        StoreWriteFailed
            The disk is full or failed. The last version is whole and the changes are still in this object.
        """
        with self._guard.lock:
            return self._stored("commit").commit(self, message)

    def compact(self, *, keep: int | None = None) -> int:
        """Merge appended edges into the adjacency, commit, and free the files that no version needs.

        `keep` drops all but the newest `keep` versions; by default every version stays readable. Returns the
        bytes freed. Readers that have a dropped version open can go on with it.
        """
        folder = self._stored("compact")
        if keep is not None and check_count("keep", keep) < 1:
            raise InvalidInput(f"keep must be at least 1 version; got {keep}")
        from ..disk.folders import remove_unused

        with self._guard.lock:
            folder.commit(self, "compacted", merge=True)
            folder.lock()
            try:
                return remove_unused(folder.path, keep)[1]
            finally:
                folder.release()

    def versions(self) -> list[Version]:
        """The committed versions, oldest first: number, time, message and size."""
        from ..disk.folders import versions

        return versions(self._stored("versions").path)

    def verify(self) -> Verified:
        """Read everything and check it: checksums of every file, ranges of every id, order of every row.

        Opening a store checks headers and sizes only. Raises `StoreCorrupt`, which names the file.
        """
        from ..disk.verify import verify

        return verify(self)

    def close(self) -> None:
        """Forget what was not committed and let others write. Arrays handed out stay usable."""
        with self._guard.lock:
            if self._folder is not None:
                self._folder.discard()

    def __enter__(self) -> GraphStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _stored(self, what: str) -> StoreFolder:
        if self._folder is None:
            raise InvalidInput(f"{what} needs a store on disk, and this one is in memory; write it with save(path)")
        return self._folder


def open(path: str | Path, *, version: int | None = None) -> GraphStore:
    """Open a stored graph: its arrays are memory-mapped, so this takes milliseconds whatever its size.

    Any number of processes can have a store open; the first change takes the one writer's lock until `commit` or
    `close`. An older `version` is read-only. Headers and sizes are checked here, and adjacency when it is first used;
    `verify` checks every byte.

    Raises
    ------
    StoreMissing, StoreCorrupt, NotFound
        There is no store at `path`; a file of it is damaged (the message names it); there is no such version.
    """
    from ..disk.folders import open_store

    return open_store(Path(path), None if version is None else check_count("version", version), GraphStore)
