"""How good candidate pairs are: one evaluator for every blocker, over the whole product of the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..graphlib.errors import InvalidInput
from .pairs import CandidatePairs

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class BlockingQuality:
    """Candidate pairs C against the true pairs G, out of all pairs of the tables.

    Attributes
    ----------
    k : int
        Candidates per left record.
    candidates, found, matches : int
        |C|, |C ∩ G| and |G|.
    pc, pq : float
        Pair completeness (recall) |C ∩ G| / |G| and pair quality (precision) |C ∩ G| / |C|.
    f1 : float
        Harmonic mean of the two.
    cssr, rr : float
        Candidate set size ratio |C| / all pairs, and reduction ratio 1 - cssr.
    """

    k: int
    candidates: int
    found: int
    matches: int
    pc: float
    pq: float
    f1: float
    cssr: float
    rr: float


def quality(pairs: CandidatePairs, truth: NDArray[np.int64], k: int | None = None) -> BlockingQuality:
    """The quality of the best k candidates of every record, of all by default; `truth` are rows as of `match_rows`.

    Examples
    --------
    >>> keys = np.arange(3)
    >>> pairs = CandidatePairs(np.array([0, 1]), np.array([0, 2]), np.ones(2, "f"), np.zeros(2, "i"), keys, keys + 3)
    >>> got = quality(pairs, np.array([[0, 0], [1, 1]]))
    >>> got.pc, got.pq, round(got.cssr, 3)
    (0.5, 0.5, 0.222)
    """
    return curve(pairs, truth, [_deepest(pairs) if k is None else k])[0]


def curve(pairs: CandidatePairs, truth: NDArray[np.int64], ks: Sequence[int] | None = None) -> list[BlockingQuality]:
    """The quality at every depth of `ks`, from 1 to the depth of the pairs by default."""
    truth = np.asarray(truth)
    if truth.ndim != 2 or truth.shape[1] != 2 or not len(truth):
        raise InvalidInput(f"truth must be row pairs (matches, 2), at least one; got shape {truth.shape}")
    hit = np.isin(pairs.codes(), np.unique(truth[:, 0] * len(pairs.right_keys) + truth[:, 1]))
    deepest, matches = _deepest(pairs), len(np.unique(truth, axis=0))
    sizes = np.cumsum(np.bincount(pairs.rank, minlength=deepest))
    hits = np.cumsum(np.bincount(pairs.rank[hit], minlength=deepest))
    made = []
    for k in range(1, deepest + 1) if ks is None else ks:
        at = min(int(k), deepest) - 1
        if at < 0:
            raise InvalidInput(f"k must be at least 1; got {k}")
        size, found = int(sizes[at]), int(hits[at])
        pc, pq = found / matches, found / size if size else 0.0
        share = size / max(1, pairs.num_possible)
        f1 = 2 * pc * pq / (pc + pq) if found else 0.0
        made.append(BlockingQuality(int(k), size, found, matches, pc, pq, f1, share, 1 - share))
    return made


def at_recall(pairs: CandidatePairs, truth: NDArray[np.int64], recall: float) -> BlockingQuality | None:
    """The quality at the smallest k whose pair completeness reaches `recall`; None where no depth of the pairs does."""
    return next((row for row in curve(pairs, truth) if row.pc >= recall), None)


def by_score(pairs: CandidatePairs, truth: NDArray[np.int64], recall: float) -> BlockingQuality | None:
    """The quality of the fewest pairs, taken by falling score whatever their rank, that reach `recall`; k is 0."""
    return _fewest(pairs, truth, recall, np.lexsort((pairs.codes(), -pairs.score)))


def by_margin(pairs: CandidatePairs, truth: NDArray[np.int64], recall: float) -> BlockingQuality | None:
    """The same for pairs taken by how far they lie below the best of their left record (`CandidatePairs.within`), and
    of equally near ones by score; k is 0."""
    return _fewest(pairs, truth, recall, np.lexsort((pairs.codes(), -pairs.score, pairs.margins())))


def _fewest(
    pairs: CandidatePairs, truth: NDArray[np.int64], recall: float, order: NDArray[np.int64]
) -> BlockingQuality | None:
    hit = np.isin(pairs.codes(), np.unique(truth[:, 0] * len(pairs.right_keys) + truth[:, 1]))[order]
    matches = len(np.unique(truth, axis=0))
    found = np.cumsum(hit)
    needed = int(np.ceil(recall * matches - 1e-9))
    if not len(found) or found[-1] < needed:
        return None
    size = int(np.searchsorted(found, needed)) + 1
    pc, pq, share = found[size - 1] / matches, found[size - 1] / size, size / max(1, pairs.num_possible)
    return BlockingQuality(
        0, size, int(found[size - 1]), matches, float(pc), float(pq), float(2 * pc * pq / (pc + pq)), share, 1 - share
    )


def lost(pairs: CandidatePairs, truth: NDArray[np.int64]) -> NDArray[np.int64]:
    """The true pairs (rows) that are not among the candidates."""
    truth = np.unique(np.asarray(truth), axis=0)
    return truth[~np.isin(truth[:, 0] * len(pairs.right_keys) + truth[:, 1], pairs.codes())]


def _deepest(pairs: CandidatePairs) -> int:
    return int(pairs.rank.max(initial=0)) + 1


__all__ = ["BlockingQuality", "at_recall", "by_margin", "by_score", "curve", "lost", "quality"]
