"""Skip-gram with negative sampling over walks: the windows of a walk, trained in place."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...graphlib.compute.alias_cpu import alias_pick
from ...graphlib.compute.jit import kernel
from ...graphlib.compute.random_cpu import bounded, draw, stream
from .logistic_cpu import cell, loss_at
from .rows_cpu import fetch_row, row_dot, row_exchange, row_move

_ONE, _ZERO = np.float32(1.0), np.float32(0.0)


class Corpus(NamedTuple):
    """Walks, each up to its first -1, with a learning rate each, and the name of their streams of random words."""

    walks: Any
    rates: Any
    root: int
    epoch: int


class Windows(NamedTuple):
    """`reach` steps on either side of a centre; with `shrink` each window is drawn between 1 and that."""

    reach: int
    shrink: bool


class Negatives(NamedTuple):
    """`each` draws by an alias table, per window where they are `shared`, else per pair."""

    each: int
    shared: bool
    keep: Any
    alias: Any


@kernel
def train_walks(width, vertex, context, corpus, windows, negatives, table, total, sums):
    """Train every window of every walk, in order.

    For a centre w and a node c in its window the input row is `vertex[c]`, and the output rows are `context[w]` with
    label 1 and `context[n]` with label 0 for the negatives n. A negative equal to the centre is left out. The change of
    the input row is collected in `total[0]` (zero on entry and exit) and applied after all targets of the pair, as
    word2vec does. Streams are named (root, epoch, start node). `sums` receives [loss, loss terms, pairs, windows]; the
    loss is measured on one pair per window.
    """
    walks, rates, root, epoch = corpus
    window, shrink = windows
    each, shared, keep, alias = negatives
    count = vertex.shape[0]
    length = walks.shape[1]
    targets = np.empty((2, each + 1), np.int64)
    loss, terms, pairs, centres = 0.0, 0, 0, 0
    for w in range(walks.shape[0]):
        steps = 0
        while steps < length and walks[w, steps] >= 0:
            steps += 1
        if steps < 2:
            continue
        rate = rates[w]
        key = stream(root, epoch, walks[w, 0], 0)
        counter = np.int64(0)
        now = 0
        for i in range(min(steps, window + 1)):
            fetch_row(width, vertex, walks[w, i])
        fetch_row(width, context, walks[w, 0])
        for k in range(1, each + 1):
            targets[now, k] = alias_pick(draw(key, counter), keep, alias, 0, count)
            counter += 1
            fetch_row(width, context, targets[now, k])
        for i in range(steps):
            reach = window
            if shrink:
                extra, counter = bounded(key, counter, window)
                reach = extra + 1
            targets[now, 0] = walks[w, i]
            after = 1 - now
            if i + 1 < steps:
                fetch_row(width, context, walks[w, i + 1])
                if i + 1 + window < steps:
                    fetch_row(width, vertex, walks[w, i + 1 + window])
                for k in range(1, each + 1):
                    targets[after, k] = alias_pick(draw(key, counter), keep, alias, 0, count)
                    counter += 1
                    fetch_row(width, context, targets[after, k])
            centres += 1
            measured = False
            for j in range(max(0, i - reach), min(steps, i + reach + 1)):
                if j == i:
                    continue
                node = walks[w, j]
                if not shared and measured:
                    for k in range(1, each + 1):
                        targets[now, k] = alias_pick(draw(key, counter), keep, alias, 0, count)
                        counter += 1
                for k in range(each + 1):
                    target = targets[now, k]
                    if k > 0 and target == targets[now, 0]:
                        continue
                    score = row_dot(width, vertex, node, context, target)
                    at = cell(score)
                    label = _ONE if k == 0 else _ZERO
                    row_exchange(width, (label - table[at, 0]) * rate, vertex, node, context, target, total, 0)
                    if not measured:
                        loss += loss_at(table, at, score, k == 0)
                        terms += 1
                row_move(width, total, 0, vertex, node)
                pairs += 1
                measured = True
            now = after
    sums[0] += loss
    sums[1] += terms
    sums[2] += pairs
    sums[3] += centres
