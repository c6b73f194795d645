"""FAISS's scalar quantizers: 8-bit, 4-bit and half-precision codes of vectors, decoded and encoded.

A code c of b bits stands for minimum + range * (c + 0.5) / (2**b - 1), per dimension or, in the "uniform" kinds, alike
for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...graphlib.errors import InvalidInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

BITS8, BITS4, BITS8_UNIFORM, BITS4_UNIFORM, HALF, DIRECT, BITS6, BFLOAT, DIRECT_SIGNED = range(9)
NAMES = {
    BITS8: "sq8", BITS4: "sq4", BITS8_UNIFORM: "sq8 uniform", BITS4_UNIFORM: "sq4 uniform", HALF: "fp16",
    DIRECT: "8-bit direct", BITS6: "sq6", BFLOAT: "bf16", DIRECT_SIGNED: "8-bit direct signed",
}  # fmt: skip
WRITABLE = {"sq8": BITS8, "sq4": BITS4, "fp16": HALF}
_BLOCK = 1 << 14


@dataclass(frozen=True, eq=False)
class ScalarCodes:
    """A quantizer and the codes it made.

    Attributes
    ----------
    kind : int, FAISS's number of the quantizer
    dim : int
    trained : float32 (2 * dim,), (2,) or (0,)
        Minima, then ranges.
    codes : uint8 (n, code_size(kind, dim))
    """

    kind: int
    dim: int
    trained: NDArray[np.float32]
    codes: NDArray[np.uint8]


def code_size(kind: int, dim: int) -> int:
    """Bytes per vector."""
    if kind in (HALF, BFLOAT):
        return 2 * dim
    if kind == BITS6:
        return (6 * dim + 7) // 8
    return (dim + 1) // 2 if kind in (BITS4, BITS4_UNIFORM) else dim


def trained_size(kind: int, dim: int) -> int:
    """How many numbers the quantizer learned."""
    if kind in (BITS8, BITS4, BITS6):
        return 2 * dim
    return 2 if kind in (BITS8_UNIFORM, BITS4_UNIFORM) else 0


def decode(given: ScalarCodes) -> NDArray[np.float32]:
    """The vectors that codes stand for, float32 (n, dim)."""
    out = np.empty((len(given.codes), given.dim), np.float32)
    for start in range(0, len(out), _BLOCK):
        part = slice(start, start + _BLOCK)
        with np.errstate(over="ignore"):  # of ranges in a damaged file; what becomes of it is seen by the reader
            out[part] = _decoded(given, np.ascontiguousarray(given.codes[part]))
    return out


def encode(kind: int, vectors: NDArray[np.float32]) -> ScalarCodes:
    """Codes of vectors under a quantizer that spans every dimension's range."""
    n, dim = vectors.shape
    if kind == HALF:
        if np.abs(vectors).max(initial=0) > np.finfo(np.float16).max:
            raise InvalidInput("storage 'fp16' holds values up to 65,504; larger ones are there: use 'sq8' or float32")
        return ScalarCodes(kind, dim, np.empty(0, np.float32), vectors.astype("<f2").view(np.uint8).reshape(n, 2 * dim))
    low, high = vectors.min(axis=0), vectors.max(axis=0)
    levels = 15 if kind == BITS4 else 255
    trained = np.concatenate([low, high - low]).astype(np.float32)
    width = np.where(high > low, high - low, 1).astype(np.float32)
    codes = np.empty((n, dim), np.uint8)
    for start in range(0, n, _BLOCK):
        part = slice(start, start + _BLOCK)
        codes[part] = np.clip((vectors[part] - low) / width * levels, 0, levels)
    return ScalarCodes(kind, dim, trained, _two_per_byte(codes) if kind == BITS4 else codes)


def _two_per_byte(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    n, dim = codes.shape
    even = np.zeros((n, dim + dim % 2), np.uint8)
    even[:, :dim] = codes
    return even[:, ::2] | even[:, 1::2] << 4


def _decoded(given: ScalarCodes, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
    kind, dim = given.kind, given.dim
    if kind == HALF:
        return codes.view("<f2").astype(np.float32)
    if kind == BFLOAT:
        return (codes.view("<u2").astype(np.uint32) << 16).view(np.float32)
    if kind == DIRECT:
        return codes.astype(np.float32)
    if kind == DIRECT_SIGNED:
        return codes.astype(np.float32) - 128
    levels = 255
    if kind in (BITS4, BITS4_UNIFORM):
        codes, levels = np.stack([codes & 15, codes >> 4], axis=-1).reshape(len(codes), -1)[:, :dim], 15
    elif kind == BITS6:
        bits = np.unpackbits(codes, axis=1, bitorder="little")[:, : 6 * dim].reshape(len(codes), dim, 6)
        codes, levels = np.packbits(bits, axis=2, bitorder="little")[:, :, 0], 63
    half = len(given.trained) // 2
    low, width = given.trained[:half], given.trained[half:]
    return low + width * ((codes.astype(np.float32) + np.float32(0.5)) / np.float32(levels))
