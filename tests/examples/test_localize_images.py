"""Images found by their descriptors, in the example's short form."""

from __future__ import annotations

import importlib.util

import numpy as np

from nearhop.tests.examples.running import imported, rows_of
from nearhop.tests.support import data_file, needs


def test_short_form(tmp_path):
    folder = data_file("cann/entry-p10.npz").parents[1]
    words = ("--short", "--seeds", "1", "--datasets", "entry-p10", "--html", str(tmp_path / "found.html"))
    found = rows_of("localize_images.py", *words, data=folder)
    rows = {what: row["ours"] for (_, what), row in found.items()}
    for k in (3, 5):
        exact = rows[f"CANN exact, recall@{k}"]
        assert rows[f"CANN grids, recall@{k}"] >= exact - 0.07
        assert rows[f"CANN range, recall@{k}"] >= exact - 0.01
        assert exact > 0.6
    written = (tmp_path / "found.html").read_text(encoding="utf-8")
    if importlib.util.find_spec("cv2") is not None:
        assert rows["PnP, within 0.25 m and 2 degrees"] > 0.8
        for name in ("CANN exact", "CANN grids", "VLAD", "ASMK"):
            assert rows[f"{name}, verified by inliers, recall@5"] > 0.65
            assert rows[f"{name}, verified by coverage, recall@5"] > 0.65
        assert rows["VLAD, verified by inliers, recall@3"] > rows["VLAD, recall@3"] + 0.05
        assert written.count(" inliers of ") == 36  # captions and labels
    assert written.count("<svg") == 18
    assert written.count(" matches, overlap 0.") + written.count(" matches, overlap 1.") == 36


def seen_by_three(verify):
    """Images 0 and 1 see the same 60 points from two places; 2 sees others; and matches of 0 with both, 20 of them
    wrong."""
    rng = np.random.default_rng(0)
    space = rng.uniform([-1, -1, 4], [1, 1, 8], (80, 3))
    places = [(at[:, :2] / at[:, 2:] * 800 + 500) for at in (space, space - [0.7, 0.1, 0], rng.uniform(4, 8, (80, 3)))]
    nothing = np.empty(0)
    scene = verify.Scene(
        "three", ["a", "b", "c"], [nothing] * 3, places, nothing, nothing, nothing, np.full((3, 2), 1000), nothing,
        [nothing] * 3, nothing, [None] * 3,
    )  # fmt: skip
    points = np.r_[np.arange(60), rng.permutation(np.arange(60, 80))]
    return scene, {(0, 1): (np.arange(80), points), (0, 2): (np.arange(80), rng.permutation(80))}


@needs("cv2")
def test_an_image_is_verified_by_matches_that_agree():
    verify = imported("_verify.py")
    scene, matches = seen_by_three(verify)
    agreed = verify.consistent(scene, matches, 0)
    features, points = agreed[0, 1]
    right = matches[0, 1][1] == np.arange(80)
    assert set(np.flatnonzero(right).tolist()) <= set(features.tolist())
    assert len(features) <= right.sum() + 4  # a wrong match may lie on its line by chance
    assert (points == matches[0, 1][1][features]).all()
    assert len(agreed[0, 2][0]) < 30
    again = verify.consistent(scene, matches, 0)
    assert all((a == b).all() for key in agreed for a, b in zip(agreed[key], again[key], strict=True))
    few = {(0, 1): tuple(np.arange(19) for _ in range(2))}
    assert not len(verify.consistent(scene, few, 0)[0, 1][0])  # 19 matches that agree are too few
    for measure in verify.MEASURES.values():
        found = verify.reordered(scene, np.array([[2, 1]]), agreed, measure)
        assert found.tolist() == [[1, 2]]


def test_what_is_not_verified_keeps_its_order_below():
    verify = imported("_verify.py")
    scene, _ = seen_by_three(verify)
    some, none = np.arange(30), np.arange(0)
    agreed = {(0, 1): (some, some), (0, 2): (none, none)}
    found = verify.reordered(scene, np.array([[4, 2, 3, 1, -1]]), {**agreed, (0, 4): (none, none)}, verify.inliers)
    assert found.tolist() == [[1, 4, 2, 3, -1]]  # 4 and 2 were asked and did not agree, 3 was not asked
    assert verify.cells(scene, 0, none) == 0
    assert 1 < verify.coverage(scene, 0, 1, (some, some)) <= 30


def test_mutual_matches_are_those_of_two_loops():
    verify = imported("_verify.py")
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 256, (40, 8)).astype(np.uint8), rng.integers(0, 256, (30, 8)).astype(np.uint8)
    other[:12] = one[5:17]
    apart = np.linalg.norm(one[:, None].astype(float) - other[None], axis=2)
    pairs = []
    for i in range(40):
        j = int(apart[i].argmin())
        if apart[:, j].argmin() == i and apart[i, j] < verify.RATIO * np.sort(apart[i])[1]:
            pairs.append((i, j))
    assert len(pairs) >= 12
    assert [tuple(pair) for pair in np.stack(verify.mutual(one, other), axis=1).tolist()] == pairs
