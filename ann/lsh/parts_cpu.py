"""What belongs together when kernels look buckets up: named tuples of arrays and numbers."""

from __future__ import annotations

from typing import Any, NamedTuple


class Buckets(NamedTuple):
    """A segment's sorted keys, rows and starts (a row per band), and how its buckets are read.

    A band has `width` slots. Of a bucket of more than `most` rows, `few` are looked at.
    """

    keys: Any
    rows: Any
    starts: Any
    width: int
    most: int
    few: int


class Visits(NamedTuple):
    """Rows seen, a table row per thread: `marks[row]` holds the turn in which it was, `found` has room for all."""

    marks: Any
    turns: Any
    found: Any


class Best(NamedTuple):
    """Per query the best so far, by falling similarity, then rising label, and how many."""

    shares: Any
    rows: Any
    labels: Any
    kept: Any


class Pairs(NamedTuple):
    """Per task room for pairs and their equal slots, how many are `filled`, and the row that was `reached`."""

    src: Any
    dst: Any
    equal: Any
    filled: Any
    reached: Any


__all__ = ["Best", "Buckets", "Pairs", "Visits"]
