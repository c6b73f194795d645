"""Hard negatives in the manner of HeaRT: for every link the pairs that heuristics would predict in its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import InvalidInput
from ...graphlib.sparse.best_pairs import top_pairs
from ...graphlib.sparse.csr import CSR
from ...graphlib.sparse.products.spgemm import spgemm, transpose
from ...sampling.negatives.negatives import NegativeSampler
from ...sampling.subgraphs.ppr import ppr_topk
from ..arguments import choice, whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .link_splits import EdgeSplit

HEURISTICS = ("resource_allocation", "common_neighbors", "adamic_adar", "ppr", "features")


def hard_negatives(
    split: EdgeSplit,
    links: NDArray[np.int64],
    *,
    num: int = 500,
    heuristics: Sequence[str] = ("resource_allocation", "ppr"),
    features: Any = None,
    alpha: float = 0.15,
    eps: float = 1e-5,
    seed: int = 0,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For every link (u, v), `num` pairs (u, x) and (x, v), half each, that look most like links of the training graph.

    Parameters
    ----------
    split : EdgeSplit
    links : int64 (2, m)
        Such as `split.test`.
    num : int >= 2, default 500
        Even.
    heuristics : sequence of str
        Of "resource_allocation", "common_neighbors", "adamic_adar", "ppr" and "features" (cosine). A node's candidates
        are ordered by their best rank over all of them.
    features : array or SciPy sparse matrix (n, F), optional
        For "features".
    alpha, eps : float
        Of `nearhop.sampling.ppr_topk`.
    seed : int
        Of the uniform pairs that fill up where heuristics know fewer.

    Returns
    -------
    src, dst : int64 (m, num)
        To be scored and handed to `measure_links` as each positive's own negatives. No pair is linked in the whole
        graph, and none is a node with itself; the same pair may come for several links.

    References
    ----------
    J. Li et al., "Evaluating graph neural networks for link prediction: current pitfalls and new benchmarking",
    NeurIPS 2023, arXiv:2306.10453. Differences: ranks are merged per end of a link and links of the whole graph are
    left out, where the authors leave out the training links and the link itself.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.embed.evaluation import hard_negatives, split_edges
    >>> src, dst = np.random.default_rng(0).integers(0, 40, (2, 150))
    >>> split = split_edges(nearhop.GraphStore.from_edges(src, dst))
    >>> hard_negatives(split, split.test, num=6)[0].shape == (split.test.shape[1], 6)
    True
    """
    whole("hard_negatives", "num", num, 2, 1 << 20)
    if num % 2:
        raise InvalidInput(f"hard_negatives: num must be even, half for each end; got {num}")
    for name in heuristics:
        choice("hard_negatives", "heuristics", name, HEURISTICS)
    if "features" in heuristics and features is None:
        raise InvalidInput('hard_negatives: "features" needs features=')
    half = num // 2
    ends, numbers = np.unique(links, return_inverse=True)
    numbers = numbers.reshape(links.shape)
    both_ways = _undirected(split.full)
    reach = half + int(both_ways.csr().degrees().max(initial=0))
    lists = [_ranked(split, ends, name, reach, features, alpha, eps) for name in heuristics]
    best = _merged(both_ways, ends, lists, half)
    sampler = NegativeSampler(both_ways, seed=seed)
    for side in range(2):
        fill = sampler.sample(ends, half, epoch=side)
        best = np.where(best < 0, fill, best)
    u, v = links
    src = np.concatenate([np.repeat(u[:, None], half, 1), best[numbers[1]]], axis=1)
    dst = np.concatenate([best[numbers[0]], np.repeat(v[:, None], half, 1)], axis=1)
    return src, dst


def _ranked(
    split: EdgeSplit, ends: NDArray[np.int64], name: str, reach: int, features: Any, alpha: float, eps: float
) -> NDArray[Any]:
    """Candidates (len(ends), reach) of a heuristic, best first, -1 behind the last."""
    store = _undirected(split.train)
    if name == "ppr":
        return ppr_topk(store, ends, top=reach + 1, alpha=alpha, eps=eps).nodes
    if name != "features":
        return top_pairs(store, reach, name).nodes[ends]
    import scipy.sparse as sp

    X = sp.csr_array(features, dtype=np.float32)
    if X.shape[0] != store.num_nodes:
        raise InvalidInput(f"hard_negatives: features must have {store.num_nodes} rows; got {X.shape}")
    norms = np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel())
    X = sp.csr_array(sp.diags_array(1.0 / np.maximum(norms, 1e-30)) @ X)
    near = spgemm(X[ends], transpose(X), top_k=reach + 1)
    out = np.full((ends.shape[0], reach + 1), -1, np.int64)
    _fill_by_value(near, out)
    return out


def _fill_by_value(near: CSR, out: NDArray[np.int64]) -> None:
    rows = np.repeat(np.arange(near.num_rows), np.diff(near.indptr))
    order = np.lexsort((near.indices, -near.to_scipy().data, rows))
    out[rows, np.arange(near.num_entries) - near.indptr[rows]] = near.indices[order]


def _merged(store: Any, ends: NDArray[np.int64], lists: list[NDArray[Any]], half: int) -> NDArray[np.int64]:
    """The `half` candidates of best rank over the lists for every end, links and the end itself left out."""
    rows = store.csr()
    out = np.full((ends.shape[0], half), -1, np.int64)
    for at, node in enumerate(ends):
        found = np.concatenate([given[at] for given in lists])
        rank = np.concatenate([np.arange(given.shape[1]) for given in lists])
        order = np.lexsort((found, rank))
        found = found[order]
        known = np.append(rows.neighbors(node), node)
        found = found[(found >= 0) & ~np.isin(found, known)]
        _, first = np.unique(found, return_index=True)
        kept = found[np.sort(first)][:half]
        out[at, : kept.shape[0]] = kept
    return out


def _undirected(store: Any) -> Any:
    if not store.is_directed():
        return store
    edges = store.edge_list()
    return type(store).from_edges(edges.src, edges.dst, num_nodes=store.num_nodes)
