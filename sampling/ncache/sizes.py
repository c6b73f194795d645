"""What sizes an N-cache may have, and what its keys are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...graphlib.errors import InvalidInput
from ..arguments import check_count

if TYPE_CHECKING:
    from collections.abc import Sequence


def check_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """Slots per hop without trailing zeros, or an error that says what is allowed."""
    checked = [check_count(f"sizes[{hop}]", size) for hop, size in enumerate(sizes)]
    while checked and checked[-1] == 0:
        checked.pop()
    if not checked or checked[0] != 1 or 0 in checked or len(checked) > 3 or sum(checked) > np.iinfo(np.int16).max:
        raise InvalidInput(
            "sizes must be 1 for the node itself, then the slots at one hop and at two, such as (1, 32, 16); "
            f"got {sizes!r}"
        )
    return tuple(checked)


def key_dtype(num_nodes: int) -> type[np.int32] | type[np.int64]:
    """Of node ids: 32 bits where they fit."""
    return np.int32 if num_nodes <= np.iinfo(np.int32).max else np.int64


__all__ = ["check_sizes", "key_dtype"]
