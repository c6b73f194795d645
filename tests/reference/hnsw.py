"""HNSW from the paper's algorithms (arXiv:1603.09320), one item at a time, with heaps and sets."""

from __future__ import annotations

import heapq

import numpy as np


def distance(metric, a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    if metric == "l2":
        return float(((a - b) ** 2).sum())
    if metric == "cosine":
        norms = np.linalg.norm(a) * np.linalg.norm(b)
        return 1.0 if norms == 0 else 1.0 - float(a @ b) / norms
    return 1.0 - float(a @ b)


def search_layer(vectors, links, query, entry, ef, metric="l2"):
    """Algorithm 2: `links[node]` lists neighbours; returns up to ef (distance, node), nearest first."""
    start = (distance(metric, vectors[entry], query), entry)
    candidates, best, visited = [start], [(-start[0], -start[1])], {entry}
    while candidates:
        nearest = heapq.heappop(candidates)
        if len(best) == ef and nearest > (-best[0][0], -best[0][1]):
            break
        for other in links[nearest[1]]:
            if other in visited:
                continue
            visited.add(other)
            found = (distance(metric, vectors[other], query), other)
            if len(best) < ef or found < (-best[0][0], -best[0][1]):
                heapq.heappush(candidates, found)
                heapq.heappush(best, (-found[0], -found[1]))
                if len(best) > ef:
                    heapq.heappop(best)
    return sorted((-d, -node) for d, node in best)


def descend(vectors, layers, query, entry, top, level, metric="l2"):
    """The nearest node found by greedy walks from level `top` down to just above `level`."""
    for at in range(top, level, -1):
        entry = search_layer(vectors, layers[at], query, entry, 1, metric)[0][1]
    return entry


def search(vectors, layers, query, entry, top, ef, k, metric="l2"):
    """Algorithm 5."""
    start = descend(vectors, layers, query, entry, top, 0, metric)
    return search_layer(vectors, layers[0], query, start, ef, metric)[:k]


def select(vectors, candidates, M, metric="l2"):
    """Algorithm 4 without extension or refill; a candidate is dropped when a kept one is strictly nearer to it."""
    kept: list[int] = []
    for reach, node in sorted(candidates):
        if len(kept) == M:
            break
        if all(distance(metric, vectors[node], vectors[other]) >= reach for other in kept):
            kept.append(node)
    return kept


def build(vectors, levels, M, ef, metric="l2"):
    """Algorithm 1 for items of given levels: (layers, entry, top), where `layers[level][node]` lists neighbours."""
    layers: list[dict[int, list[int]]] = [{} for _ in range(max(levels) + 1)]
    entry, top = None, -1
    for item, level in enumerate(levels):
        for at in range(level + 1):
            layers[at][item] = []
        if entry is not None:
            near = descend(vectors, layers, vectors[item], entry, top, min(level, top), metric)
            for at in range(min(level, top), -1, -1):
                found = search_layer(vectors, layers[at], vectors[item], near, ef, metric)
                near = found[0][1]
                layers[at][item] = select(vectors, found, M, metric)
                for other in layers[at][item]:
                    back = layers[at][other]
                    back.append(item)
                    if len(back) > (2 * M if at == 0 else M):
                        pairs = [(distance(metric, vectors[b], vectors[other]), b) for b in back]
                        layers[at][other] = select(vectors, pairs, 2 * M if at == 0 else M, metric)
        if level > top:
            entry, top = item, level
    return layers, entry, top


def relinked(vectors, links, gone, owner, limit, metric="l2"):
    """New links of `owner` without those to `gone` nodes, or None where it has none.

    Neighbours of gone neighbours are candidates, and of those that are gone, theirs, until every gone neighbour was
    looked into and `limit` candidates were found. Links to others stay; as many candidates as links are lost are taken,
    nearest first, that no nearer link is strictly nearer to.
    """
    dead = [node for node in links[owner] if node in gone]
    if not dead:
        return None
    stayed, candidates = [node for node in links[owner] if node not in gone], []
    seen, must = {owner, *links[owner]}, len(dead)
    for place, node in enumerate(dead):  # grows meanwhile
        if place >= must and len(candidates) >= limit:
            break
        for other in links[node]:
            if other not in seen:
                seen.add(other)
                (dead if other in gone else candidates).append(other)
    nearer, taken = [], []
    for reach, node in sorted((distance(metric, vectors[c], vectors[owner]), c) for c in stayed + candidates):
        if node in candidates:
            if len(taken) == must or any(distance(metric, vectors[node], vectors[o]) < reach for o in nearer):
                continue
            taken.append(node)
        nearer.append(node)
    return stayed + taken
