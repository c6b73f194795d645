"""Kernels of NAT's two hot layers and their gradients: the recurrent update of slots, and the attention over rows.

Work is cut into a fixed number of chunks, each with gradients of its own that are added in order, so that results do
not depend on the number of threads. Within a chunk, slots go in blocks that are transposed, so that every operation of
the recurrent cell is one loop over neighbouring numbers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from ...graphlib.compute.jit import kernel, parallel_kernel

BLOCK = 256


class Slots(NamedTuple):
    """What n slots meet: `table` (k, 3 F) at `row`, plus `extra` (3 F, n); their `old` values (n, F); which `live`."""

    table: Any
    row: Any
    extra: Any
    old: Any
    live: Any


class Cell(NamedTuple):
    """A recurrent cell's weights on the old value, gates in the order reset, update, new (torch's)."""

    weight: Any
    bias: Any


class Rows(NamedTuple):
    """Pair p has the rows from `indptr[p]` on, each of a `code`; a member of the pair is a `slot` in a `row`."""

    indptr: Any
    code: Any
    member_indptr: Any
    slot: Any
    row: Any


class Weights(NamedTuple):
    """Of the attention: a vector per code, of the values, and of the score."""

    codes: Any
    value: Any
    score: Any


_HALF, _ONE, _TWO, _LIMIT = np.float32(0.5), np.float32(1), np.float32(2), np.float32(9)
_C0, _C1, _C2 = np.float32(135135), np.float32(17325), np.float32(378)
_D1, _D2, _D3 = np.float32(62370), np.float32(3150), np.float32(28)


@kernel(inline="always", fastmath={"contract"})
def tanh32(x):
    """tanh to about 2e-7: Lambert's continued fraction at x / 2, then the double angle, so that loops vectorise."""
    y = _HALF * min(max(x, -_LIMIT), _LIMIT)
    s = y * y
    t = y * (_C0 + s * (_C1 + s * (_C2 + s))) / (_C0 + s * (_D1 + s * (_D2 + s * _D3)))
    return _TWO * t / (_ONE + t * t)


@kernel(inline="always", fastmath={"contract"})
def sigmoid32(x):
    return _HALF + _HALF * tanh32(_HALF * x)


@kernel(fastmath={"contract"})
def _gates(first, count, slots, cell, gate_in, hidden, before):
    """Pre-activations of a block: `gate_in` (3 F, BLOCK) from the input side, `hidden` from the old value.

    `before` (F, BLOCK) becomes the old values, transposed.
    """
    table, row, extra, old, _ = slots
    gates = gate_in.shape[0]
    dim = old.shape[1]
    for i in range(count):
        source, held = table[row[first + i]], old[first + i]
        for g in range(gates):
            gate_in[g, i] = source[g]
        for f in range(dim):
            before[f, i] = held[f]
    for g in range(gates):
        into, add = gate_in[g], extra[g]
        for i in range(count):
            into[i] += add[first + i]
    for g in range(gates):
        into = hidden[g]
        for i in range(count):
            into[i] = cell.bias[g]
        for f in range(dim):
            weight, held_row = cell.weight[g, f], before[f]
            for i in range(count):
                into[i] += weight * held_row[i]


@kernel(fastmath={"contract"})
def _activate(count, dim, gate_in, hidden, reset, update, fresh):
    for f in range(dim):
        r, z, n = reset[f], update[f], fresh[f]
        ir, iz, inn = gate_in[f], gate_in[dim + f], gate_in[2 * dim + f]
        hr, hz, hn = hidden[f], hidden[dim + f], hidden[2 * dim + f]
        for i in range(count):
            r[i] = sigmoid32(ir[i] + hr[i])
        for i in range(count):
            z[i] = sigmoid32(iz[i] + hz[i])
        for i in range(count):
            n[i] = tanh32(inn[i] + r[i] * hn[i])


@parallel_kernel(even=True, fastmath={"contract"})
def update_slots(slots, cell, chunks, out):
    """One step of a gated recurrent unit per slot: `out` (n, F) = GRU(table[row] + extra[:, slot], old), zero where not
    live."""
    old, live = slots.old, slots.live
    count_all, dim = old.shape
    blocks = (count_all + BLOCK - 1) // BLOCK
    for chunk in prange(chunks):
        gate_in, hidden = np.empty((3 * dim, BLOCK), np.float32), np.empty((3 * dim, BLOCK), np.float32)
        reset, update = np.empty((dim, BLOCK), np.float32), np.empty((dim, BLOCK), np.float32)
        fresh, before = np.empty((dim, BLOCK), np.float32), np.empty((dim, BLOCK), np.float32)
        for block in range(chunk * blocks // chunks, (chunk + 1) * blocks // chunks):
            first = block * BLOCK
            count = min(BLOCK, count_all - first)
            _gates(first, count, slots, cell, gate_in, hidden, before)
            _activate(count, dim, gate_in, hidden, reset, update, fresh)
            for f in range(dim):
                for i in range(count):
                    s = first + i
                    value = fresh[f, i] + update[f, i] * (before[f, i] - fresh[f, i])
                    out[s, f] = value if live[s] else np.float32(0)


@parallel_kernel(even=True, fastmath={"contract", "reassoc"})
def update_slots_gradient(slots, cell, grad, d_table, d_extra, d_w, d_b):
    """Gradients of `update_slots` for everything but `old`, of which d_table, d_w, d_b have one part per chunk.

    The activations are computed again: that is cheaper than to keep them. Sums are reassociated to run in vectors.
    """
    row, old, live = slots.row, slots.old, slots.live
    count_all, dim = old.shape
    chunks = d_table.shape[0]
    blocks = (count_all + BLOCK - 1) // BLOCK
    for chunk in prange(chunks):
        gate_in, hidden = np.empty((3 * dim, BLOCK), np.float32), np.empty((3 * dim, BLOCK), np.float32)
        reset, update = np.empty((dim, BLOCK), np.float32), np.empty((dim, BLOCK), np.float32)
        fresh, before = np.empty((dim, BLOCK), np.float32), np.empty((dim, BLOCK), np.float32)
        d_table[chunk] = 0
        d_w[chunk] = 0
        d_b[chunk] = 0
        for block in range(chunk * blocks // chunks, (chunk + 1) * blocks // chunks):
            first = block * BLOCK
            count = min(BLOCK, count_all - first)
            _gates(first, count, slots, cell, gate_in, hidden, before)
            _activate(count, dim, gate_in, hidden, reset, update, fresh)
            for f in range(dim):
                r, z, n, hn, held = reset[f], update[f], fresh[f], hidden[2 * dim + f], before[f]
                for i in range(count):
                    s = first + i
                    g = grad[s, f] if live[s] else np.float32(0)
                    d_new = g * (_ONE - z[i]) * (_ONE - n[i] * n[i])
                    d_update = g * (held[i] - n[i]) * z[i] * (_ONE - z[i])
                    d_reset = d_new * hn[i] * r[i] * (_ONE - r[i])
                    gate_in[f, i], gate_in[dim + f, i], gate_in[2 * dim + f, i] = d_reset, d_update, d_new
                    hidden[f, i], hidden[dim + f, i], hidden[2 * dim + f, i] = d_reset, d_update, d_new * r[i]
            for gate in range(3 * dim):
                source, into, side = gate_in[gate], d_extra[gate], hidden[gate]
                for i in range(count):
                    into[first + i] = source[i]
                total = np.float32(0)
                for i in range(count):
                    total += side[i]
                d_b[chunk, gate] += total
                for f in range(dim):
                    total, held = np.float32(0), before[f]
                    for i in range(count):
                        total += side[i] * held[i]
                    d_w[chunk, gate, f] += total
            for i in range(count):
                target = d_table[chunk, row[first + i]]
                for gate in range(3 * dim):
                    target[gate] += gate_in[gate, i]


@parallel_kernel(even=True, fastmath={"contract"})
def update_rows(gate_in, hidden, old, live, out):
    """The recurrent step of wide values from ready pre-activations (n, 3 F), made by matrix products."""
    dim = old.shape[1]
    for i in prange(old.shape[0]):
        if not live[i]:
            out[i] = 0
            continue
        into, before, given, own = out[i], old[i], gate_in[i], hidden[i]
        for f in range(dim):
            into[f] = tanh32(given[2 * dim + f] + sigmoid32(given[f] + own[f]) * own[2 * dim + f])
        for f in range(dim):
            into[f] += sigmoid32(given[dim + f] + own[dim + f]) * (before[f] - into[f])


@parallel_kernel(even=True, fastmath={"contract"})
def update_rows_gradient(gate_in, hidden, old, live, grad, d_in, d_hidden):
    """Gradients of `update_rows` for both pre-activations."""
    dim = old.shape[1]
    for i in prange(old.shape[0]):
        if not live[i]:
            d_in[i] = 0
            d_hidden[i] = 0
            continue
        before, given, own, back, to_in, to_own = old[i], gate_in[i], hidden[i], grad[i], d_in[i], d_hidden[i]
        for f in range(dim):
            r, z = sigmoid32(given[f] + own[f]), sigmoid32(given[dim + f] + own[dim + f])
            n = tanh32(given[2 * dim + f] + r * own[2 * dim + f])
            d_new = back[f] * (_ONE - z) * (_ONE - n * n)
            d_update = back[f] * (before[f] - n) * z * (_ONE - z)
            d_reset = d_new * own[2 * dim + f] * r * (_ONE - r)
            to_in[f], to_in[dim + f], to_in[2 * dim + f] = d_reset, d_update, d_new
            to_own[f], to_own[dim + f], to_own[2 * dim + f] = d_reset, d_update, d_new * r


@kernel
def sum_members(slot, row, first, last, base, value, total):
    """`total[row - base]` gathers the values of the members first..last of one pair."""
    dim = value.shape[1]
    for m in range(first, last):
        into, source = total[row[m] - base], value[slot[m]]
        for f in range(dim):
            into[f] += source[f]


@kernel(fastmath={"contract", "reassoc"})
def _hidden_row(code_row, total, w_value, out):
    """relu(code_row + total @ w_value)"""
    dim = w_value.shape[0]
    if dim == 4:  # the usual width, in one pass
        a, b, c, d = w_value[0], w_value[1], w_value[2], w_value[3]
        p, q, r, s = total[0], total[1], total[2], total[3]
        for h in range(out.shape[0]):
            out[h] = max(code_row[h] + p * a[h] + q * b[h] + r * c[h] + s * d[h], np.float32(0))
        return
    for h in range(out.shape[0]):
        out[h] = code_row[h]
    for f in range(dim):
        x, weight = total[f], w_value[f]
        for h in range(out.shape[0]):
            out[h] += x * weight[h]
    for h in range(out.shape[0]):
        out[h] = max(out[h], np.float32(0))


@kernel(fastmath={"contract", "reassoc"})
def _dot(a, b):
    total = np.float32(0)
    for i in range(a.shape[0]):
        total += a[i] * b[i]
    return total


@parallel_kernel(even=True, fastmath={"contract", "reassoc"})
def attend(rows, value, weights, chunks, total, share, out):
    """Per pair, the mean of its rows' hidden vectors, weighted by the softmax of their scores.

    Row r has the sum of its slots' values, kept in `total` (rows, F); hidden vector relu(codes[code] + total @ w_value)
    of H numbers; score hidden . w_score; weight `share[r]`. out (pairs, H); a pair without rows gets zeros.
    """
    indptr, code, member_indptr, slot, row = rows
    codes, w_value, w_score = weights
    pairs = out.shape[0]
    for chunk in prange(chunks):
        low, high = chunk * pairs // chunks, (chunk + 1) * pairs // chunks
        longest = 1
        for p in range(low, high):
            longest = max(longest, indptr[p + 1] - indptr[p])
        hidden = np.empty((longest, w_score.shape[0]), np.float32)
        for p in range(low, high):
            start, stop = indptr[p], indptr[p + 1]
            total[start:stop] = 0
            sum_members(slot, row, member_indptr[p], member_indptr[p + 1], 0, value, total)
            top = np.float32(-np.inf)
            for r in range(start, stop):
                mine = hidden[r - start]
                _hidden_row(codes[code[r]], total[r], w_value, mine)
                share[r] = _dot(mine, w_score)
                top = max(top, share[r])
            whole = np.float32(0)
            for r in range(start, stop):
                share[r] = np.exp(share[r] - top)
                whole += share[r]
            pooled = out[p]
            pooled[:] = 0
            for r in range(start, stop):
                share[r] /= whole
                mine = hidden[r - start]
                for h in range(pooled.shape[0]):
                    pooled[h] += share[r] * mine[h]


@parallel_kernel(even=True, fastmath={"contract", "reassoc"})
def attend_gradient(rows, weights, total, share, out, grad, d_value, d_codes, d_w_value, d_w_score):
    """Gradients of `attend`, each with one part per chunk of pairs (the first axis)."""
    indptr, code, member_indptr, slot, row = rows
    codes, w_value, w_score = weights
    pairs, width = out.shape
    chunks, dim = d_value.shape[0], w_value.shape[0]
    for chunk in prange(chunks):
        d_value[chunk] = 0
        d_codes[chunk] = 0
        d_w_value[chunk] = 0
        d_w_score[chunk] = 0
        low, high = chunk * pairs // chunks, (chunk + 1) * pairs // chunks
        longest = 1
        for p in range(low, high):
            longest = max(longest, indptr[p + 1] - indptr[p])
        d_total = np.empty((longest, dim), np.float32)
        mine, d_mine = np.empty(width, np.float32), np.empty(width, np.float32)
        mine_w_score = d_w_score[chunk]
        for p in range(low, high):
            start, stop = indptr[p], indptr[p + 1]
            towards = grad[p]
            mean = _dot(towards, out[p])
            for r in range(start, stop):
                _hidden_row(codes[code[r]], total[r], w_value, mine)
                d_score = share[r] * (_dot(towards, mine) - mean)
                d_code = d_codes[chunk, code[r]]
                for h in range(width):
                    mine_w_score[h] += d_score * mine[h]
                for h in range(width):
                    back = share[r] * towards[h] + d_score * w_score[h]
                    d_mine[h] = back if mine[h] > 0 else np.float32(0)
                for h in range(width):
                    d_code[h] += d_mine[h]
                for f in range(dim):
                    x, into = total[r, f], d_w_value[chunk, f]
                    for h in range(width):
                        into[h] += x * d_mine[h]
                    d_total[r - start, f] = _dot(w_value[f], d_mine)
            for m in range(member_indptr[p], member_indptr[p + 1]):
                into, source = d_value[chunk, slot[m]], d_total[row[m] - start]
                for f in range(dim):
                    into[f] += source[f]
