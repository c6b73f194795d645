"""Topological concentration by its definition, on multisets of walk ends."""

from __future__ import annotations

from collections import Counter

import numpy as np


def walk_ends(neighbors, node, steps):
    """The multiset of ends of walks of `steps` steps."""
    ends = Counter({node: 1})
    for _ in range(steps):
        following = Counter()
        for v, times in ends.items():
            for w in neighbors[v]:
                following[w] += times
        ends = following
    return ends


def concentration(n, edges, pairs, hops, beta, compat):
    """TC of every node over `pairs`, or over the edges themselves where they are None."""
    neighbors = [set() for _ in range(n)]
    for a, b in edges:
        if a != b:
            neighbors[a].add(b)
            neighbors[b].add(a)
    links = [(i, j) for i in range(n) for j in neighbors[i]] if pairs is None else []
    links += [link for a, b in (pairs or []) for link in ((a, b), (b, a))]
    values = [[] for _ in range(n)]
    for i, j in links:
        shared, size = 0.0, 0.0
        for k1 in range(1, hops + 1):
            own = walk_ends(neighbors, i, k1)
            for k2 in range(1, hops + 1):
                other = walk_ends(neighbors, j, k2)
                common = own.keys() & other.keys()
                overlap = sum(own[w] if compat else min(own[w], other[w]) for w in common)
                whole = sum(own.values()) - (pairs is None and k1 == k2 == 1)
                shared += beta ** (k1 + k2 - 2) * overlap
                size += beta ** (k1 + k2 - 2) * whole
        few = len(neighbors[i]) <= (pairs is None) or not neighbors[j]
        values[i].append(0.0 if few or size <= 0 else shared / size)
    return np.array([np.mean(v) if v else np.nan for v in values])
