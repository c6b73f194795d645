"""The MinHash blocker: records whose sets of character shingles share a band of their signatures."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ..ann.lsh.index import LSH
from ..ann.minhash.minhash import MinHash
from ..ann.minhash.shingling import shingles
from ..graphlib.errors import NotFitted
from .blocker import Blocker, Lists, Progress
from .records import Records

_APART = re.compile(r"[\W_]+")


class MinHashBlocker(Blocker):
    """Records of similar sets of character shingles, found through bands of MinHash signatures.

    Parameters
    ----------
    threshold : float in [0, 1], default 0.3
        Jaccard similarity from which pairs should be found (see `ann.LSH`).
    num_perm : int, default 128
        Slots of a signature.
    width : int >= 1, default 3
        Characters per shingle; texts are lower-cased, and whatever is no letter or digit becomes one space.
    columns : sequence of str, optional
    seed : int, default 0
    threads : int, optional

    Notes
    -----
    Without a limit on candidates a record's list holds every record that shares a bucket: `block(..., k=...)` keeps the
    k of highest estimated similarity. References: those of `ann.LSH`.

    Examples
    --------
    >>> left = Records.of({"id": [1], "name": ["sony radio 100"]}, key="id")
    >>> right = Records.of({"id": [5, 6], "name": ["radio sony 100", "desk lamp"]}, key="id")
    >>> MinHashBlocker().block(left, right, k=1).right.tolist()
    [0]
    """

    KIND = "minhash"
    PARAMETERS = "threshold", "num_perm", "width", "columns", "seed"

    def __init__(
        self,
        threshold: float = 0.3,
        *,
        num_perm: int = 128,
        width: int = 3,
        columns: Sequence[str] | None = None,
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        super().__init__(columns, threads)
        self.threshold = threshold
        self.num_perm = num_perm
        self.width = width
        self.seed = seed
        self._index: LSH | None = None

    def _signatures(self, records: Records) -> tuple[MinHash, np.ndarray]:
        minhash = MinHash(self.num_perm, seed=self.seed, threads=self.threads)
        texts = [_APART.sub(" ", text.lower()).strip() for text in records.texts()]
        return minhash, minhash.fit_transform(shingles(texts, width=self.width, threads=self.threads))

    def _build(self, records: Records, progress: Progress | None) -> None:
        minhash, signatures = self._signatures(records)
        self._index = LSH(minhash, threshold=self.threshold, threads=self.threads).add(signatures)

    def _extend(self, records: Records, first: int, progress: Progress | None) -> None:
        if self._index is None:
            raise NotFitted("no table is indexed")
        self._index.add(self._signatures(records)[1])

    def _find(self, records: Records, k: int, skip: int) -> Lists:
        if self._index is None:
            raise NotFitted("no table is indexed")
        rows = np.arange(skip, skip + len(records))
        if skip >= 0:
            result = self._index.search_ids(rows, k, threads=self.threads)
        else:
            result = self._index.search(self._signatures(records)[1], k, threads=self.threads)
        return result.ids, np.where(result.ids >= 0, 1 - result.distances, 0).astype(np.float32)


__all__ = ["MinHashBlocker"]
