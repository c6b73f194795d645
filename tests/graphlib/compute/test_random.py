"""Counter-based random numbers: the words are the published ones, the draws are uniform and independent of order."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare

from nearhop.graphlib.compute import random_cpu
from nearhop.graphlib.compute.jit import kernel

MASK = (1 << 64) - 1


def splitmix64(state: int) -> int:
    """The generator of the paper, in Python integers: advance by the golden ratio, then finalise."""
    z = (state + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


@kernel
def draw_many(key, n, bound):
    words = np.empty(n, np.uint64)
    for i in range(n):
        words[i] = random_cpu.draw(key, i)
    counts = np.zeros(bound, np.int64)
    counter = np.int64(0)
    for _ in range(n):
        value, counter = random_cpu.bounded(key, counter, bound)
        counts[value] += 1
    return words, counts, counter


def test_published_sequence():
    # SplitMix64 seeded with 1234567 is a widely printed test vector.
    words, _, _ = draw_many(np.uint64(1234567), 5, 2)
    assert words.tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert [splitmix64((1234567 + i * 0x9E3779B97F4A7C15) & MASK) for i in range(5)] == words.tolist()


@pytest.mark.parametrize("bound", [1, 2, 3, 7, 100])
def test_bounded_is_uniform(bound):
    _, counts, used = draw_many(random_cpu.stream(0, 1, 2, 3), 50_000, bound)
    assert counts.sum() == 50_000
    assert used >= 50_000
    if bound > 1:
        assert chisquare(counts).pvalue > 1e-4


def test_bounded_rejects_to_stay_unbiased():
    # with a bound just over half the range of words, about half of all words must be thrown away
    @kernel
    def used_words(key, n, bound):
        counter = np.int64(0)
        for _ in range(n):
            _, counter = random_cpu.bounded(key, counter, bound)
        return counter

    used = used_words(random_cpu.stream(5, 0, 0, 0), 4000, np.int64((1 << 63) - 1))
    assert used == pytest.approx(4000, abs=1)  # 2**64 mod (2**63 - 1) = 2: practically never
    used = used_words(random_cpu.stream(5, 0, 0, 0), 4000, np.uint64((1 << 63) + 1))
    assert used == pytest.approx(8000, rel=0.06)


def test_high64_matches_wide_integers():
    rng = np.random.default_rng(0)
    for x, y in rng.integers(0, MASK, size=(200, 2), dtype=np.uint64, endpoint=True):
        assert int(random_cpu.high64(x, y)) == (int(x) * int(y)) >> 64


def test_streams_differ_in_every_part_of_the_name():
    base = (3, 1, 4, 1)
    keys = {int(random_cpu.stream(*base))}
    for position in range(4):
        for value in (0, 2, 5, 1 << 40):
            name = list(base)
            name[position] = value
            keys.add(int(random_cpu.stream(*name)))
    assert len(keys) == 17


def test_uniform_stays_below_one():
    @kernel
    def largest(key, n):
        top, total = 0.0, 0.0
        for i in range(n):
            u = random_cpu.uniform(key, i)
            top = max(top, u)
            total += u
        return top, total / n

    top, mean = largest(random_cpu.stream(1, 1, 1, 1), 200_000)
    assert 0.9999 < top < 1.0
    assert mean == pytest.approx(0.5, abs=0.003)
