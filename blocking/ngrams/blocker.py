"""The n-gram blocker: TF-IDF or BM25 of character 3-grams, the best k by a search that skips what cannot win."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import InvalidInput, NotFitted
from ..blocker import Blocker, Lists, Progress
from ..codes import with_codes
from ..records import Records
from .grams import Grams
from .products import Postings
from .weights import WEIGHTS, of_queries, of_records

if TYPE_CHECKING:
    from typing import Literal


class NGramBlocker(Blocker):
    """Records that share rare character 3-grams.

    Parameters
    ----------
    weighting : {"tfidf", "bm25"}, default "tfidf"
        "bm25": Okapi BM25 with k1 = 1.2, b = 0.75. "tfidf": cosine of TF-IDF vectors, idf = ln((1 + n) / (1 + df)) + 1.
    width : int in [1, 3], default 3
        Characters per gram. Texts are lower-cased, words are runs of letters and digits with a space at both ends.
    columns : sequence of str, optional
        What is compared; all columns by default.
    codes : bool, default False
        Words that hold letters and digits count a second time without their punctuation: for part numbers, which one
        table writes "PS-LX350H" and the other "PSLX350H".
    threads : int, optional

    Notes
    -----
    The result is exact: that of the whole sparse product with the best k of every row. Columns that are left when no
    new record can reach the k-th best score are not read (see `Postings`). Memory: about 14 bytes per distinct gram of
    a record, some 600 bytes for an address. Learned from: D. Paulsen, Y. Govind and A. Doan, "Sparkly: a simple yet
    surprisingly strong TF/IDF blocker for entity matching", PVLDB 16 (2023), doi:10.14778/3583140.3583163.

    Examples
    --------
    >>> left = {"id": ["a", "b"], "name": ["sony radio", "desk lamp"]}
    >>> right = {"id": ["x", "y"], "name": ["lamp for desks", "radio by sony inc"]}
    >>> tables = [Records.of(table, key="id") for table in (left, right)]
    >>> NGramBlocker().block(*tables, k=1).to_arrow().select(["left", "right"]).to_pylist()
    [{'left': 'a', 'right': 'y'}, {'left': 'b', 'right': 'x'}]
    """

    KIND = "ngrams"
    PARAMETERS = "weighting", "width", "columns", "codes"

    def __init__(
        self,
        weighting: Literal["tfidf", "bm25"] = "tfidf",
        *,
        width: int = 3,
        columns: Sequence[str] | None = None,
        codes: bool = False,
        threads: int | None = None,
    ) -> None:
        super().__init__(columns, threads)
        if weighting not in WEIGHTS:
            raise InvalidInput(f"weighting must be one of {', '.join(map(repr, WEIGHTS))}; got {weighting!r}")
        self.weighting = weighting
        self.width = width
        self.codes = codes
        self._grams = Grams(width)
        self._postings: Postings | None = None
        self._counts: Any = None
        self.work = 0  # products summed by the last search

    def _texts(self, records: Records) -> list[str]:
        texts = records.texts()
        return [with_codes(text) for text in texts] if self.codes else texts

    def _build(self, records: Records, progress: Progress | None) -> None:
        self._grams = Grams(self.width)
        self._counts = self._grams.learn(self._texts(records), self.threads)
        self._weigh()

    def _extend(self, records: Records, first: int, progress: Progress | None) -> None:
        indptr, indices, counts = self._grams.learn(self._texts(records), self.threads)
        before = self._counts
        self._counts = (
            np.concatenate([before[0], before[0][-1] + indptr[1:]]), np.concatenate([before[1], indices]),
            np.concatenate([before[2], counts]),
        )  # fmt: skip
        self._weigh()

    def _weigh(self) -> None:
        self._idf, rows = of_records(self._counts, self._grams.size, self.weighting)
        self._postings = Postings(rows, self._grams.size, self.threads)

    def _find(self, records: Records, k: int, skip: int) -> Lists:
        if self._postings is None:
            raise NotFitted("no table is indexed")
        asked = of_queries(self._grams.rows(self._texts(records), self.threads), self._idf, self.weighting)
        found, scores, _, self.work = self._postings.best(asked, k, skip=skip, threads=self.threads)
        return found, scores

    def _shared(self, left: Records, right: Records) -> list[tuple[str, float]]:
        own = Grams(self.width)
        rows = [dict(zip(*part, strict=True)) for part in (self._weighed(left), self._weighed(right))]
        texts = own.names([*self._texts(left), *self._texts(right)])
        parts = [
            (texts.get(gram, "?"), float(rows[0][gram] * rows[1][gram])) for gram in rows[0].keys() & rows[1].keys()
        ]
        return sorted(parts, key=lambda part: (-part[1], part[0]))

    def _weighed(self, one: Records) -> tuple[list[int], list[float]]:
        """Keys of the grams of a record, and their weights."""
        counts = self._grams.rows(self._texts(one), 1)
        _, indices, values = of_queries(counts, self._idf, self.weighting)
        keys = self._grams.known()
        return [keys[i] for i in indices.tolist()], values.tolist()


__all__ = ["NGramBlocker"]
