"""Kernels of online augmentation: pairs at most `step` apart on a walk, dealt to the blocks of a grid."""

from __future__ import annotations

import numba

from ...graphlib.compute.alias_cpu import alias_pick
from ...graphlib.compute.jit import kernel, parallel_kernel
from ...graphlib.compute.random_cpu import draw, stream

CHUNK = 1024  # walks whose pairs one thread deals; part of the result's definition, since it orders the pairs


@parallel_kernel
def draw_starts(keep, alias, root, epoch, out):
    """Nodes by the alias table; number i is drawn from the stream (root, epoch, i)."""
    for i in numba.prange(out.shape[0]):
        out[i] = alias_pick(draw(stream(root, epoch, i, 0), 0), keep, alias, 0, keep.shape[0])


@kernel(inline="always")
def part_of(offsets, row):
    """The part that holds a row of the tables."""
    low, high = 0, offsets.shape[0] - 1
    while high - low > 1:
        middle = (low + high) >> 1
        if offsets[middle] <= row:
            low = middle
        else:
            high = middle
    return low


@parallel_kernel
def count_pairs(walks, step, row_of, offsets, counts):
    """`counts[c, i * P + j]` = pairs of chunk c whose head is in part i and whose tail is in part j."""
    num_walks, length = walks.shape
    parts = offsets.shape[0] - 1
    for c in numba.prange(counts.shape[0]):
        for w in range(c * CHUNK, min(num_walks, (c + 1) * CHUNK)):
            for i in range(length):
                if walks[w, i] < 0:
                    break
                head = part_of(offsets, row_of[walks[w, i]]) * parts
                for j in range(i + 1, min(length, i + step + 1)):
                    if walks[w, j] < 0:
                        break
                    counts[c, head + part_of(offsets, row_of[walks[w, j]])] += 1


@parallel_kernel
def deal_pairs(walks, step, row_of, offsets, base, first, starts, heads, tails):
    """Write every pair to its block, pseudo-shuffled; `first[c, b]` counts the pairs of block b in earlier chunks.

    Pair o of a block of N goes to place (o mod b) * N / b + o // b, b = `base`: what one walk emits in a row ends up
    N / b apart (GraphVite, section 3.1). The quotient is spread over the residues where b does not divide N.
    """
    num_walks, length = walks.shape
    parts = offsets.shape[0] - 1
    for c in numba.prange(first.shape[0]):
        for w in range(c * CHUNK, min(num_walks, (c + 1) * CHUNK)):
            for i in range(length):
                if walks[w, i] < 0:
                    break
                head = row_of[walks[w, i]]
                at = part_of(offsets, head) * parts
                for j in range(i + 1, min(length, i + step + 1)):
                    if walks[w, j] < 0:
                        break
                    tail = row_of[walks[w, j]]
                    block = at + part_of(offsets, tail)
                    order = first[c, block]
                    first[c, block] += 1
                    size = starts[block + 1] - starts[block]
                    residue = order % base
                    place = starts[block] + residue * (size // base) + min(residue, size % base) + order // base
                    heads[place] = head
                    tails[place] = tail
