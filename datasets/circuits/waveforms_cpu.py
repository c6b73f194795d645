"""The waveform at a cell's output and behind its wires, found from the cell's tables.

The cell is a ramp of some start and length behind a resistance, which drives a pi model: capacitance near the cell, a
resistance, capacitance far from it. Everything is a fraction of the supply and rises from 0 to 1.
"""

import math
from typing import NamedTuple

import numpy as np

from ...graphlib.compute.jit import kernel

START, LENGTH, LOAD = range(3)  # the unknowns of Newton's method
DELAY, SLEW, BEGIN, SPAN, CROSSING, END, SHAPE = range(7)  # columns of a wave; its shape has seven numbers
WAVE = 13
_STEPS, _HALVINGS, _CLOSE = 100, 20, 0.01
_TINY = 1e-3  # shares of capacitance, resistance and slew that are as good as none


class Levels(NamedTuple):
    """Fractions of the supply between which slews are measured, and at which delays are."""

    low: float
    half: float
    high: float


class Pi(NamedTuple):
    """A driver's resistance and the pi model behind it; poles and residues of the current into it."""

    drive: float
    near: float
    wire: float
    far: float
    fast: float
    slow: float
    steady: float
    of_fast: float
    of_slow: float


@kernel
def _from_table(axes, lengths, values, slew, load):
    """A table's value at a slew and a load, linear between its points and beyond them."""
    i, j = 0, 0
    for step in range(1, lengths[0] - 1):
        if axes[0][step] <= slew:
            i = step
    for step in range(1, lengths[1] - 1):
        if axes[1][step] <= load:
            j = step
    u = (slew - axes[0][i]) / (axes[0][i + 1] - axes[0][i])
    v = (load - axes[1][j]) / (axes[1][j + 1] - axes[1][j])
    low = (1 - v) * values[i, j] + v * values[i, j + 1]
    return (1 - u) * low + u * ((1 - v) * values[i + 1, j] + v * values[i + 1, j + 1])


@kernel
def _delay_and_slew(tables, arc, corner, slew, load):
    lengths, slews, loads, values = tables
    d, s = corner, 4 + corner
    delay = _from_table((slews[arc, d], loads[arc, d]), lengths[arc, d], values[arc, d], slew, load)
    return delay, _from_table((slews[arc, s], loads[arc, s]), lengths[arc, s], values[arc, s], slew, load)


@kernel
def _lag(t, constant):
    """What a ramp of slope 1 has reached behind one time constant."""
    return t - constant * (1 - math.exp(-t / constant))


@kernel
def _one_pole(t, unknown, drive, slopes):
    """The voltage at a lumped load behind the ramp; writes its derivatives by the unknowns."""
    length, load = unknown[LENGTH], unknown[LOAD]
    constant, since = drive * load, t - unknown[START]
    slopes[:] = 0
    if since <= 0:
        return 0.0
    decay = math.exp(-since / constant)
    value, by_time = _lag(since, constant), 1 - decay
    by_load = drive * ((1 + since / constant) * decay - 1)
    if since <= length:
        slopes[START], slopes[LENGTH], slopes[LOAD] = -by_time / length, -value / length**2, by_load / length
        return value / length
    late = since - length
    decay = math.exp(-late / constant)
    after, after_by_time = _lag(late, constant), 1 - decay
    slopes[START] = (after_by_time - by_time) / length
    # The exact derivative subtracts `after`. The solution is the same; where steps find none is as OpenSTA decides it.
    slopes[LENGTH] = after_by_time / length - (value + after) / length**2
    slopes[LOAD] = (by_load - drive * ((1 + late / constant) * decay - 1)) / length
    return (value - after) / length


@kernel
def _charge(unknown, span, pi, slopes):
    """By how much the mean current into the pi model exceeds that into the lumped load, and its derivatives."""
    length, load = unknown[LENGTH], unknown[LOAD]
    constant = pi.drive * load
    fast, slow, decay = math.exp(-pi.fast * span), math.exp(-pi.slow * span), math.exp(-span / constant)
    into_pi = pi.steady * span + pi.of_fast / pi.fast * (1 - fast) + pi.of_slow / pi.slow * (1 - slow)
    excess = (into_pi - constant * span + constant**2 * (1 - decay)) / (pi.drive * span * length)
    # derivatives as if the span were the ramp's length
    fast, slow, decay = math.exp(-pi.fast * length), math.exp(-pi.slow * length), math.exp(-length / constant)
    slopes[START] = 0
    slopes[LENGTH] = (
        -pi.steady * length
        + pi.of_fast * (length * fast - 2 / pi.fast * (1 - fast))
        + pi.of_slow * (length * slow - 2 / pi.slow * (1 - slow))
        + constant * (length + length * decay - 2 * constant * (1 - decay))
    ) / (pi.drive * length**3)
    slopes[LOAD] = (2 * constant - length - (2 * constant + length) * decay) / length**2
    return excess


@kernel
def _solved(matrix, right):
    """Three linear equations by Cramer's rule, in place of `right`; False where they have no one solution."""
    a, b, c = matrix[0], matrix[1], matrix[2]
    bc = (b[1] * c[2] - b[2] * c[1], b[2] * c[0] - b[0] * c[2], b[0] * c[1] - b[1] * c[0])
    whole = a[0] * bc[0] + a[1] * bc[1] + a[2] * bc[2]
    if whole == 0 or not np.isfinite(whole):
        return False
    ca = (c[1] * a[2] - c[2] * a[1], c[2] * a[0] - c[0] * a[2], c[0] * a[1] - c[1] * a[0])
    ab = (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
    x, y, z = right[0], right[1], right[2]
    for k in range(3):
        right[k] = (x * bc[k] + y * ca[k] + z * ab[k]) / whole
    return True


@kernel
def _ramp_and_load(tables, arc, corner, slew, pi, levels, unknown):
    """Newton's method for the ramp and the lumped load that the tables agree with; False where it fails.

    At the load's delay and slew, the ramp behind the resistance passes the half and the low level when the tables say
    so, and takes as much charge as the pi model does.
    """
    total = pi.near + pi.far
    share = (levels.half - levels.low) / (levels.high - levels.low)
    delay, ramp = _delay_and_slew(tables, arc, corner, slew, total)
    unknown[LENGTH], unknown[LOAD] = ramp / (levels.high - levels.low), total
    unknown[START] = delay + math.log(1 - levels.half) * pi.drive * total - levels.half * unknown[LENGTH]
    slopes, step = np.empty((3, 3)), np.empty(3)
    for _ in range(_STEPS):
        if not (0 <= unknown[LOAD] <= total and unknown[LENGTH] > 0):
            return False
        delay, ramp = _delay_and_slew(tables, arc, corner, slew, unknown[LOAD])
        span = min(ramp / (levels.high - levels.low), 1.4 * unknown[LENGTH])
        step[0] = levels.low - _one_pole(delay - ramp * share, unknown, pi.drive, slopes[0])
        step[1] = levels.half - _one_pole(delay, unknown, pi.drive, slopes[1])
        step[2] = -_charge(unknown, span, pi, slopes[2])
        if not _solved(slopes, step):
            return False
        close = True
        for k in range(3):
            close = close and abs(step[k]) <= _CLOSE * abs(unknown[k])
            unknown[k] += step[k]
        if close:
            return True
    return False


@kernel
def _shape(pi, shape):
    """The response of the pi model's near end to a ramp of slope 1: scale (offset + slope t + two decaying terms)."""
    zero, poles = 1 / (pi.wire * pi.far), pi.fast * pi.slow
    slope = zero / poles
    offset = (1 - slope * (pi.fast + pi.slow)) / poles
    of_slow = (offset * pi.fast + slope) / (pi.slow - pi.fast)
    shape[0], shape[1], shape[2] = 1 / (pi.drive * pi.near), offset, slope
    shape[3], shape[4], shape[5], shape[6] = -offset - of_slow, of_slow, pi.fast, pi.slow


@kernel
def _response(t, shape, elmore):
    """(voltage, its slope) at the near end, or behind one more time constant, of a ramp of slope 1 since t ago."""
    if t <= 0:
        return 0.0, 0.0
    scale, offset, slope, a, b, fast, slow = shape[0], shape[1], shape[2], shape[3], shape[4], shape[5], shape[6]
    c, own = 0.0, 0.0
    if elmore > 0:
        own = 1 / elmore
        a, b = a * own / (own - fast), b * own / (own - slow)
        offset -= slope * elmore
        c = -offset - a - b
    decays = a * math.exp(-fast * t), b * math.exp(-slow * t), c * math.exp(-own * t)
    value = scale * (offset + slope * t + decays[0] + decays[1] + decays[2])
    return value, scale * (slope - fast * decays[0] - slow * decays[1] - own * decays[2])


@kernel
def _excess(t, wave, elmore, level):
    """(by how much the waveform exceeds a level, its slope)."""
    since, length = t - wave[BEGIN], wave[SPAN]
    value, slope = _response(since, wave[SHAPE:], elmore)
    late, late_slope = _response(since - length, wave[SHAPE:], elmore)
    return (value - late) / length - level, (slope - late_slope) / length


@kernel
def _crossing(wave, elmore, level, first, last):
    """When the waveform passes a level, by Newton's method within shrinking bounds; NaN where it does not."""
    below, above = first, last
    if _excess(below, wave, elmore, level)[0] > 0 or _excess(above, wave, elmore, level)[0] < 0:
        return np.nan
    t, before, step = (below + above) / 2, above - below, above - below
    value, slope = _excess(t, wave, elmore, level)
    for _ in range(_HALVINGS):
        outside = ((t - above) * slope - value) * ((t - below) * slope - value) > 0
        if outside or abs(2 * value) > abs(before * slope):
            before, step = step, (above - below) / 2
            t = below + step
        else:
            before, step = step, value / slope
            t -= step
        if abs(step) <= _CLOSE * abs(t):
            return t
        value, slope = _excess(t, wave, elmore, level)
        if value < 0:
            below = t
        else:
            above = t
    return np.nan


@kernel
def _drive(tables, arc, corner, slew, wires, levels, wave):
    near, wire, far = wires[0], wires[1], wires[2]
    total = near + far
    wave[:] = 0
    wave[DELAY], wave[SLEW] = _delay_and_slew(tables, arc, corner, slew, total)
    usual, more = 0.75 * total, 0.825 * total
    rise = _delay_and_slew(tables, arc, corner, slew, more)[0] - _delay_and_slew(tables, arc, corner, slew, usual)[0]
    drive = abs(rise) / (more - usual) if more > usual else 0.0
    if drive <= 0 or wire <= _TINY * drive or far <= _TINY * near:
        return
    near = max(near, _TINY * far)
    product, total_constant = wire * drive * far * near, drive * (near + far) + wire * far
    root = math.sqrt(total_constant**2 - 4 * product)
    fast, slow = (total_constant + root) / (2 * product), (total_constant - root) / (2 * product)
    zero = (near + far) / (wire * far * near)
    pi = Pi(
        drive, near, wire, far, fast, slow,
        zero / (fast * slow), (zero - fast) / (fast * (fast - slow)), (zero - slow) / (slow * (slow - fast)),
    )  # fmt: skip
    unknown = np.empty(3)
    if not _ramp_and_load(tables, arc, corner, slew, pi, levels, unknown):
        return
    wave[DELAY], wave[SLEW] = _delay_and_slew(tables, arc, corner, slew, unknown[LOAD])
    wave[BEGIN], wave[SPAN] = unknown[START], unknown[LENGTH]
    _shape(pi, wave[SHAPE:])
    end = unknown[START] + unknown[LENGTH] + 2 * (near + far) * (drive + wire)
    half = _crossing(wave, 0.0, levels.half, 0.0, end)
    first, last = _crossing(wave, 0.0, levels.low, 0.0, half), _crossing(wave, 0.0, levels.high, half, end)
    if np.isfinite(first) and np.isfinite(last):
        wave[SLEW], wave[CROSSING], wave[END] = last - first, half, end


@kernel
def drive_all(tables, arcs, corner, slews, wires, levels, waves):
    """Waves (n, WAVE) of arcs that drive pi models (n, 3), from slews at their inputs.

    END is 0 where there is no waveform: wires without resistance, or no ramp that fits. The tables at all of the
    capacitance, or at the load found, give delay and slew then.
    """
    for n in range(arcs.shape[0]):
        _drive(tables, arcs[n], corner, slews[n], wires[n], levels, waves[n])


@kernel
def reach_all(waves, drivers, elmore, levels, delay, slew):
    """Delays and slews of sinks behind their drivers' waves, from the half level at the driver to that at the sink.

    Where there is no waveform, or the wire is short beside the slew, the delay is Elmore's and the slew the driver's.
    """
    for n in range(drivers.shape[0]):
        wave, constant = waves[drivers[n]], elmore[n]
        delay[n], slew[n] = constant, wave[SLEW]
        if wave[END] == 0 or constant < _TINY * wave[SLEW] or constant == 0:
            continue
        end = wave[END] + 2 * constant
        half = _crossing(wave, constant, levels.half, wave[BEGIN], end)
        first = _crossing(wave, constant, levels.low, wave[BEGIN], half)
        last = _crossing(wave, constant, levels.high, half, end)
        if np.isfinite(first) and np.isfinite(last):
            slew[n] = max(wave[SLEW], last - first)
            delay[n] = half - wave[CROSSING] if half >= wave[CROSSING] else constant
