"""NAT's layers on a GPU in few launches: the recurrent step, the attention over dense joint neighbourhoods, dropout.

Products of matrices are torch's; what is between them is a kernel each. Sums of gradients go by atomic operations or in
one part per warp, so their last bits vary between runs.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import config, float32

from ...graphlib.compute.launch_cuda import launching
from ...graphlib.compute.numba_cuda import cuda, cuda_kernel
from ...graphlib.compute.random_cuda import uniform
from ...graphlib.compute.twins_cuda import on_device
from ...graphlib.compute.warp_cuda import LANES, WARPS_PER_BLOCK, sum_lanes, wait_for_lanes
from . import layers_cpu

_SIMULATED = bool(config.ENABLE_CUDASIM)  # type: ignore[attr-defined]
_THREADS = 32 if _SIMULATED else 128
_MOST_BLOCKS = 8 if _SIMULATED else 1 << 14
CODES = 64  # distance encodings there are
MOST_PARTS = 2 if _SIMULATED else 512  # warps that add up gradients, each its own part
_ZERO, _ONE = np.float32(0), np.float32(1)

_tanh = on_device(layers_cpu.tanh32)
_sigmoid = on_device(layers_cpu.sigmoid32, tanh32=_tanh)


class Gates(NamedTuple):
    """What the gates of n slots add up: `table` (k, 3 F) at `row` (at the slot itself where `row` is empty), `extra`
    (3 F, n), and `hidden` (n, 3 F) from the old values; reset, update, new."""

    table: Any
    row: Any
    extra: Any
    hidden: Any


class Joint(NamedTuple):
    """Joint neighbourhoods: `code` (pairs, places), 0 where there is no row; `member` (pairs, places, 2 hops), slots or
    -1."""

    code: Any
    member: Any


class Weights(NamedTuple):
    """Of the attention: a vector per code (64, H), of the values (F, H), and of the score (H,)."""

    codes: Any
    value: Any
    score: Any


class Pooled(NamedTuple):
    """What the attention found: per row the sum of its values (pairs, places, F) and its share; per pair, the mean."""

    total: Any
    share: Any
    out: Any


@cuda.jit(device=True)
def _gate(gates, i, g):
    """Both sides of gate g of slot i."""
    table, row, extra, hidden = gates
    source = row[i] if row.shape[0] > 0 else i
    return table[source, g] + extra[g, i], hidden[i, g]


@cuda_kernel
def update_rows(gates, old, live, out):
    """One step of a gated recurrent unit, a thread per number: `out` (n, F), zero where not live."""
    dim = old.shape[1]
    for t in range(cuda.grid(1), old.shape[0] * dim, cuda.gridsize(1)):
        i, f = t // dim, t % dim
        value = _ZERO
        if live[i]:
            r_in, r_own = _gate(gates, i, f)
            z_in, z_own = _gate(gates, i, dim + f)
            n_in, n_own = _gate(gates, i, 2 * dim + f)
            fresh = _tanh(n_in + _sigmoid(r_in + r_own) * n_own)
            value = fresh + _sigmoid(z_in + z_own) * (old[i, f] - fresh)
        out[i, f] = value


@cuda_kernel
def update_rows_gradient(gates, old, live, grad, d_in, d_own):
    """Gradients of `update_rows` for both sides of the gates (n, 3 F); the old value has none."""
    dim = old.shape[1]
    for t in range(cuda.grid(1), old.shape[0] * dim, cuda.gridsize(1)):
        i, f = t // dim, t % dim
        d_reset = d_update = d_new = d_new_own = _ZERO
        if live[i]:
            r_in, r_own = _gate(gates, i, f)
            z_in, z_own = _gate(gates, i, dim + f)
            n_in, n_own = _gate(gates, i, 2 * dim + f)
            r, z = _sigmoid(r_in + r_own), _sigmoid(z_in + z_own)
            n = _tanh(n_in + r * n_own)
            d_new = grad[i, f] * (_ONE - z) * (_ONE - n * n)
            d_update = grad[i, f] * (old[i, f] - n) * z * (_ONE - z)
            d_reset = d_new * n_own * r * (_ONE - r)
            d_new_own = d_new * r
        d_in[i, f], d_in[i, dim + f], d_in[i, 2 * dim + f] = d_reset, d_update, d_new
        d_own[i, f], d_own[i, dim + f], d_own[i, 2 * dim + f] = d_reset, d_update, d_new_own


@cuda.jit(device=True)
def _before_relu(weights, kind, totals, h):
    """Number h of a row's hidden vector before the ReLU."""
    codes, w_value, _ = weights
    x = codes[kind, h]
    for f in range(w_value.shape[0]):
        x += totals[f] * w_value[f, h]
    return x


@cuda_kernel
def attend(joint, value, weights, pooled):
    """Per pair, a warp: the mean of its rows' hidden vectors weighted by the softmax of their scores; zeros without.

    As `layers_cpu.attend`, on places of which some are empty.
    """
    code, member = joint
    total, share, out = pooled
    score = weights[2]
    dim, places = value.shape[1], code.shape[1]
    lane = cuda.threadIdx.x % LANES
    warp = (cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x) // LANES
    for p in range(warp, code.shape[0], cuda.gridDim.x * cuda.blockDim.x // LANES):
        for t in range(lane, places * dim, LANES):
            place, f = t // dim, t % dim
            whole = _ZERO
            for bit in range(member.shape[2]):
                if member[p, place, bit] >= 0:
                    whole += value[member[p, place, bit], f]
            total[p, place, f] = whole
        wait_for_lanes()
        top = float32(-math.inf)
        for place in range(places):
            kind = code[p, place]
            if kind > 0:
                part = _ZERO
                for h in range(lane, out.shape[1], LANES):
                    part += max(_before_relu(weights, kind, total[p, place], h), _ZERO) * score[h]
                found = sum_lanes(part, lane)
                if lane == 0:
                    share[p, place] = found
                top = max(top, found)
        wait_for_lanes()
        part = _ZERO
        for place in range(lane, places, LANES):
            weight = _ZERO
            if code[p, place] > 0:
                weight = float32(math.exp(share[p, place] - top))
            share[p, place] = weight
            part += weight
        wait_for_lanes()
        whole = sum_lanes(part, lane)
        for h in range(lane, out.shape[1], LANES):
            mean = _ZERO
            for place in range(places):
                kind = code[p, place]
                if kind > 0:
                    mean += share[p, place] / whole * max(_before_relu(weights, kind, total[p, place], h), _ZERO)
            out[p, h] = mean
        wait_for_lanes()
        for place in range(lane, places, LANES):
            if code[p, place] > 0:
                share[p, place] /= whole


@cuda_kernel
def attend_gradient(joint, weights, pooled, grad, d_value, parts):
    """Gradients of `attend`: `d_value` (slots, F), zero before, and per warp `parts` (warps, 64 + F + 1, H) of the
    three weights. Dynamic shared memory: 2 H numbers per warp."""
    code, member = joint
    total, share, out = pooled
    _, w_value, score = weights
    dim, width = w_value.shape[0], out.shape[1]
    lane = cuda.threadIdx.x % LANES
    warp = (cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x) // LANES
    cells = cuda.shared.array(0, float32)
    at = cuda.threadIdx.x // LANES * 2 * width  # then what is after the ReLU; behind it, the gradient before it
    for row in range(parts.shape[1]):
        for h in range(lane, width, LANES):
            parts[warp, row, h] = _ZERO
    for p in range(warp, code.shape[0], parts.shape[0]):
        part = _ZERO
        for h in range(lane, width, LANES):
            part += grad[p, h] * out[p, h]
        mean = sum_lanes(part, lane)
        for place in range(code.shape[1]):
            kind = code[p, place]
            if kind > 0:
                mine = share[p, place]
                part = _ZERO
                for h in range(lane, width, LANES):
                    cells[at + h] = max(_before_relu(weights, kind, total[p, place], h), _ZERO)
                    part += grad[p, h] * cells[at + h]
                d_score = mine * (sum_lanes(part, lane) - mean)
                for h in range(lane, width, LANES):
                    parts[warp, CODES + dim, h] += d_score * cells[at + h]
                    back = mine * grad[p, h] + d_score * score[h] if cells[at + h] > _ZERO else _ZERO
                    parts[warp, kind, h] += back
                    cells[at + width + h] = back
                for f in range(dim):
                    part = _ZERO
                    for h in range(lane, width, LANES):
                        parts[warp, CODES + f, h] += total[p, place, f] * cells[at + width + h]
                        part += w_value[f, h] * cells[at + width + h]
                    d_total = sum_lanes(part, lane)
                    for bit in range(lane, member.shape[2], LANES):
                        if member[p, place, bit] >= 0:
                            cuda.atomic.add(d_value, (member[p, place, bit], f), d_total)


@cuda_kernel
def drop_numbers(x, key, probability, scale, out):
    """`out` = `x` * `scale`, or 0 with a probability: number i is decided by draw i of the stream `key`."""
    for i in range(cuda.grid(1), x.shape[0], cuda.gridsize(1)):
        out[i] = x[i] * scale if uniform(key, i) >= probability else _ZERO


def update(table: Any, row: Any, extra: Any, hidden: Any, old: Any, live: Any) -> Any:
    """The step of n slots, float32 (n, F)."""
    out = old.new_empty(old.shape)
    _run(update_rows, old.numel(), Gates(table, row, extra, hidden), old, live, out)
    return out


def update_gradient(gates: tuple[Any, ...], old: Any, live: Any, grad: Any) -> tuple[Any, Any]:
    """Gradients for what came from the input and from the old value, (n, 3 F) each."""
    d_in, d_own = (old.new_empty((old.shape[0], 3 * old.shape[1])) for _ in range(2))
    _run(update_rows_gradient, old.numel(), Gates(*gates), old, live, grad, d_in, d_own)
    return d_in, d_own


def pool(joint: Joint, value: Any, weights: Weights) -> Pooled:
    """The attention over every pair's rows."""
    pairs, places = joint.code.shape
    found = Pooled(
        value.new_empty((pairs, places, value.shape[1])),
        value.new_empty((pairs, places)),
        value.new_empty((pairs, weights.score.shape[0])),
    )
    _run(attend, pairs * LANES, joint, value, weights, found, threads=LANES * WARPS_PER_BLOCK)
    return found


def pool_gradient(joint: Joint, weights: Weights, pooled: Pooled, grad: Any, slots: int) -> tuple[Any, ...]:
    """Gradients for the values and for the three weights."""
    dim, width = weights.value.shape
    d_value = grad.new_zeros((slots, dim))
    blocks = max(1, min(MOST_PARTS, joint.code.shape[0]) // WARPS_PER_BLOCK)
    parts = grad.new_empty((blocks * WARPS_PER_BLOCK, CODES + dim + 1, width))
    threads, shared = LANES * WARPS_PER_BLOCK, 8 * width * WARPS_PER_BLOCK
    given = (joint, weights, pooled, grad, d_value, parts)
    _run(attend_gradient, blocks * threads, *given, threads=threads, shared=shared)
    whole = parts.sum(0)
    return d_value, whole[:CODES], whole[CODES : CODES + dim], whole[CODES + dim]


def dropped(x: Any, key: int, probability: float) -> Any:
    """Dropout decided by the stream `key`, whatever device it runs on."""
    out = x.new_empty(x.shape)
    given = (np.uint64(key), float(probability), np.float32(1 / (1 - probability)))
    _run(drop_numbers, x.numel(), x.view(-1), *given, out.view(-1))
    return out


def _run(kernel: Any, needed: int, *arguments: Any, threads: int = _THREADS, shared: int = 0) -> None:
    """Launch on torch's current stream; in the simulator, on tensors of the processor."""
    if needed == 0:
        return
    blocks = max(1, min(-(-needed // threads), _MOST_BLOCKS))
    tensors = [part for part in arguments if hasattr(part, "device")]
    with launching(tensors[0].device.index if tensors else None) as place:
        place.run(kernel, blocks, threads, *(_ready(part) for part in arguments), shared=shared)


def _ready(argument: Any) -> Any:
    """As kernels take it: without a gradient, which Numba does not take tensors with."""
    if isinstance(argument, tuple):
        return type(argument)(*(_ready(part) for part in argument))
    if not hasattr(argument, "detach"):
        return argument
    return argument.detach().numpy() if _SIMULATED else argument.detach()
