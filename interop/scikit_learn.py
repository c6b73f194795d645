"""A scikit-learn transformer whose neighbour graph comes from an index of this package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..ann.exact import Exact
from ..ann.hnsw.index import HNSW
from ..graphlib.errors import InvalidInput
from ..graphlib.extras import require
from ..graphlib.scalars import is_integer

require("sklearn", "a scikit-learn estimator")

from scipy.sparse import csr_matrix  # noqa: E402
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin  # noqa: E402
from sklearn.utils.validation import check_is_fitted, validate_data  # noqa: E402

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..ann.words import Metric

_METRICS: dict[str, Metric] = {"euclidean": "l2", "l2": "l2", "sqeuclidean": "l2", "cosine": "cosine"}


class NeighborsTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """The graph of nearest neighbours as a sparse matrix, in place of scikit-learn's `KNeighborsTransformer`.

    Parameters
    ----------
    n_neighbors : int >= 1, default 5
    mode : {"distance", "connectivity"}, default "distance"
        "distance" returns one neighbour more, as scikit-learn does: of the rows it was fitted on, each is its own.
    metric : {"euclidean", "sqeuclidean", "cosine"}, default "euclidean"
    exact : bool, default False
        Compare with every row instead of walking an HNSW graph.
    M, ef_construction, ef_search : int
        As of `nearhop.ann.HNSW`; `ef_search` is raised to twice the neighbours.
    random_state : int, default 0
    n_jobs : int, optional
        Threads; all cores by default, and for -1.

    Attributes
    ----------
    n_samples_fit_ : int
    index_ : HNSW or Exact

    Notes
    -----
    Same data, same graph, at any number of threads. Rows of the result are sorted by distance, as estimators with
    metric="precomputed" want them. Values have the dtype of the data; sums are float32.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.cluster import DBSCAN
    >>> from sklearn.pipeline import make_pipeline
    >>> from nearhop.ann import NeighborsTransformer
    >>> rows = np.concatenate([np.zeros((20, 3)), np.ones((20, 3))]) + np.random.default_rng(0).normal(0, 0.05, (40, 3))
    >>> steps = make_pipeline(NeighborsTransformer(n_neighbors=10), DBSCAN(eps=0.5, metric="precomputed"))
    >>> np.bincount(steps.fit_predict(rows)).tolist()
    [20, 20]
    """

    def __init__(
        self,
        n_neighbors: int = 5,
        *,
        mode: str = "distance",
        metric: str = "euclidean",
        exact: bool = False,
        M: int = 16,
        ef_construction: int = 200,
        ef_search: int = 64,
        random_state: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.mode = mode
        self.metric = metric
        self.exact = exact
        self.M = M
        self.ef_construction = ef_construction
        self.ef_search = ef_search
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: ArrayLike, y: Any = None) -> NeighborsTransformer:
        """Build the index over the rows of `X`, (n_samples, n_features); `y` is ignored."""
        rows = validate_data(self, X, dtype=[np.float64, np.float32])
        if self.metric not in _METRICS:
            raise InvalidInput(f"metric must be one of {', '.join(map(repr, _METRICS))}; got {self.metric!r}")
        if self.mode not in ("distance", "connectivity"):
            raise InvalidInput(f"mode must be 'distance' or 'connectivity'; got {self.mode!r}")
        metric, threads = _METRICS[self.metric], None if self.n_jobs == -1 else self.n_jobs
        if self.exact:
            self.index_: Exact | HNSW = Exact(metric, threads=threads).add(rows)
        else:
            self.index_ = HNSW(
                metric, self.M, ef_construction=self.ef_construction, seed=self.random_state, threads=threads
            ).add(rows)
        self.n_samples_fit_ = len(rows)
        self._n_features_out = self.n_samples_fit_
        self._fitted_rows = rows.astype(np.float32)
        return self

    def kneighbors(
        self, X: ArrayLike | None = None, n_neighbors: int | None = None, return_distance: bool = True
    ) -> Any:
        """Distances and row numbers of the neighbours of `X`, (n_queries, n_neighbors) each.

        Without `X`, of the fitted rows among the others. Fewer than `n_neighbors` fitted rows are a `ValueError`.
        """
        check_is_fitted(self, "index_")
        count = self.n_neighbors if n_neighbors is None else n_neighbors
        if not is_integer(count) or count < 1:
            raise InvalidInput(f"n_neighbors must be an integer >= 1; got {count!r}")
        most = self.n_samples_fit_ - (X is None)
        if count > most:
            raise InvalidInput(
                f"Expected n_neighbors <= n_samples_fit, but n_neighbors = {count}, n_samples_fit = {most}, "
                f"n_samples = {self.n_samples_fit_}"
            )
        if X is None:
            distances, found = self._search(self._fitted_rows, count + 1, self._fitted_rows.dtype)
            own = found == np.arange(len(found))[:, None]
            own[~own.any(axis=1), -1] = True  # one of many copies: the farthest is left out instead
            distances, found = distances[~own].reshape(-1, count), found[~own].reshape(-1, count)
        else:
            rows = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
            distances, found = self._search(rows, count, rows.dtype)
        return (distances, found) if return_distance else found

    def kneighbors_graph(
        self, X: ArrayLike | None = None, n_neighbors: int | None = None, mode: str = "connectivity"
    ) -> csr_matrix:
        """The same as a sparse matrix (n_queries, n_samples_fit_) of distances or ones."""
        distances, found = self.kneighbors(X, n_neighbors)
        values = distances if mode == "distance" else np.ones_like(distances)
        starts = np.arange(0, found.size + 1, found.shape[1])
        return csr_matrix((values.ravel(), found.ravel(), starts), shape=(len(found), self.n_samples_fit_))

    def transform(self, X: ArrayLike) -> csr_matrix:
        """The graph of `X`: (n_queries, n_samples_fit_), `n_neighbors` values a row, one more for "distance"."""
        check_is_fitted(self, "index_")
        return self.kneighbors_graph(X, self.n_neighbors + (self.mode == "distance"), self.mode)

    def _search(self, rows: NDArray[Any], count: int, dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        options = {} if isinstance(self.index_, Exact) else {"ef_search": max(self.ef_search, 2 * count)}
        found = self.index_.search(rows, count, **options)
        distances = np.maximum(found.distances, 0).astype(dtype)
        return np.sqrt(distances) if self.metric in ("euclidean", "l2") else distances, found.ids

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """Arrays and numbers alone: an index holds locks, which cannot be pickled."""
        state = dict(super().__getstate__())
        index = state.pop("index_", None)
        if isinstance(index, HNSW):
            from ..ann.formats.graphs import record_of

            state["_graph"] = record_of(index)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        record = state.pop("_graph", None)
        super().__setstate__(state)
        if record is not None:
            from ..ann.formats.graphs import index_of

            self.index_ = index_of(record, "pickle")
        elif "_fitted_rows" in state:
            self.index_ = Exact(_METRICS[self.metric]).add(self._fitted_rows)


__all__ = ["NeighborsTransformer"]
