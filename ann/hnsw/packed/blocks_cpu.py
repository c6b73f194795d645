"""Kernels that write blocks: the codes of a node's neighbours beside its links.

A neighbour is kept as what it adds to the node: with r = neighbour - node in the coordinates of the 8-bit codes and u
its b-bit code, <r, q> is estimated by <r, v> + k <u, q - v> with k = |r|^2 / <r, u>, which is unbiased where the
directions of codes are random (J. Gao and C. Long, "RaBitQ", SIGMOD 2024, arXiv:2405.12497, equation 12; centred at
the node that is expanded, as SymphonyQG does). Ranks of neighbours follow from the node's own:
rank(node) + high + low <u, q>.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import get_thread_id  # type: ignore[attr-defined, unused-ignore]

from ....graphlib.compute.jit import kernel, parallel_kernel
from ...distances.distances_cpu import insert, unpack_node
from ...distances.rows_cpu import FAR, key_of, own_factor, own_query, prefetch_row, room_of
from .layout import ENTRIES, LANES, WORD_BYTES

ABSENT = np.float32(2e9)  # beyond every rank
_STEPS = np.array([2.0, 0.9957, 0.0, 0.3352], np.float32)  # of 1, 2 and 4 bits for normal coordinates, in deviations
_TERM, _AHEAD = 4, 8
_GROUP = 32  # nodes


@kernel
def _fill(walk, links, node, room, ids):
    """The links of a node, and in the room they leave the nearest of what 32 of them lead to; how many there are."""
    bits, seen, pool, own = room
    nodes, count = walk.data.shape[0], 0
    seen[0] = node
    for j in range(links.shape[1]):
        other = links[node, j]
        if other < 0 or other >= nodes:
            break
        ids[count] = other
        count += 1
        seen[count] = other
    for j in range(count + 1):
        bits[seen[j] >> 3] |= np.uint8(1 << (seen[j] & 7))
    reached, limit = count + 1, ids.shape[0] - count
    if limit > 0:
        for j in range(min(count, LANES)):
            for place in range(min(links.shape[1], LANES)):
                other = links[ids[j], place]
                if other < 0 or other >= nodes:
                    break
                bit = np.uint8(1 << (other & 7))
                before = bits[other >> 3]
                seen[reached] = other
                reached += (before & bit) == 0
                bits[other >> 3] = before | bit
        query, factor, size = own_query(walk, node, own), own_factor(walk, node), 0
        for j in range(count + 1, reached):
            if j + _AHEAD < reached:
                prefetch_row(walk, seen[j + _AHEAD], 0, FAR)
            if insert(pool, size, limit, key_of(walk, query, factor, seen[j])) >= 0:
                size = min(size + 1, limit)
        for j in range(size):
            ids[count] = unpack_node(pool[j])
            count += 1
    for j in range(reached):
        bits[seen[j] >> 3] = 0
    for j in range(count, ids.shape[0]):
        ids[j] = -1
    return count


@kernel
def _term(row):
    return row[row.shape[0] - _TERM :].view(np.int32)[0]


@kernel
def _bfloat(value):
    """The bits of a float32 rounded to its upper half."""
    bits = np.int64(np.float32(value).view(np.int32)) & 0xFFFFFFFF
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16) & 0xFFFF


@kernel(fastmath={"reassoc", "nsz", "contract"})
def _difference(row, own, width, out):
    """Write row - own of codes; (its squared length, its product with own)."""
    length, along = np.float32(0), np.float32(0)
    for j in range(width):
        value = np.float32(np.int32(row[j]) - np.int32(own[j]))
        out[j] = value
        length += value * value
        along += value * np.float32(np.int32(own[j]) - np.int32(128))
    return length, along


@kernel(fastmath={"reassoc", "nsz", "contract"})
def _rounded(difference, own, width, levels, inverse, out):
    """Write codes of a difference; (the products of what they stand for with the difference, and with own)."""
    with_it, with_own = np.float32(0), np.float32(0)
    half = np.int32(levels >> 1)
    for j in range(width):
        code = np.int32(np.floor(difference[j] * inverse)) + half
        code = min(max(code, np.int32(0)), np.int32(levels - 1))
        out[j] = np.uint8(code)
        value = np.float32(2 * code + 1 - levels)
        with_it += value * difference[j]
        with_own += value * np.float32(np.int32(own[j]) - np.int32(128))
    return with_it, with_own


@kernel
def _write_block(walk, node, ids, bits, room, block):
    """Write one block: codes, words of two factors, and ids."""
    difference, codes = room
    width, by_product = np.int64(walk.width), walk.step == 0
    size = block.shape[0] - WORD_BYTES
    words, links = block[size : size + 4 * LANES].view(np.uint32), block[size + 4 * LANES :].view(np.int32)
    block[:size] = 0
    own, per = walk.data[node], 4 // bits
    for lane in range(LANES):
        other = ids[lane]
        links[lane] = other
        if other < 0:
            words[lane] = np.uint32(_bfloat(ABSENT) << 16)
            continue
        if lane + 1 < LANES and ids[lane + 1] >= 0:
            prefetch_row(walk, ids[lane + 1], 0, FAR)
        row = walk.data[other]
        length, along = _difference(row, own, width, difference)
        deviation = np.sqrt(length / np.float32(width))
        inverse = np.float32(1) / (_STEPS[bits - 1] * deviation) if length > 0 else np.float32(0)
        with_it, with_own = _rounded(difference, own, width, 1 << bits, inverse, codes)
        share = length / with_it if with_it > 0 else np.float32(0)
        high = np.float32(_term(row) - _term(own))
        if not by_product:
            high += 2 * (share * with_own - along)
        words[lane] = np.uint32((_bfloat(high) << 16) | _bfloat(-2 * share))
        shift, column = np.uint8(4 * (lane >> 4)), lane & 15
        for group in range(size // ENTRIES):
            number = np.uint8(0)
            for p in range(per):
                number |= np.uint8(codes[group * per + p] << np.uint8(p * bits))
            block[group * ENTRIES + column] |= np.uint8(number << shift)


@parallel_kernel
def write_blocks(walk, links, nodes, bits, blocks, scratch):
    """Write the blocks of `nodes`; a row of `blocks` holds a block for every 32 links.

    `scratch` has a row per worker. Nodes are taken in groups: how many rows a node reads differs a lot.
    """
    for group in numba.prange((nodes.shape[0] + _GROUP - 1) // _GROUP):
        worker = get_thread_id()
        slots = -(-links.shape[1] // LANES) * LANES
        ids, pool = np.empty(slots, np.int32), np.empty(slots, np.int64)
        filling = (scratch.bits[worker], scratch.seen[worker], pool, room_of(walk))
        size = blocks.shape[1] // (slots // LANES)
        groups = (size - WORD_BYTES) // ENTRIES
        room = (np.empty(walk.width, np.float32), np.zeros(groups * (4 // bits), np.uint8))
        for i in range(group * _GROUP, min((group + 1) * _GROUP, nodes.shape[0])):
            _fill(walk, links, nodes[i], filling, ids)
            for part in range(slots // LANES):
                _write_block(
                    walk, nodes[i], ids[part * LANES : (part + 1) * LANES], bits, room,
                    blocks[nodes[i], part * size : (part + 1) * size],
                )  # fmt: skip
