"""Planted data for the search for colours, and the ways it is compared with."""

from __future__ import annotations

import math

import numba
import numpy as np


def planted(
    colors, per, sets, features, *, dim=128, norm=512, noise=(20, 110), overlap=(0.05, 0.4), related=40, seed=0
):
    """Points uint8 (colors * per, dim), the colour of each, and sets of queries.

    Background: sparse non-negative vectors of norm 512, as SIFT descriptors have. Of each set, a share drawn from
    `overlap` of the features has a point in each of `related` colours, at a distance drawn from `noise`.
    """
    rng = np.random.default_rng(seed)
    points = np.empty((colors, per, dim), np.uint8)
    for color in range(colors):
        points[color] = _bytes(_background(rng, per, dim, norm))
    queries = []
    for _ in range(sets):
        query = _background(rng, features, dim, norm)
        for color in rng.choice(colors, min(related, colors // 2), replace=False):
            count = int(rng.uniform(overlap[0], overlap[1]) * min(per, features))
            step = rng.normal(size=(count, dim)).astype(np.float32)
            step *= rng.uniform(noise[0], noise[1], (count, 1)) / np.linalg.norm(step, axis=1, keepdims=True)
            points[color, rng.choice(per, count, replace=False)] = _bytes(
                query[rng.choice(features, count, replace=False)] + step
            )
        queries.append(_bytes(query))
    return points.reshape(-1, dim), np.repeat(np.arange(colors), per), queries


def _background(rng, count, dim, norm):
    rows = rng.standard_gamma(0.6, (count, dim), np.float32)
    return rows * (norm / np.linalg.norm(rows, axis=1, keepdims=True))


def _bytes(rows):
    return np.clip(np.rint(rows), 0, 255).astype(np.uint8)


class PlainReleased:
    """The released algorithm as it is written, one radius at a time: dense rotations, bytes truncated, sets of colours.

    Cells are told apart by 64-bit hashes of their 128 bytes, sorted.
    """

    def __init__(self, points, colors, radii, rotations, shifts, width):
        self.points, self.colors, self.num_colors = points.astype(np.float32), colors, int(colors.max()) + 1
        self.radii, self.rotations, self.shifts, self.width = radii, rotations, shifts, np.float32(width)

    def build(self, radius):
        """The grids of one radius: hashes sorted, and the colours behind them."""
        grids = []
        for rotation, shift in zip(self.rotations, self.shifts, strict=True):
            hashes = self._hashes(self.points, rotation, shift, radius)
            order = np.argsort(hashes)
            grids.append((hashes[order], self.colors[order]))
        return grids

    def query(self, grids, radius, features, seen):
        """How many features meet each colour for the first time at this radius."""
        met = np.zeros((len(features), self.num_colors), bool)
        features = features.astype(np.float32)
        for (hashes, colors), rotation, shift in zip(grids, self.rotations, self.shifts, strict=True):
            wanted = self._hashes(features, rotation, shift, radius)
            first, last = np.searchsorted(hashes, wanted), np.searchsorted(hashes, wanted, side="right")
            _mark(first, last, colors, met)
        new = (met & ~seen).sum(axis=0)
        seen |= met
        return new

    def _hashes(self, rows, rotation, shift, radius):
        out = np.empty(len(rows), np.uint64)
        scaled = (rotation / (self.width * radius)).T.copy()
        for first in range(0, len(rows), 1 << 16):
            part = slice(first, first + (1 << 16))
            _hash(rows[part] @ scaled, shift, out[part])
        return out


@numba.njit(cache=True)
def _mark(first, last, colors, met):
    for f in range(len(first)):
        for i in range(first[f], last[f]):
            met[f, colors[i]] = True


@numba.njit(cache=True)
def _hash(turned, shift, out):
    for row in range(turned.shape[0]):
        code = np.uint64(0x9E3779B97F4A7C15)
        for j in range(turned.shape[1]):
            code = (
                code ^ np.uint64(np.int64(min(127.0, max(-128.0, np.trunc(turned[row, j] + shift[j])))) & 255)
            ) * np.uint64(0x100000001B3)
            code ^= code >> np.uint64(29)
        out[row] = code


def votes(found, colors, num_colors, features, score):
    """What the neighbours of each feature give to their colours; the nearest one of each colour counts."""
    ids, distances = found
    gives = np.zeros((features, num_colors), np.float32)
    inside = ids >= 0
    which = np.broadcast_to(np.arange(features)[:, None], ids.shape)[inside]
    np.maximum.at(gives, (which, colors[ids[inside]]), score(np.sqrt(np.maximum(distances[inside], 0))))
    return gives.sum(axis=0)


def agreement(found, truth):
    """The mean share of the true colours that were found."""
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found, truth, strict=True)]))


def plain_width(dim, c):
    return c / math.sqrt(dim)
