"""Cells of projected outputs as buckets: records that share a cell of any table are candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...ann.lsh.buckets import Segment, make_segment
from ...graphlib.compute.streams import Purpose, generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ODD = np.uint64(0x9E3779B97F4A7C15)


class Cells:
    """Tables of cells: floor((a . z + b) / width) for `projections` random directions a of each table.

    Parameters
    ----------
    dim : int
    tables, projections : int
    width : float
        Of a cell; outputs d apart share one in a direction with probability about 1 - 0.8 d / width.
    seed : int

    References
    ----------
    M. Datar, N. Immorlica, P. Indyk and V. Mirrokni, "Locality-sensitive hashing scheme based on p-stable
    distributions", SoCG 2004, doi:10.1145/997817.997857; Q. Lv, W. Josephson, Z. Wang, M. Charikar and K. Li,
    "Multi-probe LSH", VLDB 2007 (further cells are those across the nearest walls).
    """

    def __init__(self, dim: int, tables: int, projections: int, width: float, seed: int) -> None:
        rng = generator(seed, Purpose.PROJECTION_SIGNS, "cells")
        self.tables, self.projections, self.width = tables, projections, width
        self._directions = rng.normal(size=(dim, tables * projections)).astype(np.float32)
        self._shifts = rng.random(tables * projections).astype(np.float32) * np.float32(width)

    def keys(self, vectors: NDArray[np.float32], probes: int = 1) -> NDArray[np.uint32]:
        """32-bit hashes of cells, (tables, rows, probes): a row's own, then those across its nearest walls."""
        along = (vectors @ self._directions + self._shifts) / np.float32(self.width)
        cells = np.floor(along).astype(np.int64).reshape(len(vectors), self.tables, self.projections)
        inside = (along - np.floor(along)).reshape(cells.shape)
        step = np.where(inside < 0.5, -1, 1)
        nearest = np.argsort(np.minimum(inside, 1 - inside), axis=2, kind="stable")
        out = np.empty((self.tables, len(vectors), probes), np.uint32)
        for probe in range(probes):
            tried = cells
            if probe:
                tried = cells.copy()
                which = nearest[:, :, probe - 1 : probe]
                moved = np.take_along_axis(cells + step, which, axis=2)
                np.put_along_axis(tried, which, moved, axis=2)
            out[:, :, probe] = _hashed(tried).T
        return out


def candidates(
    cells: Cells, left: NDArray[np.float32], right: NDArray[np.float32], probes: int, threads: int | None
) -> NDArray[np.int64]:
    """Row pairs (pairs, 2), each once and sorted, that share a cell of any table."""
    segment: Segment = make_segment(cells.keys(right)[:, :, 0].copy(), np.arange(len(right)), threads)
    asked = cells.keys(left, probes)
    found = []
    for table in range(cells.tables):
        keys, rows = segment.keys[table], segment.rows[table].astype(np.int64)
        for probe in range(probes):
            first = np.searchsorted(keys, asked[table, :, probe], "left")
            counts = np.searchsorted(keys, asked[table, :, probe], "right") - first
            of = np.repeat(np.arange(len(left)), counts)
            place = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
            found.append(np.unique(of * len(right) + rows[np.repeat(first, counts) + place]))
    codes = np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)
    return np.stack([codes // len(right), codes % len(right)], axis=1)


def _hashed(cells: NDArray[np.int64]) -> NDArray[np.uint32]:
    """A 32-bit hash of each last axis."""
    total = np.zeros(cells.shape[:-1], np.uint64)
    for place in range(cells.shape[-1]):
        total = (total ^ cells[..., place].astype(np.uint64)) * _ODD
        total ^= total >> np.uint64(29)
    return (total >> np.uint64(32)).astype(np.uint32)


__all__ = ["Cells", "candidates"]
