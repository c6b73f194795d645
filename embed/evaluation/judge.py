"""One evaluator of link prediction: all measures of a set of scores, and for whom they hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import unmasked
from ...graphlib.errors import InvalidInput
from ..arguments import choice, whole
from .metrics import TIES, average_precision, hits, ranks, roc_auc, scores

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .link_splits import EdgeSplit

_KS = (1, 3, 10, 20, 50, 100)


@dataclass(frozen=True, eq=False)
class LinkMeasures:
    """How well positives stand above negatives.

    Attributes
    ----------
    protocol : {"shared", "own"}
        Whether all positives were compared with one pool, or each with its own negatives.
    auc, ap : float
        Over all pairs at once.
    mrr : float
        Mean of 1 / rank.
    hits : dict of int to float
        Share of positives strictly above the K-th best negative; ties miss.
    ranks : float64 (n,)
        Rank of every positive, under the tie rule asked for.
    ties : str
    """

    protocol: str
    auc: float
    ap: float
    mrr: float
    hits: dict[int, float]
    ranks: NDArray[np.float64]
    ties: str

    def table(self) -> dict[str, float]:
        """All measures by name."""
        return {"auc": self.auc, "ap": self.ap, "mrr": self.mrr, **{f"hits@{k}": v for k, v in self.hits.items()}}


def measure_links(
    positive: ArrayLike, negative: ArrayLike, *, ks: Sequence[int] = _KS, ties: str = "mean"
) -> LinkMeasures:
    """AUC, AP, MRR and Hits@K of scores.

    Parameters
    ----------
    positive : float array (n,)
    negative : float array (q,) or (n, q)
        One pool that all share, or each positive's own. The two Hits@K are not comparable: on a pool K is an absolute
        number of false alarms, on own negatives it is a rank.
    ks : sequence of int
    ties : {"mean", "optimistic", "pessimistic"}, default "mean"
        Of ranks and MRR.

    Examples
    --------
    >>> found = measure_links([3.0, 1.0], [2.0, 0.0], ks=(1,))
    >>> found.hits, found.auc
    ({1: 0.5}, 0.75)
    """
    choice("measure_links", "ties", ties, TIES)
    p, n = scores("positive", positive), scores("negative", negative, most=2)
    if p.shape[0] == 0 or n.size == 0:
        raise InvalidInput(f"measure_links: {p.shape[0]} positives and {n.size} negatives; both are needed")
    placed = ranks(p, n, ties=ties)
    pool = n.ravel()
    return LinkMeasures(
        protocol="shared" if n.ndim == 1 else "own",
        auc=roc_auc(p, pool),
        ap=average_precision(p, pool),
        mrr=float((1.0 / placed).mean()),
        hits={int(k): float(hits(p, n, k).mean()) for k in ks},
        ranks=placed,
        ties=ties,
    )


@dataclass(frozen=True, eq=False)
class NodeMeasures:
    """How well each node is served: its test neighbours among all nodes that it is not linked to yet.

    Attributes
    ----------
    nodes : int64 (m,)
        Those with at least one test link.
    values : dict of str to float64 (m,)
        "hits@K" (whether any is among the first K), "recall@K", "precision@K", "f1@K", "ndcg@K" and "mrr" (1 / rank of
        the first).
    """

    nodes: NDArray[np.int64]
    values: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def full(self, name: str, num_nodes: int) -> NDArray[np.float64]:
        """A measure for all nodes, NaN where there is no test link."""
        out = np.full(num_nodes, np.nan)
        out[self.nodes] = self.values[name]
        return out


def measure_nodes(
    split: EdgeSplit,
    score: Callable[[NDArray[np.int64]], ArrayLike],
    *,
    stage: str = "test",
    ks: Sequence[int] = (5, 10, 20, 50),
    batch: int = 256,
) -> NodeMeasures:
    """Rank all nodes for every node that has a link to predict.

    Parameters
    ----------
    split : EdgeSplit
    score : callable
        `score(nodes)` gives float scores (len(nodes), num_nodes).
    stage : {"test", "val"}, default "test"
        Training neighbours are left out of the ranking, those of validation too for "test", and the node itself.
    ks : sequence of int
    batch : int, default 256
        Nodes per call of `score`: batch * num_nodes scores are held at a time.

    Notes
    -----
    Each link is counted for both of its ends. A link ranks behind all other candidates of equal score.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.embed.evaluation import measure_nodes, split_edges
    >>> split = split_edges(nearhop.GraphStore.from_edges(np.arange(40), (np.arange(40) + 1) % 40))
    >>> float(measure_nodes(split, lambda nodes: np.zeros((len(nodes), 40))).values["hits@5"].max())
    0.0
    """
    choice("measure_nodes", "stage", stage, ("test", "val"))
    cuts = [whole("measure_nodes", "ks", k, 1, 1 << 30) for k in ks]
    n = split.full.num_nodes
    links = split.test if stage == "test" else split.val
    edges = split.train.edge_list()
    known = [np.stack([edges.src, edges.dst]).astype(np.int64)] + ([split.val] if stage == "test" else [])
    seen = _lists(np.concatenate(known, axis=1), n)
    wanted = _lists(links, n)
    nodes = np.flatnonzero(np.diff(wanted[0]))
    found: dict[str, list[float]] = {}
    for at in range(0, nodes.shape[0], batch):
        part = nodes[at : at + batch]
        given = np.array(score(part), np.float64)
        if given.shape != (part.shape[0], n):
            raise InvalidInput(f"measure_nodes: score gave {given.shape} for {part.shape[0]} of {n} nodes")
        if np.isnan(given).any():
            raise InvalidInput("measure_nodes: a score is NaN")
        for row, node in zip(given, part, strict=True):
            targets = np.unique(wanted[1][wanted[0][node] : wanted[0][node + 1]])
            row[seen[1][seen[0][node] : seen[0][node + 1]]] = -np.inf
            row[node] = -np.inf
            truth = scores_at = row[targets]
            row[targets] = -np.inf
            ordered = np.sort(row)
            others = n - np.searchsorted(ordered, np.maximum(scores_at, np.finfo(np.float64).min), "left")
            order = np.argsort(-truth, kind="stable")
            placed = np.sort(others[order] + np.arange(1, targets.shape[0] + 1))
            _add(found, placed, cuts)
    return NodeMeasures(nodes, {name: np.array(values) for name, values in found.items()})


def _add(found: dict[str, list[float]], placed: NDArray[Any], cuts: Sequence[int]) -> None:
    """The measures of one node from the rising ranks of its targets."""
    count = placed.shape[0]
    found.setdefault("mrr", []).append(1.0 / float(placed[0]))
    for k in cuts:
        inside = placed[placed <= k]
        hit = inside.shape[0]
        ideal = (1.0 / np.log2(np.arange(min(count, k)) + 2.0)).sum()
        for name, value in (
            ("hits", float(hit > 0)),
            ("recall", hit / count),
            ("precision", hit / k),
            ("f1", 2.0 * hit / (count + k)),
            ("ndcg", float((1.0 / np.log2(inside + 1.0)).sum() / ideal)),
        ):
            found.setdefault(f"{name}@{k}", []).append(value)


def _lists(links: NDArray[np.int64], n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Neighbours by node of links seen from both ends."""
    src, dst = np.concatenate([links[0], links[1]]), np.concatenate([links[1], links[0]])
    order = np.argsort(src, kind="stable")
    return np.searchsorted(src[order], np.arange(n + 1)), dst[order]


@dataclass(frozen=True)
class Stratum:
    """A group of nodes or links: the bounds of what they were grouped by, how many, and the mean of a measure."""

    low: float
    high: float
    count: int
    mean: float


def strata(by: ArrayLike, measure: ArrayLike, *, bins: int | Sequence[float] = 5) -> list[Stratum]:
    """Means of a measure over groups of rising `by`, such as degree, TC or distance.

    Parameters
    ----------
    by, measure : float array (m,)
        NaN in either leaves the entry out.
    bins : int or sequence of float, default 5
        Groups of about equal size, or the bounds of groups, the last one included.

    Examples
    --------
    >>> [s.mean for s in strata([1, 2, 3, 4], [0.0, 0.0, 1.0, 1.0], bins=2)]
    [0.0, 1.0]
    """
    given = unmasked("strata: by", by), unmasked("strata: measure", measure)
    x, y = (values.astype(np.float64, copy=False) for values in given)
    if x.shape != y.shape or x.ndim != 1:
        raise InvalidInput(f"strata: two arrays of one length are needed; got {x.shape} and {y.shape}")
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if x.shape[0] == 0:
        return []
    if isinstance(bins, int | np.integer):
        whole("strata", "bins", bins, 1, 1 << 20)
        edges = np.unique(np.quantile(x, np.arange(int(bins) + 1) / int(bins)))
    else:
        edges = np.unique(np.asarray(bins, np.float64))
    if edges.shape[0] == 1:
        return [Stratum(float(edges[0]), float(edges[0]), int(x.shape[0]), float(y.mean()))]
    group = np.clip(np.searchsorted(edges, x, "right") - 1, 0, edges.shape[0] - 2)
    inside = (x >= edges[0]) & (x <= edges[-1])
    return [
        Stratum(float(edges[g]), float(edges[g + 1]), int(at.sum()), float(y[at].mean()))
        for g in range(edges.shape[0] - 1)
        if (at := inside & (group == g)).any()
    ]


def distances(split: EdgeSplit, links: NDArray[np.int64], *, most: int = 4) -> NDArray[np.int64]:
    """Steps between the ends of links in the training graph: 1.. `most`, and `most` + 1 for farther or none.

    >>> import numpy as np, nearhop
    >>> from nearhop.embed.evaluation import distances, split_edges
    >>> split = split_edges(nearhop.GraphStore.from_edges([0, 1, 2, 3, 0], [1, 2, 3, 4, 2]), val=0, test=0.2, seed=1)
    >>> distances(split, split.test).shape
    (1,)
    """
    from ...graphlib.sparse.walks_between import walk_scores

    store = split.train
    if store.is_directed():
        edges = store.edge_list()
        store = type(store).from_edges(edges.src, edges.dst, num_nodes=store.num_nodes)
    out = np.full(links.shape[1], most + 1, np.int64)
    for steps in range(most, 0, -1):
        reached = walk_scores(store, links[0], links[1], length=steps, beta=1.0) > 0
        out[reached] = steps
    return out
