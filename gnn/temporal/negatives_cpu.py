"""Kernel of `temporal_negatives`: random destinations of timed links."""

from __future__ import annotations

import numpy as np

from ...graphlib.compute.jit import kernel
from ...graphlib.compute.random_cpu import bounded, stream

_TRIES = 64


@kernel
def _met_now(src, dst, time, event, destination):
    """Whether the source of `event` meets `destination` at that very time."""
    if dst[event] == destination:
        return True
    for step in (-1, 1):
        other = event + step
        while 0 <= other < src.shape[0] and time[other] == time[event]:
            if src[other] == src[event] and dst[other] == destination:
                return True
            other += step
    return False


@kernel
def random_destinations(src, dst, time, edge_ids, positions, destinations, refuse, seed, epoch, out):
    """Row i of `out`: uniform draws from `destinations` for event `positions[i]`, keyed by its edge id."""
    for i in range(positions.shape[0]):
        event = positions[i]
        key = stream(seed, epoch, edge_ids[event], 7)
        counter = np.int64(0)
        for j in range(out.shape[1]):
            tries = 0
            while True:
                chosen, counter = bounded(key, counter, destinations.shape[0])
                tries += 1
                if not refuse or tries == _TRIES or not _met_now(src, dst, time, event, destinations[chosen]):
                    break
            out[i, j] = destinations[chosen]
