"""Uniform random walks on a GPU, a thread each; the walks are those of `random_walks` on the processor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import config

from ...graphlib.compute.launch_cuda import device_number, launching
from ...graphlib.compute.numba_cuda import cuda, cuda_kernel
from ...graphlib.compute.random_cuda import bounded, stream, uniform
from ...graphlib.compute.streams import Purpose, root_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ...graphlib.store.adjacency import Adjacency
    from ...graphlib.types import EdgeType

_THREADS = 32 if config.ENABLE_CUDASIM else 256  # type: ignore[attr-defined]


@cuda_kernel
def uniform_walks(indptr, indices, starts, streams, root, epoch, out):
    """Row i of `out` (length + 1, num_walks transposed: steps by walks) is a walk from `starts[i]`; -1 past a dead end.

    Steps are the first axis, so that the threads of a warp write next to each other.
    """
    for walk in range(cuda.grid(1), starts.shape[0], cuda.gridsize(1)):
        node = np.int64(starts[walk])
        key = stream(root, epoch, node, streams[walk])
        counter = np.int64(0)
        out[0, walk] = node
        for step in range(1, out.shape[0]):
            if node >= 0:
                first = indptr[node]
                degree = indptr[node + 1] - first
                if degree > 0:
                    chosen, counter = bounded(key, counter, degree)
                    node = np.int64(indices[first + chosen])
                else:
                    node = np.int64(-1)
            out[step, walk] = node


@cuda_kernel
def weighted_walks(indptr, indices, keep, alias, starts, streams, root, epoch, out):
    """As `uniform_walks`, choosing neighbours by weight with one alias table per row."""
    for walk in range(cuda.grid(1), starts.shape[0], cuda.gridsize(1)):
        node = np.int64(starts[walk])
        key = stream(root, epoch, node, streams[walk])
        counter = np.int64(0)
        out[0, walk] = node
        for step in range(1, out.shape[0]):
            if node >= 0:
                first = indptr[node]
                degree = indptr[node + 1] - first
                if degree > 0 and alias[first] >= 0:
                    chosen, counter = bounded(key, counter, degree)
                    if uniform(key, counter) >= keep[first + chosen]:
                        chosen = np.int64(alias[first + chosen])
                    counter += 1
                    node = np.int64(indices[first + chosen])
                else:
                    node = np.int64(-1)
            out[step, walk] = node


def random_walks(
    rows: Adjacency,
    starts: ArrayLike,
    *,
    length: int = 40,
    seed: int = 0,
    epoch: int = 0,
    edge_type: EdgeType | None = None,
    device: Any = None,
) -> Any:
    """Uniform walks along `rows` (`store.csr()`), as a device array (length + 1, num_walks): column i is a walk.

    The kernel runs on `device` ("cuda:1"; the current one by default), on torch's current stream there. Entry for
    entry the transpose of `nearhop.sampling.random_walks(store, starts, weighted=False, ...)`; name the edge type of
    `rows` where the store names it.
    """
    from ..arguments import check_count, check_epoch, node_positions, words_of
    from . import walks_cpu

    length, epoch = check_count("length", length), check_epoch(epoch)
    nodes = node_positions("starts", starts, rows.num_rows)
    streams = np.empty(nodes.shape[0], np.int32)
    walks_cpu.occurrences(nodes, np.zeros(rows.num_rows, np.int32), streams)
    with launching(device_number(device)) as place:
        out = place.empty((length + 1, nodes.shape[0]), rows.indices.dtype)
        if nodes.shape[0]:
            blocks = -(-nodes.shape[0] // _THREADS)
            arrays = [place.put(array) for array in (rows.indptr, rows.indices, nodes, streams)]
            root = root_of(seed, Purpose.WALKS, *words_of(edge_type))
            place.run(uniform_walks, blocks, _THREADS, *arrays, root, epoch, out)
    return out
