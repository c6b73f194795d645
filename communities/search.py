"""The community of a few seeds: nodes with similar neighbourhoods, found by signatures and ranked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..ann.lsh.buckets import say_capped
from ..ann.lsh.index import LSH
from ..ann.metrics import check_count
from ..ann.minhash.minhash import MinHash
from ..ann.minhash.schemes import EMPTY
from ..ann.minhash.sets import RaggedSets
from ..graphlib.errors import IndexMismatch, InvalidInput
from ..graphlib.given_store import check_store, chosen_edge_type

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..ann.minhash.schemes import SchemeName
    from ..graphlib.store.store import GraphStore

METHODS = ("average", "minrank", "pagerank", "exact")
_DAMPING = 0.9
_ROUNDS = 3
_CHECKED = 16  # nodes signed to see whether an index belongs to a store


class Community(NamedTuple):
    """Ranked members.

    Attributes
    ----------
    ids : int64 or text (m,)
        User ids (positions where the store has none), best first; the seeds are not among them.
    scores : float32 (m,)
        Falling for "average", "exact" and "pagerank"; for "minrank" the similarity at which each member joined.
    """

    ids: NDArray[Any]
    scores: NDArray[np.float32]


class CommunitySearch:
    """Community search in real time: MinHash signatures of neighbourhoods, bands, and a ranking of what they bring up.

    Parameters
    ----------
    store : GraphStore
        Two nodes are similar when the sets of their neighbours are (Jaccard).
    num_perm : int, default 128
        Slots per signature (K).
    bands : int, default 64
        b; a band has K / b slots. With 2 slots per band, half of the pairs of similarity sqrt(ln 2 / b) are found.
    seed : int, default 1
    direction : {"in", "out"}, default "in"
        A node is described by those that point to it (its followers) or those that it points to.
    edge_type : tuple, optional
    scheme : str, default "kperm"
        See `MinHash`.
    max_active : int, default 5,000
        "pagerank" takes the square of the number of candidates; it keeps the best so many by average.
    max_bucket : int, default 10,000
        See `LSH`; a warning says when a larger bucket may have cost members.
    index : LSH, optional
        Made from this store by an earlier search (`search.index.save(path)`, then `LSH.load(path)`, which maps it),
        instead of signing the store now; `num_perm`, `bands`, `seed`, `scheme` and `max_bucket` are then its own.
    threads : int, optional
        Results do not depend on it, nor on the order in which a store with user ids keeps its nodes.

    Raises
    ------
    IndexMismatch
        `index` does not hold the signatures of this store: another number of nodes, removed sets, or other edges
        (a few nodes are signed to see).

    Notes
    -----
    Building costs O(edges * K) and 4 K + 8.5 b bytes per node. A search looks at the bucket mates of all seeds (the
    active set, A): O(|seeds| A K) for "average", O((|seeds| + size) A K) for "minrank", O(A^2 K) for "pagerank".

    References
    ----------
    B. Chamberlain, J. Levy-Kramer, C. Humby and M. Deisenroth, "Real-time community detection in full social networks
    on a laptop", PLOS ONE 13(1), 2018, arXiv:1601.03958.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.ann import CommunitySearch
    >>> fans = np.repeat(np.arange(40), 3)                       # 40 fans follow three brands each
    >>> brands = 40 + np.tile([0, 1, 2], 40) + 3 * (fans >= 20)  # the first 20 other brands than the rest
    >>> store = nearhop.GraphStore.from_edges(fans, brands, directed=True)
    >>> ids, scores = CommunitySearch(store).search([40], size=5)
    >>> ids.tolist(), scores.tolist()
    ([41, 42], [1.0, 1.0])
    """

    def __init__(
        self,
        store: GraphStore,
        num_perm: int = 128,
        *,
        bands: int = 64,
        seed: int = 1,
        direction: str = "in",
        edge_type: tuple[str, str, str] | None = None,
        scheme: SchemeName = "kperm",
        max_active: int = 5_000,
        max_bucket: int = 10_000,
        index: LSH | None = None,
        threads: int | None = None,
    ) -> None:
        check_store(store)
        self.max_active = check_count("max_active", max_active)
        self._store = store
        self._sets = RaggedSets.of(store, edge_type=edge_type, direction=direction)
        node_type = _described(store, edge_type, direction)
        self._node_type = node_type
        ids = store.ids(node_type)
        self._names: NDArray[Any] = np.arange(len(self._sets)) if ids is None else ids
        if index is not None:
            _check_index(index, self._sets)
            self.index = index
            return
        minhash = MinHash(num_perm, scheme, seed=seed, threads=threads)
        self.index = LSH(minhash, bands=bands, max_bucket=max_bucket, threads=threads)
        self.index.add(minhash.fit_transform(store, edge_type=edge_type, direction=direction))

    @property
    def names(self) -> NDArray[Any]:
        """User ids of the nodes in order of position; the positions where the store has none."""
        return self._names

    def search(self, seeds: ArrayLike, size: int, method: str = "average") -> Community:
        """The `size` nodes that fit the seeds best.

        Parameters
        ----------
        seeds : user ids (or positions)
            Counted once each.
        size : int >= 1
            Fewer are returned where fewer share a bucket with a seed.
        method : {"average", "minrank", "pagerank", "exact"}
            "average": mean estimated similarity to the seeds. "minrank": members join one by one, and the mean runs
            over seeds and members. "pagerank": three rounds of PageRank from the seeds on the graph of estimated
            similarities. "exact": as "average" with exact similarities.

        Raises
        ------
        NotFound
            An unknown seed.
        InvalidInput
            No seeds; seeds without neighbours; an unknown method.
        """
        size = check_count("size", size)
        if method not in METHODS:
            raise InvalidInput(f"method must be one of {', '.join(map(repr, METHODS))}; got {method!r}")
        rows = np.unique(self._store.lookup(seeds, self._node_type))
        if not len(rows):
            raise InvalidInput("search: give at least one seed")
        rows = rows[np.argsort(self._names[rows], kind="stable")]
        signatures = self.index.signatures
        if (signatures[rows] == EMPTY).all():
            listed = ", ".join(map(str, self._names[rows[:5]].tolist()))
            raise InvalidInput(f"search: no seed has a neighbour to be described by ({listed}); choose other seeds")
        candidates, capped = self.index._candidates(rows)
        active = np.setdiff1d(candidates, rows)
        active = active[np.argsort(self._names[active], kind="stable")]
        if not len(active):
            return Community(self._names[active], np.empty(0, np.float32))
        found = self._ranked(rows, active, size, method)
        whole = method != "pagerank" and len(found.ids) == size and bool(found.scores[-1] >= 1)
        if capped and not whole:  # nothing is nearer than exact copies
            say_capped("search: seeds", self.index.max_bucket, self.index._few, stacklevel=2)
        return found

    def _ranked(self, rows: NDArray[np.int64], active: NDArray[np.int64], size: int, method: str) -> Community:
        if method == "exact":
            return self._best(active, self._exact_average(rows, active), size)
        average = self._average(rows, active)
        if method == "average":
            return self._best(active, average, size)
        if method == "minrank":
            return self._minrank(rows, active, average, size)
        return self._pagerank(rows, active, average, size)

    def _average(self, rows: NDArray[np.int64], active: NDArray[np.int64]) -> NDArray[np.float64]:
        signatures, total = self.index.signatures, np.zeros(len(active))
        near = signatures[active]
        for row in rows:  # one seed after the other: the active set may be large
            total += self.index.minhash.similarity(near, signatures[row : row + 1])[:, 0]
        return total / len(rows)

    def _exact_average(self, rows: NDArray[np.int64], active: NDArray[np.int64]) -> NDArray[np.float64]:
        total = np.zeros(len(active))
        for row in rows:
            total += self._sets.jaccard(np.full(len(active), row), active, threads=self.index.threads)
        return total / len(rows)

    def _minrank(
        self, rows: NDArray[np.int64], active: NDArray[np.int64], average: NDArray[np.float64], size: int
    ) -> Community:
        signatures = self.index.signatures[active]
        mean, waiting = average.copy(), np.ones(len(active), bool)
        chosen: list[int] = []
        scores: list[float] = []
        for members in range(len(rows), len(rows) + min(size, len(active))):
            best = int(np.argmax(np.where(waiting, mean, -1.0)))
            waiting[best] = False
            chosen.append(best)
            scores.append(mean[best])
            near = self.index.minhash.similarity(signatures, signatures[best : best + 1])[:, 0]
            mean = (members * mean + near) / (members + 1)
        return Community(self._names[active[chosen]], np.array(scores, np.float32))

    def _pagerank(
        self, rows: NDArray[np.int64], active: NDArray[np.int64], average: NDArray[np.float64], size: int
    ) -> Community:
        if len(active) > self.max_active:
            best = np.argsort(-average, kind="stable")[: self.max_active]
            active = active[np.sort(best)]
        nodes = np.concatenate([rows, active])
        similarity = self.index.minhash.similarity(self.index.signatures[nodes])  # symmetric; 4 bytes for each pair
        columns = similarity.sum(axis=1)
        columns[columns == 0] = 1
        rank = np.ones(len(nodes), np.float32)
        for _ in range(_ROUNDS):
            rank = np.float32(_DAMPING) * (similarity @ (rank / columns))
            rank[: len(rows)] += (len(nodes) - rank.sum()) / np.float32(len(rows))
        return self._best(active, rank[len(rows) :], size)

    def _best(self, active: NDArray[np.int64], scores: NDArray[np.floating[Any]], size: int) -> Community:
        kept = np.argsort(-scores, kind="stable")[:size]  # ties: in order of id
        return Community(self._names[active[kept]], scores[kept].astype(np.float32))

    def __repr__(self) -> str:
        return f"CommunitySearch({len(self._sets):,} nodes, {self.index!r})"


def _check_index(index: LSH, sets: RaggedSets) -> None:
    """An index of these sets, row by row."""
    count = len(sets)
    if len(index) != count or len(index.signatures) != count or not np.array_equal(index.ids, np.arange(count)):
        raise IndexMismatch(
            f"index: it holds {len(index):,} sets in {len(index.signatures):,} rows, and the store has {count:,} "
            "nodes; make it anew from this store"
        )
    for row in np.unique(np.linspace(0, count - 1, _CHECKED).astype(np.int64)).tolist() if count else []:
        if not np.array_equal(index.minhash.fit_transform(sets.part(row, row + 1))[0], index.signatures[row]):
            raise IndexMismatch(
                f"index: the signature of node {row} is not that of its neighbours in this store; the index was made "
                "from other edges, in another direction or before edges were added: make it anew"
            )


def _described(store: GraphStore, edge_type: tuple[str, str, str] | None, direction: str) -> str | None:
    """The type of the nodes that have signatures."""
    chosen = chosen_edge_type(store, edge_type)
    return chosen[2] if direction == "in" else chosen[0]


__all__ = ["METHODS", "Community", "CommunitySearch"]
