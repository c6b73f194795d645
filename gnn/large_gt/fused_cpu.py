"""Kernels around the matrix products of LargeGT's attention: tokens with dropout, normalised rows, readout, back."""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel
from ...graphlib.compute.random_cpu import mix64

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_STEP, _M1, _M2 = np.uint32(0x9E3779B9), np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35)
_S16, _S13 = np.uint32(16), np.uint32(13)


@kernel(forceinline=True)
def _drop_row(row, key, at, limit, scale):
    """Multiply by `scale` where 32 random bits are below `limit` / 65,536, else by 0; `at` is the row's own stream.

    The bits of a row are MurmurHash3's finaliser of its places, from a start of 64 mixed bits: plain 32-bit operations,
    which run in vector registers.
    """
    start = mix64(np.uint64(key) + np.uint64(at) * _GOLDEN)
    low, high = np.uint32(start), np.uint32(start >> np.uint64(32))
    bound = np.uint32(limit << 16)
    for j in range(row.shape[0]):
        bits = np.uint32(np.uint32(np.uint32(j) * _STEP) + low)
        bits = np.uint32(np.uint32(bits ^ (bits >> _S16)) * _M1)
        bits = np.uint32(np.uint32(bits ^ (bits >> _S13)) * _M2)
        bits = np.uint32(bits ^ (bits >> _S16)) ^ high
        row[j] = row[j] * scale if bits < bound else np.float32(0)


@kernel
def take_tokens(table, index, first, key, limit, scale, out):
    """Row (b, t, s) of `out` is row `index[b, s]` of table t, dropped by its own bits where `limit` is below 65,536.

    `first` is the number of the first of these nodes in its batch.
    """
    count, places = index.shape
    kinds = table.shape[0]
    for b in range(count):
        for t in range(kinds):
            for s in range(places):
                token = (b * kinds + t) * places + s
                source, row = table[t, index[b, s]], out[token]
                for j in range(row.shape[0]):
                    row[j] = source[j]
                if limit < 65536:
                    _drop_row(row, key, first * kinds * places + token, limit, scale)


@kernel
def drop_rows(rows, first, key, limit, scale):
    """Dropout of rows, in place; `first` is the number of the first one."""
    if limit < 65536:
        for i in range(rows.shape[0]):
            _drop_row(rows[i], key, first + i, limit, scale)


@kernel
def drop_and_add(rows, other, first, key, limit, scale):
    """`other += dropout(rows)`; `rows` is left dropped."""
    drop_rows(rows, first, key, limit, scale)
    for i in range(rows.shape[0]):
        row, to = rows[i], other[i]
        for j in range(row.shape[0]):
            to[j] += row[j]


@kernel(forceinline=True, fastmath={"reassoc", "contract"})
def _normalise_row(row, width, eps):
    total, squares = np.float32(0), np.float32(0)
    for j in range(width):
        total += row[j]
    mean = total / np.float32(width)
    for j in range(width):
        row[j] -= mean
        squares += row[j] * row[j]
    factor = np.float32(1) / np.sqrt(squares / np.float32(width) + np.float32(eps))
    for j in range(width):
        row[j] *= factor
    return factor


@kernel
def normalise(rows, eps, inverse):
    """Rows of mean 0 and variance 1, in place; `inverse` gets 1 / standard deviation."""
    width = rows.shape[1]
    for i in range(rows.shape[0]):
        row = rows[i]
        inverse[i] = _normalise_row(row, width, eps)


@kernel(fastmath={"reassoc", "contract"})
def softmax_back(shares, grad):
    """`grad` of shares, in place the gradient of the scores: shares * (grad - sum(shares * grad))."""
    for i in range(shares.shape[0]):
        p, g = shares[i], grad[i]
        total = np.float32(0)
        for j in range(p.shape[0]):
            total += p[j] * g[j]
        for j in range(p.shape[0]):
            g[j] = p[j] * (g[j] - total)


@kernel(fastmath={"reassoc", "contract"})
def read_out(rows, tokens, w, shares, out):
    """`out[b] = n_0 + sum_j shares_j n_j`, shares the softmax of `w . n_j` over the tokens j >= 1 of node b."""
    for b in range(out.shape[0]):
        base, share = b * tokens, shares[b]
        most = np.float32(-np.inf)
        for j in range(1, tokens):
            row, total = rows[base + j], np.float32(0)
            for c in range(row.shape[0]):
                total += row[c] * w[c]
            share[j] = total
            most = max(most, total)
        share[0] = np.float32(0)
        whole = np.float32(0)
        for j in range(1, tokens):
            share[j] = np.exp(share[j] - most)
            whole += share[j]
        to, row = out[b], rows[base]
        for c in range(to.shape[0]):
            to[c] = row[c]
        for j in range(1, tokens):
            share[j] /= whole
            row, s = rows[base + j], share[j]
            for c in range(to.shape[0]):
                to[c] += s * row[c]


@kernel(fastmath={"reassoc", "contract"})
def read_out_back(grad, rows, tokens, w, shares, inverse, out, d_w):
    """From the gradient of `read_out` that of the rows before they were normalised; `d_w` gains that of w."""
    width = w.shape[0]
    to_share = np.empty(tokens, np.float32)
    for b in range(grad.shape[0]):
        base, share, g = b * tokens, shares[b], grad[b]
        mean = np.float32(0)
        for j in range(1, tokens):
            row, total = rows[base + j], np.float32(0)
            for c in range(width):
                total += g[c] * row[c]
            to_share[j] = total
            mean += share[j] * total
        for j in range(tokens):
            row, to = rows[base + j], out[base + j]
            if j == 0:
                along, slope = np.float32(1), np.float32(0)
            else:
                along = share[j]
                slope = share[j] * (to_share[j] - mean)
            first, second = np.float32(0), np.float32(0)
            for c in range(width):
                value = along * g[c] + slope * w[c]
                to[c] = value
                first += value
                second += value * row[c]
                d_w[c] += slope * row[c]
            _denormalise(to, row, first / np.float32(width), second / np.float32(width), inverse[base + j])


@kernel(forceinline=True)
def _denormalise(grad, row, first, second, factor):
    for c in range(grad.shape[0]):
        grad[c] = factor * (grad[c] - first - row[c] * second)


@kernel(fastmath={"reassoc", "contract"})
def normalise_back(grad, rows, inverse, out):
    """`out` gains the gradient of what `normalise` was given, from that of its rows; `grad` is overwritten."""
    width = rows.shape[1]
    for i in range(rows.shape[0]):
        g, row, to = grad[i], rows[i], out[i]
        first, second = np.float32(0), np.float32(0)
        for c in range(width):
            first += g[c]
            second += g[c] * row[c]
        _denormalise(g, row, first / np.float32(width), second / np.float32(width), inverse[i])
        for c in range(width):
            to[c] += g[c]


@parallel_kernel
def sum_tokens(ptr, occurrences, places, kinds, grad, out):
    """`out[t, u]` is the sum of gradients of the tokens that copy row u of table t.

    `occurrences[ptr[u]:ptr[u + 1]]` are the places (b * places + s) of u in the batch's index.
    """
    for u in numba.prange(ptr.shape[0] - 1):
        for t in range(kinds):
            to = out[t, u]
            for c in range(to.shape[0]):
                to[c] = np.float32(0)
            for k in range(ptr[u], ptr[u + 1]):
                b, s = occurrences[k] // places, occurrences[k] % places
                row = grad[(b * kinds + t) * places + s]
                for c in range(to.shape[0]):
                    to[c] += row[c]
