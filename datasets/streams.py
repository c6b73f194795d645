"""Timed edges: SNAP and KONECT text, the CSV of TGN and JODIE, and timed groups (ScHoLP)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.errors import StoreCorrupt
from ..graphlib.store.store import GraphStore
from .tables import number_nodes, read_columns, whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .catalog import DatasetInfo
    from .folder import Files


def _stream(src: Any, dst: Any, time: Any, weight: Any = None) -> GraphStore:
    """Directed timed edges in the order of the file. Ids with gaps become user ids; 1..n just becomes 0..n-1."""
    (src, dst), ids, count = number_nodes(src, dst)
    store = GraphStore.from_edges(src, dst, num_nodes=count, directed=True, time=whole(time), weight=weight)
    return _with_ids(store, ids)


def _with_ids(store: GraphStore, ids: NDArray[Any] | None) -> GraphStore:
    if ids is not None:
        store.set_ids(ids)
    return store


def read_snap(files: Files, info: DatasetInfo) -> GraphStore:
    """`src dst unixtime` on each line."""
    path = info.files[0]
    return _stream(*read_columns(files.read(path), ("int64", "int64", "double"), name=path))


def read_jodie(files: Files, info: DatasetInfo) -> GraphStore:
    """`user page seconds` on each line, both numbered from 1 without overlap; `is_page` marks the pages."""
    path = info.files[0]
    src, dst, time = read_columns(files.read(path), ("int64", "int64", "double"), name=path)
    store = _stream(src, dst, time)
    store.nodes["is_page"] = np.isin(np.arange(store.num_nodes), store.edge_list().dst)
    return store


def read_tgn(files: Files, info: DatasetInfo) -> GraphStore:
    """CSV with a header: row, u, i, ts, label, idx."""
    path = info.files[0]
    types = ("int64", "int64", "int64", "double", "double", "int64")
    _, src, dst, time, _, _ = read_columns(files.read(path), types, name=path, delimiter=",", skip_lines=1)
    return _stream(src, dst, time)


def read_konect(files: Files, info: DatasetInfo) -> GraphStore:
    """`src dst rating time` after lines that begin with %; the rating becomes the edge's `weight`."""
    path = info.files[0]
    data = files.read(path)
    comments = 0
    for line in data.splitlines():
        if not line.startswith(b"%"):
            break
        comments += 1
    types = ("int64", "int64", "double", "double")
    src, dst, rating, time = read_columns(data, types, name=path, delimiter="\t", skip_lines=comments)
    return _stream(src, dst, time, rating)


def _groups(files: Files, info: DatasetInfo) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], Any, int]:
    """Every pair of members of every group: the two nodes, the group's number; the nodes' ids and number."""
    sizes_path, members_path = info.files[:2]
    (sizes,) = read_columns(files.read(sizes_path), ("int64",), name=sizes_path)
    (members,) = read_columns(files.read(members_path), ("int64",), name=members_path)
    if sizes.min(initial=1) < 1 or int(sizes.sum()) != len(members):
        raise StoreCorrupt(f"{members_path}: has {len(members)} members, but {sizes_path} promises {sizes.sum()}")
    (members,), ids, count = number_nodes(members)
    first = np.cumsum(sizes) - sizes
    left, right, group = [], [], []
    for size in np.unique(sizes[sizes > 1]):
        which = np.flatnonzero(sizes == size)
        rows = members[first[which, None] + np.arange(size)]
        a, b = np.triu_indices(int(size), k=1)
        left.append(rows[:, a].ravel())
        right.append(rows[:, b].ravel())
        group.append(np.repeat(which, len(a)))
    return np.concatenate(left), np.concatenate(right), np.concatenate(group), ids, count


def read_contacts(files: Files, info: DatasetInfo) -> GraphStore:
    """One undirected timed edge for each pair of each group, in the order of time."""
    left, right, group, ids, count = _groups(files, info)
    (times,) = read_columns(files.read(info.files[2]), ("int64",), name=info.files[2])
    order = np.lexsort((group, times[group]))
    store = GraphStore.from_edges(left[order], right[order], num_nodes=count, time=times[group][order])
    return _with_ids(store, ids)


def read_threads(files: Files, info: DatasetInfo) -> GraphStore:
    """Users who wrote in one thread are joined: `weight` counts the threads two users share.

    Where the set has times, `time` is that of the first thread they share, in milliseconds.
    """
    left, right, group, ids, count = _groups(files, info)
    apart = left != right
    left, right, group = left[apart], right[apart], group[apart]
    keys = np.minimum(left, right).astype(np.int64) * count + np.maximum(left, right)
    met = None
    if len(info.files) > 2:
        (times,) = read_columns(files.read(info.files[2]), ("int64",), name=info.files[2])
        order = np.argsort(keys, kind="stable")
        pairs, starts, shared = np.unique(keys[order], return_index=True, return_counts=True)
        met = np.minimum.reduceat(times[group][order], starts)
    else:
        pairs, shared = np.unique(keys, return_counts=True)
    src, dst = (part.astype(np.int32) for part in np.divmod(pairs, count))
    return _with_ids(GraphStore.from_edges(src, dst, num_nodes=count, weight=shared, time=met), ids)
