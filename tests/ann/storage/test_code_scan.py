"""Scans of 8-bit codes for batches: the same rows as a full sort of the ranks, on every processor, for every index."""

from __future__ import annotations

import numpy as np
import pytest

from nearhop import ann
from nearhop.ann import HNSW, Exact
from nearhop.ann.hnsw.plan import NAMES, make_plan
from nearhop.ann.storage import code_scan
from nearhop.ann.storage import code_scan_cpu as kernels
from nearhop.tests.support import PROCESSORS, run_compiled_for

METRICS = ("l2", "ip", "cosine")
PROGRAM = """
import numpy as np
from nearhop.tests.ann.storage.test_code_scan import scanned, sorted_ranks
for width in (32, 96, 128):
    assert scanned(500, 20, width, 13).tolist() == sorted_ranks(500, 20, width, 13).tolist()
from nearhop.ann.storage.code_scan_cpu import scan
print("vpdpbusd" in next(iter(scan.ranged.inspect_asm().values())))
"""


def codes_and_queries(rows, num_queries, width):
    """Code rows whose ranks are often equal, every second one chosen, and queries with zeros up to sixteen."""
    rng = np.random.default_rng(rows + num_queries + width)
    codes = rng.integers(0, 256, (2 * rows, width), np.uint8)
    codes[:, 3:-4] = rng.integers(0, 2, (2 * rows, width - 7)) * 255
    codes[rows // 2 :: 3] = codes[rows // 2]
    words = codes.view(np.int32)
    words[:, -1] = rng.integers(-50, 50, 2 * rows) ** 3
    asked = np.zeros((-(-num_queries // 16) * 16, width), np.int8)
    asked[:num_queries] = rng.integers(-128, 128, (num_queries, width))
    asked[:, -4:] = 0
    return words, np.arange(0, 2 * rows, 2), asked


def scanned(rows, num_queries, width, kept, parts=1):
    """The rows of lowest rank, in order, by the kernels."""
    words, chosen, asked = codes_and_queries(rows, num_queries, width)
    pools, sizes = np.empty((num_queries, 3 * kept + kernels.ROWS), np.int64), np.zeros(num_queries, np.int64)
    most = np.full(num_queries, kernels.EVERY, np.int32)
    for part in np.array_split(chosen, parts):
        packed = np.empty((-(-len(part) // kernels.ROWS), words.shape[1], kernels.ROWS), np.int32)
        kernels.pack(words, part, packed)
        kernels.scan(packed, part, asked, kept, pools, sizes, most)
    return np.stack([np.sort(pool[:size])[:kept] for pool, size in zip(pools, sizes, strict=True)]) % (1 << 32) // 2


def sorted_ranks(rows, num_queries, width, kept):
    words, chosen, asked = codes_and_queries(rows, num_queries, width)
    codes = words.view(np.uint8)[chosen].astype(np.int64)
    ranks = words[chosen, -1] - 2 * (asked[:num_queries].astype(np.int64) @ codes.T)
    return chosen[np.argsort(ranks, axis=1, kind="stable")[:, :kept]]


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 400, 3000])
@pytest.mark.parametrize("kept", [1, 10, 70])
def test_the_rows_of_lowest_rank_are_kept_and_the_lower_row_wins_a_tie(rows, kept):
    for num_queries, width in ((1, 32), (16, 96), (37, 160)):
        wanted = sorted_ranks(rows, num_queries, width, kept)
        assert scanned(rows, num_queries, width, kept).tolist() == wanted.tolist()
        if rows > 100:
            assert scanned(rows, num_queries, width, kept, parts=7).tolist() == wanted.tolist()


@pytest.mark.parametrize("processor", PROCESSORS)
def test_scans_are_the_same_on_every_processor(processor, tmp_path):
    printed = run_compiled_for(processor, PROGRAM, tmp_path)
    if processor != "this":
        assert printed == ["False"]


def rows_of(count, seed, dim=40):
    first = np.random.default_rng(3).normal(size=(10, dim))
    return np.tanh(np.random.default_rng(seed).normal(size=(count, 10)) @ first).astype(np.float32)


@pytest.fixture(scope="module")
def built():
    rows = rows_of(4000, 0).astype(np.float16).astype(np.float32)  # so that halves are these very rows
    return rows, {(m, s): HNSW(m, storage=s).add(rows) for m in METRICS for s in ("int8", "int8-float16", "int8-only")}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("storage", ["int8", "int8-float16", "int8-only"])
def test_a_batch_with_one_filter_is_scanned(built, metric, storage, monkeypatch):
    rows, indexes = built
    index, queries = indexes[metric, storage], rows_of(40, 1)
    mask = np.random.default_rng(2).random(len(rows)) < 0.5
    calls = []
    plain = code_scan.nearest_codes
    monkeypatch.setattr("nearhop.ann.hnsw.plan.nearest_codes", lambda *a: calls.append(1) or plain(*a))
    found = index.search(queries, 10, filter=mask)
    assert calls == [1]
    truth = Exact(metric).add(rows).search(queries, 10, filter=mask)
    assert ann.recall(found, truth) >= (0.94 if storage == "int8-only" else 0.999)
    assert mask[found.ids].all()
    assert (np.diff(found.distances, axis=1) >= 0).all()
    one = index.search(queries, 10, filter=mask, threads=1)
    assert one.ids.tolist() == found.ids.tolist()
    assert one.distances.tolist() == found.distances.tolist()
    if storage == "int8":
        same = found.ids == truth.ids
        assert np.allclose(found.distances[same], truth.distances[same], rtol=1e-5, atol=1e-5)
    # a walk, which answers one query or filters of their own, finds the same but for its own misses
    walked = index.search(queries, 10, filter=np.tile(mask, (40, 1)), ef_search=200)
    assert len(calls) == 2
    assert (walked.ids == found.ids).mean() > 0.95


def test_deleted_rows_parts_and_short_results(built, monkeypatch):
    rows, _ = built
    index, queries = HNSW(storage="int8").add(rows), rows_of(20, 1)
    index.remove(np.arange(0, 4000, 3))
    kept = np.arange(4000) % 3 > 0
    exact = Exact().add(rows)
    whole = index.search(queries, 10)
    assert ann.recall(whole, exact.search(queries, 10, filter=kept)) >= 0.999
    monkeypatch.setattr(code_scan, "_PART_BYTES", 1 << 14)
    monkeypatch.setattr(code_scan, "_POOL_ENTRIES", 1 << 10)
    assert index.search(queries, 10).ids.tolist() == whole.ids.tolist()
    few = np.flatnonzero(kept)[:25]
    found = index.search(queries, 30, filter=few)
    assert (found.counts == 25).all()
    assert (np.sort(found.ids[:, :25], axis=1) == few).all()
    assert (found.ids[:, 25:] == -1).all()


def test_scans_of_codes_are_planned_where_they_cost_least():
    def planned(passing, num_queries, ef=64, masks=1, n=60_000, coded=True):
        allowed = np.zeros((masks, n), bool)
        allowed[:, :passing] = True
        plan = make_plan(ef, 16, allowed, num_queries, n, 10, (128, 512), coded=coded)
        return NAMES[plan.method[0]]

    assert planned(30_000, 200) == planned(6000, 200) == "scan of codes"
    assert planned(30_000, 200, coded=False) == planned(30_000, 200, ef=10) == planned(30_000, 15) == "walk"
    assert planned(30_000, 20, masks=20) == planned(60_000, 200) == "walk"
    assert planned(40, 200) == planned(0, 200) == "scan"
    assert planned(500_000, 200, n=1_000_000) == "walk"
