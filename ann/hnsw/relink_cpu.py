"""Kernel that leads links of an HNSW graph around deleted nodes.

A row's outcome depends on that row and on the rows of deleted nodes alone, which are not written meanwhile: it is the
same at any number of threads, and in parts of any size.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import get_thread_id  # type: ignore[attr-defined, unused-ignore]

from ...graphlib.compute.jit import parallel_kernel
from ..distances.distances_cpu import pack, unpack_distance, unpack_node
from ..distances.rows_cpu import distance, own_factor, own_query, room_of
from .search_cpu import forget

GROUP = 64  # owners that one thread looks after at a time
_NEW = np.int64(1)


@parallel_kernel
def relink(exact, owners, row_of, shift, table, gone, limit, scratch, out):
    """New links of `owners` at one level, without links to nodes that are `gone`.

    A gone neighbour stands for its own neighbours, and those of them that are gone for theirs, until every gone
    neighbour was looked into and `limit` nodes were found. As many of those as links are lost are taken, nearest first,
    where no nearer link is nearer to them than the owner. The other links stay, in front. Rows that link to no gone
    node have `out.counts` -1 and are left alone. `row_of` is empty at level 0. Row i of `out`, a table like `table`, is
    that of owner i.
    """
    bits, seen = scratch
    direct = row_of.shape[0] == 0
    cap = table.links.shape[1]
    for group in numba.prange((owners.shape[0] + GROUP - 1) // GROUP):
        worker = get_thread_id()
        marks, list_of = bits[worker], seen[worker]
        chosen = np.empty(cap, np.int32)
        own, other = room_of(exact), room_of(exact)
        keys = np.empty(limit + cap * (cap + 2), np.int64)
        for i in range(group * GROUP, min((group + 1) * GROUP, owners.shape[0])):
            owner = owners[i]
            place = owner if direct else row_of[owner] + shift
            row, count = table.links[place], table.counts[place]
            touched = False
            for j in range(count):
                touched |= gone[row[j]]
            if not touched:
                out.counts[i] = -1
                continue
            # `seen` lists marked nodes: from the back those looked into, the owner and then gone ones, in order.
            reached, looked, back = 0, list_of.shape[0], list_of.shape[0] - 1
            list_of[back] = owner
            marks[owner >> 3] |= np.uint8(1 << (owner & 7))
            vector, factor = own_query(exact, owner, own), own_factor(exact, owner)
            kept, sound, size, must = 0, 0, 0, back
            while looked > back and (looked > must or size < kept + limit):
                looked -= 1
                dead = list_of[looked]
                behind = dead if direct else row_of[dead] + shift
                for j in range(table.counts[behind]):
                    node = table.links[behind, j]
                    if marks[node >> 3] & np.uint8(1 << (node & 7)):
                        continue
                    marks[node >> 3] |= np.uint8(1 << (node & 7))
                    if gone[node]:
                        back -= 1
                        list_of[back] = node
                        continue
                    list_of[reached] = node
                    reached += 1
                    keys[size] = pack(distance(exact, node, vector, factor), node)
                    if dead == owner:
                        out.links[i, size] = node
                        sound += j < table.clean[place]
                    else:
                        keys[size] |= _NEW
                    size += 1
                if dead == owner:
                    kept, must = size, back
            forget(marks, list_of, reached)
            for j in range(back, list_of.shape[0]):
                marks[list_of[j] >> 3] = 0
            keys[:size].sort()
            near, total = 0, kept  # `chosen` holds links kept so far, nearest first
            for j in range(size):
                node = unpack_node(keys[j])
                if keys[j] & _NEW:
                    if total == count:
                        continue
                    reach, its_factor = unpack_distance(keys[j]), own_factor(exact, node)
                    candidate = own_query(exact, node, other)
                    good = True
                    for o in range(near):
                        if distance(exact, chosen[o], candidate, its_factor) < reach:
                            good = False
                            break
                    if not good:
                        continue
                    out.links[i, total] = node
                    total += 1
                chosen[near] = node
                near += 1
            for j in range(total, cap):
                out.links[i, j] = -1
            out.counts[i] = total
            out.clean[i] = sound
