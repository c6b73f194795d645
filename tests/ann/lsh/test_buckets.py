"""Sorted buckets: segments merge into what would have been made at once, and know nothing of what keys mean."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nearhop.ann.lsh.buckets import check_segment, make_segment, merge_segments, merged


@pytest.mark.parametrize("sizes", [(40, 7), (1, 300, 5), (0, 9), (9, 0, 0, 2)])
def test_merged_segments_equal_those_made_at_once(sizes):
    bands, total = 3, sum(sizes)
    keys = np.random.default_rng(total).integers(0, 2**32, (bands, total), dtype=np.uint64).astype(np.uint32)
    keys[:, ::3] = keys[:, :1]  # a large bucket
    keys[0, : total // 2] = 2**32 - 1
    whole = make_segment(keys.copy(), np.arange(total), None)
    bounds = np.cumsum([0, *sizes])
    parts = [make_segment(keys[:, a:b].copy(), np.arange(a, b), None) for a, b in itertools.pairwise(bounds)]
    for one in (merged(parts, None), merged([merge_segments(parts[0], parts[1], 2), *parts[2:]], 1)):
        check_segment(one, bands, total, "here")
        for name in ("keys", "rows", "starts"):
            assert np.array_equal(getattr(one, name), getattr(whole, name)), name
