"""Zachary's karate club, small enough to be part of the source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..graphlib.store.store import GraphStore

if TYPE_CHECKING:
    from .catalog import DatasetInfo
    from .folder import Files

# Zachary, "An information flow model for conflict and fission in small groups", 1977, doi:10.1086/jar.33.4.3629752
_LATER_NEIGHBORS = {
    0: (1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 17, 19, 21, 31),
    1: (2, 3, 7, 13, 17, 19, 21, 30),
    2: (3, 7, 8, 9, 13, 27, 28, 32),
    3: (7, 12, 13),
    4: (6, 10),
    5: (6, 10, 16),
    6: (16,),
    8: (30, 32, 33),
    9: (33,),
    13: (33,),
    14: (32, 33),
    15: (32, 33),
    18: (32, 33),
    19: (33,),
    20: (32, 33),
    22: (32, 33),
    23: (25, 27, 29, 32, 33),
    24: (25, 27, 31),
    25: (31,),
    26: (29, 33),
    27: (33,),
    28: (31, 33),
    29: (32, 33),
    30: (32, 33),
    31: (32, 33),
    32: (33,),
}
_INSTRUCTOR = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 16, 17, 19, 21)


def read_karate(files: Files, info: DatasetInfo) -> GraphStore:
    """34 members and 78 friendships; y is 0 for those who followed the instructor and 1 for the others."""
    src = np.array([u for u, later in _LATER_NEIGHBORS.items() for _ in later], np.int32)
    dst = np.array([v for later in _LATER_NEIGHBORS.values() for v in later], np.int32)
    store = GraphStore.from_edges(src, dst, num_nodes=34)
    y = np.ones(34, np.int64)
    y[list(_INSTRUCTOR)] = 0
    store.nodes["y"] = y
    store.attributes["classes"] = ["instructor", "administrator"]
    return store
