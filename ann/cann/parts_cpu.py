"""What belongs together when kernels look for colours: named tuples of arrays and numbers."""

from __future__ import annotations

from typing import Any, NamedTuple


class Cells(NamedTuple):
    """The sorted keys of points' cells, their rows and where keys begin, a row per grid."""

    keys: Any
    rows: Any
    starts: Any


class Features(NamedTuple):
    """Query vectors, the set of each, and their keys (grids and the halves of sketches, features)."""

    rows: Any
    sets: Any
    wanted: Any


class Held(NamedTuple):
    """Points as distances take them, their colours and their sketches.

    `ends` is empty, or, where points are kept colour after colour, holds per colour the row behind its last point.
    """

    rows: Any
    colors: Any
    sketches: Any
    ends: Any


class Limits(NamedTuple):
    """What may be found: colours `allowed` (no row: all, one for all features, or one per set), nearer than `reach`.

    Of points whose sketch differs along more than `apart` axes no vector is read.
    """

    allowed: Any
    reach: Any
    apart: int


class Turns(NamedTuple):
    """Scratch, zero on entry: in which turn a thread met a colour, and the place it has; (threads, colours)."""

    marks: Any
    slots: Any
    turns: Any


class Own(NamedTuple):
    """One thread's scratch in one turn."""

    mark: Any
    slot: Any
    turn: Any


class Met(NamedTuple):
    """Per feature its colours, the squared distances and rows of their nearest points, and how many colours."""

    colors: Any
    near: Any
    rows: Any
    counts: Any


class ColorOrder(NamedTuple):
    """Vectors, what they are less by, and the points in the order of their colours."""

    vectors: Any
    centre: Any
    order: Any
    starts: Any


class Ellipse(NamedTuple):
    """The scoring rule of `scoring_cpu.contribution`."""

    halved: Any
    radius: Any
    power: Any


__all__ = ["Cells", "ColorOrder", "Ellipse", "Features", "Held", "Limits", "Met", "Own", "Turns"]
