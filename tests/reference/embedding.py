"""Training steps of SkipGram and GraphVite as one would write them down: a sample at a time, whole rows."""

from __future__ import annotations

import numpy as np

from nearhop.graphlib.compute import random_cpu


def pick(word, keep, alias, first, count):
    """Vose's alias draw from one 64-bit word: whole part of word * count / 2**64 is the cell, the fraction decides."""
    product = int(word) * count
    cell, fraction = product >> 64, (product & (2**64 - 1)) / 2**64
    return int(alias[first + cell]) if fraction >= keep[first + cell] else cell


def look_up(table, x):
    """The rows of the logistic table at `x`: sigma(x), -log sigma(x), -log sigma(-x)."""
    cells = table.shape[0]
    at = min(max(int((x + 8.0) * cells / 16.0), 0), cells - 1)
    return table[at, 0], table[at, 1], table[cells - 1 - at, 1]


def skipgram(vertex, context, walks, *, window, shrink, negatives, shared, keep, alias, table, rates, seed, epoch):
    """Train copies of the tables on every window; returns them and [loss, terms, pairs, windows]."""
    vertex, context = vertex.astype(np.float64), context.astype(np.float64)
    n = vertex.shape[0]
    sums = np.zeros(4)
    for walk, rate in zip(walks, rates, strict=True):
        nodes = [int(v) for v in walk]
        if -1 in nodes:
            nodes = nodes[: nodes.index(-1)]
        if len(nodes) < 2:
            continue
        key = np.uint64(random_cpu.stream(seed, epoch, nodes[0], 0))
        counter = 0

        def draw_all(key=key):
            nonlocal counter
            words = [random_cpu.draw(key, counter + k) for k in range(negatives)]
            counter += negatives
            return [pick(word, keep, alias, 0, n) for word in words]

        drawn = draw_all()
        for i, centre in enumerate(nodes):
            reach = window
            if shrink:
                reach, counter = random_cpu.bounded(key, counter, window)
                reach += 1
            after = draw_all() if i + 1 < len(nodes) else []
            sums[3] += 1
            around = [j for j in range(max(0, i - reach), min(len(nodes), i + reach + 1)) if j != i]
            for order, j in enumerate(around):
                if not shared and order > 0:
                    drawn = draw_all()
                change = np.zeros(vertex.shape[1])
                for k, target in enumerate([centre, *drawn]):
                    if k > 0 and target == centre:
                        continue
                    p, loss_if_one, loss_if_zero = look_up(table, float(vertex[nodes[j]] @ context[target]))
                    g = (float(k == 0) - p) * rate
                    change += g * context[target]
                    context[target] += g * vertex[nodes[j]]
                    if order == 0:
                        sums[:2] += loss_if_one if k == 0 else loss_if_zero, 1
                vertex[nodes[j]] += change
                sums[2] += 1
            drawn = after
    return vertex, context, sums


def graphvite(
    vertex, context, heads, tails, *, place, row, rows, keep, alias, negatives, weight, decay, rate, slope, seed, pool,
    block, table, optimizer="sgd"
):  # fmt: skip
    """Train copies of the tables on samples in order; returns them and the sum of losses."""
    vertex, context = vertex.astype(np.float64), context.astype(np.float64)
    moments = {name: [np.zeros_like(vertex), np.zeros_like(context)] for name in ("first", "second")}
    key = np.uint64(random_cpu.stream(seed, pool, block, 0))
    loss = 0.0

    def move(which, theta, i, r, lr):
        first, second = moments["first"][which], moments["second"][which]
        if optimizer == "sgd":
            theta[i] -= lr * r
        elif optimizer == "momentum":
            first[i] = 0.999 * first[i] + 0.001 * r
            theta[i] -= lr * first[i]
        elif optimizer == "adagrad":
            first[i] += r**2
            theta[i] -= lr * r / (np.sqrt(first[i]) + 1e-10)
        else:
            first[i] = 0.999 * first[i] + 0.001 * r
            second[i] = 0.99999 * second[i] + 0.00001 * r**2
            theta[i] -= lr * first[i] / (np.sqrt(second[i]) + 1e-8)

    for i, (v, positive) in enumerate(zip(heads, tails, strict=True)):
        lr = rate + (place + i) * slope
        words = [random_cpu.draw(key, (place + i) * negatives + k) for k in range(negatives)]
        for c, label in [(row + pick(word, keep, alias, row, rows), 0) for word in words] + [(int(positive), 1)]:
            p, loss_if_one, loss_if_zero = look_up(table, float(vertex[v] @ context[c]))
            scale = 1.0 if label else weight
            loss += loss_if_one if label else weight * loss_if_zero
            x, y = vertex[v].copy(), context[c].copy()
            move(0, vertex, v, scale * ((p - label) * y + decay * x), lr)
            move(1, context, c, scale * ((p - label) * x + decay * y), lr)
    return vertex, context, loss / (1 + weight * negatives)


def pairs_of(walks, step):
    """Every ordered pair of positions at most `step` apart, walk by walk, up to the first -1."""
    found = []
    for walk in walks:
        nodes = [int(v) for v in walk]
        nodes = nodes[: nodes.index(-1)] if -1 in nodes else nodes
        found += [(nodes[i], nodes[j]) for i in range(len(nodes)) for j in range(i + 1, min(len(nodes), i + step + 1))]
    return found
