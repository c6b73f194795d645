"""Embeddings of nodes that were not there when the graph was fitted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import unmasked
from ...graphlib.errors import InvalidInput, InvalidType
from ...graphlib.scalars import is_integer
from ...graphlib.sparse.spmm import Finish, multiply_into
from ...graphlib.store.adjacency import Adjacency, build_adjacency, in_row_order
from .powers import ColumnScale, Graph, Merge

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .projection import Projection


@dataclass(frozen=True)
class Fitted:
    """What a fitted FastRP knows of its graph.

    factor : the diagonal of L; powers : U_1 .. U_(q-1), float32 (n, dim); scale : column statistics, if standardised.
    """

    graph: Graph
    projection: Projection
    merge: Merge
    beta: float
    factor: NDArray[np.float64]
    powers: list[NDArray[np.float32]]
    scale: ColumnScale | None


def embed_new(
    fitted: Fitted,
    src: ArrayLike,
    dst: ArrayLike,
    *,
    num_new: int | None,
    weight: ArrayLike | None,
    keys: ArrayLike | None,
    features: ArrayLike | None,
    threads: int | None,
) -> NDArray[np.float32]:
    """See `FastRP.transform`. U_i of a new node is the mean of its neighbours' U_(i-1), as for the known nodes."""
    from ...graphlib.compute.jit import threads_in_use
    from . import fastrp_cpu as kernels

    known, merge, projection = fitted.graph, fitted.merge, fitted.projection
    rows = _new_rows(known, src, dst, num_new, weight)
    new = _new_graph(known, rows, keys, features, projection.feature_dim > 0 and merge.alphas[0] != 0.0, threads)
    count, dim = rows.num_rows, projection.dim
    total = np.zeros((count, merge.parts * dim), np.float32)

    def ending(power: int) -> Finish:
        alpha = merge.alphas[power]
        target = total if alpha != 0.0 else None
        return Finish(np.zeros(count), True, target, merge.column(power, dim), alpha, merge.normalize)

    with threads_in_use(threads):
        if merge.alphas[0] != 0.0:
            own = np.empty((count, dim), np.float32)
            projection.dense(new.keys, new.degree_factor(fitted.beta), new.features, own, 0)
            kernels.merge_power(own, ending(0).ending())
        if merge.last_power >= 1 and merge.alphas[1] != 0.0:
            _first_power(fitted, new, ending(1))
        out = np.empty((count, dim), np.float32)
        for power in range(2, merge.last_power + 1):
            if merge.alphas[power] != 0.0:
                multiply_into(
                    rows,
                    fitted.powers[power - 2],
                    out,
                    use_weights=new.use_weights,
                    scale=new.inverse,
                    finish=ending(power),
                    threads=threads,
                )
        if fitted.scale is not None:
            used = (new.degree > 0.0) | (merge.alphas[0] != 0.0)
            fitted.scale.apply(total, used, threads)
    return total


def _first_power(fitted: Fitted, new: Graph, ending: Finish) -> None:
    """The rows of L R are made again for the neighbours alone."""
    from ...graphlib.sparse.spmm import balanced_starts
    from . import fastrp_cpu as kernels

    known, projection, rows = fitted.graph, fitted.projection, new.rows
    neighbours, local = np.unique(rows.indices, return_inverse=True)
    local = local.reshape(-1).astype(rows.indices.dtype)
    keys, factor = known.keys[neighbours], fitted.factor[neighbours]
    out = np.empty((rows.num_rows, projection.dim), np.float32)
    among = replace(rows, indices=local, num_cols=neighbours.shape[0])
    if projection.listed and fitted.merge.alphas[0] == 0.0:
        entries = projection.entries(keys, factor, 0, projection.dim)
        weight = rows.weight if new.use_weights else None
        kernels.first_power(
            *(balanced_starts(rows.indptr), (rows.indptr, local), weight),
            *((entries.indptr, entries.columns, entries.values), new.inverse, out),
            ending.ending(),
        )
        return
    features = None if known.features is None else known.features[neighbours]
    start = np.empty((neighbours.shape[0], projection.dim), np.float32)
    projection.dense(keys, factor, features, start, 0)
    multiply_into(among, start, out, use_weights=new.use_weights, scale=new.inverse, finish=ending)


def _new_graph(
    known: Graph,
    rows: Adjacency,
    keys: ArrayLike | None,
    features: ArrayLike | None,
    features_needed: bool,
    threads: int | None,
) -> Graph:
    from .parameters import check_features, check_keys

    own = None
    if features_needed:
        if features is None:
            raise InvalidInput("transform: this model mixes in node features, so give `features` of the new nodes")
        own = check_features(features, rows.num_rows, "features")
        if known.features is not None and own.shape[1] != known.features.shape[1]:
            raise InvalidInput(
                f"transform: the fitted nodes have {known.features.shape[1]} features; the new ones have {own.shape[1]}"
            )
    new_keys = check_keys(keys, rows.num_rows, first=known.rows.num_rows)
    return Graph.of(rows, use_weights=known.use_weights, keys=new_keys, features=own, threads=threads)


def _new_rows(known: Graph, src: ArrayLike, dst: ArrayLike, num_new: int | None, weight: ArrayLike | None) -> Adjacency:
    from .parameters import check_weights

    n = known.rows.num_rows
    source, target = _ids("src", src), _ids("dst", dst)
    if source.shape != target.shape:
        raise InvalidInput(
            f"transform: src and dst must have equal lengths; got {source.shape[0]} and {target.shape[0]}"
        )
    least = int(source.max(initial=-1)) + 1
    if num_new is None:
        num_new = least
    if not is_integer(num_new) or num_new < least:
        raise InvalidInput(f"transform: num_new must be an integer >= {least} (largest src + 1); got {num_new!r}")
    if target.size and int(target.max()) >= n:
        raise InvalidInput(f"transform: dst must name nodes of the fitted graph, 0..{n - 1}; got {int(target.max())}")
    rows = build_adjacency(source, target, num_new, n)
    if not known.use_weights or known.rows.weight is None:
        return rows
    if weight is None:
        raise InvalidInput("transform: the fitted graph has edge weights, so give `weight` of the new edges")
    values: NDArray[Any] = unmasked("transform: weight", weight).astype(np.float32, copy=False)
    if values.shape != source.shape or not np.isfinite(values).all():
        raise InvalidInput(f"transform: weight must be finite, of shape {source.shape}; got shape {values.shape}")
    check_weights(values)
    return replace(rows, weight=in_row_order(rows, values))


def _ids(name: str, values: ArrayLike) -> NDArray[np.int64]:
    array: NDArray[Any] = np.atleast_1d(unmasked(f"transform: {name}", values))
    if array.size == 0:
        return np.empty(0, np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InvalidType(f"transform: {name} must be a 1-D integer array; got {array.dtype} {array.shape}")
    if int(array.min()) < 0:
        raise InvalidInput(f"transform: {name} must be >= 0; got {int(array.min())}")
    return np.ascontiguousarray(array.astype(np.int64))
