"""The best inner products between sparse rows: what `spgemm(A, B.T, top_k=k)` gives, without most of the products."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...graphlib.compute.jit import threads_in_use

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]


class Postings:
    """Rows laid out by column, in blocks, for searches by inner product; values must be above 0.

    A search adds up products column by column, those that can contribute most first. Once the columns that are left
    cannot lift a new row above the k-th best score so far, only rows met before are finished (the rule of MaxScore).
    The result is exact: the same rows, in the same order, as without skipping.

    References
    ----------
    H. Turtle and J. Flood, "Query evaluation: strategies and optimizations", Inf. Process. Manag. 31 (1995),
    doi:10.1016/0306-4573(95)00020-H.

    Examples
    --------
    >>> rows = np.array([0, 2, 3]), np.array([0, 1, 1], np.int32), np.array([1, 1, 2], np.float32)
    >>> Postings(rows, 2).best(rows, 1)[0].tolist()
    [[0], [1]]
    """

    def __init__(self, rows: Rows, num_columns: int, threads: int | None = None) -> None:
        from . import postings_cpu as kernels

        indptr, indices, values = rows
        self.rows, self.num_columns = rows, num_columns
        firsts = indptr[: -1 : kernels.BLOCK] if len(indptr) > 1 else np.empty(0, np.int64)
        self._starts = np.empty((len(firsts), num_columns + 1), np.int64)
        self._starts[:, 0] = firsts
        self._posted = np.empty(len(indices), np.uint16), np.empty(len(indices), np.float32)
        with threads_in_use(threads):
            kernels.post(indptr, indices, values, self._starts, *self._posted)
        self._highest = np.zeros(num_columns, np.float32)
        np.maximum.at(self._highest, indices, values)

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in (*self.rows, self._starts, *self._posted, self._highest))

    def best(
        self, asked: Rows, k: int, *, least: float = 0.0, skip: int = -1, threads: int | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int64], int]:
        """Rows (-1 past the end), scores, counts of the k best for every row of `asked`, and how many products it took.

        `skip` >= 0 says that row q of `asked` is row skip + q here, which is left out of its own results.
        """
        from . import postings_cpu as kernels

        count = len(asked[0]) - 1
        found, scores = np.full((count, k), -1, np.int32), np.zeros((count, k), np.float32)
        counts, work = np.zeros(count, np.int64), np.zeros(count, np.int64)
        if count and len(self.rows[0]) > 1:
            group = max(16, min(512, count // 16))
            with threads_in_use(threads):
                postings, best = (self._starts, *self._posted), kernels.Best(found, scores, counts, work)
                kernels.best_products(asked, self.rows, postings, self._highest, np.float32(least), skip, group, best)
        return found, scores, counts, int(work.sum())


__all__ = ["Postings"]
