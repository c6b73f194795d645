"""What blockers have in common: tables in, candidate pairs out, a depth that known matches choose, files."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ..ann.metrics import check_count
from ..graphlib.errors import IndexMismatch, InvalidInput, NotFitted
from ..graphlib.scalars import PlainParameters
from .evaluation import check_recall, needed
from .explanation import PairExplanation
from .labels import match_rows
from .pairs import CandidatePairs
from .records import Records

if TYPE_CHECKING:
    from numpy.typing import NDArray

Progress = Callable[[int, int], None]
Lists = tuple["NDArray[Any]", "NDArray[np.float32]"]
_BLOCK = 4096
_DEEPEST = 200  # candidates per record up to which a recall is looked for


class Blocker(PlainParameters, ABC):
    """Finds, for every record of one table, those of another that may be the same thing.

    `block(left, right, k=5)` gives the 5 likeliest right records of every left one; `block(table, k=5)` the duplicates
    within one table. `fit(left, right, matches)` shows known matches: a learned blocker is trained on them, and for
    each `block(..., recall=0.95)` then takes the smallest k that finds that share of them. `index`, `query` and `add`
    are the same in steps, for tables that grow.

    Attributes
    ----------
    KIND : str
        The name of the kind in files and on the command line.
    PARAMETERS : tuple of str
        Constructor parameters that files keep.
    """

    KIND: ClassVar[str]
    PARAMETERS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, columns: Sequence[str] | None, threads: int | None) -> None:
        self.columns = columns
        self.threads = threads
        self._right: Records | None = None
        self._one_table = False  # whether what is indexed was looked up in itself
        self._ranks: NDArray[np.int64] | None = None  # of known matches; _DEEPEST: not among as many candidates
        self._schema: list[str] | None = None  # the columns that are compared, of the tables of `fit` or `index`

    # What a kind says.

    @abstractmethod
    def _build(self, records: Records, progress: Progress | None) -> None:
        """Index these records in place of any others."""

    @abstractmethod
    def _find(self, records: Records, k: int, skip: int) -> Lists:
        """Rows (-1 past the end) and scores of the k likeliest indexed records of each of these.

        `skip` >= 0: the records are the indexed ones from row `skip` on, and none is its own candidate.
        """

    def _extend(self, records: Records, first: int, progress: Progress | None) -> None:
        """Index further records, from row `first` of all records on."""
        self._build(self._indexed(), progress)

    def _wide(self, k: int) -> int:
        """The longest list that `_find` gives for k."""
        return k

    def _learn(self, left: Records, right: Records, matches: NDArray[np.int64], progress: Progress | None) -> None:
        """Learn from row pairs (matches, 2); nothing to learn by default."""

    def _check_saved(self) -> None:
        """`InvalidInput` where files cannot keep what this blocker is made of."""

    def _save_parts(self, folder: Path) -> None:
        """Write what a kind has learned."""

    def _load_parts(self, folder: Path) -> None:
        """Read what `_save_parts` wrote."""

    # What users call.

    @property
    def compared(self) -> list[str] | None:
        """The columns that are compared, of the tables of `fit` or of the one that is indexed; None before."""
        return self._schema

    def fit(self, left: Any, right: Any = None, matches: Any = None, *, progress: Progress | None = None) -> Self:
        """Show known matches: pairs of keys (left, right); of one table without `right`.

        Raises
        ------
        NotFound
            A match that names an unknown key; the message says which row.
        InvalidInput
            No matches.
        """
        one_table = right is None
        left, right = self._tables(left, right)
        rows = match_rows(matches, left, None if one_table else right)
        self._schema, self._one_table = list(right.columns), one_table
        self._learn(left, right, rows, progress)
        self._ranks = self._ranks_of(left, right, rows)
        return self

    def index(self, right: Any, *, progress: Progress | None = None) -> Self:
        """Index a table that `query` searches, in place of any other."""
        records = self._records(right, "the right table", binding=True)
        self._build(records, progress)
        self._right, self._schema, self._one_table = records, list(records.columns), False
        return self

    def add(self, more: Any, *, progress: Progress | None = None) -> Self:
        """Index further records behind those there are; `InvalidInput` for a key that is there already."""
        before = self._indexed()
        records = self._records(more, "the new records")
        self._right = before.joined(records)
        try:
            self._extend(records, len(before), progress)
        except BaseException:
            self._right = before
            raise
        return self

    def query(
        self, left: Any, *, k: int | None = None, recall: float | None = None, progress: Progress | None = None
    ) -> CandidatePairs:
        """Candidate pairs of these records with the indexed ones; `IndexMismatch` for other columns than theirs."""
        return self._paired(self._records(left, "the left table"), self._depth(k, recall), progress)

    def block(
        self, left: Any, right: Any = None, *, k: int | None = None, recall: float | None = None,
        progress: Progress | None = None,
    ) -> CandidatePairs:  # fmt: skip
        """Candidate pairs between two tables, or within one.

        Parameters
        ----------
        left, right : tables
            As `Records.of` takes them. For every left record right ones are looked for: let the smaller table be left.
            Without `right` these are duplicates within one table, each pair once; a table given twice is two tables.
        k : int >= 1, optional
            Candidates per left record.
        recall : float in (0, 1], optional
            In place of k: the smallest k that finds this share of the matches that `fit` was shown.
        progress : callable (done, total), optional

        Raises
        ------
        IndexMismatch
            The tables have other columns than one another, or than those of `fit`.
        """
        depth = self._depth(k, recall)
        one_table = right is None
        left, right = self._tables(left, right)
        self._build(right, progress)
        self._right, self._schema, self._one_table = right, list(right.columns), one_table
        return self._paired(left, depth, progress, one_table=one_table)

    def explain(self, left: Any, pair: tuple[Any, Any], *, k: int | None = None) -> PairExplanation:
        """Why a pair (left key, right key) is or is not a candidate; the right record must be indexed.

        `k` is the depth that "lost" is judged by, 10 by default. `left` is the table of the left record, which is no
        candidate of its own where `block(table)` or `fit(table, ...)` came last.
        """
        asked, right = self._records(left, "the left table"), self._indexed()
        rows = match_rows([pair], asked, right)[0]
        one = asked.chosen(rows[:1])
        k = 10 if k is None else check_count("k", k)
        found, scores = self._find(one, len(right), -1)
        order = [(row, score) for row, score in zip(found[0].tolist(), scores[0].tolist(), strict=True) if row >= 0]
        if self._one_table and asked.columns == right.columns and np.array_equal(asked.keys, right.keys):
            order = [(row, score) for row, score in order if row != rows[0]]
        rank = next((place for place, (row, _) in enumerate(order) if row == rows[1]), None)
        return PairExplanation(
            pair, rank, None if rank is None else order[rank][1],
            order[min(k, len(order)) - 1][1] if order else None, k,
            one.record(0), right.record(int(rows[1])), self._shared(one, right.chosen(rows[1:])),
        )  # fmt: skip

    def _shared(self, left: Records, right: Records) -> list[tuple[str, float]]:
        """What two records have in common and how much it counts, where a kind can tell; one record each."""
        return []

    def save(self, path: str | Path) -> None:
        """Write the blocker, what it has learned and the indexed records as a new folder; `load` opens it."""
        from ..graphlib.disk.replacing import making_folder, replacing_stream

        self._check_saved()
        with making_folder(path) as folder:
            about = {
                "kind": self.KIND, "version": 1, "parameters": self._parameters(),
                "schema": self._schema, "ranks": None if self._ranks is None else self._ranks.tolist(),
                "records": self._right is not None, "one_table": self._one_table,
            }  # fmt: skip
            with replacing_stream(folder / "blocker.json") as stream:
                stream.write(json.dumps(about).encode())
            if self._right is not None:
                import pyarrow.parquet

                with replacing_stream(folder / "records.parquet") as stream:
                    pyarrow.parquet.write_table(self._right.to_arrow(), stream)
            self._save_parts(folder)

    # Below.

    def _parameters(self) -> dict[str, Any]:
        """What the constructor takes to make a blocker like this one."""
        return {name: getattr(self, name) for name in self.PARAMETERS}

    def _indexed(self) -> Records:
        if self._right is None:
            raise NotFitted("no table is indexed; call index(right) or block(left, right) first")
        return self._right

    def _records(self, given: Any, name: str, *, binding: bool = False) -> Records:
        """A table as it is compared; one that is `binding` says by which columns, unless `fit` has said so."""
        records = Records.of(given, columns=self.columns, name=name)
        fitted = self._ranks is not None
        if self._schema is not None and (fitted or not binding):
            self._check_columns(records, name, self._schema, "the model was fitted on" if fitted else "the index has")
        return records

    def _check_columns(self, records: Records, name: str, schema: list[str], whose: str) -> None:
        if list(records.columns) != schema:
            raise IndexMismatch(
                f"{name} has columns {list(records.columns)}, and {whose} {schema}; give tables of the same columns in "
                "the same order, name those to compare by columns=, or make another blocker"
            )

    def _tables(self, left: Any, right: Any) -> tuple[Records, Records]:
        """Both tables as they are compared: the same object for one table without `right`, and never for two."""
        first = self._records(left, "the left table" if right is not None else "the table", binding=True)
        if right is None:
            return first, first
        second = self._records(right, "the right table", binding=True)
        self._check_columns(first, "the left table", list(second.columns), "the right one has")
        return first, replace(second) if second is first else second

    def _depth(self, k: int | None, recall: float | None) -> int:
        if (k is None) == (recall is None):
            raise InvalidInput(
                "give k (candidates per record) or recall (a share of the known matches), one of the two"
            )
        if k is not None:
            return check_count("k", k)
        share = check_recall(recall)
        if self._ranks is None:
            raise NotFitted("recall= needs known matches; call fit(left, right, matches) first, or give k=")
        rank = int(np.sort(self._ranks)[needed(share, len(self._ranks)) - 1])
        if rank >= _DEEPEST:
            found = float((self._ranks < _DEEPEST).mean())
            raise InvalidInput(
                f"recall={recall} is not reached with {_DEEPEST} candidates per record: {found:.3f} of the known "
                "matches are; lower it, give k=, or take a union of blockers"
            )
        return rank + 1

    def _ranks_of(self, left: Records, right: Records, matches: NDArray[np.int64]) -> NDArray[np.int64]:
        """The place of each known match among its left record's candidates, _DEEPEST where it is not among as many."""
        self._build(right, None)
        self._right = right
        asked, place = np.unique(matches[:, 0], return_inverse=True)
        depth = min(_DEEPEST, len(right))
        if left is right:  # one table: a record is its own first candidate, which does not count
            found = self._find(left.chosen(asked), min(depth + 1, len(right)), -1)[0]
            keep = found != asked[:, None]
            keep[keep.all(axis=1), -1] = False
            keep &= np.cumsum(keep, axis=1) <= found.shape[1] - 1
            found = found[keep].reshape(len(asked), -1)
        else:
            found = self._find(left.chosen(asked), depth, -1)[0]
        hit = found[place] == matches[:, 1:2]
        return np.where(hit.any(axis=1), hit.argmax(axis=1), _DEEPEST)

    def _paired(self, left: Records, k: int, progress: Progress | None, *, one_table: bool = False) -> CandidatePairs:
        right = self._indexed()
        k = max(1, min(k, len(right) - one_table))
        wide = self._wide(k)
        found, scores = np.full((len(left), wide), -1, np.int64), np.zeros((len(left), wide), np.float32)
        for start in range(0, len(left), _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, len(left)))
            part = left if len(rows) == len(left) else left.chosen(rows)
            some, score = self._find(part, k, start if one_table else -1)
            found[rows, : some.shape[1]], scores[rows, : some.shape[1]] = some, score
            if progress is not None:
                progress(int(rows[-1]) + 1, len(left))
        return CandidatePairs.of_lists(found, scores, left, right, one_table=one_table)


__all__ = ["Blocker", "Progress"]
