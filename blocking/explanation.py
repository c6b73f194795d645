"""Why a pair of records is or is not a candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PairExplanation:
    """What a blocker makes of one pair.

    Attributes
    ----------
    pair : (left key, right key)
    rank : int or None
        Place of the right record among the left one's candidates, from 0; None: it is none at any depth.
    score, needed : float or None
        Of the pair, and of the k-th candidate.
    k : int
    left, right : dict
        The two records.
    shared : list of (str, float)
        What both have and how much it adds to the score (3-grams), largest first; empty where a kind cannot tell.
    """

    pair: tuple[Any, Any]
    rank: int | None
    score: float | None
    needed: float | None
    k: int
    left: dict[str, str]
    right: dict[str, str]
    shared: list[tuple[str, float]]

    @property
    def is_lost(self) -> bool:
        """Whether the pair is not among k candidates."""
        return self.rank is None or self.rank >= self.k

    def __str__(self) -> str:
        if self.rank is None:
            what = "shares nothing that the blocker looks at"
        elif self.is_lost:
            what = (
                f"is candidate {self.rank + 1}, behind the first {self.k}: score {self.score:.3f}, "
                f"needed {self.needed:.3f}"
            )
        else:
            what = f"is candidate {self.rank + 1}: score {self.score:.3f}"
        common = ", ".join(f"{gram!r} {value:.3f}" for gram, value in self.shared[:8])
        return "\n".join([
            f"{self.pair[0]!r} - {self.pair[1]!r} {what}", f"  left  {self.left}", f"  right {self.right}",
            *([f"  in common {common}"] if common else []),
        ])  # fmt: skip


__all__ = ["PairExplanation"]
