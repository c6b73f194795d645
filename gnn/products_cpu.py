"""Products of a vector with a small matrix, for kernels that make many of them."""

from __future__ import annotations

from ..graphlib.compute.jit import kernel


@kernel(forceinline=True)
def add_product(a, weights, n, width, out):
    """`out[:width] += a[:n] @ weights`, four rows at a time."""
    i = 0
    while i + 4 <= n:
        r0, r1, r2, r3 = weights[i], weights[i + 1], weights[i + 2], weights[i + 3]
        a0, a1, a2, a3 = a[i], a[i + 1], a[i + 2], a[i + 3]
        for j in range(width):
            out[j] += (a0 * r0[j] + a1 * r1[j]) + (a2 * r2[j] + a3 * r3[j])
        i += 4
    while i < n:
        r, s = weights[i], a[i]
        for j in range(width):
            out[j] += s * r[j]
        i += 1
