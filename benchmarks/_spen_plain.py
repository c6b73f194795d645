"""SPEN as one would write it in torch: every basis map computed and stacked, one block of ego networks per size."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn.functional import elu

from nearhop.gnn.spen import plain
from nearhop.graphlib.compute.grouping import places_of


def stack_22(x):
    """The fifteen maps of (number, m, m, C): (number, m, m, 15, C)."""
    m = x.shape[1]
    eye = torch.eye(m, dtype=x.dtype)[None, :, :, None]
    d, r, c = torch.diagonal(x, dim1=1, dim2=2).transpose(1, 2), x.sum(2) / m, x.sum(1) / m
    s, t = d.sum(1) / m, x.sum((1, 2)) / m**2
    found = []
    for v in (d, r, c):
        found += [v[:, :, None] * eye, v[:, :, None].expand_as(x), v[:, None].expand_as(x)]
    for v in (s, t):
        found += [v[:, None, None] * eye, v[:, None, None].expand_as(x)]
    return torch.stack([*found, x, x.transpose(1, 2)], -2)


def stack_12(x):
    n, m, c = x.shape
    eye = torch.eye(m, dtype=x.dtype)[None, :, :, None]
    total = x.sum(1)[:, None, None] / m
    parts = [x[:, :, None] * eye, x[:, :, None].expand(n, m, m, c), x[:, None].expand(n, m, m, c)]
    return torch.stack([*parts, total * eye, total.expand(n, m, m, c)], -2)


def stack_21(x):
    m = x.shape[1]
    d = torch.diagonal(x, dim1=1, dim2=2).transpose(1, 2)
    s, t = d.sum(1, keepdim=True) / m, x.sum((1, 2))[:, None] / m**2
    return torch.stack([d, x.sum(2) / m, x.sum(1) / m, s.expand_as(d), t.expand_as(d)], -2)


def stack_11(x):
    return torch.stack([x, (x.sum(1, keepdim=True) / x.shape[1]).expand_as(x)], -2)


def stack_20(x):
    m = x.shape[1]
    return torch.stack([torch.diagonal(x, dim1=1, dim2=2).sum(2) / m, x.sum((1, 2)) / m**2], -2)


def stack_10(x):
    return x.mean(1)[:, None]


STACKS = {"22": (stack_22, 15), "12": (stack_12, 5), "21": (stack_21, 5), "11": (stack_11, 2), "20": (stack_20, 2)}
STACKS["10"] = (stack_10, 1)


class PlainMap(nn.Module):
    """One map: a weight (classes, basis, C_in, C_out), and biases."""

    def __init__(self, orders, channels_in, channels_out, classes):
        super().__init__()
        self.stack, count = STACKS[orders]
        scale = (2 / (channels_in + channels_out)) ** 0.5
        self.weight = nn.Parameter(torch.randn(classes, count, channels_in, channels_out) * scale)
        self.bias = nn.Parameter(torch.zeros(classes, 2 if orders[1] == "2" else 1, channels_out))
        self.on_diagonal = orders[1] == "2"

    def forward(self, block, k):
        stacked = self.stack(block)
        out = stacked.flatten(-2) @ self.weight[k].flatten(0, 1) + self.bias[k, -1]
        if self.on_diagonal:
            out = out + torch.eye(block.shape[1])[None, :, :, None] * self.bias[k, 0]
        return out


class PlainBatch:
    """Blocks by size, and where each entry comes from and goes to."""

    def __init__(self, bag, batch, classes):
        self.pairs, self.nodes_in = batch.pairs, batch.nodes
        sizes = bag.sizes
        found, first = np.unique(sizes, return_index=True)
        ends = [*first[1:], len(sizes)]
        self.blocks = [
            (int(m), b - a, int(classes.of([m])[0]), slice(*bag.indptr[[a, b]]), slice(*bag.entry_ptr[[a, b]]))
            for m, a, b in zip(found, first, ends, strict=True)
        ]
        self.nodes, self.pair = (torch.from_numpy(x.astype(np.int64)) for x in (bag.nodes, bag.pair))
        self.node_ptr, self.pair_ptr = torch.from_numpy(bag.node_ptr), torch.from_numpy(bag.pair_ptr)
        self.node_copies = tuple(map(torch.from_numpy, bag.node_copies))
        self.pair_copies = tuple(map(torch.from_numpy, bag.pair_copies))
        self.graph = torch.from_numpy(bag.graph.astype(np.int64))
        self.ego_copies = tuple(map(torch.from_numpy, places_of(bag.graph, bag.num_graphs)))


class PlainSPEN(nn.Module):
    """The model of `nearhop.gnn.SPEN`, of both orders, by plain maps."""

    def __init__(self, num_tags, num_classes, *, classes, hidden, residual):
        super().__init__()
        self.residual = residual
        self.layers, self.norms = nn.ModuleList(), nn.ParameterList()
        wide = {"2": num_tags + 1}
        for number, width in enumerate(hidden):
            width *= 2 if residual and number == 0 else 1
            layer = {s + t: PlainMap(s + t, c, width, classes) for t in "12" for s, c in wide.items()}
            self.layers.append(nn.ModuleDict(layer))
            wide = dict.fromkeys("21", width * len(wide))
            start = torch.tensor([[1.0], [0.0], [1.0]]).repeat(1, wide["2"])
            self.norms += [nn.Parameter(start.clone()) for _ in "12"]
        self.last = nn.ModuleDict({s + "0": PlainMap(s + "0", c, hidden[-1], classes) for s, c in wide.items()})
        widths = [2 * hidden[-1], 256, 128]
        head = [[nn.Linear(a, b), nn.ELU(), nn.Dropout(0.5)] for a, b in pairwise(widths)]
        self.head = nn.Sequential(*[part for parts in head for part in parts], nn.Linear(128, num_classes))

    def forward(self, batch):
        x = {"2": batch.pairs}
        before: dict[str, torch.Tensor] = {}
        for number, layer in enumerate(self.layers):
            x = self._maps(layer, x, batch, "12")
            if self.residual and before:
                x = {order: value + before[order] for order, value in x.items()}
            before = dict(x)
            for place, (order, ptr) in enumerate((("1", batch.node_ptr), ("2", batch.pair_ptr))):
                given = x[order], ptr, self.norms[2 * number + place]
                (x[order],) = plain.graph_norm([given], 1e-5, activated=True)
        egos = self._maps(self.last, x, batch, "0")["0"]
        return self.head(plain.mean_rows(elu(egos), batch.graph, batch.ego_copies))

    def _maps(self, layer, x, batch, targets):
        taken = {"2": x["2"][batch.pair]}
        if "1" in x:
            taken["1"] = x["1"][batch.nodes]
        made: dict[str, list] = {t: [] for t in targets}
        for m, count, k, places, entries in batch.blocks:
            blocks = {"2": taken["2"][entries].reshape(count, m, m, -1)}
            if "1" in taken:
                blocks["1"] = taken["1"][places].reshape(count, m, -1)
            for t in targets:
                parts = [layer[s + t](block, k) for s, block in blocks.items()]
                made[t].append(torch.cat(parts, -1).reshape(-1, sum(part.shape[-1] for part in parts)))
        out = {t: torch.cat(parts) for t, parts in made.items()}
        if "1" in out:
            out["1"] = plain.mean_rows(out["1"], batch.nodes, batch.node_copies)
        if "2" in out:
            out["2"] = plain.mean_rows(out["2"], batch.pair, batch.pair_copies)
        return out
