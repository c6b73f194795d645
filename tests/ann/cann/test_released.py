"""`compat="released"`: the released algorithm, bit for bit what the plain version of it gives."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nearhop import ann
from nearhop.ann import CANN
from nearhop.ann.cann import released
from nearhop.graphlib.errors import InvalidInput
from nearhop.tests.reference.colors import released_scores


def scene(dim, dtype, seed=0):
    rng = np.random.default_rng(seed)
    points = (np.abs(rng.normal(size=(5, 12, dim)) * 3 + 4) * 8).astype(dtype)
    near = points[[1, 1, 1, 3, 4], [0, 1, 2, 3, 4]] + rng.normal(size=(5, dim)) * 3 / np.sqrt(dim)
    far = rng.normal(size=(2, dim)) * 24 + 32
    return points, np.concatenate([near, far]).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
@pytest.mark.parametrize(("dim", "radius"), [(2, 30.0), (5, 60.0), (16, 120.0), (128, 120.0)])
def test_scores_are_those_of_the_plain_algorithm(dim, radius, dtype, tmp_path):
    points, queries = scene(dim, dtype)
    index = CANN("l2", radius, num_grids=4, compat="released").add(list(points))
    rotations, shifts = released.grids(dim, 4)
    assert len(rotations) == int(math.exp(min(math.log(4), dim / released.C)))
    assert np.allclose(rotations @ rotations.transpose(0, 2, 1), np.eye(dim), atol=1e-5)
    truth = released_scores(
        points.reshape(-1, dim).astype(np.float32), np.repeat(np.arange(5), 12), queries, rotations, shifts,
        radius=radius, shape=index.shape, c=released.C, eps=released.EPSILON,
        min_distance=released.FIRST_RADIUS * radius,
    )  # fmt: skip
    assert len(truth) >= 3
    found = index.search(queries, 5)
    count = found.counts[0]
    assert dict(zip(found.colors[0, :count].tolist(), found.scores[0, :count].tolist(), strict=True)) == truth
    index.save(tmp_path / "a.nh")
    again = ann.load(tmp_path / "a.nh").search(queries, 5)
    assert again.scores.tobytes() == found.scores.tobytes()
    some = index.search(queries, 5, filter=[0, 3]).colors
    assert set(some[some >= 0].tolist()) == set(truth) & {0, 3}


def test_radii_are_the_published_ones():
    radii = released.radii(120.0, 0.4591763556652752)
    assert len(radii) == 36
    assert radii[0] == np.float32(28.28296718361788)
    assert radii[-1] == np.float32(117.321991)
    assert len(released.grids(128, 20)[0]) == 19


def test_truncation_makes_cells_around_zero_twice_as_wide():
    rng = np.random.default_rng(3)
    rows = (rng.normal(size=(400, 16)) * 0.3).astype(np.float32)
    cells = released._cells(rows, np.eye(16, dtype=np.float32), np.zeros(16, np.float32))
    assert (cells == 0).all(axis=1).mean() > 0.9
    assert (np.floor(rows) == 0).all(axis=1).mean() < 0.01
    assert released._cells(np.array([[300.0, -300]], np.float32), np.eye(2, dtype=np.float32), 0).tolist() == [
        [127, -128]
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"compat": "paper"}, "compat must be 'released' or None"),
        ({"compat": "released", "metric": "cosine", "radius": 1}, "is for metric 'l2' and method 'grids'"),
        ({"compat": "released", "method": "exact"}, "is for metric 'l2' and method 'grids'"),
        ({"compat": "released", "cell_width": 1.0}, "without cell_width"),
    ],
)
def test_what_contradicts_it_is_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        CANN(**options).add(np.zeros((2, 4)))
