"""Splits for link prediction that cannot leak: what is tested is nowhere in the graph that a model reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import InvalidInput
from ..arguments import number, whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...graphlib.store.store import GraphStore

_OWNER = "split_edges"


@dataclass(frozen=True, eq=False, repr=False)
class EdgeSplit:
    """Training graph, and validation and test pairs with as many pairs without a link.

    Attributes
    ----------
    train : GraphStore
        All nodes and their columns, the training edges.
    full : GraphStore
    val, test : int64 (2, m)
        Links, each pair of nodes once.
    val_negative, test_negative : int64 (2, q)
        Pairs that no edge of the whole graph joins, in either direction: a pool that all links are compared with.
    use_val_as_input : bool
        Whether `input_for("test")` holds the validation links, too. Figures with and without differ by far and are not
        comparable.
    """

    train: GraphStore
    full: GraphStore
    val: NDArray[np.int64]
    test: NDArray[np.int64]
    val_negative: NDArray[np.int64]
    test_negative: NDArray[np.int64]
    use_val_as_input: bool

    def input_for(self, stage: str) -> GraphStore:
        """The graph that a model may read when "val" or "test" is predicted."""
        if stage not in ("val", "test"):
            raise InvalidInput(f'stage must be "val" or "test"; got {stage!r}')
        if stage == "val" or not self.use_val_as_input:
            return self.train
        edges = self.train.edge_list()
        src, dst = np.concatenate([edges.src, self.val[0]]), np.concatenate([edges.dst, self.val[1]])
        return _with_columns(self.full, src, dst)

    def __repr__(self) -> str:
        inputs = ", validation links as input of the test" if self.use_val_as_input else ""
        return (
            f"EdgeSplit({self.train.num_edges:,} training edges, {self.val.shape[1]:,} validation and "
            f"{self.test.shape[1]:,} test links{inputs})"
        )


def split_edges(
    store: GraphStore,
    *,
    val: float = 0.1,
    test: float = 0.2,
    val_negatives: int | None = None,
    test_negatives: int | None = None,
    use_val_as_input: bool = False,
    seed: int = 0,
) -> EdgeSplit:
    """Deal the linked pairs of nodes at random to training, validation and test.

    Parameters
    ----------
    store : GraphStore
        One node type and one edge type.
    val, test : float in [0, 1), default 0.1 and 0.2
        Shares of the pairs.
    val_negatives, test_negatives : int, optional
        Pairs without a link, all distinct; by default as many as there are links of that part.
    use_val_as_input : bool, default False
    seed : int, default 0

    Raises
    ------
    InvalidInput
        No pairs are left for a part, or fewer pairs without a link than asked for.

    Notes
    -----
    Parallel edges and, of directed graphs, both directions between two nodes are one pair and go to one part, so that
    no copy or reverse of a tested link is trained on. Self-loops stay in training. Weights and times of edges are
    not kept. Negatives are drawn by rejection against the whole graph.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.embed.evaluation import split_edges
    >>> split_edges(nearhop.GraphStore.from_edges(np.arange(100), (np.arange(100) + 1) % 100))
    EdgeSplit(70 training edges, 10 validation and 20 test links)
    """
    shares = [number(_OWNER, name, value, 0.0, 1.0) for name, value in (("val", val), ("test", test))]
    if sum(shares) >= 1:
        raise InvalidInput(f"{_OWNER}: val + test must be below 1; got {val!r} + {test!r}")
    whole(_OWNER, "seed", seed, 0, 2**63 - 1)
    edges = store.edge_list()
    src, dst = edges.src.astype(np.int64), edges.dst.astype(np.int64)
    n = store.num_nodes
    keys = np.minimum(src, dst) * n + np.maximum(src, dst)
    pairs = np.unique(keys[src != dst])
    rng = np.random.default_rng(seed)
    order = rng.permutation(pairs.shape[0])
    num_val, num_test = round(shares[0] * pairs.shape[0]), round(shares[1] * pairs.shape[0])
    chosen = {"val": pairs[order[:num_val]], "test": pairs[order[num_val : num_val + num_test]]}
    for name, share in (("val", shares[0]), ("test", shares[1])):
        if share > 0 and chosen[name].shape[0] == 0:
            raise InvalidInput(f"{_OWNER}: {name}={share} of {pairs.shape[0]} pairs is none; use a larger share")
    held = np.isin(keys, np.concatenate(list(chosen.values())))
    counts = {"val": val_negatives, "test": test_negatives}
    wanted = [chosen[part].shape[0] if counts[part] is None else counts[part] for part in ("val", "test")]
    total = whole(_OWNER, "negatives", sum(w or 0 for w in wanted), 0, 1 << 40)
    negatives = _pairs_without_link(n, pairs, total, rng)
    parts = {part: _oriented(store, chosen[part], keys, src, dst, n) for part in ("val", "test")}
    cut = int(wanted[0] or 0)
    return EdgeSplit(
        *(_with_columns(store, src[~held], dst[~held]), store, parts["val"], parts["test"]),
        *(np.stack([negatives[:cut] // n, negatives[:cut] % n]), np.stack([negatives[cut:] // n, negatives[cut:] % n])),
        use_val_as_input,
    )


def _oriented(
    store: GraphStore, pairs: NDArray[Any], keys: NDArray[Any], src: NDArray[Any], dst: NDArray[Any], n: int
) -> NDArray[np.int64]:
    """The pairs as links: of a directed graph in the direction of the first edge between the two."""
    if not store.is_directed():
        return np.stack([pairs // n, pairs % n])
    order = np.argsort(keys, kind="stable")
    first = order[np.searchsorted(keys[order], pairs)]
    return np.stack([src[first], dst[first]])


def _pairs_without_link(n: int, linked: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    free = n * (n - 1) // 2 - linked.shape[0]
    if count > free:
        raise InvalidInput(f"{_OWNER}: {count} pairs without a link were asked for, but there are only {free}")
    if count > free // 2:  # nearly all of them: list them
        u, v = np.triu_indices(n, 1)
        every = u.astype(np.int64) * n + v
        return rng.permutation(every[~np.isin(every, linked)])[:count]
    found = np.empty(0, np.int64)
    while found.shape[0] < count:
        u, v = rng.integers(0, n, (2, 2 * (count - found.shape[0]) + 16))
        drawn = (np.minimum(u, v) * n + np.maximum(u, v))[u != v]
        drawn = np.concatenate([found, drawn[~np.isin(drawn, linked)]])
        _, first = np.unique(drawn, return_index=True)
        found = drawn[np.sort(first)]
    return found[:count]


def _with_columns(store: GraphStore, src: NDArray[Any], dst: NDArray[Any]) -> GraphStore:
    made = type(store).from_edges(src, dst, num_nodes=store.num_nodes, directed=store.is_directed())
    for name, values in store.nodes.items():
        made.nodes[name] = values
    return made
