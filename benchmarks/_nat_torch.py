"""NAT in plain PyTorch, written for `benchmarks/nat.py` after the published algorithm (arXiv:2209.01084).

Every queried node's tables are read whole, also where it is queried twice; the recurrent cell runs over all slots;
dictionaries of pairs are joined by `unique` and scattered sums; accepted writes are index assignments, where the last
of several to one slot wins. Sizes, layers and readout are those of `nearhop.gnn.NAT`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from nearhop.gnn.nat.layers import softmax_pool


class TorchCache:
    """The tables as tensors, one set per hop; row 0 of each is where refused writes go, so node u is row u + 1."""

    def __init__(self, num_nodes, sizes, value_dim, alpha=0.9):
        self.num_nodes, self.sizes, self.alpha, self.value_dim = num_nodes, sizes, alpha, value_dim
        self.reset()

    def reset(self):
        rows = [(self.num_nodes + 1) * size for size in self.sizes]
        self.keys = [torch.zeros(count, dtype=torch.int64) for count in rows]
        self.edge_ids = [torch.full((count,), -1) for count in rows]
        self.times = [torch.zeros(count, dtype=torch.float64) for count in rows]
        self.values = [torch.zeros(count, self.value_dim) for count in rows]
        self.keys[0] = torch.arange(self.num_nodes + 1)

    def slots(self, nodes, hop):
        size = self.sizes[hop]
        return (nodes[:, None] * size + torch.arange(size)).flatten()

    def read(self, nodes):
        """All slots of one-based nodes, by hop: keys, edge ids, times, values, each (n * size, ...)."""
        found = []
        for hop in range(len(self.sizes)):
            at = self.slots(nodes, hop)
            found.append((self.keys[hop][at], self.edge_ids[hop][at], self.times[hop][at], self.values[hop][at]))
        return found

    def write(self, nodes, hop, keys, edge_ids, times, values):
        slot = (keys * 2654435761) % self.sizes[hop] if hop else torch.zeros_like(keys)
        at = nodes * self.sizes[hop] + slot
        held = self.keys[hop][at]
        refused = (held != 0) & (held != keys) & (torch.rand(at.shape[0]) >= self.alpha)
        at = at * ~refused
        self.keys[hop][at] = keys
        self.edge_ids[hop][at] = edge_ids
        self.times[hop][at] = times
        self.values[hop][at] = values

    def insert(self, src, dst, time, edge_ids, read=None):
        """`read` is what `read` returned for the sources, then the destinations, with updated values."""
        one, two = torch.from_numpy(src) + 1, torch.from_numpy(dst) + 1
        mine, other = torch.cat([one, two]), torch.cat([two, one])
        read = read if read is not None else self.read(mine)
        times, names = (torch.from_numpy(part).repeat(2) for part in (time, edge_ids))
        count = mine.shape[0]
        near = [part.view(count, self.sizes[1], *part.shape[1:]) for part in read[1]]
        turned = [torch.cat([part[count // 2 :], part[: count // 2]]) for part in near]  # the tables of the other end
        known = turned[0] != 0
        owner = mine[:, None].expand(-1, self.sizes[1])[known]
        self.write(owner, 2, *(part[known] for part in turned))
        slot = (other * 2654435761) % self.sizes[1]
        row = torch.arange(count)
        value = near[3][row, slot] * (near[0][row, slot] == other)[:, None]
        self.write(mine, 1, other, names, times, value)
        self.write(mine, 0, mine, names, times, read[0][3])
        self.keys[0][0] = 0

    def join(self, src, dst, *, packed, values=None, read=None, first=None, second=None):
        """Rows (pair, key) of joint dictionaries: the pair, the code and the summed values of each."""
        if read is None:
            count = src.shape[0]
            read = self.read(torch.from_numpy(np.concatenate([src, dst])) + 1)
            values = [part[3] for part in read]
            first, second = torch.arange(count), torch.arange(count, 2 * count)
        hops = len(self.sizes)
        lists: tuple[list[torch.Tensor], ...] = ([], [], [], [])
        for side, rows in enumerate((first, second)):
            for hop, (size, part, held) in enumerate(zip(self.sizes, read, values, strict=True)):
                keys = part[0].view(-1, size)[rows]
                here = keys != 0
                lists[0].append(keys[here])
                lists[1].append(held.view(-1, size, self.value_dim)[rows][here])
                lists[2].append(torch.full((int(here.sum()),), 1 << (side * hops + hop)))
                lists[3].append(torch.arange(rows.shape[0])[:, None].expand(-1, size)[here])
        key, value, bit, pair = (torch.cat(part) for part in lists)
        if packed:
            rows, inverse = torch.unique(pair * (self.num_nodes + 1) + key, return_inverse=True)
            owner = rows // (self.num_nodes + 1)
        else:
            rows, inverse = torch.unique(torch.stack([pair, key], dim=1), dim=0, return_inverse=True)
            owner = rows[:, 0]
        code = torch.zeros(rows.shape[0], dtype=torch.int64).scatter_add_(0, inverse, bit)
        where = inverse[:, None].expand(-1, self.value_dim)
        total = torch.zeros(rows.shape[0], self.value_dim).scatter_add_(0, where, value)
        return owner, code, total


class Cell(nn.Module):
    def __init__(self, self_dim, time_dim, dim):
        super().__init__()
        self.message = nn.Linear(self_dim + time_dim, dim, bias=False)
        self.cell = nn.GRUCell(dim, dim)

    def forward(self, reps, times, old, live):
        return self.cell(self.message(torch.cat([reps, times], dim=1)), old) * live[:, None]


class TorchNAT(nn.Module):
    """The calls of `nearhop.gnn.NAT`, without dropout and features."""

    def __init__(self, num_nodes, sizes, value_dim, self_dim, *, packed, time_dim=4, code_dim=16, hidden=64):
        super().__init__()
        self.cache, self.packed = TorchCache(num_nodes, sizes, value_dim), packed
        self.frequency = nn.Parameter(10.0 ** -torch.linspace(0, 9, time_dim))
        self.phase = nn.Parameter(torch.zeros(time_dim))
        self.own, self.near = Cell(self_dim, time_dim, self_dim), Cell(self_dim, time_dim, value_dim)
        self.codes = nn.Embedding(64, code_dim)
        self.project = nn.Linear(code_dim + value_dim, hidden)
        self.score = nn.Parameter(torch.randn(hidden) / hidden**0.5)
        joined = hidden + 2 * self_dim
        self.classify = nn.Sequential(nn.Linear(joined, joined), nn.ReLU(), nn.Linear(joined, 1))
        self.self_dim, self.num_nodes = self_dim, num_nodes
        self.reset()

    def reset(self):
        self.cache.reset()
        self.rep = torch.zeros(self.num_nodes + 1, self.self_dim)
        self.last_other = torch.zeros(self.num_nodes + 1, dtype=torch.int64)
        self.kept: Any = None

    def encode(self, times, now):
        since = (now - times).float()
        return torch.cos(since[:, None] * self.frequency + self.phase)

    def forward(self, src, dst, negatives, *, time):
        now, count = float(time.min()), src.shape[0]
        nodes = torch.from_numpy(np.concatenate([src, dst, negatives.ravel()])) + 1
        read = self.cache.read(nodes)
        values = []
        for hop, (keys, edge_ids, times, held) in enumerate(read):
            if hop == 2:
                values.append(held)
            else:
                values.append(self.near(self.rep[keys], self.encode(times, now), held, edge_ids >= 0))
        _, edge_ids, times, _ = read[0]
        own = self.own(self.rep[self.last_other[nodes]], self.encode(times, now), self.rep[nodes], edge_ids >= 0)
        first = torch.arange(count).repeat(2)
        second = torch.arange(count, 3 * count)
        owner, code, total = self.cache.join(
            None, None, packed=self.packed, values=values, read=read, first=first, second=second
        )
        rows = self.project(torch.cat([self.codes(code), total], dim=1)).relu()
        pooled = softmax_pool(rows, self.score, owner, 2 * count)
        scores = self.classify(torch.cat([pooled, own[first], own[second]], dim=1)).squeeze(1)
        self.kept = (nodes[: 2 * count], read, values, own, count)
        return scores[:count], scores[count:, None]

    def observe(self, src, dst, *, time, edge_ids):
        nodes, read, values, own, count = self.kept
        ends = 2 * count
        parts = [
            tuple(part[: ends * size] for part in (*columns[:3], value.detach()))
            for size, columns, value in zip(self.cache.sizes, read, values, strict=True)
        ]
        self.cache.insert(src, dst, time, edge_ids, parts)
        self.rep[nodes] = own[:ends].detach()
        self.last_other[nodes] = torch.cat([nodes[count:], nodes[:count]])
