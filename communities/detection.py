"""Communities of a whole graph, by well-kept libraries."""

from __future__ import annotations

import ctypes
import os
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ann.metrics import check_count
from ..graphlib.errors import InvalidInput, MissingExtra
from ..graphlib.extras import require
from ..graphlib.given_store import chosen_edge_type
from ..graphlib.scalars import is_finite
from .quality import modularity, symmetric_matrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..graphlib.types import EdgeType

_LIBRARIES = {
    "leiden": ("igraph", "leidenalg", "sknetwork"),
    "louvain": ("igraph", "sknetwork"),
    "label_propagation": ("igraph", "sknetwork"),
}


@dataclass(frozen=True, eq=False, repr=False)
class Partition:
    """A community for every node.

    Attributes
    ----------
    labels : int32 (n,)
        0 is the largest community; equal sizes are ordered by their first member.
    sizes : int64 (communities,)
    modularity : float
        Of the weighted graph, at resolution 1.
    library : str
        Which library and version found it.
    """

    labels: NDArray[np.int32]
    sizes: NDArray[np.int64]
    modularity: float
    library: str

    def __repr__(self) -> str:
        return (
            f"Partition({len(self.sizes):,} communities of {len(self.labels):,} nodes, largest "
            f"{int(self.sizes.max(initial=0)):,}, modularity {self.modularity:.4f}, {self.library})"
        )


def detect(
    graph: Any,
    *,
    method: str = "leiden",
    resolution: float = 1.0,
    seed: int = 0,
    library: str | None = None,
    edge_type: EdgeType | None = None,
    use_weights: bool = True,
) -> Partition:
    """Split a graph into communities.

    Parameters
    ----------
    graph : GraphStore or SciPy sparse matrix
        Directions are dropped; weights of parallel edges are added.
    method : {"leiden", "louvain", "label_propagation"}
        The first two maximise modularity at `resolution`.
    resolution : float > 0, default 1
        Larger finds smaller communities; not used by label propagation.
    seed : int, default 0
    library : {"igraph", "leidenalg", "sknetwork"}, optional
        Default: igraph where it is installed, else scikit-network. leidenalg, by the authors of the method, runs until
        nothing improves; it knows Leiden only.
    edge_type : tuple, optional
        Which edges of a store, from and to nodes of one type; such as the similarity graph that
        `LSH.similarity_graph(...).add_to(store)` adds.
    use_weights : bool, default True
        Whether edges count by their weights, which must be >= 0, or each as one.

    Returns
    -------
    Partition
        Nodes of a store with user ids are handed over in order of id, so the result does not depend on how they are
        stored.

    Raises
    ------
    MissingExtra
        Neither library is installed.
    InvalidInput
        A negative weight; a library that refuses the graph.

    Examples
    --------
    >>> import nearhop
    >>> from nearhop.ann import detect
    >>> store = nearhop.GraphStore.from_edges([0, 1, 0, 3, 4, 3, 2], [1, 2, 2, 4, 5, 5, 3])
    >>> detect(store, library="sknetwork").labels.tolist()
    [0, 0, 0, 1, 1, 1]
    """
    if method not in _LIBRARIES:
        raise InvalidInput(f"method must be one of {', '.join(map(repr, _LIBRARIES))}; got {method!r}")
    if library not in (None, *_LIBRARIES[method]):
        raise InvalidInput(f"library must be one of {', '.join(map(repr, _LIBRARIES[method]))}; got {library!r}")
    if not is_finite(resolution) or resolution <= 0:
        raise InvalidInput(f"resolution must be a number above 0; got {resolution!r:.50}")
    seed = check_count("seed", seed, low=0, high=(1 << 32) - 1)
    matrix = symmetric_matrix(graph, loops=True, edge_type=edge_type, use_weights=use_weights)
    count = matrix.shape[0]
    ids = graph.ids(chosen_edge_type(graph, edge_type)[0]) if hasattr(graph, "ids") else None
    order = np.arange(count) if ids is None else np.argsort(ids, kind="stable")
    ordered = matrix[order][:, order]
    ordered.sort_indices()
    name, module = _library(library)
    run = {"igraph": _igraph, "leidenalg": _leidenalg, "sknetwork": _sknetwork}[name]
    try:
        found = run(module, ordered, method, resolution, seed)
    except MissingExtra:
        raise
    except Exception as error:  # whatever another library raises
        raise InvalidInput(f"detect: {name} {module.__version__} cannot split this graph ({error})") from error
    sizes = np.bincount(found)
    first = np.full(len(sizes), count)
    np.minimum.at(first, found, np.arange(count))
    rank = np.empty(len(sizes), np.int32)
    rank[np.lexsort((first, -sizes))] = np.arange(len(sizes))
    labels = np.empty(count, np.int32)
    labels[order] = rank[found]
    return Partition(
        labels, np.sort(sizes)[::-1], modularity(matrix_halves(matrix), labels), f"{name} {module.__version__}"
    )


def matrix_halves(matrix: Any) -> Any:
    """A symmetric matrix whose loops count twice, as one that `symmetric_matrix` reads as the same graph."""
    import scipy.sparse

    return scipy.sparse.csr_array(matrix - scipy.sparse.diags_array(matrix.diagonal() / 2))


def _library(wanted: str | None) -> tuple[str, Any]:
    if wanted is not None:
        return wanted, require(wanted, "community detection")
    try:
        return "igraph", require("igraph", "community detection")
    except ImportError:
        return "sknetwork", require("sknetwork", "community detection")


def _as_igraph(module: Any, matrix: Any) -> tuple[Any, NDArray[np.float64]]:
    """The graph, and the weights of its edges."""
    import scipy.sparse

    upper = scipy.sparse.triu(matrix).tocoo()
    weight = np.where(upper.row == upper.col, upper.data / 2, upper.data)
    return module.Graph(n=matrix.shape[0], edges=np.column_stack([upper.row, upper.col])), weight


def _leidenalg(module: Any, matrix: Any, method: str, resolution: float, seed: int) -> NDArray[np.int64]:
    graph, weight = _as_igraph(require("igraph", "community detection"), matrix)
    kind = module.RBConfigurationVertexPartition  # modularity, with a resolution
    found = module.find_partition(
        graph, kind, weights=weight, resolution_parameter=resolution, n_iterations=-1, seed=seed % (1 << 31)
    )
    return np.asarray(found.membership, np.int64)


def _igraph(module: Any, matrix: Any, method: str, resolution: float, seed: int) -> NDArray[np.int64]:
    graph, weight = _as_igraph(module, matrix)
    module.set_random_number_generator(random.Random(seed))
    try:
        if method == "leiden":
            found = graph.community_leiden("modularity", weights=weight, resolution=resolution, n_iterations=-1)
        elif method == "louvain":
            found = graph.community_multilevel(weights=weight, resolution=resolution)
        else:
            found = graph.community_label_propagation(weights=weight)
    finally:
        module.set_random_number_generator(random)
    return np.asarray(found.membership, np.int64)


def _sknetwork(module: Any, matrix: Any, method: str, resolution: float, seed: int) -> NDArray[np.int64]:
    import scipy.sparse

    clustering = require("sknetwork.clustering", "community detection")
    plain = scipy.sparse.csr_matrix(matrix)
    if method == "label_propagation":
        return clustering.PropagationClustering().fit_predict(plain).astype(np.int64)
    kind = clustering.Leiden if method == "leiden" else clustering.Louvain
    if os.name == "posix":  # its Leiden draws from the C library's generator, whatever random_state says
        ctypes.CDLL(None).srand(seed)
    return kind(resolution=resolution, random_state=seed).fit_predict(plain).astype(np.int64)


__all__ = ["Partition", "detect"]
