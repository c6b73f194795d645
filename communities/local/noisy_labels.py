"""Labels that may be wrong, made for local clustering: from a few samples, from a first diffusion, or by chance.

What flows out is either one 0/1 label per node or a function that labels the nodes it is asked about, which
`flow_diffusion` asks about touched nodes only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import unmasked
from ...graphlib.compute.streams import seeded
from ...graphlib.errors import InvalidInput, InvalidType
from ...graphlib.extras import require
from ...graphlib.given_store import check_store
from ...graphlib.scalars import is_integer, is_number
from ...sampling.arguments import node_positions
from .diffusion import FlowSolver, MassSweep, flow_diffusion
from .graph import check_finite_rows
from .sweep import check_nodes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore
    from .cluster import LocalCluster

_PART = 8192


class AttributeClassifier:
    """An l2-regularised logistic regression on node attributes, as a function from positions to 0/1 labels.

    Parameters
    ----------
    attributes : matrix (num_nodes, width)
        Rows of the samples, and later of the nodes asked about, are read; a memory map is fine.
    positives, negatives : integers
        Positions of nodes inside and outside the target (`store.lookup(ids)` for user ids), at least one each, none in
        both.
    C : float > 0, default 1
        Inverse strength of the regularisation.

    Raises
    ------
    InvalidInput, InvalidType
        Samples that are unknown, repeated or in both sets.
    MissingExtra
        Without scikit-learn.

    Notes
    -----
    Attributes are divided by the largest absolute value among the samples. Classes are weighted so that both count the
    same, since negatives are easier to come by. A call costs O(number of nodes asked * width) time.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> X = np.array([[0.0], [0.1], [0.9], [1.0], [0.2], [0.8]])
    >>> inside = nearhop.ann.AttributeClassifier(X, positives=[2, 3], negatives=[0, 1])
    >>> inside(np.array([4, 5])).tolist()
    [0, 1]
    """

    def __init__(self, attributes: ArrayLike, *, positives: ArrayLike, negatives: ArrayLike, C: float = 1.0) -> None:
        linear_model = require("sklearn.linear_model", "AttributeClassifier")
        matrix: NDArray[Any] = unmasked("attributes", attributes)
        if matrix.ndim != 2 or matrix.dtype.kind not in "iufb":
            raise InvalidType(
                f"attributes must be a numeric matrix, one row per node; got shape {matrix.shape}, {matrix.dtype}"
            )
        if not is_number(C) or not 0 < C < np.inf:
            raise InvalidInput(f"C must be a positive number; got {C!r}")
        inside = check_nodes("positives", positives, matrix.shape[0])
        outside = check_nodes("negatives", negatives, matrix.shape[0])
        both = np.intersect1d(inside, outside)
        if both.shape[0]:
            raise InvalidInput(f"node {both[0]} is among the positives and the negatives")
        self._attributes = matrix
        samples = np.concatenate([inside, outside])
        truth = np.repeat([1, 0], [inside.shape[0], outside.shape[0]])
        check_finite_rows("attributes", matrix, samples)
        rows = matrix[samples].astype(np.float64)
        self._scale = float(np.abs(rows).max(initial=0.0)) or 1.0
        model = linear_model.LogisticRegression(C=C, class_weight="balanced", max_iter=1000)
        model.fit(rows / self._scale, truth)
        self._coefficients = model.coef_[0]
        self._intercept = float(model.intercept_[0])

    def scores(self, nodes: ArrayLike) -> NDArray[np.float64]:
        """Signed distances from the decision, positive inside."""
        asked = node_positions("nodes", nodes, self._attributes.shape[0])
        check_finite_rows("attributes", self._attributes, asked)
        out = np.empty(asked.shape[0])
        for start in range(0, asked.shape[0], _PART):
            part = self._attributes[asked[start : start + _PART]]
            out[start : start + _PART] = part.astype(np.float64) @ (self._coefficients / self._scale)
        return out + self._intercept

    def __call__(self, nodes: ArrayLike) -> NDArray[np.int64]:
        """Labels of nodes: 1 inside, 0 outside."""
        return (self.scores(nodes) > 0).astype(np.int64)

    def __repr__(self) -> str:
        return f"AttributeClassifier({self._attributes.shape[0]:,} nodes x {self._attributes.shape[1]:,} attributes)"


def diffuse_twice(
    store: GraphStore,
    seeds: ArrayLike,
    *,
    attributes: ArrayLike,
    mass: float | MassSweep | None = None,
    epsilon: float = 0.05,
    samples: int = 100,
    C: float = 1.0,
    seed: int = 0,
    solver: FlowSolver | None = None,
) -> LocalCluster:
    """Cluster without any label: diffuse, train a classifier on the result, diffuse again with its labels.

    The `samples` nodes with the highest potential of a plain flow diffusion are taken as positives, and as many drawn
    at random from those without potential as negatives.

    Parameters
    ----------
    store, seeds, mass, epsilon, seed, solver
        As in `flow_diffusion`.
    attributes : matrix (num_nodes, width)
    samples : int >= 1, default 100
        Of each kind; fewer where the first diffusion reaches fewer nodes.
    C : float > 0, default 1
        Of the classifier.

    Raises
    ------
    InvalidInput, InvalidType
        As `flow_diffusion`; also when the first diffusion reaches every node, so that there are no negatives.

    References
    ----------
    Back de Luca, Fountoulakis and Yang, "Local Graph Clustering with Noisy Labels", ICLR 2024, arXiv:2310.08031.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> store = nearhop.GraphStore.from_edges([0, 0, 1, 2, 3, 3, 4], [1, 2, 2, 3, 4, 5, 5])  # two triangles and a link
    >>> X = np.array([[1.0], [1], [1], [0], [0], [0]])
    >>> found = nearhop.ann.diffuse_twice(store, [0], attributes=X, mass=9, samples=2)
    >>> sorted(found.sweep_nodes.tolist())
    [0, 1, 2]
    """
    check_store(store)
    if not is_integer(samples) or samples < 1:
        raise InvalidInput(f"samples must be a positive integer; got {samples!r}")
    first = flow_diffusion(store, seeds, mass, seed=seed, solver=solver)
    positives = first.nodes[:samples]
    outside = store.csr().num_rows - len(first)
    if outside == 0:
        raise InvalidInput("the first diffusion reached every node, so no node can serve as a negative; give less mass")
    negatives = _nodes_beside(first.nodes, store.csr().num_rows, min(int(samples), outside), seed)
    labels = AttributeClassifier(attributes, positives=positives, negatives=negatives, C=C)
    return flow_diffusion(store, seeds, mass, labels=labels, epsilon=epsilon, seed=seed, solver=solver)


def _nodes_beside(taken: NDArray[np.int64], num_nodes: int, count: int, seed: int) -> NDArray[np.int64]:
    """`count` distinct nodes drawn from those not taken, in O(taken + count)."""
    # The r-th free node is r plus the taken nodes before it, found by counting taken nodes against free ones.
    held = np.sort(taken)
    ranks = _distinct(num_nodes - held.shape[0], count, seed)
    free_before = held - np.arange(held.shape[0])
    return ranks + np.searchsorted(free_before, ranks, side="right")


def _distinct(limit: int, count: int, seed: int) -> NDArray[np.int64]:
    """Distinct integers in [0, limit) without an array that long."""
    rng = seeded(seed)
    if 4 * count >= limit:
        return rng.permutation(limit)[:count]
    found = np.empty(0, np.int64)
    while found.shape[0] < count:
        found = np.concatenate([found, rng.integers(limit, size=count)])
        found = found[np.sort(np.unique(found, return_index=True)[1])]
    return found[:count]


def flip_labels(inside: ArrayLike, *, accuracy: tuple[float, float] = (0.9, 0.9), seed: int = 0) -> NDArray[np.int64]:
    """Labels of given accuracy: the truth, with each label wrong by chance.

    Parameters
    ----------
    inside : bool array (num_nodes,)
        The target cluster.
    accuracy : (a1, a0), each in [0, 1]
        Probability that a node inside, and one outside, keeps its label.

    Examples
    --------
    >>> import nearhop
    >>> nearhop.ann.flip_labels([True, True, False], accuracy=(1, 0)).tolist()
    [1, 1, 1]
    """
    truth: NDArray[Any] = unmasked("inside", inside)
    if truth.dtype != np.bool_ or truth.ndim != 1:
        raise InvalidType(f"inside must be a boolean array, one per node; got shape {truth.shape}, {truth.dtype}")
    if len(accuracy) != 2 or not all(0 <= a <= 1 for a in accuracy):
        raise InvalidInput(f"accuracy must be two numbers in [0, 1], inside and outside; got {accuracy!r}")
    keep = seeded(seed).random(truth.shape[0]) < np.where(truth, *accuracy)
    return np.where(keep, truth, ~truth).astype(np.int64)
