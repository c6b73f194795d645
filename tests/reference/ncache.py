"""The N-cache's write rule, one slot at a time, over Python dictionaries."""

from __future__ import annotations

import numpy as np

from nearhop.graphlib.compute.random_cpu import stream, uniform
from nearhop.graphlib.compute.streams import Purpose, root_of

EMPTY = None


def slot_of(key, size, kind, seed):
    if kind == "prime":
        return (2654435761 * key) % size
    b, s = key + 1, seed % 100
    return (b * s + b * b * (s + 1)) % size


class ReferenceCache:
    """`tables[u][k]` maps a slot to (key, edge id, time, value)."""

    def __init__(self, num_nodes, sizes, value_dim, alpha, seed, kind="prime", keep_self=True):
        self.root = root_of(seed, Purpose.NCACHE)
        self.sizes, self.alpha, self.seed, self.kind, self.keep_self = sizes, alpha, seed, kind, keep_self
        zero = np.zeros(value_dim, np.float32)
        self.tables = [[{0: (u, -1, 0.0, zero)}] + [{} for _ in sizes[1:]] for u in range(num_nodes)]

    def insert(self, src, dst, time, edge_ids, updated=lambda node, hop, slot, entry: entry[3], epoch=0):
        """`updated` says what the value of a slot has become since it was written."""
        before = [[dict(table) for table in tables] for tables in self.tables]
        for event in sorted(range(len(src)), key=lambda i: (time[i], edge_ids[i])):
            for side, (u, v) in enumerate(((src[event], dst[event]), (dst[event], src[event]))):
                stamp = (int(edge_ids[event]), float(time[event]))
                old = before[u][0][0]
                self.tables[u][0][0] = (u, *stamp, updated(u, 0, 0, old))
                if len(self.sizes) > 1:
                    slot = slot_of(v, self.sizes[1], self.kind, self.seed)
                    held = before[u][1].get(slot)
                    if self.accepts(held, v, event_id=stamp[0], name=2 + side, counter=0, epoch=epoch):
                        known = held is not None and held[0] == v
                        value = updated(u, 1, slot, held) if known else np.zeros_like(old[3])
                        self.tables[u][1][slot] = (v, *stamp, value)
                if len(self.sizes) > 2:
                    for near in sorted(before[v][1]):
                        entry = before[v][1][near]
                        w = entry[0]
                        if w == u and not self.keep_self:
                            continue
                        slot = slot_of(w, self.sizes[2], self.kind, self.seed)
                        held = before[u][2].get(slot)
                        if self.accepts(held, w, event_id=stamp[0], name=4 + side, counter=1 + near, epoch=epoch):
                            self.tables[u][2][slot] = (*entry[:3], updated(v, 1, near, entry))

    def accepts(self, held, key, *, event_id, name, counter, epoch):
        if held is None or held[0] == key:
            return True
        return uniform(np.uint64(stream(self.root, epoch, event_id, name)), counter) < self.alpha

    def join(self, u, v):
        """key -> (code, list of values)"""
        found = {}
        for side, node in enumerate((u, v)):
            for hop, table in enumerate(self.tables[node]):
                for slot in sorted(table):
                    key, _, _, value = table[slot]
                    code, values = found.get(key, (0, []))
                    found[key] = (code | 1 << (side * len(self.sizes) + hop), [*values, value])
        return found

    def columns(self):
        """The same four arrays as `NCache`."""
        starts = np.concatenate([[0], np.cumsum(self.sizes)])
        shape = (len(self.tables), starts[-1])
        keys, edge_ids, times = np.full(shape, -1), np.full(shape, -1), np.zeros(shape)
        values = np.zeros((*shape, self.tables[0][0][0][3].shape[0]), np.float32)
        for u, tables in enumerate(self.tables):
            for hop, table in enumerate(tables):
                for slot, entry in table.items():
                    at = u, starts[hop] + slot
                    keys[at], edge_ids[at], times[at], values[at] = entry
        return {"keys": keys, "edge_ids": edge_ids, "times": times, "values": values}
