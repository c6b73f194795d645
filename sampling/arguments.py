"""Checks that every sampler shares."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.checks import unmasked, whole_numbers
from ..graphlib.errors import InvalidInput, InvalidType
from ..graphlib.process import check_fits
from ..graphlib.scalars import integer, is_finite, is_integer
from ..graphlib.store.times import plain_times
from ..graphlib.types import EDGE, EdgeType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray


def node_positions(name: str, given: ArrayLike, num_nodes: int, *, of: str = "node") -> NDArray[np.int64]:
    """`given` as int64 positions in [0, num_nodes), or an error that names the first one outside; `of` says of what."""
    nodes: NDArray[Any] = unmasked(name, given)
    if nodes.size == 0:
        nodes = nodes.astype(np.int64)
    if nodes.dtype.kind not in "iu":
        ids = " (see store.lookup for ids)" if of == "node" else ""
        raise InvalidType(f"{name} must hold integer {of} positions; got dtype {nodes.dtype}{ids}")
    if nodes.ndim != 1:
        raise InvalidInput(f"{name} must have one dimension; got shape {nodes.shape}")
    outside = (nodes < 0) | (nodes >= num_nodes)
    if outside.any():
        where = int(np.argmax(outside))
        raise InvalidInput(f"{name}[{where}] is {nodes[where]}, but {of}s are 0..{num_nodes - 1}")
    return np.ascontiguousarray(nodes, dtype=np.int64)


def mask_positions(of: str, mask: NDArray[np.bool_], count: int) -> NDArray[np.int64]:
    """The positions that a mask of so many nodes or edges, which `of` says, holds true."""
    if mask.shape != (count,):
        raise InvalidInput(f"a mask of {of}s must have shape ({count},); got {mask.shape}")
    return np.flatnonzero(mask)


def chosen_positions(name: str, given: ArrayLike, count: int, *, of: str) -> NDArray[np.int64]:
    """Positions among `count` nodes or edges, which `of` says, given as such or as a mask."""
    chosen: NDArray[Any] = unmasked(name, given)
    return mask_positions(of, chosen, count) if chosen.dtype == np.bool_ else node_positions(name, chosen, count, of=of)


def pair_positions(src: ArrayLike, dst: ArrayLike, num_nodes: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Both ends of pairs as int64 node positions, equally many."""
    u, v = node_positions("src", src, num_nodes), node_positions("dst", dst, num_nodes)
    if u.shape != v.shape:
        raise InvalidInput(f"src and dst must be equally many; got {u.shape[0]} and {v.shape[0]}")
    return u, v


def check_epoch(epoch: Any) -> int:
    """The number of an epoch, an integer >= -1: -1 is that of counts and norms which training does not use."""
    return integer("epoch", epoch, -1)


def words_of(edge_type: EdgeType | None) -> tuple[str, ...]:
    """What tells streams of an edge type from those of others; no words for the edges of an untyped store."""
    return () if edge_type is None or edge_type == EDGE else tuple(edge_type)


def check_fanouts(name: str, fanouts: Sequence[int]) -> tuple[int, ...]:
    """Fanouts per hop as a tuple of integers >= -1."""
    checked = []
    if not isinstance(fanouts, Iterable):
        raise InvalidType(f"{name} must be a list of one fanout per hop, such as [10, 5]; got {fanouts!r:.50}")
    for hop, fanout in enumerate(fanouts):
        if not is_integer(fanout) or fanout < -1:
            raise InvalidInput(f"{name}[{hop}] must be an integer >= 0, or -1 for all neighbours; got {fanout!r}")
        checked.append(integer(f"{name}[{hop}]", fanout, -1))
    return tuple(checked)


def check_seed_time(
    name: str, given: ArrayLike | None, count: int, attributes: Mapping[str, Any] | None = None
) -> NDArray[Any]:
    """One finite time per seed, int64 or float64; moments are converted to the unit in the store's `attributes`."""
    if given is None:
        raise InvalidInput(f"a temporal sampler needs {name}: one time per seed")
    times: NDArray[Any] = unmasked(name, plain_times(given, attributes or {}, name))
    if times.shape != (count,):
        raise InvalidInput(f"{name} must have shape ({count},), one per seed; got {times.shape}")
    if times.size == 0:
        return times.astype(np.int64)
    if times.dtype.kind not in "iuf":
        raise InvalidType(f"{name} must hold numbers in the units of the store's times; got dtype {times.dtype}")
    if times.dtype.kind == "f" and not np.isfinite(times).all():
        where = int(np.argmax(~np.isfinite(times)))
        raise InvalidInput(f"{name}[{where}] is {times[where]}; times must be finite, in the units of the store's")
    if times.dtype.kind == "f":
        return np.ascontiguousarray(times, np.float64)
    return np.ascontiguousarray(whole_numbers(name, times))


def check_window(name: str, window: Any) -> None:
    """A span of time: a finite number >= 0, or None."""
    if window is not None and not (is_finite(window) and window >= 0):
        raise InvalidInput(f"{name} must be a finite number >= 0; got {window!r:.50}")


def room_for(what: str, rows: int, columns: int, dtype: Any = np.int64) -> NDArray[Any]:
    """An array (rows, columns) to fill; `OutOfMemory` for more than this machine has.

    >>> room_for("walks", 3, 1 << 62)
    Traceback (most recent call last):
    nearhop.graphlib.errors.OutOfMemory: a table of walks (3 x 4,611,686,018,427,387,904) takes ...
    """
    check_fits(f"a table of {what} ({rows:,} x {columns:,})", max(1, rows) * columns * np.dtype(dtype).itemsize)
    return np.empty((rows, columns), dtype)


def check_count(name: str, given: Any, least: int = 0) -> int:
    """An integer of at least `least`."""
    return integer(name, given, least)


def threads_for(threads: int | None, items: int, per_thread: int = 64) -> int:
    """As many threads as asked for, but none with fewer than `per_thread` items: starting one takes microseconds."""
    from ..graphlib.compute.jit import resolve_threads

    return max(1, min(resolve_threads(threads), items // per_thread))
