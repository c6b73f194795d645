"""How good candidate pairs are: one evaluator for every blocker, over the whole product of the tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ann.metrics import check_count
from ..graphlib.checks import unmasked
from ..graphlib.errors import InvalidInput, InvalidType
from ..graphlib.scalars import is_number
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
    """The quality of the best k candidates of every record, of all by default.

    `truth` are row pairs as of `match_rows`, here and below; of one table in either order. `InvalidInput` for none, or
    for rows that the tables do not have.

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
    true = _codes(pairs, truth)
    hit = np.isin(pairs.codes(), true)
    deepest, matches = _deepest(pairs), len(true)
    sizes = np.cumsum(np.bincount(pairs.rank, minlength=deepest))
    hits = np.cumsum(np.bincount(pairs.rank[hit], minlength=deepest))
    made = []
    if ks is not None and not isinstance(ks, Iterable):
        raise InvalidType(f"ks must be a sequence of depths; got {ks!r:.50}; give [{ks!r:.50}]")
    for k in range(1, deepest + 1) if ks is None else ks:
        at = min(check_count("k", k), deepest) - 1
        size, found = int(sizes[at]), int(hits[at])
        pc, pq = found / matches, found / size if size else 0.0
        share = size / max(1, pairs.num_possible)
        f1 = 2 * pc * pq / (pc + pq) if found else 0.0
        made.append(BlockingQuality(int(k), size, found, matches, pc, pq, f1, share, 1 - share))
    return made


def at_recall(pairs: CandidatePairs, truth: NDArray[np.int64], recall: float) -> BlockingQuality | None:
    """The quality at the smallest k whose pair completeness reaches `recall`; None where no depth of the pairs does."""
    check_recall(recall)
    return next((row for row in curve(pairs, truth) if row.found >= needed(recall, row.matches)), None)


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
    check_recall(recall)
    true = _codes(pairs, truth)
    hit, matches = np.isin(pairs.codes(), true)[order], len(true)
    found = np.cumsum(hit)
    wanted = needed(recall, matches)
    if not len(found) or found[-1] < wanted:
        return None
    size = int(np.searchsorted(found, wanted)) + 1
    pc, pq, share = found[size - 1] / matches, found[size - 1] / size, size / max(1, pairs.num_possible)
    return BlockingQuality(
        0, size, int(found[size - 1]), matches, float(pc), float(pq), float(2 * pc * pq / (pc + pq)), share, 1 - share
    )


def lost(pairs: CandidatePairs, truth: NDArray[np.int64]) -> NDArray[np.int64]:
    """The true pairs (rows), each once, that are not among the candidates; none of none."""
    true = _codes(pairs, truth, least=0)
    return np.stack(np.divmod(true[~np.isin(true, pairs.codes())], max(1, len(pairs.right_keys))), axis=1)


def check_recall(recall: Any) -> float:
    """A share of matches that can be asked for."""
    if not is_number(recall) or not 0 < recall <= 1:
        raise InvalidInput(f"recall must be in (0, 1]; got {recall!r:.50}")
    return recall


def needed(recall: float, matches: int) -> int:
    """How many of the matches are such a share of them, at least one."""
    return max(1, int(np.ceil(recall * matches - 1e-9)))


def _codes(pairs: CandidatePairs, truth: Any, least: int = 1) -> NDArray[np.int64]:
    """Distinct true pairs, numbered as `CandidatePairs.codes` numbers candidates."""
    given = unmasked("truth", truth)
    if not given.size and not least:
        return np.empty(0, np.int64)
    if given.ndim != 2 or given.shape[1] != 2 or not len(given):
        raise InvalidInput(f"truth must be row pairs (matches, 2), at least one; got shape {given.shape}")
    if given.dtype.kind not in "iu":
        raise InvalidType(
            f"truth must be row numbers, which match_rows gives of pairs of keys; got dtype {given.dtype}"
        )
    for side, (name, keys) in enumerate((("left", pairs.left_keys), ("right", pairs.right_keys))):
        outside = (given[:, side] < 0) | (given[:, side] >= len(keys))
        if outside.any():
            at = int(np.argmax(outside))
            raise InvalidInput(
                f"truth: pair {at} names row {given[at, side]} of the {name} table, whose rows are 0..{len(keys) - 1}; "
                "match_rows gives rows of keys"
            )
    rows = given.astype(np.int64)
    if pairs.one_table:
        if (rows[:, 0] == rows[:, 1]).any():
            at = int(np.argmax(rows[:, 0] == rows[:, 1]))
            raise InvalidInput(f"truth: pair {at} matches row {rows[at, 0]} of one table with itself")
        rows = np.sort(rows, axis=1)
    return np.unique(rows[:, 0] * len(pairs.right_keys) + rows[:, 1])


def _deepest(pairs: CandidatePairs) -> int:
    return int(pairs.rank.max(initial=0)) + 1


__all__ = ["BlockingQuality", "at_recall", "by_margin", "by_score", "curve", "lost", "quality"]
