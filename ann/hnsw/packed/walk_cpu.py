"""A walk of level 0 that estimates whole blocks of neighbours, and reads the rows of nodes it expands alone."""

from __future__ import annotations

import numpy as np

from ....graphlib.compute.instructions import trailing_zeros
from ....graphlib.compute.jit import kernel
from ...distances.distances_cpu import insert, unpack_node
from ...distances.rows_cpu import FAR, key_of, prefetch_row_ahead
from ..search_cpu import ONE, ZERO
from .layout import ENTRIES, LANES, WORD_BYTES
from .tables_cpu import estimate, fill_tables

_MORE, _SHARE_OF_BEAM = 8, 6  # so many rows beside the k nearest are ordered by distances: 8 and a sixth of the beam
_SOME, _FEW = 512, 256  # bytes of a block that are asked for at a time; for every neighbour that is near enough
_NOTHING = np.int64(0x7FFFFFFFFFFFFFFF)  # behind every key
_NO_LIMIT = np.int32(0x7FFFFFFF)


@kernel
def walk_blocks(walk, query, factor, graph, scratch, pool, ef, k, stop):
    """Best-first search of level 0 from the one key in `pool[0]`; the nearest expanded nodes in `pool`, how many.

    The beam holds `ef` estimated ranks, a node's from the first neighbour that leads to it; a node that is expanded
    gets its rank from its row. While it is, the block of the node that comes after it is asked for, a few lines at a
    time: asked for at once, they would make the processor wait, which has places for a dozen or two that are under way.
    So a node is taken before its predecessor's neighbours are known, which costs a step or two per walk. `stop` is that
    of `search_cpu.beam`; with `wanted` > 0 only passing nodes are returned.
    """
    bits, seen = scratch
    codes = graph.blocks.shape[1] // graph.parts - WORD_BYTES
    tables, ranks = np.empty((codes // ENTRIES, ENTRIES), np.uint8), np.empty(LANES, np.int32)
    most = max(stop[1], min(ef, k + _MORE + ef // _SHARE_OF_BEAM))
    near = np.empty(most, np.int64)
    passes, wanted = stop
    blocks, nodes = graph.blocks, walk.data.shape[0]
    parts = graph.parts
    stride = blocks.shape[1]
    size_of = stride // parts
    coming, asked = pool[0], stride  # the key of the node that comes next; how much of its block was asked for
    start = unpack_node(coming)
    prefetch_row_ahead(walk, start, 0, FAR)
    prefetch_row_ahead(blocks, start, 0, FAR)
    scale, offset = fill_tables(query, walk.width, graph.bits, tables)
    size, cursor, reached, met = ONE, ONE, ONE, ZERO
    pool[0] |= ONE
    seen[0] = start
    bits[start >> 3] |= np.uint8(1 << (start & 7))
    while cursor < size or coming != _NOTHING:
        turn, coming, asked = coming, _NOTHING, stride
        node, follower = unpack_node(turn), unpack_node(coming)
        if cursor < size:
            coming, asked = pool[cursor], _SOME
            pool[cursor] |= ONE
            while cursor < size and pool[cursor] & ONE:
                cursor += 1
            follower = unpack_node(coming)
            prefetch_row_ahead(walk, follower, 0, FAR)
            prefetch_row_ahead(blocks, follower, 0, asked)
        if turn == _NOTHING:  # nothing stood in line while the last one was expanded
            prefetch_row_ahead(blocks, follower, asked, FAR)
            continue
        key = key_of(walk, query, factor, node)
        if (wanted == 0 or passes[node]) and insert(near, met, most, key) >= 0:
            met = min(met + 1, most)
        base = np.float32(key >> 32)
        for part in range(parts):
            place = node * stride + part * size_of
            limit = np.int32(pool[size - 1] >> 32) if size == ef else _NO_LIMIT
            below = estimate(blocks, place, tables, (base, scale, offset), limit, ranks)
            first = (place + size_of) // 4 - LANES
            prefetch_row_ahead(blocks, follower, asked, asked + _SOME)
            asked += _SOME
            while below != 0:
                lane = np.int64(trailing_zeros(np.uint64(below)))
                below &= below - 1
                other = np.int64(graph.words[first + lane])
                bit = np.uint8(1 << (other & 7))
                prefetch_row_ahead(blocks, follower, asked, asked + _FEW)
                asked += _FEW
                if 0 <= other < nodes and bits[other >> 3] & bit == 0:
                    bits[other >> 3] |= bit
                    seen[reached] = other
                    reached += 1
                    at = insert(pool, size, ef, (np.int64(ranks[lane]) << 32) | (other << 1))
                    if at >= 0:
                        size = min(size + 1, ef)
                        cursor = min(cursor, at)
        prefetch_row_ahead(blocks, follower, asked, FAR)
        if wanted > 0 and met >= wanted and near[wanted - 1] < min(coming, pool[cursor] if cursor < size else _NOTHING):
            break
    for j in range(reached):
        bits[seen[j] >> 3] = 0
    for j in range(met):
        pool[j] = near[j]
    return met
