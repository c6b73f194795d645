"""All hops of a uniform sample in one call, from the kernels that the other samplers call one by one."""

from __future__ import annotations

from ...graphlib.compute.jit import kernel
from ...graphlib.compute.moves_cpu import copy_to
from .number_cpu import number_far, number_nodes, repeat_numbers
from .pick_cpu import count_picks, pick_uniform, whole_rows


@kernel
def sample_hops(rows, seeds, fanouts, replace, name, hop, marks, ends, work, found):
    """Sample from `hop` on; returns the hop that memory is short for, or one more than there are when all is done.

    `node_ends[h]` and `edge_ends[h]` count the nodes and edges before hop h; where memory is short, `edge_ends[h + 1]`
    says how many edges there would be, or is -1 if not even the rows of the hop have room. The seeds are entered before
    hop 0. `nodes` is working memory; at the end it is copied to `all_nodes`, the last memory that can be short.

    `rows` = (indptr, indices, edge_ids), `name` = (root, epoch), `marks` = (mark, base), `ends` = (node_ends,
    edge_ends), `work` = (low, high, shares, positions, nodes), `found` = (near, far, edges, all_nodes, seed_index).
    """
    indptr, indices, edge_ids = rows
    root, epoch = name
    node_ends, edge_ends = ends
    low, high, shares, positions, nodes = work
    near, far, edges, all_nodes, seed_index = found
    if hop == 0 and node_ends[0] < 0:
        copy_to(seed_index, seeds)
        node_ends[0] = number_far(seed_index, marks, nodes, 0)
        edge_ends[0] = 0
    while hop < fanouts.shape[0]:
        first = node_ends[hop - 1] if hop > 0 else 0
        last, start = node_ends[hop], edge_ends[hop]
        size = last - first
        edge_ends[hop + 1] = -1
        if size > low.shape[0]:
            return hop
        frontier, a, b, offsets = nodes[first:last], low[:size], high[:size], shares[: size + 1]
        offsets[0] = 0
        whole_rows(indptr, frontier, a, b)
        total = count_picks(a, b, fanouts[hop], replace, offsets)
        stop = start + total
        edge_ends[hop + 1] = stop
        if total > positions.shape[0] or stop > far.shape[0] or last + total > nodes.shape[0]:
            return hop
        picked = positions[:total]
        pick_uniform(a, b, frontier, (root, epoch, hop), fanouts[hop], replace, offsets, picked)
        repeat_numbers(offsets, first, near[start:stop])
        node_ends[hop + 1] = number_nodes(
            (indices, edge_ids), picked, marks, nodes, last, far[start:stop], edges[start:stop]
        )
        hop += 1
    count = node_ends[hop]
    if count > all_nodes.shape[0]:
        return hop
    copy_to(all_nodes, nodes[:count])
    return hop + 1
