"""Hop contexts: powers of a normalised adjacency times a node column, as new node columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import as_dtype
from ..compute.fingerprint import of_array, of_rows
from ..errors import InvalidInput, InvalidType, NotFound
from ..given_store import check_store
from ..scalars import integer
from ..sizes import parse_bytes
from ..types import EdgeType
from .spmm import balanced_starts

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from ..store.adjacency import Adjacency
    from ..store.store import GraphStore

ATTRIBUTE = "hop_contexts"
_NORMALISATIONS = ("symmetric", "row", "none")
_PIECE = 64 << 20  # bytes that are flushed and noted at a time


@dataclass(frozen=True)
class Recipe:
    """How the contexts of a column were made, as the store keeps it beside them."""

    column: str
    hops: int
    edge_type: EdgeType
    direction: str
    normalization: str
    self_loops: bool
    weighted: bool
    edges: str
    values: str


def hop_contexts(
    store: GraphStore,
    column: str = "x",
    *,
    hops: int = 2,
    edge_type: EdgeType | None = None,
    direction: str = "out",
    normalization: str = "symmetric",
    self_loops: bool = True,
    weighted: bool = False,
    dtype: DTypeLike | None = None,
    memory_limit: str | int = "2GiB",
    progress: Callable[[int, int], None] | None = None,
    threads: int | None = None,
) -> list[str]:
    """Write Ã X, Ã² X, ... of a node column X as new node columns; returns their names, `"{column}_hop1"` and so on.

    With A the matrix whose row i lists the neighbours of node i, r its row sums and c its column sums after the
    self-loops are added, "symmetric" is Ã_ij = (A + I)_ij / sqrt(r_i c_j): rows and columns have degrees of their own,
    so that a directed graph keeps its asymmetry.

    Parameters
    ----------
    store : GraphStore
    column : str, default "x"
        Float32 or float16 (num_nodes, d), read where it lies.
    hops : int >= 1, default 2
    edge_type : edge type, optional
        Both of its ends are nodes of one type.
    direction : {"out", "in"}, default "out"
        Which neighbours of directed edges are averaged; undirected edges have one kind.
    normalization : {"symmetric", "row", "none"}, default "symmetric"
        "row" is (A + I)_ij / r_i, "none" A + I itself.
    self_loops : bool, default True
        Add I, also to a node that has a loop already.
    weighted : bool, default False
        Take the entries of A from the edges' weights, which must not be negative; else every edge, also each of several
        parallel ones, counts 1.
    dtype : float32 or float16, optional
        Of the new columns; that of X by default. Sums are float32 in either case.
    memory_limit : int or str, default "2GiB"
        Most memory beside the arrays of the store, which are mapped where it lies on disk: 12 bytes per node are needed
        (24 while degrees are summed), and the rest bounds how much is written between two flushes.
    progress : callable, optional
        Called with rows written and rows in all.
    threads : int, optional
        All cores by default; the bits do not depend on it.

    Returns
    -------
    list of str
        Names of the columns, which wait for `commit()`.

    Raises
    ------
    InvalidInput, InvalidType, NotFound
        The column is missing or of another dtype or shape; an edge type with two node types; negative weights; a memory
        limit below what the nodes need.

    Notes
    -----
    O(hops * (edges + nodes) * d) time. X is not copied. On a store on disk rows go to a map of a file, flushed every
    64 MiB; after a kill the same call on the same version goes on at the next unwritten row and ends with the same
    bytes. The store's attribute "hop_contexts" records how the columns were made and fingerprints of the edges and of
    X, by which `check_contexts` finds out whether they still belong together; taking them reads both once.

    References
    ----------
    V. P. Dwivedi et al., "Graph Transformers for Large Graphs", arXiv:2312.11109, section 3. F. Wu et al., "Simplifying
    Graph Convolutional Networks", arXiv:1902.07153 (the last column alone). E. Rossi et al., "SIGN", arXiv:2004.11198
    (X and all columns).

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.graphlib.sparse import hop_contexts
    >>> store = nearhop.GraphStore.from_edges([0, 1], [1, 2])
    >>> store.nodes["x"] = np.eye(3, dtype=np.float32)
    >>> hop_contexts(store, hops=1)
    ['x_hop1']
    >>> store.nodes["x_hop1"][0].astype(float).round(2).tolist()  # 1 / 2 of itself, 1 / sqrt(2 * 3) of node 1
    [0.5, 0.41, 0.0]
    """
    check_store(store)
    hops = integer("hops", hops, 1)
    X, kind = _table(store, column, edge_type, dtype)
    rows, others = _sides(store, edge_type, direction)
    if normalization not in _NORMALISATIONS:
        raise InvalidInput(f"normalization must be one of {', '.join(_NORMALISATIONS)}; got {normalization!r}")
    if weighted and rows.weight is None:
        raise InvalidInput("weighted=True needs edge weights, and these edges have none")
    limit = parse_bytes(memory_limit, least=1 << 20)
    needed = 24 * rows.num_rows + (1 << 20)
    if limit < needed:
        raise InvalidInput(
            f"memory_limit is {limit:,} bytes; {rows.num_rows:,} nodes need {needed:,} for their degrees"
        )
    recipe = _recipe(store, column, hops, edge_type, direction, normalization, self_loops, weighted, threads)
    left, right = _factors(rows, others, normalization, self_loops, weighted, threads)
    piece = max(1, min(_PIECE, limit - needed) // max(1, X.shape[1] * kind.itemsize))
    names, source = [], X
    columns = store.nodes(recipe.edge_type[0])
    for hop in range(1, hops + 1):
        name = f"{column}_hop{hop}"
        filling = columns.fill(name, (X.shape[1],), kind, key=f"{ATTRIBUTE} {hop} {asdict(recipe)}")
        for first, last in filling.pieces(piece):
            out = filling.array[first:last]
            _write(rows, weighted, self_loops, left, right, source, out, first, threads)
            if progress is not None:
                progress((hop - 1) * rows.num_rows + last, hops * rows.num_rows)
        names.append(name)
        source = filling.array
    kept = dict(_recorded(store))
    kept[_place(recipe.edge_type[0], column)] = {**asdict(recipe), "edge_type": list(recipe.edge_type)}
    store.attributes[ATTRIBUTE] = kept
    return names


def check_contexts(
    store: GraphStore, column: str = "x", hops: int = 2, *, node_type: str | None = None, threads: int | None = None
) -> list[str]:
    """The names of the contexts of a column, which must have been made from these very edges and values.

    Raises
    ------
    NotFound
        There are none, or fewer than `hops`.
    InvalidInput
        Edges or the column have changed since.

    Notes
    -----
    Reads the edges and the column once, at the speed of memory.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.graphlib.sparse import check_contexts, hop_contexts
    >>> store = nearhop.GraphStore.from_edges([0, 1], [1, 2])
    >>> store.nodes["x"] = np.eye(3, dtype=np.float32)
    >>> check_contexts(store) if hop_contexts(store) else None
    ['x_hop1', 'x_hop2']
    """
    check_store(store)
    columns = store.nodes if node_type is None else store.nodes(node_type)
    chosen = store._parts.node_type(node_type)
    given = _recorded(store).get(_place(chosen, column))
    hops = integer("hops", hops, 1)
    names = [f"{column}_hop{hop}" for hop in range(1, hops + 1)]
    missing = [name for name in names if name not in columns]
    if not isinstance(given, dict) or missing:
        raise NotFound(
            f"column {column!r} has no contexts of {hops} hops ({', '.join(missing) or 'nothing'} missing); make them "
            f"with hop_contexts(store, {column!r}, hops={hops})"
        )
    try:
        edge_type = tuple(given["edge_type"])
        now = _recipe(
            store, column, given["hops"], edge_type, given["direction"], given["normalization"],
            given["self_loops"], given["weighted"], threads,
        )  # fmt: skip
        found = {"edges": given["edges"], "values": given["values"]}
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(
            f'the store\'s attribute "{ATTRIBUTE}" does not say how the contexts of {column!r} were made ({error}); '
            "make them again with hop_contexts"
        ) from error
    for what, kept in found.items():
        if getattr(now, what) != kept:
            changed = "the edges have" if what == "edges" else f"column {column!r} has"
            raise InvalidInput(
                f"the contexts of {column!r} belong to another version of the store: {changed} changed since they were "
                "written; make them again with hop_contexts"
            )
    return names


def _recorded(store: GraphStore) -> dict[str, Any]:
    """What the store's attribute says; nothing where it is not of the kind that `hop_contexts` writes."""
    found = store.attributes.get(ATTRIBUTE)
    return found if isinstance(found, dict) else {}


def _place(node_type: str, column: str) -> str:
    return f"{node_type}/{column}"


def _sides(store: GraphStore, edge_type: EdgeType | None, direction: str) -> tuple[Adjacency, Adjacency]:
    if direction not in ("out", "in"):
        raise InvalidInput(f'direction must be "out" or "in"; got {direction!r}')
    chosen = store._parts.edge_type(edge_type)
    if chosen[0] != chosen[2]:
        raise InvalidInput(f"powers of an adjacency need one node type at both ends; edges {chosen!r} have two")
    sides = store.csr(chosen), store.csc(chosen)
    return sides if direction == "out" else (sides[1], sides[0])


def _table(
    store: GraphStore, column: str, edge_type: EdgeType | None, dtype: DTypeLike | None
) -> tuple[NDArray[Any], np.dtype[Any]]:
    X = store.nodes(store._parts.edge_type(edge_type)[0])[column]
    kind = X.dtype if dtype is None else as_dtype("hop_contexts", dtype)
    for what, given in ((f"column {column!r}", X.dtype), ("dtype", kind)):
        if given not in (np.float32, np.float16):
            raise InvalidType(f"hop_contexts: {what} must be float32 or float16; got {given}")
    if X.ndim != 2:
        raise InvalidInput(f"hop_contexts: column {column!r} must have two dimensions; got shape {X.shape}")
    return X, kind


def _recipe(
    store: GraphStore, column: str, hops: int, edge_type: EdgeType | None, direction: str, normalization: str,
    self_loops: bool, weighted: bool, threads: int | None,
) -> Recipe:  # fmt: skip
    chosen = store._parts.edge_type(edge_type)
    edges = of_rows(_sides(store, chosen, direction)[0], threads=threads)
    values = of_array(store.nodes(chosen[0])[column], threads=threads)
    return Recipe(column, hops, chosen, direction, normalization, bool(self_loops), bool(weighted), edges, values)


def _factors(
    rows: Adjacency, others: Adjacency, normalization: str, self_loops: bool, weighted: bool, threads: int | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What rows and columns of A + I are multiplied by."""
    ones = np.ones(rows.num_rows, np.float32)
    if normalization == "none":
        return ones, ones
    left = _inverse(_degrees(rows, self_loops, weighted, threads), root=normalization == "symmetric")
    if normalization == "row":
        return left, ones
    right = left if others is rows else _inverse(_degrees(others, self_loops, weighted, threads), root=True)
    return left, right


def _degrees(side: Adjacency, self_loops: bool, weighted: bool, threads: int | None) -> NDArray[np.float64]:
    from ..compute.jit import plain_view, threads_in_use
    from . import contexts_cpu as kernels

    weight = np.empty(0, np.float32)
    if weighted and side.weight is not None:
        weight = plain_view(side.weight)
        if weight.size and weight.min() < 0:
            raise InvalidInput(f"hop_contexts: weights must not be negative; the least is {weight.min():g}")
    sums = np.empty(side.num_rows)
    with threads_in_use(threads):
        kernels.weight_sums(plain_view(side.indptr), weight, float(self_loops), sums)
    return sums


def _inverse(degrees: NDArray[np.float64], *, root: bool) -> NDArray[np.float32]:
    """1 / d or 1 / sqrt(d) in float32, in place; 0 for nodes that nothing reaches."""
    if root:
        np.sqrt(degrees, out=degrees)
    np.divide(1.0, degrees, out=degrees, where=degrees > 0)
    return degrees.astype(np.float32)


def _write(
    rows: Adjacency, weighted: bool, self_loops: bool, left: NDArray[Any], right: NDArray[Any], source: NDArray[Any],
    out: NDArray[Any], first: int, threads: int | None,
) -> None:  # fmt: skip
    from ..compute.jit import plain_view, threads_in_use
    from . import contexts_cpu as kernels

    halves = out.dtype == np.float16
    weight = plain_view(rows.weight) if weighted and rows.weight is not None else np.empty(0, np.float32)
    table = plain_view(source.view(np.uint16) if source.dtype == np.float16 else source)
    starts = first + balanced_starts(rows.indptr[first : first + out.shape[0] + 1])
    write = kernels.contexts_as_halves if halves else kernels.contexts
    with threads_in_use(threads) as count:
        sums = np.empty((count, table.shape[1]), np.float32)
        target = plain_view(out.view(np.uint16) if halves else out)
        write(
            starts, plain_view(rows.indptr), plain_view(rows.indices), weight, bool(self_loops), left, right, table,
            sums, target,
        )  # fmt: skip


__all__ = ["Recipe", "check_contexts", "hop_contexts"]
