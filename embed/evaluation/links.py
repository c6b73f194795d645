"""Link prediction from embeddings: hide some edges, train on the rest, score the hidden against non-edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import kind_of, unmasked
from ...graphlib.compute.streams import Purpose, generator
from ...graphlib.errors import InvalidInput, InvalidType
from ...graphlib.given_store import one_node_type
from ...graphlib.notebook import table as html_table
from ...sampling.negatives.negatives import NegativeSampler
from ..arguments import choice, number, whole
from .metrics import average_precision, ranks, roc_auc

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore
    from ...graphlib.types import EdgeType

_OWNER = "evaluate_links"
_BATCH = 1 << 16


@dataclass(frozen=True, eq=False)
class LinkSplit:
    """A graph without the hidden edges, and the hidden edges.

    Attributes
    ----------
    train : GraphStore
        All nodes, the edges that were kept with their weights and times.
    full : GraphStore
        The graph that was split; negatives are never linked in it, in either direction.
    src, dst : int64 (m,)
        The hidden edges, each pair once (per direction); `train` links none of them, in either direction.
    edge_type : edge type or None
        Which edges of `full` were split.
    """

    train: GraphStore
    full: GraphStore
    src: NDArray[np.int64]
    dst: NDArray[np.int64]
    edge_type: EdgeType | None = None

    def __repr__(self) -> str:
        return f"LinkSplit({self.train.num_edges:,} edges kept, {self.src.shape[0]:,} hidden)"


@dataclass(frozen=True, eq=False)
class LinkScores:
    """How well scores tell hidden edges from pairs without a link, per draw of the negatives.

    Attributes
    ----------
    auc, ap : float64 (repeats,)
        Area under the ROC curve, and average precision, against as many negative pairs as hidden edges.
    mrr : float64 (repeats,)
        Mean of 1 / rank of a hidden edge (u, v) among `candidates` pairs (u, x); ties count half.
    hits : dict of int to float64 (repeats,)
        Share of hidden edges of rank at most K.
    """

    auc: NDArray[np.float64]
    ap: NDArray[np.float64]
    mrr: NDArray[np.float64]
    hits: dict[int, NDArray[np.float64]]

    def summary(self) -> dict[str, tuple[float, float]]:
        """Mean and standard deviation of every measure over the draws of negatives."""
        named = {"auc": self.auc, "ap": self.ap, "mrr": self.mrr, **{f"hits@{k}": v for k, v in self.hits.items()}}
        return {name: (float(values.mean()), float(values.std())) for name, values in named.items()}

    def _repr_html_(self) -> str:
        rows = [(name, f"{mean:.4f} ± {std:.4f}") for name, (mean, std) in self.summary().items()]
        return html_table(f"LinkScores over {self.auc.shape[0]} draws of negatives", ["measure", "mean ± std"], rows)


def split_links(
    store: GraphStore, share: float = 0.01, *, seed: int = 0, edge_type: EdgeType | None = None
) -> LinkSplit:
    """Hide every pair of linked nodes with probability `share`: all edges between the two, in both directions.

    Parameters
    ----------
    store : GraphStore
    share : float in (0, 1), default 0.01
    seed : int, default 0
    edge_type : edge type, optional
        Which edges, among nodes of one type; by default ("node", "edge", "node"), or the graph's only ones.

    Notes
    -----
    Parallel edges and, where edges have a direction, the reverse of an edge go with it, so that `train` links no hidden
    pair either way. A self-loop is neither hidden nor tested. O(m log m) time for m edges.

    Raises
    ------
    InvalidInput, InvalidType
        A share outside (0, 1), a seed that is no integer, or no edge that was hidden.

    Examples
    --------
    >>> import nearhop, numpy as np
    >>> ring = nearhop.GraphStore.from_edges(np.arange(100), (np.arange(100) + 1) % 100)
    >>> split_links(ring, 0.1)
    LinkSplit(93 edges kept, 7 hidden)
    """
    from ...graphlib.store.store import GraphStore as Store

    if not 0.0 < number("split_links", "share", share, 0.0, 1.0) < 1.0:
        raise InvalidInput(f"split_links: share must be in (0, 1); got {share!r}")
    whole("split_links", "seed", seed, 0, 2**63 - 1)
    which = one_node_type(store, "split_links", edge_type)
    edges, directed = store.edge_list(which), store.is_directed(which)
    src, dst = edges.src.astype(np.int64), edges.dst.astype(np.int64)
    n = store.num_nodes_of(which[0])
    low, high = np.minimum(src, dst), np.maximum(src, dst)
    pairs, pair_of = np.unique(low * n + high, return_inverse=True)
    drawn = generator(seed, Purpose.SPLIT).random(pairs.shape[0])
    chosen = np.less(drawn, share)
    hidden = chosen[pair_of.reshape(-1)] & (src != dst)
    if not hidden.any():
        raise InvalidInput(f"split_links: no edge was hidden of {src.shape[0]}; use a larger share than {share!r}")
    kept: dict[str, Any] = {
        name: None if values is None else values[~hidden]
        for name, values in (("weight", edges.weight), ("time", edges.time))
    }
    train = Store.from_edges(src[~hidden], dst[~hidden], num_nodes=n, directed=directed, **kept)
    near, far = (src, dst) if directed else (low, high)
    tested = np.unique(near[hidden] * n + far[hidden])
    return LinkSplit(train, store, tested // n, tested % n, which)


def evaluate_links(
    split: LinkSplit,
    vertex: ArrayLike,
    context: ArrayLike | None = None,
    *,
    candidates: int = 100,
    rule: str = "uniform",
    ks: Sequence[int] = (1, 10, 50),
    repeats: int = 3,
    seed: int = 0,
) -> LinkScores:
    """Score the hidden edges of a split by inner products.

    Parameters
    ----------
    split : LinkSplit
    vertex : float array (n, d)
        Vectors trained on `split.train`; the score of (u, v) is `vertex[u] @ context[v]`.
    context : float array (n, d), optional
        Default `vertex`.
    candidates : int, default 100
        Negatives that each hidden edge is ranked among.
    rule : "uniform" or "degree", default "uniform"
        Negatives of MRR and Hits@K: any node not linked to u, or drawn in proportion to degree^0.75 among them. Those
        of AUC and AP are uniform pairs without a link in either direction.
    ks : sequence of int, default (1, 10, 50)
    repeats : int, default 3
        Draws of negatives.
    seed : int, default 0

    Raises
    ------
    InvalidInput, InvalidType
        Shapes that do not fit, values that are not finite, numbers out of range.

    Examples
    --------
    >>> import nearhop, numpy as np
    >>> rng = np.random.default_rng(0)
    >>> block = rng.integers(0, 10, (2, 60)) + 10 * rng.integers(0, 2, 60)  # two groups of ten nodes
    >>> split = split_links(nearhop.GraphStore.from_edges(*block), 0.2)
    >>> groups = np.repeat(np.eye(2), 10, axis=0)
    >>> bool(evaluate_links(split, groups, candidates=5).auc.mean() > 0.7)
    True
    """
    if not isinstance(split, LinkSplit):
        raise InvalidType(f"{_OWNER}: split must be a LinkSplit, as split_links(store) makes; got {kind_of(split)}")
    left = _vectors("vertex", vertex, split.train.num_nodes)
    right = left if context is None else _vectors("context", context, split.train.num_nodes)
    if left.shape != right.shape:
        raise InvalidInput(f"{_OWNER}: vertex is {left.shape} and context is {right.shape}; they must agree")
    whole(_OWNER, "candidates", candidates, 1, 1 << 20)
    whole(_OWNER, "repeats", repeats, 1, 1 << 20)
    whole(_OWNER, "seed", seed, 0, 2**62)
    choice(_OWNER, "rule", rule, ("uniform", "degree"))
    cuts = [whole(_OWNER, "ks", k, 1, 1 << 20) for k in ks]
    both_ways, which = _undirected(split)
    pairs = NegativeSampler(both_ways, edge_type=which, seed=seed)
    ranked = NegativeSampler(both_ways, edge_type=which, power=0.75 if rule == "degree" else 0.0, seed=seed)
    positive = _scores(left, right, split.src, split.dst)
    auc, ap, mrr = np.empty(repeats), np.empty(repeats), np.empty(repeats)
    hits = {k: np.empty(repeats) for k in cuts}
    for repeat in range(repeats):
        negative = _scores(left, right, *pairs.sample_pairs(positive.shape[0], epoch=repeat))
        auc[repeat], ap[repeat] = roc_auc(positive, negative), average_precision(positive, negative)
        places = _ranks(left, right, split, positive, ranked, candidates, repeat)
        mrr[repeat] = float((1.0 / places).mean())
        for k in cuts:
            hits[k][repeat] = float((places <= k).mean())
    return LinkScores(auc, ap, mrr, hits)


def _ranks(
    left: NDArray[Any],
    right: NDArray[Any],
    split: LinkSplit,
    positive: NDArray[Any],
    sampler: NegativeSampler,
    candidates: int,
    repeat: int,
) -> NDArray[np.float64]:
    found = np.empty(positive.shape[0])
    batch = max(1, _BATCH // candidates)
    for start in range(0, positive.shape[0], batch):
        part = slice(start, start + batch)
        src = split.src[part]
        keys = np.arange(start, start + src.shape[0])
        others = sampler.sample(src, candidates, epoch=repeat, keys=keys)
        scores = np.einsum("id,ikd->ik", left[src], right[np.maximum(others, 0)])
        scores[others < 0] = -np.inf  # a node that is linked to all others has no candidates
        found[part] = ranks(positive[part], scores)
    return found


def _scores(left: NDArray[Any], right: NDArray[Any], src: NDArray[Any], dst: NDArray[Any]) -> NDArray[Any]:
    out = np.empty(src.shape[0], np.float64)
    for start in range(0, src.shape[0], _BATCH):
        part = slice(start, start + _BATCH)
        out[part] = np.einsum("id,id->i", left[src[part]], right[dst[part]])
    return out


def _undirected(split: LinkSplit) -> tuple[GraphStore, EdgeType | None]:
    store, chosen = split.full, one_node_type(split.full, _OWNER, split.edge_type)
    if not store.is_directed(chosen):
        return store, chosen
    edges = store.edge_list(chosen)
    return type(store).from_edges(edges.src, edges.dst, num_nodes=store.num_nodes_of(chosen[0])), None


def _vectors(name: str, given: ArrayLike, num_nodes: int) -> NDArray[np.float64]:
    values: NDArray[Any] = unmasked(f"{_OWNER}: {name}", given)
    if values.dtype.kind != "f" or values.ndim != 2:
        raise InvalidType(f"{_OWNER}: {name} must be a float (n, d) array; got {values.dtype} {values.shape}")
    if values.shape[0] != num_nodes:
        raise InvalidInput(f"{_OWNER}: {name} must have {num_nodes} rows, one per node; got {values.shape}")
    if not np.isfinite(values).all():
        raise InvalidInput(f"{_OWNER}: {name} holds values that are not finite")
    return values.astype(np.float64, copy=False)
