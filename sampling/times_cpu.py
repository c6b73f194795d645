"""Searches in times that are sorted: which events were before, within a window, or after."""

from __future__ import annotations

import numpy as np

from ..graphlib.compute.jit import kernel

_WRAPPED = 2.0**64


@kernel(inline="always")
def _span(earlier, later):
    """later - earlier in float64, also where 64 bits do not hold it."""
    span = np.float64(later - earlier)
    return span if span >= 0.0 else span + _WRAPPED


@kernel
def first_from(time, start, stop, now, later):
    """First position in the sorted `time[start:stop]` not before `now` or, with `later`, after it."""
    low, high = start, stop
    while low < high:
        middle = (low + high) >> 1
        if time[middle] < now or (later and time[middle] == now):
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def first_within(time, start, stop, now, window):
    """First position in the sorted `time[start:stop]`, none of it after `now`, with now - time <= window."""
    low, high = start, stop
    while low < high:
        middle = (low + high) >> 1
        if _span(time[middle], now) > window:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def first_beyond(time, start, stop, now, window):
    """First position in the sorted `time[start:stop]`, none of it before `now`, with time - now > window."""
    low, high = start, stop
    while low < high:
        middle = (low + high) >> 1
        if _span(now, time[middle]) > window:
            high = middle
        else:
            low = middle + 1
    return low
