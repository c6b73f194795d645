"""Activations of compiled networks and their derivatives, over tiles of values side by side."""

from __future__ import annotations

import math

import numpy as np

from ...graphlib.compute.jit import kernel

NONE, RELU, LEAKY, ELU, SIGMOID, TANH, SOFTPLUS, SILU, GELU, GELU_TANH = range(10)
"""The activations. From SOFTPLUS on, a derivative is told from what stood before, not from what came out."""
_ROOT = math.sqrt(2 / math.pi)


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
def _logistic(x):
    """1 / (1 + e^-x) of a float32, computed in float64."""
    part = _expm1(-np.abs(x)) + 1
    whole = 1 / (1 + part)
    return whole if x >= 0 else part * whole


@kernel(forceinline=True)
def _tanh(x):
    """Of a float32, computed in float64."""
    part = _expm1(-2 * np.abs(x))
    value = -part / (part + 2)
    return value if x > 0 else -value


@kernel
def sigmoid(h):
    """Of every value, in its place."""
    if h.itemsize == 4:
        for j in range(h.shape[0]):
            h[j] = _logistic(np.float64(h[j]))
    else:
        for j in range(h.shape[0]):
            h[j] = 1 / (1 + np.exp(-h[j]))


@kernel
def _exponential(kind, arg, h):
    """ELU and tanh."""
    if kind == ELU and h.itemsize == 4:
        for j in range(h.shape[0]):
            h[j] = h[j] if h[j] > 0 else arg * _expm1(np.float64(h[j]))
    elif kind == ELU:
        for j in range(h.shape[0]):
            h[j] = h[j] if h[j] > 0 else arg * np.expm1(h[j])
    elif h.itemsize == 4:
        for j in range(h.shape[0]):
            h[j] = _tanh(np.float64(h[j]))
    else:
        for j in range(h.shape[0]):
            h[j] = np.tanh(h[j])


@kernel
def _smooth(kind, h):
    """Those whose derivatives need what stood before."""
    for j in range(h.shape[0]):
        v = np.float64(h[j])
        if kind == SOFTPLUS:
            h[j] = v if v > 20 else np.log1p(np.exp(v))
        elif kind == SILU:
            h[j] = v / (1 + np.exp(-v))
        elif kind == GELU:
            h[j] = 0.5 * v * (1 + math.erf(v * math.sqrt(0.5)))
        else:
            h[j] = 0.5 * v * (1 + np.tanh(_ROOT * (v + 0.044715 * v * v * v)))


@kernel
def activate(kind, arg, h):
    """The activation of every value, in its place. `arg` is the slope of LEAKY and the alpha of ELU.

    One array, not two that may be the same: those would have to be told apart before every loop in vector code.
    """
    zero, factor = h.dtype.type(0), h.dtype.type(arg)
    if kind == RELU:
        for j in range(h.shape[0]):
            h[j] = zero if h[j] <= 0 else h[j]
    elif kind == LEAKY:
        for j in range(h.shape[0]):
            h[j] = h[j] if h[j] > 0 else factor * h[j]
    elif kind == SIGMOID:
        sigmoid(h)
    elif kind in (ELU, TANH):
        _exponential(kind, arg, h)
    elif kind != NONE:
        _smooth(kind, h)


@kernel
def slope(kind, arg, x, h, d):
    """`d` times the derivative where h is the activation of x; `x` counts from SOFTPLUS on."""
    zero, one, factor = d.dtype.type(0), d.dtype.type(1), d.dtype.type(arg)
    if kind == RELU:
        for j in range(d.shape[0]):
            d[j] = d[j] * (one if h[j] > 0 else zero)
    elif kind == LEAKY:
        for j in range(d.shape[0]):
            d[j] = d[j] * (one if h[j] > 0 else factor)
    elif kind == ELU:
        for j in range(d.shape[0]):
            d[j] = d[j] * (one if h[j] > 0 else h[j] + factor)
    elif kind == SIGMOID:
        for j in range(d.shape[0]):
            d[j] *= h[j] * (one - h[j])
    elif kind == TANH:
        for j in range(d.shape[0]):
            d[j] *= one - h[j] * h[j]
    elif kind != NONE:
        _smooth_slope(kind, x, d)


@kernel
def _smooth_slope(kind, x, d):
    for j in range(d.shape[0]):
        v = np.float64(x[j])
        if kind == SOFTPLUS:
            factor = 1.0 if v > 20 else 1 / (1 + np.exp(-v))
        elif kind == SILU:
            part = 1 / (1 + np.exp(-v))
            factor = part * (1 + v * (1 - part))
        elif kind == GELU:
            factor = 0.5 * (1 + math.erf(v * math.sqrt(0.5))) + v * 0.5 * _ROOT * np.exp(-0.5 * v * v)
        else:
            part = np.tanh(_ROOT * (v + 0.044715 * v * v * v))
            inner = _ROOT * (1 + 3 * 0.044715 * v * v)
            factor = 0.5 * (1 + part) + 0.5 * v * (1 - part * part) * inner
        d[j] *= factor
