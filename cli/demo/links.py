"""The second page's figures: links that were hidden, or came later, are told from pairs that never were linked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.streams import Purpose, generator
from ...graphlib.store.store import GraphStore

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .data import DemoData

_SHARE = 0.1
_LATER = 0.15
_MOST_PAIRS = 20_000
_BINS = 60
_SHOWN = 16
_DIM = 128
# One setting for all sets: two and three steps, degrees as they are; the best of seven on five of them.
_SETTING: dict[str, Any] = {"weights": (0, 1, 1), "beta": 0.0, "standardize": False}


@dataclass
class LinkResult:
    """How well each score tells tested links from other pairs.

    Attributes
    ----------
    by_time : bool
        Whether the tested links are the last ones of a stream, else hidden at random.
    known, tested : int
        Pairs that scores were made from, and linked pairs that were tested, each once.
    left_out : int
        Later pairs with a node that had no link before.
    again : float or None
        Of a stream: the share of the tested pairs that were linked before as well.
    scores, new_scores : dict of a score's name to {"auc", "ap"}
        Over all tested pairs; of a stream, over those that were not linked before.
    best : list of (node, node, score, linked)
        The pairs that the embedding scores highest.
    activity : (edges (bins + 1,), counts (bins,), cut) or None
        Events over time, and the moment from which on they are tested.
    """

    by_time: bool
    known: int
    tested: int
    left_out: int = 0
    again: float | None = None
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    new_scores: dict[str, dict[str, float]] = field(default_factory=dict)
    best: list[tuple[int, int, float, bool]] = field(default_factory=list)
    activity: tuple[NDArray[Any], NDArray[Any], float] | None = None

    def facts(self) -> dict[str, Any]:
        """The figures, for machines."""
        names = ("by_time", "known", "tested", "left_out", "again", "scores", "new_scores")
        return {name: getattr(self, name) for name in names}


def measure_links(data: DemoData, seed: int) -> LinkResult:
    """Hide a tenth of the pairs, or the last 15 % of the events, and score them by what is left."""
    from ...ann.metrics import unit_rows
    from ...embed import FastRP
    from ...graphlib.sparse import pair_scores

    rng = generator(seed, Purpose.DEMO, "pairs")
    edges, n = data.store.edge_list(), data.store.num_nodes
    apart = edges.src != edges.dst
    src, dst = edges.src[apart].astype(np.int64), edges.dst[apart].astype(np.int64)
    pairs = np.minimum(src, dst) * n + np.maximum(src, dst)
    result, hidden, seen_before = _split(data, pairs, None if edges.time is None else edges.time[apart], rng)
    known = np.unique(pairs[~hidden])
    train = GraphStore.from_edges(known // n, known % n, num_nodes=n)
    linked = train.csr().degrees() > 0
    positive = np.unique(pairs[hidden])
    whole = linked[positive // n] & linked[positive % n]
    result.left_out, positive = int((~whole).sum()), positive[whole]
    result.known, result.tested = len(known), len(positive)
    if not len(positive):
        return result
    if len(positive) > _MOST_PAIRS:
        positive = np.sort(rng.choice(positive, _MOST_PAIRS, replace=False))
    negative = _others(src, dst, linked, np.unique(pairs), n, len(positive), rng)
    vectors = FastRP(_DIM, seed=seed, **_SETTING).fit_transform(train)
    unit = unit_rows(vectors)
    both = np.concatenate([positive, negative])
    near, far = both // n, both % n
    told = {
        "graph embedding": np.einsum("id,id->i", unit[near], unit[far], dtype=np.float64),
        "common neighbours": pair_scores(train, near, far, "adamic_adar"),
        "degrees": pair_scores(train, near, far, "preferential_attachment"),
    }
    count = len(positive)
    if seen_before:
        met = np.isin(both, known).astype(np.float64)
        told["linked before"] = met
        result.again = float(met[:count].mean())
        new = np.flatnonzero(met[:count] == 0)
        if len(new):
            result.new_scores = {
                name: _measured(values[:count][new], values[count:])
                for name, values in told.items()
                if name != "linked before"
            }
    result.scores = {name: _measured(values[:count], values[count:]) for name, values in told.items()}
    score = told["graph embedding"]
    top = np.argsort(-score, kind="stable")[:_SHOWN]
    result.best = [(int(near[i]), int(far[i]), float(score[i]), bool(i < count)) for i in top]
    return result


def _split(
    data: DemoData, pairs: NDArray[Any], time: NDArray[Any] | None, rng: np.random.Generator
) -> tuple[LinkResult, NDArray[np.bool_], bool]:
    """Which edges are hidden, and whether pairs can be linked before as well."""
    if time is None or data.card.kind != "stream" or time.min() == time.max():
        distinct, which = np.unique(pairs, return_inverse=True)
        return LinkResult(False, 0, 0), (rng.random(len(distinct)) < _SHARE)[which], False
    cut = float(np.quantile(time, 1 - _LATER))
    counts, bounds = np.histogram(time, _BINS)
    later = time > cut if (time > cut).any() else time >= cut
    return LinkResult(True, 0, 0, activity=(bounds, counts, cut)), later, True


def _others(
    src: NDArray[Any], dst: NDArray[Any], linked: NDArray[np.bool_], taken: NDArray[Any], n: int, count: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:  # fmt: skip
    """Pairs that are never linked, of a node that links start at and one that they end at."""
    starts, ends = (np.unique(side)[linked[np.unique(side)]] for side in (src, dst))
    found = np.empty(0, np.int64)
    for _ in range(50):
        a, b = rng.choice(starts, 2 * count), rng.choice(ends, 2 * count)
        drawn = np.minimum(a, b) * n + np.maximum(a, b)
        fresh = drawn[(a != b) & ~np.isin(drawn, taken)]
        found = np.unique(np.concatenate([found, fresh]))
        if len(found) >= count:
            break
    return found[np.sort(rng.permutation(len(found))[:count])]


def _measured(positive: NDArray[Any], negative: NDArray[Any]) -> dict[str, float]:
    from ...embed.evaluation.metrics import average_precision, roc_auc

    return {"auc": roc_auc(positive, negative), "ap": average_precision(positive, negative)}
