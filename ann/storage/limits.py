"""Numbers that 8-bit codes and their kernels share."""

HELD = 0.75  # the share of a row's squared length that its code has to hold
MISSED, MISSED_ALONE = (
    0.05,
    0.01,
)  # the share that rounding and clipping may cost, beside vectors and where only codes are
