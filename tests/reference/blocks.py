"""Blocks of neighbours in plain NumPy."""

from __future__ import annotations

import numpy as np

STEPS = {1: 2.0, 2: 0.9957, 4: 0.3352}


def codes_of(differences, bits):
    """The b-bit codes of differences (rows, width), and what they stand for."""
    deviations = np.sqrt((differences**2).mean(axis=1, keepdims=True))
    with np.errstate(invalid="ignore", divide="ignore"):
        codes = np.floor(np.nan_to_num(differences / (STEPS[bits] * deviations))) + (1 << bits) // 2
    codes = np.clip(codes, 0, (1 << bits) - 1).astype(np.int64)
    return codes, 2 * codes + 1 - (1 << bits)


def factors(own, others, terms, bits):
    """`high` and `low` of neighbours: rank(neighbour) is about rank(own) + high + low * <u, q>."""
    differences = (others - own).astype(np.float64)
    _, stands = codes_of(differences, bits)
    lengths = (differences**2).sum(axis=1)
    share = np.divide(lengths, (stands * differences).sum(axis=1), out=np.zeros(len(others)), where=lengths > 0)
    high = terms[1:] - terms[0] - 2 * (differences @ own) + 2 * share * (stands @ own)
    return high, -2 * share


def table_sums(query, codes, bits):
    """The sums that 8-bit tables of a query give for rows of codes, and (scale, offset) to the product."""
    per, levels = 4 // bits, 1 << bits
    width = -(-len(query) // (4 * per)) * 4 * per
    query = np.pad(query.astype(np.float64), (0, width - len(query)))
    codes = np.pad(codes, ((0, 0), (0, width - codes.shape[1])))
    sizes = (levels - 1) * np.abs(query).reshape(-1, per).sum(axis=1)
    scale = min(255 / (2 * sizes.max()), 65_000 / (2 * sizes.sum()))
    entries = np.arange(16)
    weights = np.stack([2 * ((entries >> (p * bits)) & (levels - 1)) + 1 - levels for p in range(per)])
    tables = np.floor((query.reshape(-1, per) @ weights + sizes[:, None]) * scale + 0.5)
    numbers = (codes.reshape(len(codes), -1, per) << (bits * np.arange(per))).sum(axis=2)
    return tables[np.arange(len(tables)), numbers].sum(axis=1), (1 / scale, -sizes.sum())
