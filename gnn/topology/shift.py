"""What concentration says about a split and a model: the shift from training to test, and who is served well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...embed.evaluation.link_splits import EdgeSplit
from ...graphlib.checks import kind_of, unmasked
from ...graphlib.errors import InvalidInput, InvalidType
from .concentration import topological_concentration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class TopologyReport:
    """Concentration of a split's nodes.

    Attributes
    ----------
    train, val, test : float64 (num_nodes,)
        TC with respect to the links of each part; NaN for nodes without one.
    means : dict of str to float
        Over the nodes that have links in all three parts.
    falling : float
        Share of those nodes with TC^Te < TC^Tr.
    gap : float
        Mean of TC^Tr - TC^Te over them: how badly the training structure stands for the links to come.
    degree : int64 (num_nodes,)
        Training degree.
    """

    train: NDArray[np.float64]
    val: NDArray[np.float64]
    test: NDArray[np.float64]
    means: dict[str, float]
    falling: float
    gap: float
    degree: NDArray[np.int64]

    def correlations(self, metrics: Mapping[str, ArrayLike]) -> dict[str, dict[str, float]]:
        """Spearman's correlation of per-node metrics with TC of every part and with degree.

        Nodes with NaN in either are left out. Keys: the metric's name, then "tc_train", "tc_val", "tc_test", "degree".
        """
        sides = {"tc_train": self.train, "tc_val": self.val, "tc_test": self.test, "degree": self.degree}
        return {
            name: {side: rank_correlation(values, given) for side, values in sides.items()}
            for name, given in metrics.items()
        }


def topology_report(split: EdgeSplit, *, hops: int = 1, **options: Any) -> TopologyReport:
    """TC of the training, validation and test links of a split, in its training graph.

    Parameters
    ----------
    split : EdgeSplit
        From `nearhop.embed.evaluation.split_edges`.
    hops : int, default 1
    **options
        Of `topological_concentration`: beta, compat, threads.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.embed.evaluation import split_edges
    >>> src, dst = np.random.default_rng(0).integers(0, 30, (2, 200))
    >>> report = topology_report(split_edges(nearhop.GraphStore.from_edges(src, dst)))
    >>> sorted(report.means)
    ['test', 'train', 'val']
    """
    if not isinstance(split, EdgeSplit):
        raise InvalidType(f"topology_report takes an EdgeSplit, of split_edges; got {kind_of(split)}")
    parts = {
        "train": topological_concentration(split.train, hops=hops, **options),
        "val": topological_concentration(split.train, (split.val[0], split.val[1]), hops=hops, **options),
        "test": topological_concentration(split.train, (split.test[0], split.test[1]), hops=hops, **options),
    }
    common = np.isfinite(parts["train"]) & np.isfinite(parts["val"]) & np.isfinite(parts["test"])
    gap = (parts["train"] - parts["test"])[common]
    return TopologyReport(
        **parts,
        means={name: float(values[common].mean()) if common.any() else float("nan") for name, values in parts.items()},
        falling=float((gap > 0).mean()) if gap.size else float("nan"),
        gap=float(gap.mean()) if gap.size else float("nan"),
        degree=split.train.csr().degrees(),
    )


def rank_correlation(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's rank correlation over the places where both are finite; NaN where one of them is constant.

    >>> round(rank_correlation([1, 2, 3, float("nan")], [10, 30, 20, 0]), 6)
    0.5
    """
    from scipy.stats import rankdata

    x, y = unmasked("a", a), unmasked("b", b)
    if x.shape != y.shape or x.ndim != 1 or any(given.dtype.kind not in "iufb" for given in (x, y)):
        raise InvalidInput(
            f"rank_correlation: two arrays of numbers of one length are needed; got {x.dtype} {x.shape} and "
            f"{y.dtype} {y.shape}"
        )
    both = np.isfinite(x) & np.isfinite(y)
    if both.sum() < 2:
        return float("nan")
    p, q = rankdata(x[both]), rankdata(y[both])
    p, q = p - p.mean(), q - q.mean()
    norm = np.sqrt((p * p).sum() * (q * q).sum())
    return float((p * q).sum() / norm) if norm > 0 else float("nan")
