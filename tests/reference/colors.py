"""Plain versions of the search for colours: every distance, and the released algorithm step by step."""

from __future__ import annotations

import math

import numpy as np


def superellipse(distance, radius, shape):
    if distance >= radius:
        return 0.0
    power = shape / (1 - shape)
    return (1 - (distance / radius) ** power) ** (1 / power)


def color_scores(points, colors, queries, radius, shape, *, cosine=False):
    """Score of every colour that has one above 0, as a dictionary; a feature counts once per colour."""
    points, queries = np.asarray(points, np.float64), np.asarray(queries, np.float64)
    if cosine:
        points = points / np.linalg.norm(points, axis=1, keepdims=True)
        queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    total: dict = {}
    rows_of = {color: np.flatnonzero(np.asarray(colors) == color) for color in dict.fromkeys(colors)}
    for query in queries:
        squared = ((points - query) ** 2).sum(axis=1)
        distances = squared / 2 if cosine else np.sqrt(squared)
        for color, rows in rows_of.items():
            total[color] = total.get(color, 0) + superellipse(distances[rows].min(), radius, shape)
    return {color: value / len(queries) for color, value in total.items() if value > 0}


def released_scores(points, colors, queries, rotations, shifts, *, radius, shape, c, eps, min_distance):
    """Scores of the released code (google-research/cann) for given grids: colours in sets of cells, radius by radius.

    `rotations` (grids, dim, dim) and `shifts` (grids, dim) are float32; the released code draws the same ones for
    every radius. Products are rounded to float32 once, from float64.
    """
    width = c / math.sqrt(len(rotations[0]))
    turned = (1 / eps) ** (shape / (shape - 1))
    limit = -(radius * (1 - turned) ** (1 / shape)) / (turned - 1)
    radii = []
    current = np.float32(min(min_distance, limit))
    while float(current) < limit:
        radii.append(current)
        current = np.float32(float(current) * (1 + (c - 1) * 0.25))
    scores: dict = {}
    seen = [set() for _ in queries]
    for r in radii:
        gives = (1 - (float(r) / radius) ** (shape / (1 - shape))) ** ((1 - shape) / shape)
        cell = np.float32(width) * r
        bins = []
        for rotation in rotations:
            bins.append({})
            for point, color in zip(points, colors, strict=True):
                bins[-1].setdefault(key_of(point, rotation / cell, shifts[len(bins) - 1]), set()).add(color)
        for number, query in enumerate(queries):
            met = set()
            for grid, rotation in enumerate(rotations):
                met |= bins[grid].get(key_of(query, rotation / cell, shifts[grid]), set())
            for color in met - seen[number]:
                scores[color] = scores.get(color, 0.0) + gives
            seen[number] |= met
    return {color: value / len(queries) for color, value in scores.items()}


def key_of(vector, rotation, shift):
    """One signed byte per dimension, truncated towards zero; what does not fit is clamped, where C leaves it open."""
    product = (rotation.astype(np.float64) @ np.asarray(vector, np.float64)).astype(np.float32)
    return np.clip(np.trunc(product + shift), -128, 127).astype(np.int8).tobytes()
