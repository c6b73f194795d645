"""Integer mixing and token hashing shared by the MinHash kernels."""

from __future__ import annotations

import numba
import numpy as np

from ...graphlib.compute.jit import kernel, parallel_kernel
from ...graphlib.compute.random_cpu import draw, mix64, stream

_M1, _M2 = np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35)
_S13, _S16 = np.uint32(13), np.uint32(16)
_BASE = np.uint64(0x9E3779B97F4A7C15)
_S8, _S32 = np.uint64(8), np.uint64(32)
_LOW32 = np.int64(0xFFFFFFFF)


@kernel(inline="always")
def fmix32(x):
    """MurmurHash3's 32-bit finaliser: a bijection of 32-bit words that keeps 0."""
    z = np.uint32(x)
    z = np.uint32((z ^ (z >> _S16)) * _M1)
    z = np.uint32((z ^ (z >> _S13)) * _M2)
    return np.uint32(z ^ (z >> _S16))


@kernel(inline="always")
def fold32(x):
    """32 bits of an integer of any width: the integer itself below 2**32, a mixture of both halves above."""
    wide = np.int64(x)
    return np.uint32(np.uint32(wide & _LOW32) ^ fmix32(np.uint32((wide >> 32) & _LOW32)))


@parallel_kernel
def token_hashes(data, offsets, out):
    """A 32-bit hash of every byte string `data[offsets[i]:offsets[i + 1]]`: a polynomial of the bytes, then mixed."""
    for i in numba.prange(offsets.shape[0] - 1):
        h = np.uint64(offsets[i + 1] - offsets[i])
        for j in range(offsets[i], offsets[i + 1]):
            h = h * _BASE + np.uint64(data[j]) + np.uint64(1)
        out[i] = np.uint32(mix64(h) >> _S32)


@kernel(inline="always")
def _left(x, bits):
    return np.uint32((x << np.uint32(bits)) | (x >> np.uint32(32 - bits)))


@kernel(inline="always")
def _padded_byte(data, start, length, blocks, position):
    """Byte `position` of the message after SHA-1's padding: a 1 bit, zeros, and the length in bits."""
    if position < length:
        return np.uint32(data[start + position])
    if position == length:
        return np.uint32(0x80)
    place = blocks * 64 - 1 - position  # from the end; the last 8 bytes hold the length, most significant first
    if place < 8:
        return np.uint32((np.uint64(length) * _S8 >> np.uint64(8 * place)) & np.uint64(0xFF))
    return np.uint32(0)


@kernel
def _sha1_first_word(data, start, length, w):
    h0, h1, h2 = np.uint32(0x67452301), np.uint32(0xEFCDAB89), np.uint32(0x98BADCFE)
    h3, h4 = np.uint32(0x10325476), np.uint32(0xC3D2E1F0)
    blocks = (length + 8) // 64 + 1
    for block in range(blocks):
        for t in range(16):
            word = np.uint32(0)
            for byte in range(4):
                position = block * 64 + t * 4 + byte
                word = np.uint32((word << np.uint32(8)) | _padded_byte(data, start, length, blocks, position))
            w[t] = word
        for t in range(16, 80):
            w[t] = _left(np.uint32(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16]), 1)
        a, b, c, d, e = h0, h1, h2, h3, h4
        for t in range(80):
            if t < 20:
                f, k = np.uint32((b & c) | (~b & d)), np.uint32(0x5A827999)
            elif t < 40:
                f, k = np.uint32(b ^ c ^ d), np.uint32(0x6ED9EBA1)
            elif t < 60:
                f, k = np.uint32((b & c) | (b & d) | (c & d)), np.uint32(0x8F1BBCDC)
            else:
                f, k = np.uint32(b ^ c ^ d), np.uint32(0xCA62C1D6)
            step = np.uint32(_left(a, 5) + f + e + k + w[t])
            e, d, c, b, a = d, c, _left(b, 30), a, step
        h0, h1, h2 = np.uint32(h0 + a), np.uint32(h1 + b), np.uint32(h2 + c)
        h3, h4 = np.uint32(h3 + d), np.uint32(h4 + e)
    return h0


@parallel_kernel
def sha1_hashes(data, offsets, out):
    """The first four bytes, little endian, of the SHA-1 digest of every byte string (FIPS 180-4)."""
    for i in numba.prange(offsets.shape[0] - 1):
        w = np.empty(80, np.uint32)
        h = _sha1_first_word(data, offsets[i], offsets[i + 1] - offsets[i], w)
        swapped = (h >> np.uint32(24)) | ((h >> np.uint32(8)) & np.uint32(0xFF00))
        swapped |= ((h << np.uint32(8)) & np.uint32(0xFF0000)) | (h << np.uint32(24))
        out[i] = np.uint32(swapped)


@parallel_kernel
def window_hashes(units, offsets, width, out_offsets, out):
    """A 32-bit hash of every run of `width` units of each row; of the whole row where it is shorter."""
    for row in numba.prange(offsets.shape[0] - 1):
        start, size = offsets[row], min(width, offsets[row + 1] - offsets[row])
        for place in range(out_offsets[row + 1] - out_offsets[row]):
            h = np.uint64(size)
            for j in range(start + place, start + place + size):
                h = h * _BASE + np.uint64(units[j]) + np.uint64(1)
            out[out_offsets[row] + place] = np.uint32(mix64(h) >> _S32)


@kernel
def random_words(seed, number, out):
    """The first words of the stream (seed, number, 0, 0)."""
    key = stream(seed, number, 0, 0)
    for i in range(out.shape[0]):
        out[i] = draw(key, i)
