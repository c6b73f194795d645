"""Kernels of `ncache`: occupied slots are read, dictionaries of pairs are joined, events are written.

A node's tables lie side by side in one row of every column: `starts[k]:starts[k + 1]` are the columns of hop k.
Everything a write needs from other nodes comes from the read made before it, so targets are independent of each other.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from ...graphlib.compute.jit import kernel, parallel_kernel
from ...graphlib.compute.random_cpu import stream, uniform

PRIME, QUADRATIC = 0, 1
_KNUTH = np.uint64(2654435761)
_NONE = -1


@kernel(inline="always")
def slot_of(key, size, kind, parameter):
    """The one slot, of `size`, in which `key` may stand."""
    word = np.uint64(key)
    if kind == PRIME:
        word = word * _KNUTH
    else:
        one_based = word + np.uint64(1)
        factor = np.uint64(parameter)
        word = one_based * factor + one_based * one_based * (factor + np.uint64(1))
    return np.int64(word % np.uint64(size))


@kernel
def count_slots(keys, nodes, indptr):
    """`indptr[i + 1] - indptr[i]` becomes the number of occupied slots of `nodes[i]`."""
    total = 0
    indptr[0] = 0
    for i in range(nodes.shape[0]):
        row = keys[nodes[i]]
        for j in range(row.shape[0]):
            total += row[j] >= 0
        indptr[i + 1] = total


@parallel_kernel(even=True)
def read_slots(columns, nodes, indptr, place, out):
    """Copy the occupied slots of every node; `place[i, j]` is where column j of `nodes[i]` went, or -1.

    `columns` = (keys, edge ids, times, values), `out` = (column, key, edge id, time, value) of every slot copied.
    """
    keys, edge_ids, times, values = columns
    column, key, edge_id, time, value = out
    for i in prange(nodes.shape[0]):
        node = nodes[i]
        at = indptr[i]
        row = keys[node]
        for j in range(row.shape[0]):
            if row[j] < 0:
                place[i, j] = -1
                continue
            place[i, j] = at
            column[at] = j
            key[at] = row[j]
            edge_id[at] = edge_ids[node, j]
            time[at] = times[node, j]
            held = values[node, j]
            for f in range(held.shape[0]):
                value[at, f] = held[f]
            at += 1


@kernel
def find_slots(keys, starts, hop, nodes, wanted, kind, parameter, found):
    """`found[i]`: the slot of table `hop` of `nodes[i]` that holds the key `wanted[i]`, or -1."""
    size = starts[hop + 1] - starts[hop]
    for i in range(nodes.shape[0]):
        slot = 0 if hop == 0 else slot_of(wanted[i], size, kind, parameter)
        found[i] = slot if keys[nodes[i], starts[hop] + slot] == wanted[i] else -1


@kernel
def number_distinct(nodes, mark, distinct, number):
    """Number nodes in order of first visit; `mark` is -1 everywhere before and after. Returns how many there are."""
    count = 0
    for i in range(nodes.shape[0]):
        node = nodes[i]
        if mark[node] < 0:
            mark[node] = count
            distinct[count] = node
            count += 1
        number[i] = mark[node]
    for i in range(count):
        mark[distinct[i]] = _NONE
    return count


@kernel(inline="always")
def _enter(key, bit, table, rows, mask, row, base, out_key, out_code):
    """Find or make the row of `key` in an open hash table; returns its number within the pair and the rows in use."""
    at = np.int64((np.uint64(key) * _KNUTH) >> np.uint64(7)) & mask
    while rows[at] >= 0 and table[at] != key:
        at = (at + 1) & mask
    if rows[at] < 0:
        rows[at] = row
        table[at] = key
        out_key[base + row] = key
        out_code[base + row] = bit
        return row, row + 1
    found = np.int64(rows[at])
    out_code[base + found] |= bit
    return found, row


@parallel_kernel(even=True)
def join(read, hop_of, hops, ends, bounds, slots, counts, out):
    """Join the dictionaries of rows `first[p]` and `second[p]` of a read.

    Pair p owns rows `bounds[p]`.. of the outputs, as many as both have slots; `counts[p]` of them are used. Member
    `bounds[p] + i` is the i-th slot of the first row, then of the second, and belongs to row `member_row`. `read` =
    (indptr, column, key), `ends` = (first, second), `out` = (keys, codes, member_row).
    """
    indptr, column, key = read
    first, second = ends
    out_key, out_code, member_row = out
    pairs = first.shape[0]
    chunks = min(pairs, 64)
    for chunk in prange(chunks):
        table = np.empty(slots, key.dtype)
        rows = np.empty(slots, np.int32)
        for p in range(chunk * pairs // chunks, (chunk + 1) * pairs // chunks):
            base = bounds[p]
            rows[:] = -1
            used = 0
            member = base
            for side in range(2):
                node = first[p] if side == 0 else second[p]
                shift = side * hops
                for s in range(indptr[node], indptr[node + 1]):
                    bit = np.uint8(1 << (shift + hop_of[column[s]]))
                    row, used = _enter(key[s], bit, table, rows, slots - 1, used, base, out_key, out_code)
                    member_row[member] = row
                    member += 1
            counts[p] = used


@kernel
def close_gaps(indptr, ends, bounds, counts, rows, found, out):
    """Rows of pairs stand behind each other without the gaps that `join` left; members name their slot and row.

    `found` is what `join` wrote, `out` = (keys, codes, slot and row of each member).
    """
    first, second = ends
    key, code, member_row = found
    out_key, out_code, slot, row_of = out
    rows[0] = 0
    for p in range(counts.shape[0]):
        start, base = rows[p], bounds[p]
        for i in range(counts[p]):
            out_key[start + i] = key[base + i]
            out_code[start + i] = code[base + i]
        member = base
        for side in range(2):
            node = first[p] if side == 0 else second[p]
            for s in range(indptr[node], indptr[node + 1]):
                slot[member] = s
                row_of[member] = start + member_row[member]
                member += 1
        rows[p + 1] = start + counts[p]


@kernel
def chain(src, dst, head, follow, targets):
    """Link the two ends of events, given from first to last, into a list per node that begins with the last one.

    End 2 i is the source of event i and 2 i + 1 its destination. `head` is -1 everywhere before; returns the number of
    nodes, whose heads must be set back.
    """
    count = 0
    for c in range(2 * src.shape[0]):
        node = dst[c >> 1] if c & 1 else src[c >> 1]
        if head[node] < 0:
            targets[count] = node
            count += 1
        follow[c] = head[node]
        head[node] = c
    return count


@parallel_kernel(even=True)
def write_events(columns, rule, name, events, rows, targets, links, read):
    """Write events into the tables of their ends, from the last to the first; a slot that was written stays.

    Whether a slot is taken by another key is judged by what it held before the call. `columns` = (keys, edge ids,
    times, values, starts), `rule` = (kind and parameter of the hash, chance to replace, whether to keep oneself),
    `name` = (root, epoch), `events` = (src, dst, time, id), `rows` = those of their ends in the read, `links` = (head,
    follow) as `chain` made them, `read` = (place, key, edge id, time, value).
    """
    keys, starts = columns[0], columns[4]
    kind, parameter, alpha, keep_self = rule
    root, epoch = name
    src, dst, event_time, event_id = events
    src_row, dst_row = rows
    head, follow = links
    place, read_key, read_edge, read_time, new_value = read
    hops = starts.shape[0] - 1
    width = starts[hops]
    first, second, third = starts[min(1, hops)], starts[min(2, hops)], starts[min(3, hops)]
    count = targets.shape[0]
    chunks = min(count, 64)
    for chunk in prange(chunks):
        written = np.empty(width, np.bool_)
        for t in range(chunk * count // chunks, (chunk + 1) * count // chunks):
            node = targets[t]
            written[:] = False
            c = np.int64(head[node])
            while c >= 0:
                event = c >> 1
                side = c & 1
                other = src[event] if side else dst[event]
                mine = dst_row[event] if side else src_row[event]
                theirs = src_row[event] if side else dst_row[event]
                if not written[0]:
                    written[0] = True
                    _store(columns, node, 0, node, event_id[event], event_time[event], new_value, place[mine, 0])
                if hops > 1:
                    j = first + slot_of(other, second - first, kind, parameter)
                    key = stream(root, epoch, event_id[event], 2 + side)
                    if not written[j] and accepted(keys[node, j], other, alpha, key, 0):
                        written[j] = True
                        held = place[mine, j]
                        kept = held if held >= 0 and read_key[held] == other else _NONE
                        _store(columns, node, j, other, event_id[event], event_time[event], new_value, kept)
                if hops > 2:
                    key = stream(root, epoch, event_id[event], 4 + side)
                    for from_column in range(second - 1, first - 1, -1):
                        s = place[theirs, from_column]
                        if s < 0:
                            continue
                        far = read_key[s]
                        if far == node and not keep_self:
                            continue
                        j = second + slot_of(far, third - second, kind, parameter)
                        if not written[j] and accepted(keys[node, j], far, alpha, key, from_column):
                            written[j] = True
                            _store(columns, node, j, far, read_edge[s], read_time[s], new_value, s)
                c = np.int64(follow[c])


@kernel(inline="always")
def accepted(held, key, alpha, name, counter):
    """Empty slots and the key's own are always written, others with probability alpha."""
    return held < 0 or held == key or uniform(name, counter) < alpha


@kernel(inline="always")
def _store(columns, node, column, key, edge_id, time, new_value, source):
    keys, edge_ids, times, values, _ = columns
    keys[node, column] = key
    edge_ids[node, column] = edge_id
    times[node, column] = time
    held = values[node, column]
    for f in range(held.shape[0]):
        held[f] = new_value[source, f] if source >= 0 else 0.0
