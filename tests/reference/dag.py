"""Levels and propagation as one would write them on a blackboard: one node, one edge at a time."""

from __future__ import annotations

import torch


def levels(num_nodes, edges):
    """(longest, shortest) path lengths from nodes without in-edges, by repeated relaxation over (src, dst) pairs."""
    into = {v: [] for v in range(num_nodes)}
    for u, v in edges:
        into[v].append(u)
    longest = [0] * num_nodes
    for _ in range(num_nodes + 1):
        new = [max((longest[u] + 1 for u in into[v]), default=0) for v in range(num_nodes)]
        if new == longest:
            break
        longest = new
    else:
        raise ValueError("cycle")
    shortest = [0 if not into[v] else num_nodes for v in range(num_nodes)]
    for v in sorted(range(num_nodes), key=longest.__getitem__):
        if into[v]:
            shortest[v] = min(shortest[u] + 1 for u in into[v])
    return longest, shortest


def propagate(longest, relations, rules, state, x=None, edge_attr=None, teacher=None):
    """Every node in topological order, every edge alone; returns states, emitted rows by relation, and firings.

    relations: name -> (src, dst); rules: name -> (message, reduce, update, emit).
    """
    edge_attr = edge_attr or {}
    rows = {v: state[v] for v in range(len(longest)) if longest[v] == 0}
    fired = {name: [0] * len(src) for name, (src, _) in relations.items()}
    emitted = {name: {} for name in relations}
    for v in sorted(range(len(longest)), key=longest.__getitem__):
        if longest[v] == 0:
            continue
        total = torch.zeros_like(state[v])
        for name, (src, dst) in relations.items():
            message, how, update, emit = rules[name]
            found = []
            for e, (u, w) in enumerate(zip(src, dst, strict=True)):
                if w != v:
                    continue
                fired[name][e] += 1
                h = rows[u] if teacher is None else teacher[u]
                attr = edge_attr[name][e : e + 1] if name in edge_attr else None
                m = message(h[None], None if x is None else x[u : u + 1], None if x is None else x[v : v + 1], attr)[0]
                if emit:
                    m, emitted[name][e] = m[:-emit], m[-emit:]
                found.append(m)
            if found:
                reduced = reduce(torch.stack(found), how)[None]
                total = total + (reduced if update is None else update(reduced, None if x is None else x[v : v + 1]))[0]
        rows[v] = total
    states = torch.stack([rows[v] for v in range(len(longest))])
    return states, {n: torch.stack([m[e] for e in sorted(m)]) for n, m in emitted.items() if m}, fired


def reduce(messages, how):
    if how == "sum":
        return messages.sum(0)
    if how == "mean":
        return messages.mean(0)
    if how == "max":
        return messages.max(0).values
    gate = torch.sigmoid(messages[:, :1])
    half = messages.shape[1] // 2
    return torch.cat([(gate * messages[:, 1 : 1 + half]).sum(0), (gate * messages[:, 1 + half :]).max(0).values])
