"""Negatives: nodes, or pairs, that are not linked, for losses that contrast them with the ones that are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import unmasked
from ...graphlib.compute.streams import Purpose, root_of
from ...graphlib.errors import InvalidInput, InvalidType
from ...graphlib.given_store import check_store, chosen_edge_type
from ...graphlib.scalars import is_number
from ..arguments import check_count, check_epoch, check_seed_time, node_positions, room_for, threads_for, words_of
from ..snapshot import EdgesThen

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore


class NegativeSampler:
    """Draw nodes that a given node is not linked to.

    Parameters
    ----------
    store : GraphStore
    corrupt : {"dst", "src"}, default "dst"
        Which end is drawn: nodes given are sources and destinations are drawn, or the other way round.
    power : float >= 0, default 0
        Nodes are drawn in proportion to their degree (as that end) to this power: 0 is uniform over all nodes, 0.75 is
        word2vec's choice. Above 0, nodes of degree zero are never drawn.
    mass : float array (number of nodes that can be drawn,), optional
        Nodes are drawn in proportion to it, instead of to a power of their degree.
    reject_edges : bool, default True
        Never draw a node that is linked to the given one (structural negatives).
    reject_self : bool, default True
        Never draw the given node itself, where both ends are of one type.
    edge_type : optional
        Which edges, in a store with several types.
    seed : int, default 0
    threads : int, optional
        All cores by default; the result does not depend on it.

    Notes
    -----
    An edge is looked up by binary search in the sorted row, so a draw costs O(log degree) and no table of edges is
    built; power > 0 builds one alias table, 8 bytes per node. A draw that fails `TRIES` times (the node is linked to
    nearly all the mass) is made uniformly among the nodes that are left; where none is left, the entry is -1.

    Raises
    ------
    InvalidInput
        Options out of range.

    References
    ----------
    T. Mikolov et al., "Distributed representations of words and phrases", arXiv:1310.4546, section 2.2 (power 3/4).

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.sampling import NegativeSampler
    >>> path = nearhop.GraphStore.from_edges([0, 1, 2], [1, 2, 3])
    >>> NegativeSampler(path).sample([1], 4).tolist()
    [[3, 3, 3, 3]]
    """

    def __init__(
        self,
        store: GraphStore,
        *,
        corrupt: str = "dst",
        power: float = 0.0,
        mass: ArrayLike | None = None,
        reject_edges: bool = True,
        reject_self: bool = True,
        edge_type: Any = None,
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        check_store(store)
        if corrupt not in ("dst", "src"):
            raise InvalidInput(f'corrupt must be "dst" or "src"; got {corrupt!r}')
        if not is_number(power) or not 0 <= power < np.inf:
            raise InvalidInput(f"power must be a finite number >= 0; got {power!r}")
        self._rows = store.csr(edge_type) if corrupt == "dst" else store.csc(edge_type)
        self._num_drawn = self._rows.num_cols
        if self._num_drawn == 0:
            raise InvalidInput("there are no nodes to draw negatives from")
        self.reject_edges = reject_edges
        chosen = chosen_edge_type(store, edge_type)
        self._then = EdgesThen("NegativeSampler", store, chosen)
        self.reject_self = reject_self and chosen[0] == chosen[2]
        self.seed = seed
        self._names = (corrupt, *words_of(chosen))
        self.threads = threads
        self._keep, self._alias = np.empty(0, np.float32), np.empty(0, np.int32)
        if mass is not None:
            if power > 0:
                raise InvalidInput("give power= or mass=, not both")
            self._keep, self._alias = alias_table(_checked_mass("mass", mass, self._num_drawn))
        elif power > 0:
            other = store.csc(edge_type) if corrupt == "dst" else store.csr(edge_type)
            self._keep, self._alias = alias_table(other.degrees().astype(np.float64) ** power)

    def _what(self) -> tuple[Any, ...]:
        """What nodes are drawn from and which are refused, as the kernels take it."""
        self._then.check()
        rows = self._rows.indptr, self._rows.indices
        return rows, (self._keep, self._alias), self._num_drawn, (self.reject_edges, self.reject_self)

    def _root(self, purpose: Purpose) -> int:
        return root_of(self.seed, purpose, *self._names)

    def sample(
        self, nodes: ArrayLike, num: int = 1, *, epoch: int = 0, keys: ArrayLike | None = None
    ) -> NDArray[np.int64]:
        """Draw `num` negatives for every node, with replacement.

        Parameters
        ----------
        nodes : int array (n,)
            One end of the links.
        num : int >= 0, default 1
        epoch : int
        keys : int array (n,), optional
            Names the streams, such as the ids of the positive edges: the draws for an edge are then the same in any
            batch. By default a stream is called by the node and how often it came before in `nodes`.

        Returns
        -------
        int64 array (n, num); -1 where a node is linked to every other.
        """
        from ...graphlib.compute.jit import threads_in_use
        from . import negatives_cpu

        given, number = node_positions("nodes", nodes, self._rows.num_rows), check_epoch(epoch)
        out = room_for("negatives", given.shape[0], check_count("num", num))
        streams = _streams(given, self._rows.num_rows, keys)
        with threads_in_use(threads_for(self.threads, out.size, 1024)):
            negatives_cpu.draw_negatives(*self._what(), given, *streams, self._root(Purpose.NEGATIVES), number, out)
        return out

    def sample_pairs(
        self, num: int, *, epoch: int = 0, keys: ArrayLike | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Draw `num` pairs (given end, drawn end), uniformly among all pairs that are allowed when `power` is 0.

        The given end is uniform over its nodes, and a pair that is refused is drawn anew as a whole. `keys` (num,)
        names the streams; by default it is 0, 1, 2, ... Raises `InvalidInput` when a pair was refused a thousand times:
        nearly all pairs are linked.
        """
        from ...graphlib.compute.jit import threads_in_use
        from . import negatives_cpu

        count, number = check_count("num", num), check_epoch(epoch)
        near, far = room_for("pairs", 2, count)
        named = np.arange(count) if keys is None else _integers("keys", keys)
        if named.shape != (count,):
            raise InvalidInput(f"keys must have shape ({count},), one per pair; got {named.shape}")
        with threads_in_use(threads_for(self.threads, count, 1024)):
            negatives_cpu.draw_pairs(*self._what(), named, self._root(Purpose.PAIRS), number, near, far)
        if (far < 0).any():
            raise InvalidInput("nearly all pairs are linked, so pairs that are not cannot be found by drawing")
        return near, far


def in_batch_negatives(
    dst: ArrayLike, num: int = 1, *, src: ArrayLike | None = None, seed: int = 0, epoch: int = 0
) -> NDArray[np.int64]:
    """For every link of a batch, positions of other links whose destinations serve as its negatives.

    Parameters
    ----------
    dst : int array (n,)
        Destinations of the batch's links; a link with the same destination is never drawn.
    num : int >= 0, default 1
    src : int array (n,), optional
        Their sources: links with the same source are then not drawn either, since their destinations are positives.
    seed, epoch : int

    Returns
    -------
    int64 array (n, num) of positions in the batch, drawn uniformly with replacement; -1 where no link can serve.

    Examples
    --------
    >>> from nearhop.sampling import in_batch_negatives
    >>> in_batch_negatives([5, 5, 8], 2).tolist()[:2]
    [[2, 2], [2, 2]]
    """
    from . import negatives_cpu

    far = _integers("dst", dst)
    near = np.empty(0, np.int64) if src is None else _integers("src", src)
    if far.ndim != 1 or (src is not None and near.shape != far.shape):
        raise InvalidInput(f"dst and src must be equally long; got shapes {far.shape} and {near.shape}")
    out = room_for("negatives", far.shape[0], check_count("num", num))
    negatives_cpu.draw_in_batch(near, far, root_of(seed, Purpose.IN_BATCH), check_epoch(epoch), out)
    return out


def historical_negatives(
    store: GraphStore,
    src: ArrayLike,
    time: ArrayLike,
    num: int = 1,
    *,
    edge_type: Any = None,
    seed: int = 0,
    epoch: int = 0,
    keys: ArrayLike | None = None,
    threads: int | None = None,
) -> NDArray[np.int64]:
    """For links at given times, nodes that the source was linked to before, but not at that time.

    Parameters
    ----------
    store : GraphStore
        With edge times.
    src : int array (n,)
    time : array (n,)
        Times of the links. Edges strictly earlier are the source's history; those at this very time are refused.
    num : int >= 0, default 1
    edge_type, seed, epoch, keys, threads
        As in `NegativeSampler`.

    Returns
    -------
    int64 array (n, num), uniform over the past edges that are not refused, with replacement; -1 where there are none:
    fill those with a `NegativeSampler`'s draws.

    References
    ----------
    F. Poursafaei et al., "Towards better evaluation for dynamic link prediction", arXiv:2207.10128, section 4.2.

    Examples
    --------
    >>> import nearhop
    >>> from nearhop.sampling import historical_negatives
    >>> store = nearhop.GraphStore.from_edges([0, 0, 0], [1, 2, 3], time=[1, 2, 3], directed=True)
    >>> historical_negatives(store, [0, 0], [2, 1], 2).tolist()
    [[1, 1], [-1, -1]]
    """
    check_store(store)
    from ...graphlib.compute.jit import threads_in_use
    from . import negatives_cpu

    if store.csr(edge_type).time is None:
        raise InvalidInput("historical negatives need edge times, and these edges have none; ingest them with time=...")
    rows = store.csr(edge_type, order="time")
    given = node_positions("src", src, rows.num_rows)
    times = check_seed_time("time", time, given.shape[0], store.attributes)
    out = room_for("negatives", given.shape[0], check_count("num", num))
    streams = (
        *_streams(given, rows.num_rows, keys),
        root_of(seed, Purpose.HISTORY, *words_of(chosen_edge_type(store, edge_type))),
        check_epoch(epoch),
    )
    with threads_in_use(threads_for(threads, out.size, 1024)):
        negatives_cpu.draw_from_history(rows.indptr, rows.indices, rows.time, given, times, *streams, out)
    return out


def _integers(name: str, given: ArrayLike) -> NDArray[np.int64]:
    nodes: NDArray[Any] = unmasked(name, given)
    if nodes.size and nodes.dtype.kind not in "iu":
        raise InvalidType(
            f"{name} must hold integer node positions; got dtype {nodes.dtype} (see store.lookup for ids)"
        )
    return np.ascontiguousarray(nodes, np.int64)


def _checked_mass(name: str, given: ArrayLike, count: int) -> NDArray[np.float64]:
    """What nodes are drawn in proportion to: one finite number >= 0 each."""
    plain: NDArray[Any] = unmasked(name, given)
    if plain.dtype.kind not in "iufb":
        raise InvalidType(f"{name} must hold numbers; got dtype {plain.dtype}")
    mass: NDArray[np.float64] = plain.astype(np.float64)
    if mass.shape != (count,):
        raise InvalidInput(f"{name} must have shape ({count},), one per node that can be drawn; got {mass.shape}")
    bad = ~(np.isfinite(mass) & (mass >= 0))
    if bad.any():
        where = int(np.argmax(bad))
        raise InvalidInput(f"{name}[{where}] is {mass[where]}; it must be finite and >= 0")
    return mass


def alias_table(mass: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """An alias table that draws i in proportion to `mass[i]`: keep i with probability keep[i], else take alias[i]."""
    from ...graphlib.compute.alias_cpu import row_alias_tables

    keep, alias = np.empty(mass.shape[0], np.float32), np.empty(mass.shape[0], np.int32)
    row_alias_tables(np.array([0, mass.shape[0]]), mass, keep, alias, np.empty(1))
    if alias.shape[0] and alias[0] < 0:
        raise InvalidInput("nothing can be drawn: every node has mass zero (are there edges?)")
    return keep, alias


def _streams(nodes: NDArray[np.int64], num_nodes: int, keys: ArrayLike | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Two integers that call every row's stream."""
    from ..walks.walks_cpu import occurrences

    again = np.zeros(nodes.shape[0], np.int32)
    if keys is None:
        occurrences(nodes, np.zeros(num_nodes, np.int32), again)
        return nodes, again
    named: NDArray[Any] = unmasked("keys", keys)
    if named.dtype.kind not in "iu" or named.shape != nodes.shape:
        raise InvalidInput(f"keys must be integers of shape {nodes.shape}, one per node; got {named.shape}")
    return np.ascontiguousarray(named, np.int64), again - 1
