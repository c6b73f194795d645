"""How kernels read packed bits."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..distances.row_sums_cpu import row_sum
from ..distances.rows_cpu import emitter, field, row_kind


class Bits(NamedTuple):
    """uint64 (rows, words)."""

    data: Any
    metric: int


@emitter
def distance(context: Any, builder: Any, kind: Any, rows: Any, node: Any, asked_kind: Any, asked: Any, f: Any) -> Any:
    """How many bits differ."""
    data_kind, data = field(kind, builder, rows, "data")
    return row_sum(context, builder, (data_kind, asked_kind), data, node, asked, True)


def _own(rows, node, room):
    return rows.data[node]


row_kind(Bits, distance=distance, own=_own)
