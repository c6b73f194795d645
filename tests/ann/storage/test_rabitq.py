"""Codes of one to eight bits: the rotation, the levels, integers on every processor, estimates and their bound."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import hadamard

from nearhop.ann.distances.numbers import COSINE, IP, L2
from nearhop.ann.storage.rabitq import codes_cpu as kernels
from nearhop.ann.storage.rabitq.codes import BitCodes
from nearhop.ann.storage.rabitq.layout import padded, row_bytes_of
from nearhop.tests.support import PROCESSORS, run_compiled_for

ONE = np.ones(1, np.float32)

PROGRAM = """
import hashlib
import numpy as np
from nearhop.ann.distances.rows_cpu import distance
from nearhop.ann.storage.rabitq.codes_cpu import unpack_rows
from nearhop.ann.storage.rabitq.layout import CONSTANTS, row_bytes_of
from nearhop.ann.storage.rabitq.estimates_cpu import EstimatesAlone
from nearhop.graphlib.compute.jit import kernel

@kernel
def all_rows(rows, query, out):
    for i in range(out.shape[0]):
        out[i] = distance(rows, i, query, np.float32(1))

rng, digest, nothing = np.random.default_rng(0), hashlib.sha256(), np.zeros(1, np.float32)
for width in (64, 128, 192, 256, 384, 832):
    for bits in (1, 2, 3, 4, 7, 8):
        codes = rng.integers(0, 256, (20, row_bytes_of(width, bits)), np.uint8)
        codes[0] = 255
        factors = codes.view(np.float32)
        factors[:, -3:] = 1  # multiple
        query = np.zeros(width + CONSTANTS, np.int8)
        query[:width] = rng.integers(-127, 128, width)
        query[: width // 2] //= 8  # sums below 2^24, which float32 holds
        query[width:].view(np.float32)[1] = 1  # m; the constant and the addend's factor are 0
        out, levels = np.empty(20, np.float32), np.empty((20, width), np.uint8)
        all_rows(EstimatesAlone(codes, nothing, np.ones((1, width), np.float32), nothing, bits, 0), query, out)
        unpack_rows(codes, bits, levels)
        wanted = 2 * (levels.astype(np.int64) @ query[:width].astype(np.int64))
        assert np.abs(wanted).max() < 2**24
        assert out.tolist() == wanted.tolist(), (width, bits)
        digest.update(out.tobytes())
print(digest.hexdigest(), "vpdpbusd" in next(iter(all_rows.inspect_asm().values())))
"""


def rows_of(count, dim, seed=0):
    rng = np.random.default_rng(seed)
    inner = np.random.default_rng(99).normal(size=(max(2, dim // 3), dim))
    return (rng.normal(size=(count, len(inner))) @ inner + 3 + rng.normal(size=(count, dim))).astype(np.float32)


def coded(metric, rows, bits, signs=None):
    codes = BitCodes(metric, rows.shape[1], bits)
    if signs is not None:
        codes.signs = signs
    scale = (1 / np.linalg.norm(rows, axis=1)).astype(np.float32) if metric == COSINE else ONE
    codes._fit(rows, scale)
    codes._encode(rows, scale, 0, len(rows))
    return codes


def asked(codes, queries, metric):
    scale = (1 / np.linalg.norm(queries, axis=1)).astype(np.float32) if metric == COSINE else ONE
    out = np.empty((len(queries), codes.query_bytes), np.int8)
    codes.encode_queries(queries, scale, 0, len(queries), out)
    return out


def true_distances(metric, rows, queries):
    rows, queries = rows.astype(np.float64), queries.astype(np.float64)
    if metric == COSINE:
        rows, queries = (x / np.linalg.norm(x, axis=1)[:, None] for x in (rows, queries))
    if metric == IP:
        return -(queries @ rows.T)
    squares = ((queries[:, None] - rows[None]) ** 2).sum(axis=2)
    return squares / 2 if metric == COSINE else squares


def test_all_processors_add_the_same_integers(tmp_path):
    printed = {name: run_compiled_for(name, PROGRAM, tmp_path / name) for name in PROCESSORS}
    assert len({words[0] for words in printed.values()}) == 1
    assert printed["generic"][1] == "False"


@pytest.mark.parametrize("width", [64, 128, 192, 384, 832, 1024])
def test_the_rotation_is_that_of_signs_and_hadamard_matrices(width):
    codes = BitCodes(L2, width, 1)
    rows = np.random.default_rng(0).normal(size=(5, width)).astype(np.float32)
    wanted, size = rows.astype(np.float64), 1 << (width.bit_length() - 1)
    transform = hadamard(size) / np.sqrt(size)
    for turn, signs in enumerate(codes.signs):
        wanted = wanted * signs
        part = slice(width - size, width) if turn % 2 else slice(0, size)
        wanted[:, part] = wanted[:, part] @ transform
        if size < width:
            left, right = wanted[:, : width // 2], wanted[:, width // 2 :]
            wanted = np.concatenate([left + right, left - right], axis=1) / np.sqrt(2)
    turned = codes._rotated(rows)
    assert np.allclose(turned, wanted, atol=1e-5)
    assert np.allclose((turned**2).sum(axis=1), (rows**2).sum(axis=1), rtol=1e-5)
    single = codes._rotated(np.eye(width, dtype=np.float32))
    assert np.abs(single).max() < 0.75  # no coordinate stays alone


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("dim", [1, 7, 64, 130])
def test_levels_are_packed_and_found_again(bits, dim):
    rng = np.random.default_rng(bits)
    levels = rng.integers(0, 1 << bits, (9, padded(dim))).astype(np.uint8)
    codes, again = np.zeros((9, row_bytes_of(dim, bits)), np.uint8), np.empty_like(levels)
    for row in range(9):
        kernels._pack(levels[row], bits, codes[row])
    kernels.unpack_rows(codes, bits, again)
    assert again.tolist() == levels.tolist()
    assert codes.shape[1] - 12 >= padded(dim) * bits // 8 > codes.shape[1] - 12 - 32


@pytest.mark.parametrize(("bits", "least"), [(1, 0.79), (2, 0.93), (3, 0.978), (4, 0.993), (6, 0.9995), (8, 0.99996)])
def test_levels_lie_in_the_direction_of_the_row(bits, least):
    rows = rows_of(300, 384)
    codes = coded(L2, rows, bits)
    centred, decoded = rows - codes.centre, codes.decoded(codes.codes) - codes.centre
    cosines = (centred * decoded).sum(axis=1) / np.linalg.norm(centred, axis=1) / np.linalg.norm(decoded, axis=1)
    assert cosines.min() > 1 - 2 * (1 - least)
    assert cosines.mean() > least
    if 1 < bits <= 4:  # beside the best of 2,000 steps
        turned = codes._rotated(centred[:20]).astype(np.float64)
        top = (1 << bits) - 1
        best = np.zeros(20)
        for step in np.linspace(0.05, 2, 2000) * turned.std():
            levels = np.clip(np.floor(turned / step) + (1 << (bits - 1)), 0, top) - top / 2
            cosine = (levels * turned).sum(axis=1) / np.linalg.norm(levels, axis=1) / np.linalg.norm(turned, axis=1)
            best = np.maximum(best, cosine)
        assert (1 - cosines[:20]).mean() < 1.04 * (1 - best).mean()


@pytest.mark.parametrize("metric", [L2, IP, COSINE])
@pytest.mark.parametrize("bits", [1, 2, 4, 5])
@pytest.mark.parametrize("dim", [60, 200, 512])
def test_estimates_are_unbiased_and_keep_their_bound(metric, bits, dim):
    rows, queries = rows_of(300, dim), rows_of(20, dim, seed=1)
    wanted, units = true_distances(metric, rows, queries), [rows, queries]
    if metric == COSINE:
        units = [x / np.linalg.norm(x, axis=1)[:, None] for x in units]
    rng, turns = np.random.default_rng(0), 60
    shape = BitCodes(metric, dim, bits).signs.shape
    off = np.empty((turns, 20, 300))
    for turn in range(turns):
        signs = (2 * rng.integers(0, 2, shape) - 1).astype(np.float32)
        codes = coded(metric, rows, bits, signs)
        share = np.ones(20)
        if metric == IP:
            share = units[1] @ codes.centre / (codes.centre @ codes.centre)
        parted = np.linalg.norm(units[1] - share[:, None] * codes.centre, axis=1)
        centred, decoded = units[0] - codes.centre, codes.decoded(codes.codes) - codes.centre
        lengths = np.linalg.norm(centred, axis=1)
        cosine = (decoded * centred).sum(axis=1) / np.linalg.norm(decoded, axis=1) / lengths
        deviation = lengths * np.sqrt((1 / cosine**2 - 1) / (codes.width - 1)) * parted[:, None]
        errors = codes.estimates(asked(codes, queries, metric)) - wanted
        off[turn] = errors / (deviation * (2 if metric == L2 else 1))
    means = off.mean(axis=0) * np.sqrt(turns)  # normal, where estimates are unbiased
    assert abs(means.mean()) < 0.1
    assert np.abs(means).max() < 5.5
    assert 0.85 < off.std() < 1.15
    assert (np.abs(off) > 1.9).mean() < 0.1
    assert (np.abs(off) > 4).mean() < 3e-3


@pytest.mark.parametrize("metric", [L2, IP, COSINE])
@pytest.mark.parametrize("bits", [1, 4])
def test_a_row_of_codes_alone_is_at_no_distance_from_itself(metric, bits):
    rows = rows_of(500, 96)
    codes = coded(metric, rows, bits)
    queries = np.empty((500, codes.query_bytes), np.int8)
    room = np.empty(codes.width, np.float32), np.empty(codes.width, np.uint8)
    for row in range(500):
        kernels.query_of_code(codes.codes[row], codes.form, codes.turned, room, queries[row])
    estimates = codes.estimates(queries)
    own = np.diagonal(estimates)
    lengths = ((rows - codes.centre) ** 2).sum(axis=1)
    if metric == COSINE:
        lengths = ((rows / np.linalg.norm(rows, axis=1)[:, None] - codes.centre) ** 2).sum(axis=1)
    if metric == IP:
        assert np.allclose(own, -(rows**2).sum(axis=1), rtol=0.05)
    else:
        assert np.abs(own / lengths).max() < 0.05
        assert (estimates.argmin(axis=1) == np.arange(500)).all()


def test_products_do_not_depend_on_the_length_of_queries():
    rows, queries = rows_of(400, 50) + 20, rows_of(30, 50, seed=1)
    codes = coded(IP, rows, 4)
    wanted = codes.estimates(asked(codes, queries, IP))
    for scale in (1e-6, 1e4):
        assert np.allclose(codes.estimates(asked(codes, scale * queries, IP)), scale * wanted, rtol=1e-4)
