"""What NAT is given: events and features, checked before anything is remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...graphlib.checks import unmasked
from ...graphlib.errors import InvalidInput, InvalidType
from ...graphlib.scalars import INT64_MAX
from ...graphlib.store.times import float_times

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_LARGEST = float(np.finfo(np.float32).max)


def event_times(given: ArrayLike, count: int) -> NDArray[np.float64]:
    """One finite time per event."""
    times = float_times(given)
    if times.shape != (count,):
        raise InvalidInput(f"time must have shape ({count},), one per event; got {times.shape}")
    finite = np.isfinite(times)
    if not finite.all():
        at = int(np.argmin(finite))
        raise InvalidInput(f"time[{at}] is {times[at]}; times must be finite")
    return times


def event_ids(given: ArrayLike, count: int, rows: int | None) -> NDArray[Any]:
    """One id per event, each of which has its row of features where there are `rows` of them."""
    ids: NDArray[Any] = unmasked("edge_ids", given)
    if ids.size == 0:
        ids = ids.astype(np.int64)
    if ids.dtype.kind not in "iu":
        raise InvalidType(f"edge_ids must hold integers, one per event; got dtype {ids.dtype}")
    if ids.shape != (count,):
        raise InvalidInput(f"edge_ids must have shape ({count},), one per event; got {ids.shape}")
    outside = (ids < 0) | (ids > INT64_MAX if rows is None else ids >= rows)
    if outside.any():
        at = int(np.argmax(outside))
        allowed = f">= 0 and at most {INT64_MAX}" if rows is None else f"0..{rows - 1}, the rows of edge_features"
        raise InvalidInput(f"edge_ids[{at}] is {ids[at]}, but edge ids are {allowed}")
    return ids


def features(name: str, given: ArrayLike | None, rows: int | None) -> Tensor | None:
    """Features as a float32 tensor."""
    if given is None:
        return None
    array: NDArray[Any] = unmasked(name, given)
    if array.dtype.kind not in "iufb":
        raise InvalidType(f"{name} must be real numbers; got dtype {array.dtype}")
    if array.ndim != 2 or (rows is not None and array.shape[0] != rows):
        raise InvalidInput(f"{name} must have shape ({'num_edges' if rows is None else rows}, d); got {array.shape}")
    if array.dtype.kind == "f":
        whole = (np.abs(array) <= _LARGEST).all(axis=1)
        if not whole.all():
            row = int(np.argmin(whole))
            raise InvalidInput(f"{name} must be finite in float32; row {row} is {array[row]!s:.60}")
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))
