"""What FastRP accepts: its parameters, the graph, keys, features and the output array."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import kind_of, unmasked
from ...graphlib.errors import InvalidInput, InvalidType
from ...graphlib.given_store import one_node_type
from ...graphlib.store.adjacency import Adjacency, build_adjacency, in_row_order
from ..arguments import choice, number, whole
from .powers import Graph

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore
    from ...graphlib.types import EdgeType
    from .fastrp import FastRP

_whole, _number, _choice = partial(whole, "FastRP"), partial(number, "FastRP"), partial(choice, "FastRP")


def check_parameters(model: FastRP) -> None:
    """Raise InvalidInput or InvalidType for the first parameter that is out of its range."""
    _whole("dim", model.dim, 1, 1 << 20)
    _whole("seed", model.seed, 0, 2**63 - 1)
    _whole("num_powers", model.num_powers, 1, 1000)
    _number("beta", model.beta, -100.0, 100.0)
    _number("self_influence", model.self_influence, -1e30, 1e30)
    _number("property_ratio", model.property_ratio, 0.0, 1.0)
    if model.weights is not None:
        weights: Any = model.weights
        if isinstance(weights, (str, bytes)) or not isinstance(weights, (Sequence, np.ndarray)) or len(weights) == 0:
            raise InvalidType(f"FastRP: weights must be a sequence of numbers, one per power, or None; got {weights!r}")
        for alpha in weights:
            _number("weights", alpha, -1e30, 1e30)
        if not any(float(alpha) != 0.0 for alpha in weights) and model.self_influence == 0.0:
            raise InvalidInput(f"FastRP: at least one of weights must not be 0; got {weights!r}")
    if isinstance(model.density, str):
        _choice("density", model.density, ("sqrt", "achlioptas"))
    else:
        _number("density", model.density, 0.0, 1.0)
        if model.density <= 0.0:
            raise InvalidInput(f'FastRP: density must be "sqrt", "achlioptas" or in (0, 1]; got {model.density!r}')
    _choice("projection", model.projection, ("sparse", "gaussian"))
    _choice("direction", model.direction, ("out", "in", "both"))
    if model.features is not None and not isinstance(model.features, str):
        raise InvalidType(
            f"FastRP: features must be the name of a node column; got {kind_of(model.features)}. Assign it to "
            'store.nodes["x"] and give features="x"'
        )
    if (model.property_ratio > 0) != (model.features is not None):
        raise InvalidInput(
            f"FastRP: give both property_ratio > 0 and features, or neither; got property_ratio="
            f"{model.property_ratio!r}, features={model.features!r}"
        )


def read_graph(model: FastRP, store: GraphStore, keys: ArrayLike | None, edge_type: EdgeType | None) -> Graph:
    """The neighbours, weights and features that the model's parameters choose."""
    rows = adjacency_of(store, model.direction, edge_type=edge_type)
    named = check_keys(keys, rows.num_rows)
    if model.use_weights:
        check_weights(rows.weight)
    features = None
    if model.features is not None:
        column = store.nodes(one_node_type(store, "FastRP", edge_type)[0])[model.features]
        features = check_features(column, rows.num_rows, f"column {model.features!r}")
    return Graph.of(rows, use_weights=model.use_weights, keys=named, features=features, threads=model.threads)


def adjacency_of(
    store: GraphStore, direction: str, owner: str = "FastRP", edge_type: EdgeType | None = None
) -> Adjacency:
    """Rows of out-neighbours, in-neighbours or both; the same three for an undirected graph."""
    chosen = one_node_type(store, owner, edge_type)
    if direction == "in":
        return store.csc(chosen)
    if direction == "out" or not store.is_directed(chosen):
        return store.csr(chosen)
    edges = store.edge_list(chosen)
    n = store.num_nodes_of(chosen[0])
    rows = build_adjacency(edges.src, edges.dst, n, n, both_ends=True)
    return Adjacency(rows.indptr, rows.indices, rows.edge_ids, in_row_order(rows, edges.weight), None, n)


def check_weights(weight: NDArray[np.float32] | None) -> None:
    """Edge weights are probabilities up to a factor, so they cannot be negative."""
    if weight is not None and weight.size and not float(weight.min()) >= 0.0:
        raise InvalidInput(
            f"FastRP: edge weights must be >= 0; the smallest is {weight.min()}; or use_weights=False (--unweighted on "
            "the command line)"
        )


def check_keys(keys: ArrayLike | None, num_nodes: int, *, first: int = 0) -> NDArray[np.int64]:
    """One integer per node; by default `first`, `first` + 1, ..."""
    if keys is None:
        return np.arange(first, first + num_nodes, dtype=np.int64)
    array: NDArray[Any] = unmasked("FastRP: keys", keys)
    if array.dtype.kind not in "iu":
        raise InvalidType(f"FastRP: keys must be integers; got dtype {array.dtype}")
    if array.shape != (num_nodes,):
        raise InvalidInput(f"FastRP: keys must have shape ({num_nodes},), one per node; got {array.shape}")
    return np.ascontiguousarray(array.astype(np.int64, copy=False))


def check_features(values: ArrayLike, num_nodes: int, name: str) -> NDArray[np.float32]:
    """A finite float32 (n, F) matrix; a column of single numbers becomes (n, 1)."""
    array: NDArray[Any] = unmasked(f"FastRP: {name}", values)
    if array.dtype.kind not in "biuf":
        raise InvalidType(f"FastRP: {name} must hold numbers; got dtype {array.dtype}")
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[0] != num_nodes:
        raise InvalidInput(f"FastRP: {name} must have shape ({num_nodes},) or ({num_nodes}, F); got {array.shape}")
    result = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(result).all():
        row = int(np.argmin(np.isfinite(result).all(axis=1)))
        raise InvalidInput(f"FastRP: {name} is not finite in row {row}; fill missing values first")
    return result


def check_out(out: Any, shape: tuple[int, int]) -> None:
    """An output array is float32, writable and of the result's shape."""
    if out is None:
        return
    if not isinstance(out, np.ndarray) or out.dtype != np.float32:
        raise InvalidType(
            f"fit_transform: out must be a float32 array; got {getattr(out, 'dtype', type(out).__name__)}"
        )
    if out.shape != shape:
        raise InvalidInput(f"fit_transform: out must have shape {shape}; got {out.shape}")
    if not out.flags.writeable:
        raise InvalidInput('fit_transform: out cannot be written; open the memory map with mode "r+" or "w+"')
