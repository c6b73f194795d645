"""GraphVite's training step on the processor: a sample, its negatives, plain SGD or a rule with moments.

Both kernels take samples in order, `samples.heads[i]` a row of the vertices and `samples.tails[i]` one of the contexts.
Negative k of sample i is drawn by word (place + i) * K + k of the block's stream, so a block may be cut into pieces.
They return the sum of the losses -log s(v.c) - weight * sum log s(-v.n), divided by 1 + weight * K.
"""

from __future__ import annotations

import math

import numpy as np

from ...graphlib.compute.alias_cpu import alias_pick
from ...graphlib.compute.jit import kernel
from ...graphlib.compute.random_cpu import draw, stream
from ..skipgram.logistic_cpu import cell, loss_at
from ..skipgram.rows_cpu import fetch_row_far, row_dot, row_pull

AHEAD = 16  # samples whose rows are asked for in advance
MOMENTUM, ADAGRAD, ADAM = 1, 2, 3
_ONE, _ZERO = np.float32(1.0), np.float32(0.0)
_MU, _BETA1, _BETA2 = np.float32(0.999), np.float32(0.999), np.float32(0.99999)
_TINY, _SMALL = np.float32(1e-10), np.float32(1e-8)


@kernel
def train_sgd(width, vertex, context, samples, negatives, step, draws, table):
    """theta <- theta - lr * w * (g + decay * theta) on both rows, for each negative and then the positive."""
    heads, tails, place = samples
    each, weight, row, rows, keep, alias = negatives
    rate, slope, decay = step
    count = heads.shape[0]
    key = stream(draws.root, draws.pool, draws.block, 0)
    drawn = np.empty((AHEAD, each), np.int64)
    loss = 0.0
    for i in range(-AHEAD, count):
        coming = i + AHEAD
        slot = coming % AHEAD
        if i >= 0:
            v = heads[i]
            lr = np.float32(rate + (place + i) * slope)
            for k in range(each):
                n = drawn[slot, k]
                score = row_dot(width, vertex, v, context, n)
                at = cell(score)
                row_pull(width, _ONE - lr * weight * decay, -lr * weight * table[at, 0], vertex, v, context, n)
                loss += weight * loss_at(table, at, score, False)
            c = tails[i]
            score = row_dot(width, vertex, v, context, c)
            at = cell(score)
            row_pull(width, _ONE - lr * decay, lr * (_ONE - table[at, 0]), vertex, v, context, c)
            loss += loss_at(table, at, score, True)
        if coming < count:
            fetch_row_far(width, vertex, heads[coming])
            fetch_row_far(width, context, tails[coming])
            for k in range(each):
                word = draw(key, (place + coming) * each + k)
                drawn[slot, k] = row + alias_pick(word, keep, alias, row, rows)
                fetch_row_far(width, context, drawn[slot, k])
    return loss / (1.0 + weight * each)


@kernel(inline="always")
def moved(rule, theta, r, lr, first, second, i, j):
    """The parameter after a step along `r`; its moments are updated in place."""
    if rule == MOMENTUM:
        first[i, j] = _MU * first[i, j] + (_ONE - _MU) * r
        return theta - lr * first[i, j]
    if rule == ADAGRAD:
        first[i, j] += r * r
        return theta - lr * r / (math.sqrt(first[i, j]) + _TINY)
    first[i, j] = _BETA1 * first[i, j] + (_ONE - _BETA1) * r
    second[i, j] = _BETA2 * second[i, j] + (_ONE - _BETA2) * r * r
    return theta - lr * first[i, j] / (math.sqrt(second[i, j]) + _SMALL)


@kernel
def train_moments(width, vertex, context, samples, negatives, step, draws, table, moments):
    """As `train_sgd`, by momentum, AdaGrad or Adam.

    With r = w * (g + decay * theta): momentum m = mu m + (1 - mu) r, theta -= lr m; AdaGrad m += r^2,
    theta -= lr r / (sqrt(m) + 1e-10); Adam without bias correction, beta = (0.999, 0.99999).
    """
    heads, tails, place = samples
    each, weight, row, rows, keep, alias = negatives
    rate, slope, decay = step
    rule, vertex_first, vertex_second, context_first, context_second = moments
    key = stream(draws.root, draws.pool, draws.block, 0)
    columns = vertex.shape[1]
    loss = 0.0
    for i in range(heads.shape[0]):
        v = heads[i]
        lr = np.float32(rate + (place + i) * slope)
        for k in range(each + 1):
            if k < each:
                c = row + alias_pick(draw(key, (place + i) * each + k), keep, alias, row, rows)
                label, scale = _ZERO, weight
            else:
                c = np.int64(tails[i])
                label, scale = _ONE, _ONE
            score = row_dot(width, vertex, v, context, c)
            at = cell(score)
            loss += scale * loss_at(table, at, score, k == each)
            g = table[at, 0] - label
            for j in range(columns):
                x, y = vertex[v, j], context[c, j]
                along_x, along_y = scale * (g * y + decay * x), scale * (g * x + decay * y)
                vertex[v, j] = moved(rule, x, along_x, lr, vertex_first, vertex_second, v, j)
                context[c, j] = moved(rule, y, along_y, lr, context_first, context_second, c, j)
    return loss / (1.0 + weight * each)
