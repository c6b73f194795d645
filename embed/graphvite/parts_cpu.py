"""What belongs together when GraphVite's kernels train: named tuples of arrays and numbers, on any device."""

from __future__ import annotations

from typing import Any, NamedTuple


class Samples(NamedTuple):
    """Pairs of rows of the two tables, the first of them number `place` of its block."""

    heads: Any
    tails: Any
    place: int


class Negatives(NamedTuple):
    """`each` draws per sample, of weight `weight`, among `rows` contexts from `row` on, by the tables there."""

    each: int
    weight: Any
    row: int
    rows: int
    keep: Any
    alias: Any


class Step(NamedTuple):
    """Sample i of a block has the learning rate `rate + i * slope`; `decay` is the L2 penalty per touch."""

    rate: float
    slope: float
    decay: Any


class Draws(NamedTuple):
    """The name of a block's stream of random words."""

    root: int
    pool: int
    block: int


class Moments(NamedTuple):
    """What a rule keeps beside the tables, in their shapes; without a second moment the first stands in for it."""

    rule: int
    vertex_first: Any
    vertex_second: Any
    context_first: Any
    context_second: Any
