"""Kernel behind batches: random orders."""

from __future__ import annotations

from ...graphlib.compute.jit import kernel
from ...graphlib.compute.random_cpu import draw, stream


@kernel
def order_words(root, epoch, out):
    """A random word per position; sorting by them shuffles."""
    for i in range(out.shape[0]):
        out[i] = draw(stream(root, epoch, i, 0), 0)
