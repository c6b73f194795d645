"""What stands behind a layer of a compiled perceptron, and its derivative, in vector instructions."""

from __future__ import annotations

import numpy as np

from ...graphlib.compute.jit import kernel

NONE, RELU, LEAKY, ELU, SIGMOID, TANH = 0, 1, 2, 3, 4, 5
"""What stands behind a layer."""


@kernel(forceinline=True)
def _expm1(y):
    """e^y - 1 for y <= 0 to a float32's precision, without a branch: a polynomial at y / 64, doubled six times."""
    z = (-20.0 if y < -20.0 else y) * (1 / 64)
    p = 1 + z * (1 / 8)
    p = 1 + z * (1 / 7) * p
    p = 1 + z * (1 / 6) * p
    p = 1 + z * (1 / 5) * p
    p = 1 + z * (1 / 4) * p
    p = 1 + z * (1 / 3) * p
    p = z * (1 + z * (1 / 2) * p)
    for _ in range(6):
        p = p * (p + 2)
    return p


@kernel(forceinline=True)
def activate(kind, h, width):
    if kind == RELU:
        for j in range(width):
            h[j] = h.dtype.type(0) if h[j] <= 0 else h[j]
    elif kind == LEAKY:
        for j in range(width):
            h[j] = h[j] if h[j] > 0 else h.dtype.type(0.2) * h[j]
    elif kind == ELU and h.itemsize == 4:
        for j in range(width):
            h[j] = h[j] if h[j] > 0 else _expm1(np.float64(h[j]))
    elif kind == ELU:
        for j in range(width):
            h[j] = h[j] if h[j] > 0 else np.expm1(h[j])
    elif kind == SIGMOID:
        for j in range(width):
            h[j] = 1 / (1 + np.exp(-h[j]))
    elif kind == TANH and h.itemsize == 4:
        for j in range(width):
            part = _expm1(-2 * np.abs(np.float64(h[j])))
            value = -part / (part + 2)
            h[j] = value if h[j] > 0 else -value
    elif kind == TANH:
        for j in range(width):
            h[j] = np.tanh(h[j])


@kernel(forceinline=True)
def slope(kind, h, d, width):
    """`d` times the activation's derivative where its value is h."""
    if kind == RELU:
        for j in range(width):
            d[j] = d[j] if h[j] > 0 else d[j] * 0
    elif kind == LEAKY:
        for j in range(width):
            d[j] = d[j] if h[j] > 0 else h.dtype.type(0.2) * d[j]
    elif kind == ELU:
        for j in range(width):
            d[j] = d[j] if h[j] > 0 else d[j] * (h[j] + 1)
    elif kind == SIGMOID:
        for j in range(width):
            d[j] *= h[j] * (1 - h[j])
    elif kind == TANH:
        for j in range(width):
            d[j] *= 1 - h[j] * h[j]
