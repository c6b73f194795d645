"""Unions of blockers: the candidates of several, each where it ranks them best."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..graphlib.errors import InvalidInput
from .blocker import Blocker, Lists, Progress
from .records import Records

_OFFSET = 60.0  # of reciprocal ranks, as in the reference


class Union(Blocker):
    """Several blockers as one: with k, every member gives its k, and lists are merged by reciprocal ranks.

    Parameters
    ----------
    blockers : sequence of Blocker
        `fit` and `index` reach all of them, and each compares the `columns` that it names.
    cut : bool, default False
        Keep the best k of a merged list instead of all of it (up to k times the number of members).

    Notes
    -----
    A pair's score is the sum over members of 1 / (60 + rank): G. Cormack, C. Clarke and S. Buettcher, "Reciprocal rank
    fusion outperforms Condorcet and individual rank learning methods", SIGIR 2009, doi:10.1145/1571941.1572114.

    Examples
    --------
    >>> from nearhop.blocking import MinHashBlocker, NGramBlocker
    >>> left = Records.of({"id": [1], "name": ["sony radio 100"]}, key="id")
    >>> right = Records.of({"id": [5, 6], "name": ["radio sony 100", "desk lamp"]}, key="id")
    >>> Union([NGramBlocker(), MinHashBlocker()]).block(left, right, k=1).right.tolist()
    [0]
    """

    KIND = "union"
    PARAMETERS = ("cut",)

    def __init__(self, blockers: Sequence[Blocker], *, cut: bool = False) -> None:
        super().__init__(None, None)
        if not blockers:
            raise InvalidInput("a union needs at least one blocker")
        self.blockers = list(blockers)
        self.cut = cut

    def _learn(self, left: Records, right: Records, matches: Any, progress: Progress | None) -> None:
        for blocker in self.blockers:
            first = blocker._records(left, "the left table", binding=True)
            second = first if right is left else blocker._records(right, "the right table", binding=True)
            blocker._learn(first, second, matches, progress)

    def _build(self, records: Records, progress: Progress | None) -> None:
        for blocker in self.blockers:
            blocker.index(records, progress=progress)

    def _extend(self, records: Records, first: int, progress: Progress | None) -> None:
        for blocker in self.blockers:
            blocker.add(records, progress=progress)

    def _find(self, records: Records, k: int, skip: int) -> Lists:
        lists = [blocker._find(blocker._records(records, "the table"), k, skip)[0] for blocker in self.blockers]
        wide = k if self.cut else sum(found.shape[1] for found in lists)
        found, scores = np.full((len(records), wide), -1, np.int64), np.zeros((len(records), wide), np.float32)
        for row in range(len(records)):
            score: dict[int, float] = {}
            for part in lists:
                for rank, which in enumerate(part[row].tolist()):
                    if which >= 0:
                        score[which] = score.get(which, 0.0) + 1 / (_OFFSET + rank)
            merged = sorted(score.items(), key=lambda item: (-item[1], item[0]))[:wide]
            for place, (which, value) in enumerate(merged):
                found[row, place], scores[row, place] = which, value
        return found, scores

    def _wide(self, k: int) -> int:
        return k if self.cut else k * len(self.blockers)

    def _check_saved(self) -> None:
        for blocker in self.blockers:
            blocker._check_saved()

    def _save_parts(self, folder: Path) -> None:
        for number, blocker in enumerate(self.blockers):
            blocker.save(folder / f"part{number}")


__all__ = ["Union"]
