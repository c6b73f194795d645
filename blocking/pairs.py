"""Candidate pairs: which record of one table may be which of another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ann.metrics import check_count
from ..graphlib.errors import InvalidInput, InvalidType, NotFound
from ..graphlib.given_store import check_store
from ..graphlib.scalars import is_number
from ..graphlib.store.arguments import check_edge_type

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..graphlib.store.store import GraphStore
    from .records import Records


@dataclass(frozen=True, eq=False, repr=False)
class CandidatePairs:
    """Pairs of records, each once.

    Attributes
    ----------
    left, right : int64 (pairs,)
        Row numbers; within one table left < right.
    score : float32 (pairs,)
        Larger is likelier; comparable within one blocker only.
    rank : int32 (pairs,)
        The place of the right record among the candidates of the left one, from 0: `rank < k` are the best k.
    left_keys, right_keys : arrays
        The keys of the two tables.
    one_table : bool
        Whether both records of a pair are of the same table. Where it is not said: whether both keys are one array.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    score: NDArray[np.float32]
    rank: NDArray[np.int32]
    left_keys: NDArray[Any]
    right_keys: NDArray[Any]
    one_table: bool = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.one_table is None:
            object.__setattr__(self, "one_table", self.left_keys is self.right_keys)

    @classmethod
    def of_lists(
        cls, found: NDArray[Any], scores: NDArray[np.float32], left: Records, right: Records, *, one_table: bool = False
    ) -> CandidatePairs:
        """Pairs of lists (records, k) of rows, -1 past their ends; within one table each pair once, at its best."""
        real = found >= 0
        row, place = np.nonzero(real)
        a, b = row.astype(np.int64), found[real].astype(np.int64)
        score, rank = scores[real].astype(np.float32), place.astype(np.int32)
        if one_table:
            low, high = np.minimum(a, b), np.maximum(a, b)
            order = np.lexsort((rank, high, low))
            low, high, score, rank = low[order], high[order], score[order], rank[order]
            first = np.ones(len(low), bool)
            first[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
            a, b, score, rank = low[first], high[first], score[first], rank[first]
        return cls(a, b, score, rank, left.keys, right.keys, one_table)

    @property
    def num_possible(self) -> int:
        """Pairs in the whole product of the tables."""
        n, m = len(self.left_keys), len(self.right_keys)
        return n * (n - 1) // 2 if self.one_table else n * m

    def __len__(self) -> int:
        return len(self.left)

    def best(self, k: int) -> CandidatePairs:
        """The best k candidates of every record."""
        return self.chosen(self.rank < check_count("k", k))

    def margins(self) -> NDArray[np.float32]:
        """How far each score lies below the best one of the same left record; 0 for the best."""
        best = np.full(len(self.left_keys), -np.inf, np.float32)
        np.maximum.at(best, self.left, self.score)
        below: NDArray[np.float32] = best[self.left] - self.score
        return below

    def within(self, margin: float) -> CandidatePairs:
        """Of every record the best candidate, and those whose score is at most `margin` below that one's.

        A record with rivals keeps several candidates, and one whose match stands out keeps it alone.

        >>> keys = np.arange(3)
        >>> three, score = np.array([0, 1, 2]), np.array([0.9, 0.8, 0.3], np.float32)
        >>> pairs = CandidatePairs(0 * three, three, score, three.astype(np.int32), keys, keys + 3)
        >>> pairs.within(0.2).right.tolist()
        [0, 1]
        """
        if not is_number(margin) or not margin >= 0:
            raise InvalidInput(f"margin must be a number of at least 0; got {margin!r:.50}")
        return self.chosen(self.margins() <= margin)

    def chosen(self, which: NDArray[Any]) -> CandidatePairs:
        """Some pairs, by mask or number."""
        chosen = self.left[which], self.right[which], self.score[which], self.rank[which]
        return CandidatePairs(*chosen, self.left_keys, self.right_keys, self.one_table)

    def codes(self) -> NDArray[np.int64]:
        """One integer per pair."""
        return self.left * len(self.right_keys) + self.right

    def to_arrow(self) -> Any:
        """A PyArrow table of keys, scores and ranks."""
        import pyarrow as pa

        return pa.table({
            "left": pa.array(self.left_keys[self.left].tolist()),
            "right": pa.array(self.right_keys[self.right].tolist()),
            "score": self.score, "rank": self.rank,
        })  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write keys, scores and ranks as .csv or .parquet."""
        from ..graphlib.disk.replacing import replacing_stream

        target = Path(path)
        if target.suffix not in (".csv", ".parquet"):
            raise InvalidInput(f"pairs are written as .csv or .parquet; got {target.name}")
        import pyarrow.csv
        import pyarrow.parquet

        with replacing_stream(target) as stream:
            if target.suffix == ".csv":
                pyarrow.csv.write_csv(self.to_arrow(), stream)
            else:
                pyarrow.parquet.write_table(self.to_arrow(), stream)

    def add_to(self, store: GraphStore, edge_type: tuple[str, str, str]) -> GraphStore:
        """Add the pairs as edges weighted by score, with a column "rank".

        Nodes with user ids are found by the records' keys; of a type without ids they are the rows of the table. Node
        types that the store lacks are made, with the keys as ids.

        Raises
        ------
        NotFound
            A pair names a key that no node has as its id.
        InvalidInput
            A type without ids that has another number of nodes than the table has records; an edge type that is there.
        """
        check_store(store)
        left, _, right = edge_type = check_edge_type(edge_type)
        if edge_type in (*store.edge_types, *store.link_types):
            raise InvalidInput(f"edge type {edge_type!r} exists already; choose another name")
        if self.one_table != (left == right):
            raise InvalidInput(
                f"pairs of {'one table' if self.one_table else 'two tables'} cannot be edges {edge_type}"
            )
        ends = [
            _nodes_of(store, kind, keys, rows)
            for kind, keys, rows in ((left, self.left_keys, self.left), (right, self.right_keys, self.right))
        ]
        for kind, keys in ((left, self.left_keys), (right, self.right_keys)):
            if kind not in store.node_types:
                store.add_node_type(kind, len(keys))
                store.set_ids(keys if keys.dtype != object else keys.astype(str), kind)
        store.add_edge_type(edge_type, *ends, weight=self.score, directed=not self.one_table, positions=True)
        store.edges(edge_type)["rank"] = self.rank
        return store

    def __repr__(self) -> str:
        where = (
            f"{len(self.left_keys):,} records"
            if self.one_table
            else f"{len(self.left_keys):,} x {len(self.right_keys):,}"
        )
        return f"CandidatePairs({len(self):,} of {self.num_possible:,} pairs, {where})"


def _nodes_of(store: GraphStore, kind: str, keys: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions of the nodes that rows of a table are."""
    if kind not in store.node_types:
        return rows
    if store.ids(kind) is None:
        if store.num_nodes_of(kind) != len(keys):
            raise InvalidInput(
                f"node type {kind!r} has {store.num_nodes_of(kind)} nodes for {len(keys)} records, and no user ids to "
                "find them by; set_ids gives it some"
            )
        return rows
    used, place = np.unique(rows, return_inverse=True)
    try:
        return store.lookup(keys[used], kind)[place]
    except NotFound as error:
        raise NotFound(f"node type {kind!r}: {error}; records' keys are looked up as ids of its nodes") from error
    except InvalidType as error:
        raise InvalidType(f"node type {kind!r}: {error}; records' keys are looked up as ids of its nodes") from error


__all__ = ["CandidatePairs"]
