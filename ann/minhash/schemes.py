"""The signature schemes behind one call: which random functions each draws, and which kernel it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...graphlib.compute import streams
from ...graphlib.errors import InvalidInput
from .sets import fast_token_hash, read_only

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .sets import RaggedSets

Array = Any
EMPTY = np.uint32(0xFFFFFFFF)
_CEILING = np.uint32(0xFFFFFFFE)  # the largest value of a slot of a set that has elements
_LANES = 32  # of the affine kernel
_CIRCLE = 4096  # words of C-MinHash's second permutation where the universe is not known: 16 KiB, in the first cache
_MERSENNE = (1 << 61) - 1

SchemeName = Literal["kperm", "datasketch", "datasketch-legacy", "oph", "cminhash", "probminhash"]
SCHEMES = ("kperm", "datasketch", "datasketch-legacy", "oph", "cminhash", "probminhash")


@dataclass(frozen=True)
class Scheme:
    """`sign(sets, bounds, out)` fills signatures; `merge(left, right, out)` joins two, where the scheme can."""

    sign: Callable[[RaggedSets, Array, Array], None]
    merge: Callable[[Array, Array, Array], None] | None
    token_hash: Callable[[Array, Array], Array] = fast_token_hash


def make_scheme(name: str, num_perm: int, seed: int, universe: int | None) -> Scheme:
    """Draw the random functions of a scheme."""
    if name in ("kperm", "datasketch"):
        return _affine(num_perm, seed, exact=name == "datasketch")
    if name == "datasketch-legacy":
        return _mersenne(num_perm, seed)
    if name == "oph":
        return _one_permutation(num_perm, seed)
    if name == "cminhash":
        return _circulant(num_perm, seed, universe)
    if name == "probminhash":
        return _probability(seed)
    raise InvalidInput(f"scheme must be one of {', '.join(map(repr, SCHEMES))}; got {name!r}")


def _affine(num_perm: int, seed: int, *, exact: bool) -> Scheme:
    """datasketch 2's affine32 family: the mixed element times an odd number plus another, modulo 2**32."""
    from .affine_cpu import affine_signatures

    words = np.random.RandomState(seed & 0xFFFFFFFF)  # the generator that the published digests rest on
    odd = words.randint(0, 1 << 31, num_perm, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    shift = words.randint(0, 1 << 32, num_perm, dtype=np.uint32)
    padded = np.zeros((2, -(-num_perm // _LANES) * _LANES), np.uint32)
    padded[0, :num_perm], padded[1, :num_perm] = odd, shift
    a, b = padded
    ceiling = EMPTY if exact else _CEILING

    def sign(sets: RaggedSets, bounds: Array, out: Array) -> None:
        affine_signatures(sets.offsets, sets.values, bounds, a, b, ceiling, out)

    return Scheme(sign, _minima, _sha1 if exact else fast_token_hash)


def _mersenne(num_perm: int, seed: int) -> Scheme:
    """datasketch before version 2: (a x + b) mod (2**61 - 1), its lower 32 bits."""
    from .affine_cpu import mersenne_signatures

    words = np.random.RandomState(seed & 0xFFFFFFFF)
    pairs = [
        (words.randint(1, _MERSENNE, dtype=np.uint64), words.randint(0, _MERSENNE, dtype=np.uint64))
        for _ in range(num_perm)
    ]
    a, b = np.array(pairs, np.uint64).T.copy()

    def sign(sets: RaggedSets, bounds: Array, out: Array) -> None:
        mersenne_signatures(sets.offsets, sets.values, bounds, a, b, out)

    return Scheme(sign, _minima, _sha1)


def _one_permutation(num_perm: int, seed: int) -> Scheme:
    from .oph_cpu import merge_one_permutation, one_permutation_signatures, probe_tables

    key = np.uint32(_words(seed, streams.SLOT_HASH, 1)[0] >> np.uint64(32))
    probes = np.empty((num_perm, num_perm), np.uint16)
    ranks = np.empty((num_perm, num_perm), np.uint8 if num_perm <= 1 << 8 else np.uint16)
    probe_tables(seed, probes, ranks)

    def sign(sets: RaggedSets, bounds: Array, out: Array) -> None:
        one_permutation_signatures(sets.offsets, sets.values, bounds, key, ranks, probes, out)

    def merge(left: Array, right: Array, out: Array) -> None:
        merge_one_permutation(left, right, ranks, probes, out)

    return Scheme(sign, merge)


def _circulant(num_perm: int, seed: int, universe: int | None) -> Scheme:
    from . import circulant_cpu as kernels

    if universe is None:
        key = _words(seed, streams.MIXED_HASH, 1)[0]
        circle = max(_CIRCLE, num_perm)
        table = (_words(seed, streams.CIRCLE_WORDS, circle) >> np.uint64(32)).astype(np.uint32)
        table = np.resize(table, circle + num_perm)

        def sign(sets: RaggedSets, bounds: Array, out: Array) -> None:
            kernels.circulant_mixed_signatures(sets.offsets, sets.values, bounds, key, circle, table, out)

        return Scheme(sign, _minima)
    sigma = np.argsort(_words(seed, streams.CIRCLE_SIGMA, universe), kind="stable")
    pi = np.argsort(_words(seed, streams.CIRCLE_PI, universe), kind="stable").astype(np.uint32)
    pi = np.resize(pi, universe + num_perm)

    def sign_known(sets: RaggedSets, bounds: Array, out: Array) -> None:
        if sets.values.size and not (int(sets.values.min()) >= 0 and int(sets.values.max()) < universe):
            raise InvalidInput(
                f"elements must be in 0..{universe - 1}, the universe given; got "
                f"{sets.values.min()}..{sets.values.max()}"
            )
        kernels.circulant_signatures(sets.offsets, sets.values, bounds, sigma, pi, out)

    return Scheme(sign_known, _minima)


def _probability(seed: int) -> Scheme:
    from .probminhash_cpu import probability_signatures

    def sign(sets: RaggedSets, bounds: Array, out: Array) -> None:
        sets = sets.in_order()
        weights = sets.weights
        if weights is None:
            weights = np.ones(len(sets.values), np.float32)
        longest = int(sets.sizes().max(initial=1))
        probability_signatures(sets.offsets, sets.values, read_only(weights), bounds, longest, seed, out)

    return Scheme(sign, None)


def _minima(left: Array, right: Array, out: Array) -> None:
    from .affine_cpu import minimum_rows

    minimum_rows(left, right, out)


def _sha1(data: Array, offsets: Array) -> NDArray[np.uint32]:
    from .hashing_cpu import sha1_hashes

    out = np.empty(len(offsets) - 1, np.uint32)
    sha1_hashes(read_only(data), read_only(offsets), out)
    return out


def _words(seed: int, number: int, count: int) -> NDArray[np.uint64]:
    """Random words of a stream of this seed."""
    from .hashing_cpu import random_words

    out = np.empty(count, np.uint64)
    random_words(seed, number, out)
    return out


__all__ = ["EMPTY", "SCHEMES", "Scheme", "make_scheme"]
