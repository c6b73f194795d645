"""MinHash and its relatives by definition: Python integers, one set at a time."""

from __future__ import annotations

import numpy as np

EMPTY = 0xFFFFFFFF


def jaccard(x, y):
    x, y = set(x), set(y)
    return len(x & y) / len(x | y) if x | y else 0.0


def probability_jaccard(x, y):
    """Sum over elements of 1 / sum_e max(x_e / x_d, y_e / y_d), for two dicts of weights (arXiv:1911.00675)."""
    names = set(x) | set(y)
    total = 0.0
    for d in set(x) & set(y):
        total += 1 / sum(max(x.get(e, 0) / x[d], y.get(e, 0) / y[d]) for e in names)
    return total


def fmix32(x):
    x ^= x >> 16
    x = x * 0x85EBCA6B & EMPTY
    x ^= x >> 13
    x = x * 0xC2B2AE35 & EMPTY
    return x ^ (x >> 16)


def affine_signature(elements, num_perm, seed):
    """K slots of the smallest a * fmix32(x) + b modulo 2**32, a odd; elements below 2**32."""
    words = np.random.RandomState(seed)
    a = words.randint(0, 1 << 31, num_perm, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    b = words.randint(0, 1 << 32, num_perm, dtype=np.uint32)
    if not len(elements):
        return [EMPTY] * num_perm
    mixed = [fmix32(int(x)) for x in elements]
    return [min(EMPTY - 1, min((int(a[k]) * x + int(b[k])) & EMPTY for x in mixed)) for k in range(num_perm)]


def one_permutation_signature(elements, key, probes):
    """Each element falls into one slot; an empty slot takes the value of the filled slot that its probes meet first."""
    slots = len(probes)
    own = [EMPTY] * slots
    for x in elements:
        value = min(fmix32(int(x) ^ key), EMPTY - 1)
        home = value * slots >> 32
        own[home] = min(own[home], value)
    if min(own) == EMPTY:
        return own
    return [next(own[d] for d in probes[slot] if own[d] != EMPTY) for slot in range(slots)]


def circulant_signature(elements, num_perm, key, circle, table, mix64):
    """Slot s is the least of table[place(x) + s] + shift(x), both from 64 mixed bits of x."""
    out = [EMPTY - 1 if len(elements) else EMPTY] * num_perm
    for x in elements:
        word = int(mix64(np.uint64(int(x) ^ key)))
        place, shift = (word >> 32) * circle >> 32, word & EMPTY
        for slot in range(num_perm):
            out[slot] = min(out[slot], (int(table[(place + slot) % circle]) + shift) & EMPTY)
    return out


def band_candidates(signatures, bands, width):
    """Pairs i < j of rows, not of empty sets, whose slots agree throughout at least one band."""
    pairs = set()
    for i in range(len(signatures)):
        for j in range(i + 1, len(signatures)):
            x, y = signatures[i], signatures[j]
            if (x == EMPTY).all() or (y == EMPTY).all():
                continue
            same = x == y
            if any(same[band * width : (band + 1) * width].all() for band in range(bands)):
                pairs.add((i, j))
    return pairs
