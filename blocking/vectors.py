"""Blockers by vectors: every record becomes one, and the nearest are candidates."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ann.exact import Exact
from ..ann.hnsw.index import HNSW
from ..ann.metrics import check_vectors, unit_rows
from ..graphlib.compute.streams import seeded
from ..graphlib.errors import InvalidInput, NotFitted
from .blocker import Blocker, Lists, Progress
from .ngrams.grams import Grams
from .records import Records

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Encoder = Callable[[list[str]], NDArray[Any]]

_FEW = 20_000  # rows that are searched one by one


class VectorBlocker(Blocker):
    """A blocker of records as vectors, searched exactly up to 20,000 of them and through `ann.HNSW` beyond.

    A kind writes `encode`, or overrides `_asked` and `_kept` where the two tables are encoded differently.
    """

    def __init__(self, columns: Sequence[str] | None, threads: int | None) -> None:
        super().__init__(columns, threads)
        self._index: Exact | HNSW | None = None

    @abstractmethod
    def encode(self, records: Any) -> NDArray[np.float32]:
        """Vectors of records, float32 (records, dim) of length 1 (or 0)."""

    def _build(self, records: Records, progress: Progress | None) -> None:
        kind = Exact if len(records) <= _FEW else HNSW
        self._index = kind("cosine", threads=self.threads).add(self.encode(records)) if len(records) else None

    def _extend(self, records: Records, first: int, progress: Progress | None) -> None:
        if self._index is None or (isinstance(self._index, Exact) and first + len(records) > _FEW):
            self._build(self._indexed(), progress)
        elif len(records):
            self._index.add(self.encode(records))

    def _find(self, records: Records, k: int, skip: int) -> Lists:
        if self._index is None:  # the table that is indexed holds no records
            return np.full((len(records), k), -1), np.zeros((len(records), k), np.float32)
        extra = skip >= 0
        options = {"ef_search": max(64, 2 * (k + 1))} if isinstance(self._index, HNSW) else {}
        result = self._index.search(self.encode(records), k + extra, threads=self.threads, **options)
        ids, score = result.ids, np.where(result.ids >= 0, 1 - result.distances, 0).astype(np.float32)
        if not extra:
            return ids, score
        own = ids == np.arange(skip, skip + len(records))[:, None]
        own[~own.any(axis=1), -1] = True  # copies of a record may crowd it out: the last goes in its place
        rest = ~own
        return ids[rest].reshape(len(ids), -1), score[rest].reshape(len(ids), -1)


class EmbeddingBlocker(VectorBlocker):
    """Records as static embeddings: your encoder, word vectors, or hashed character n-grams by default.

    Parameters
    ----------
    encoder : callable, mapping or None
        A callable takes a list of texts and gives a matrix, such as `SentenceTransformer(...).encode`; a mapping gives
        word vectors, which are averaged; None sums random vectors of character 3-grams, weighed by their rarity in the
        indexed table.
    dim : int, default 256
        Of the random vectors.
    columns : sequence of str, optional
    seed : int, default 0
    threads : int, optional

    Notes
    -----
    Files keep the default encoder only; a blocker with another cannot be saved.

    Examples
    --------
    >>> left = Records.of({"id": [1], "name": ["sony radio 100"]}, key="id")
    >>> right = Records.of({"id": [5, 6], "name": ["radio sony 100", "desk lamp"]}, key="id")
    >>> EmbeddingBlocker().block(left, right, k=1).right.tolist()
    [0]
    """

    KIND = "embedding"
    PARAMETERS = "dim", "columns", "seed"

    def __init__(
        self,
        encoder: Encoder | Any = None,
        *,
        dim: int = 256,
        columns: Sequence[str] | None = None,
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        super().__init__(columns, threads)
        self.encoder = encoder
        self.dim = dim
        self.seed = seed
        self._grams: Grams | None = None
        self._idf: NDArray[np.float32] = np.empty(0, np.float32)

    def _build(self, records: Records, progress: Progress | None) -> None:
        if self.encoder is None:
            self._grams = Grams()
            _, indices, _ = self._grams.learn(records.texts(), self.threads)
            frequency = np.bincount(indices, minlength=self._grams.size)
            self._idf = (np.log((1 + len(records)) / (1 + frequency)) + 1).astype(np.float32)
        super()._build(records, progress)

    def _extend(self, records: Records, first: int, progress: Progress | None) -> None:
        if self.encoder is None:  # what is rare is counted again
            self._build(self._indexed(), progress)
        else:
            super()._extend(records, first, progress)

    def encode(self, records: Records) -> NDArray[np.float32]:
        texts = records.texts()
        if callable(self.encoder):
            rows = check_vectors("encoder", self.encoder(texts), dim=None)
            if len(rows) != len(texts):
                raise InvalidInput(f"encoder gave {len(rows)} rows for {len(texts)} texts")
            return unit_rows(rows)
        return unit_rows(self._random(texts) if self.encoder is None else _mean_words(texts, self.encoder))

    def _random(self, texts: list[str]) -> NDArray[np.float32]:
        if self._grams is None:
            raise NotFitted("no table is indexed")
        import scipy.sparse as sp

        indptr, indices, counts = self._grams.rows(texts, self.threads)
        values = counts * self._idf[indices]
        signs = seeded(self.seed).integers(0, 2, (self._grams.size, self.dim), np.int8) * 2 - 1
        return np.asarray(sp.csr_array((values, indices, indptr), (len(texts), len(signs))) @ signs.astype(np.float32))

    def _check_saved(self) -> None:
        if self.encoder is not None:
            raise InvalidInput("a blocker with an encoder of yours cannot be saved; save its vectors in an ann index")


def _mean_words(texts: list[str], vectors: Any) -> NDArray[np.float32]:
    width = len(next(iter(vectors.values())))
    out = np.zeros((len(texts), width), np.float32)
    for row, text in enumerate(texts):
        known = [vectors[word] for word in text.lower().split() if word in vectors]
        if known:
            out[row] = np.mean(known, axis=0)
    return out


__all__ = ["EmbeddingBlocker", "VectorBlocker"]
