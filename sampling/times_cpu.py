"""Searches in times that are sorted: which events were before, within a window, or after."""

from __future__ import annotations

from ..graphlib.compute.jit import kernel


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
    """First position in the sorted `time[start:stop]` with now - time <= window."""
    low, high = start, stop
    while low < high:
        middle = (low + high) >> 1
        if now - time[middle] > window:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def first_beyond(time, start, stop, now, window):
    """First position in the sorted `time[start:stop]` with time - now > window."""
    low, high = start, stop
    while low < high:
        middle = (low + high) >> 1
        if time[middle] - now > window:
            high = middle
        else:
            low = middle + 1
    return low
