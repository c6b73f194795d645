"""The search for colours: every way of it against the plain one, and against the others."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any

import numpy as np
import pytest

from nearhop import GraphStore, ann
from nearhop.ann import CANN
from nearhop.ann.cann.grids import Grids, axis_probability
from nearhop.ann.cann.grids_cpu import axes_apart
from nearhop.graphlib.errors import IndexMismatch, InvalidInput, InvalidType, NotFitted, NotFound, StoreCorrupt
from nearhop.tests.reference.colors import color_scores

METHODS = ("grids", "range", "exact")


def scene(colors=40, per=60, sets=3, features=60, dim=24, *, dtype=np.float32, seed=0, noise=0.03):
    """Random points; the features of set s are noisy copies of points of several colours, fewer and fewer of each."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(colors, per, dim)).astype(np.float32)
    queries = []
    for _ in range(sets):
        chosen = rng.choice(colors, 6, replace=False)
        rows = [points[c, rng.choice(per, 14 - 2 * i, replace=False)] for i, c in enumerate(chosen)]
        found = np.concatenate(rows)[:features]
        rest = rng.normal(size=(features - len(found), dim)).astype(np.float32)
        queries.append(np.concatenate([found + noise * rng.normal(size=found.shape).astype(np.float32), rest]))
    if dtype == np.uint8:
        points, queries = as_bytes(points), [as_bytes(query) for query in queries]
    return points, queries


def as_bytes(rows):
    return np.clip(np.rint(rows * 40 + 128), 0, 255).astype(np.uint8)


def rows_of(points):
    return points.reshape(-1, points.shape[2]), np.repeat(np.arange(len(points)), points.shape[1])


def same(one, other):
    assert one.colors.tolist() == other.colors.tolist()
    assert one.counts.tolist() == other.counts.tolist()
    assert one.scores.tobytes() == other.scores.tobytes()
    for name in ("indptr", "queries", "points", "distances"):
        assert np.array_equal(getattr(one.matches, name), getattr(other.matches, name)), name


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize("shape", [0.3, 0.459, 0.5, 0.8])
def test_exact_scores_are_the_plain_ones(dtype, metric, shape):
    points, queries = scene(dtype=dtype)
    rows, colors = rows_of(points)
    radius = 0.15 if metric == "cosine" else 40.0 if dtype == np.uint8 else 1.0
    index = CANN(metric, radius, shape=shape, method="exact").add(rows, colors)
    found = index.search(queries, 8)
    for which, query in enumerate(queries):
        truth = color_scores(rows, colors, query, radius, shape, cosine=metric == "cosine")
        best = sorted(truth, key=lambda color: (-truth[color], color))[:8]
        count = int(found.counts[which])
        assert count == len(best) >= 6
        assert found.colors[which, :count].tolist() == best
        assert np.allclose(found.scores[which, :count], [truth[color] for color in best], rtol=2e-5)
        assert (found.colors[which, count:] == -1).all()
        assert not found.scores[which, count:].any()


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize("method", ["grids", "range"])
def test_grids_find_what_comparing_everything_finds(dtype, metric, method):
    points, queries = scene(dtype=dtype)
    radius = {"l2": (0.6, 24.0), "cosine": (0.05, 0.002)}[metric][int(dtype == np.uint8)]
    truth = CANN(metric, radius, method="exact").add(list(points)).search(queries, 6)
    index = CANN(metric, radius, method=method, candidates=8).add(list(points))
    found = index.search(queries, 6)
    assert found.colors.tolist() == truth.colors.tolist()
    assert np.allclose(found.scores, truth.scores, rtol=0.02, atol=0.002)
    same(index.search(queries, 6, exact=True), truth)
    for s in range(3):
        for place in range(6):
            queries_met, points_met, distances = found.matches[s, place]
            assert len(queries_met)
            assert (np.diff(queries_met) > 0).all()
            assert (distances < radius).all()
            color = found.colors[s, place]
            difference = queries[s][queries_met].astype(float) - points[color, points_met]
            if metric == "l2":
                assert np.allclose(np.linalg.norm(difference, axis=1), distances, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_threads_and_batches_do_not_matter(method):
    points, queries = scene(sets=5)
    index = CANN("l2", 0.8, method=method, candidates=4, threads=1).add(list(points))
    one = index.search(queries, 5)
    same(index.search(queries, 5, threads=2), one)
    other = CANN("l2", 0.8, method=method, candidates=4, threads=2).add(list(points))
    same(other.search(queries, 5), one)
    for which, query in enumerate(queries):
        alone = index.search(query, 5)
        assert alone.scores[0].tobytes() == one.scores[which].tobytes()
        assert alone.matches[0, 1][1].tolist() == one.matches[which, 1][1].tolist()
    assert index.search(np.stack(queries), 5).colors.tolist() == one.colors.tolist()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
@pytest.mark.parametrize("ids", [None, "text"])
def test_saved_opened_in_place_and_extended_equals_made_at_once(method, dtype, ids, tmp_path):
    points, queries = scene(dtype=dtype)
    colors = [f"image {i}" for i in range(40)] if ids else list(range(40))
    radius = 24.0 if dtype == np.uint8 else 0.6
    whole = CANN("l2", radius, method=method, candidates=4).add(list(points), colors)
    CANN("l2", radius, method=method, candidates=4).add(list(points[:36]), colors[:36]).save(tmp_path / "a.nh")
    opened = ann.load(tmp_path / "a.nh", dim=24)
    assert isinstance(opened, CANN)
    same(opened.search(queries, 5), CANN.load(tmp_path / "a.nh").search(queries, 5))
    for first in (36, 37, 39):
        last = {36: 37, 37: 39, 39: 40}[first]
        opened.add(list(points[first:last]), colors[first:last])
    same(opened.search(queries, 5), whole.search(queries, 5))
    opened.save(tmp_path / "b.nh")
    again = ann.load(tmp_path / "b.nh")
    same(again.search(queries, 5), whole.search(queries, 5))
    assert again.colors_of_points().tolist() == np.repeat(np.array(colors, object if ids else int), 60).tolist()
    assert np.array_equal(again.vectors(), points.reshape(-1, 24))


@pytest.mark.parametrize("method", METHODS)
def test_points_may_come_to_a_colour_later(method):
    points, queries = scene()
    whole = CANN("l2", 0.6, method=method, candidates=4).add(*rows_of(points))
    parts = CANN("l2", 0.6, method=method, candidates=4)
    parts.add(points[:, :30].reshape(-1, 24), np.repeat(np.arange(40), 30))
    parts.add(points[:, 30:].reshape(-1, 24), np.repeat(np.arange(40), 30))
    one, other = parts.search(queries, 5), whole.search(queries, 5)
    assert len(parts) == 40
    assert one.colors.tolist() == other.colors.tolist()
    assert np.allclose(one.scores, other.scores, rtol=0.05)
    assert one.matches[0, 0][1].tolist() == other.matches[0, 0][1].tolist()


@pytest.mark.parametrize("method", METHODS)
def test_removed_colours_are_not_found(method, tmp_path):
    points, queries = scene()
    index = CANN("l2", 0.6, method=method, candidates=4).add(list(points))
    before = index.search(queries, 5)
    gone = before.colors[:, 0].tolist()
    assert index.remove(gone) == len(set(gone))
    assert index.num_points == 2400
    left = index.search(queries, 4)
    assert not np.isin(left.colors, gone).any()
    with pytest.raises(NotFound):
        index.remove(gone)
    index.save(tmp_path / "a.nh")
    same(ann.load(tmp_path / "a.nh").search(queries, 4), left)
    index.compact()
    assert index.num_points == 60 * len(index) == 60 * (40 - len(set(gone)))
    now = index.search(queries, 4)
    assert now.colors.tolist() == left.colors.tolist()
    assert index.add(points[gone[0]], gone[0]).search(queries, 1).colors[0, 0] == gone[0]
    index.remove(index.ids)
    assert index.search(queries, 2).counts.tolist() == [0, 0, 0]
    index.compact()
    assert (index.num_points, index.search(queries, 2).counts.tolist()) == (0, [0, 0, 0])


@pytest.mark.parametrize("method", METHODS)
def test_filters_by_colour(method, tmp_path):
    points, queries = scene()
    index = CANN("l2", 0.6, method=method, candidates=4).add(list(points), np.arange(40) + 100)
    everything = index.search(queries, 40)
    allowed = np.arange(40) % 2 == 0
    for given in (allowed, np.flatnonzero(allowed) + 100, np.stack([allowed] * 3), range(100, 140, 2)):
        found = index.search(queries, 3, filter=given)
        assert (found.colors[found.colors >= 0] % 2 == 0).all()
        for s in range(3):
            truth = [c for c in everything.colors[s].tolist() if c >= 0 and c % 2 == 0][:3]
            assert found.colors[s, : len(truth)].tolist() == truth
    few = index.search(queries, 3, filter=everything.colors[:, :1].ravel())
    assert (few.colors[:, 0] == everything.colors[:, 0]).all()
    each = np.zeros((3, 40), bool)
    each[np.arange(3), everything.colors[:, 1] - 100] = True
    assert index.search(queries, 1, filter=each).colors[:, 0].tolist() == everything.colors[:, 1].tolist()
    index.save(tmp_path / "a.nh")
    import nearhop

    store = nearhop.open(tmp_path / "a.nh")
    store.nodes("color")["year"] = np.arange(40) + 1980
    store.commit("years")
    opened = ann.load(tmp_path / "a.nh")
    found = opened.search(queries, 3, filter="year < 2000")
    assert found.colors.max() < 120
    same(found, opened.search(queries, 3, filter=range(100, 120)))
    opened.remove([100]), opened.add(points[0], 900)
    assert 900 not in opened.search(queries, 3, filter="year < 2000").colors
    with pytest.raises(InvalidInput, match="SQL filter needs the columns"):
        index.search(queries, 1, filter="year < 2000")


def of_a_store(points, dtype=np.float32):
    """A store that knows nothing of indexes: spots, a column and edges that name their images, images with a year."""
    rows, colors = rows_of(points)
    store = GraphStore()
    store.add_node_type("image", len(points))
    store.set_ids(np.array([f"image {i}" for i in range(len(points))], np.dtypes.StringDType()), "image")
    store.nodes("image")["year"] = np.arange(len(points)) + 1980
    store.add_node_type("spot", len(rows))
    order = np.random.default_rng(3).permutation(len(rows))
    store.nodes("spot")["x"] = rows[order].astype(dtype)
    store.nodes("spot")["of"] = store.ids("image")[colors[order]]
    store.add_edge_type(("spot", "in", "image"), np.arange(len(rows)), colors[order], positions=True)
    return store, rows[order], store.ids("image")[colors[order]]


def test_points_of_any_store(tmp_path):
    points, queries = scene()
    store, rows, colors = of_a_store(points)
    truth = CANN("l2", 0.6).add(rows, colors)
    wanted = truth.search(queries, 5)
    by_edges = CANN.from_store(store, "x", ("spot", "in", "image"), radius=0.6)
    by_column = CANN.from_store(store, "x", "of", node_type="spot", color_type="image", radius=0.6)
    plain = CANN.from_store(store, "x", "of", node_type="spot", radius=0.6)
    for index in (by_edges, by_column, plain):
        same(index.search(queries, 5), wanted)
    assert np.shares_memory(by_edges.vectors(), store.nodes("spot")["x"])  # where it lies
    recent = [f"image {i}" for i in range(20)]
    for index in (by_edges, by_column):
        same(index.search(queries, 5, filter="year < 2000"), truth.search(queries, 5, filter=recent))
    with pytest.raises(InvalidInput, match="SQL filter needs the columns"):
        plain.search(queries, 5, filter="year < 2000")
    by_edges.add(points[0], "image 40").remove(["image 1"])
    assert by_edges.num_points == len(rows) + 60
    assert not set(by_edges.search(queries, 5, filter="year < 2000").colors.ravel()) - {*recent, ""}
    by_edges.save(tmp_path / "index.nh")
    same(ann.load(tmp_path / "index.nh").search(queries, 5), by_edges.search(queries, 5))
    as_bytes_kept = CANN.from_store(of_a_store(as_bytes(points), np.uint8)[0], "x", ("spot", "in", "image"))
    assert as_bytes_kept.vectors().dtype == np.uint8


def test_stores_that_hold_no_coloured_points():
    store, _, _ = of_a_store(scene(colors=6, per=40)[0])
    store.nodes("spot")["half"] = np.zeros((240, 3), np.float16)
    store.nodes("spot")["else"] = np.array(["image 1"] * 239 + ["mill"], np.dtypes.StringDType())
    store.add_edge_type(("spot", "near", "image"), [0, 0], ["image 1", "image 2"])
    nan = np.zeros((240, 3), np.float32)
    nan[7] = np.nan
    store.nodes("spot")["nan"] = nan
    cases: list[Any] = [
        (IndexMismatch, r"column 'half' is float16\[240, 3\], but points need a matrix", "half", "of", {}),
        (IndexMismatch, "point 239 is of colour 'mill', which is no id of a node of type 'image'; 1 of 240", "x",
         "else", {"color_type": "image"}),
        (IndexMismatch, "point 0 has 2 edges", "x", ("spot", "near", "image"), {}),
        (IndexMismatch, "but the points are 'image'", "x", ("spot", "in", "image"), {"node_type": "image"}),
        (InvalidInput, "column 'nan'", "nan", "of", {}), (InvalidInput, "radius", "x", "of", {"radius": 0}),
        (NotFound, "nothing", "nothing", "of", {}),
    ]  # fmt: skip
    for error, message, column, colors, more in cases:
        with pytest.raises(error, match=message):
            CANN.from_store(store, column, colors, **{"node_type": "spot", **more})


def test_a_feature_counts_once_per_colour_and_by_the_number_of_queries():
    point = np.zeros((1, 4), np.float32)
    index = CANN("l2", 1.0, shape=0.5, method="exact").add([np.repeat(point, 50, 0), point], colors=[1, 2])
    found = index.search(np.array([[0.5, 0, 0, 0], [9, 0, 0, 0]], np.float32), 2)
    assert found.colors.tolist() == [[1, 2]]
    assert found.scores.tolist() == [[0.25, 0.25]]


@pytest.mark.parametrize("copies", [3000, 60_000])
def test_copies_of_one_point_hide_no_colour(copies):
    """However many copies a colour has, it takes one place of a cell, so that the 300 behind it are met."""
    point = np.random.default_rng(4).normal(size=(1, 8)).astype(np.float32)
    counts = [30, copies, *[30] * 200, copies, *[1] * 97]
    rows, colors = np.repeat(point, sum(counts), axis=0), np.repeat(np.arange(300), counts)
    index = CANN("l2", 0.5).add(rows, colors)
    found = index.search(point, 310)
    assert set(found.colors[0].tolist()) == {-1, *range(300)}
    assert found.scores[0, :300].tolist() == [1.0] * 300
    allowed = np.arange(300) % 2 == 1
    assert set(index.search(point, 310, filter=allowed).colors[0].tolist()) == {-1, *range(1, 300, 2)}
    unlike = np.concatenate([point + np.float32(i / 1e6) for i in range(40)])  # one cell, not one point
    near = CANN("l2", 0.5).add(unlike, np.arange(40) % 2).search(point, 2)
    assert near.scores[0, 0] == 1


def test_copies_that_came_in_turns_hide_few_colours():
    """Points that are not kept colour after colour are looked at one by one, 4,096 of a cell in every grid."""
    point = np.random.default_rng(4).normal(size=(1, 8)).astype(np.float32)
    index = CANN("l2", 0.5).add(np.repeat(point, 4000, axis=0), np.repeat(np.arange(40), 100))
    index.add(np.repeat(point, 4000, axis=0), np.arange(4000) % 40)
    assert set(index.search(point, 41).colors[0].tolist()) == {-1, *range(40)}


@pytest.mark.parametrize("dim", [1, 3, 16, 100, 129])
def test_any_width(dim):
    rng = np.random.default_rng(dim)
    points = rng.normal(size=(50, 40, dim)).astype(np.float32)
    index = CANN("l2", 0.05, candidates=8).add(list(points))
    found = index.search(points[7] + np.float32(0.001), 1)
    assert found.colors.tolist() == [[7]]
    assert found.scores[0, 0] > 0.4
    assert len(found.matches[0, 0][0]) == 40


def test_unverified_grids_tell_distances_by_shared_axes():
    points, queries = scene(noise=0.02)
    truth = CANN("l2", 2.0, method="exact").add(list(points)).search(queries, 4)
    index = CANN("l2", 2.0, verified=False, cell_width=0.5, candidates=8).add(list(points))
    found = index.search(queries, 8)
    assert found.colors[:, 0].tolist() == truth.colors[:, 0].tolist()
    assert all(
        set(one) <= set(other) for one, other in zip(truth.colors[:, :3].tolist(), found.colors.tolist(), strict=True)
    )
    assert len(set(found.matches.distances.tolist())) <= 16
    assert (found.matches.distances < 2).all()


def test_empty_indexes_answer_and_are_not_saved(tmp_path):
    index = CANN()
    found = index.search(np.zeros((2, 8)), 3)
    assert (found.counts.tolist(), found.colors.tolist(), len(found.matches)) == ([0], [[-1] * 3], 0)
    assert "0 colours" in repr(index)
    with pytest.raises(NotFitted):
        index.save(tmp_path / "a.nh")
    assert CANN().add([]).search([], 2).colors.shape == (0, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radius": 0}, "radius must be a finite number > 0"),
        ({"radius": float("nan")}, "radius must be a finite"),
        ({"radius": "far"}, "radius must be a finite"),
        ({"metric": "ip"}, "metric must be one of 'l2', 'cosine'; got 'ip'"),
        ({"metric": "cosine", "radius": 3}, "at most 2 for 'cosine'"),
        ({"shape": 1.0}, r"shape must be a number in \(0, 1\)"),
        ({"method": "fast"}, "method must be one of 'grids', 'range', 'exact'; got 'fast'"),
        ({"num_grids": 0}, "num_grids must be an integer >= 1"),
        ({"candidates": 0}, "candidates must be an integer >= 1"),
        ({"cell_width": -1.0}, "cell_width must be a finite number > 0"),
        ({"seed": -1}, "seed must be an integer >= 0"),
    ],
)
def test_bad_parameters_are_named(options, message):
    index = CANN(**options)
    for call in (lambda: index.add(np.zeros((2, 4))), lambda: index.search(np.zeros((2, 4)), 1)):
        with pytest.raises(InvalidInput, match=message):
            call()


def test_bad_points_are_named_and_change_nothing():
    points, _ = scene()
    index = CANN("l2", 0.6).add(list(points))
    bad = points[0].copy()
    bad[3, 2] = np.nan
    for error, message, call in (
        (InvalidInput, r"vectors\[3, 2\] is nan", lambda: index.add(bad, 50)),
        (InvalidInput, "matrix 1", lambda: index.add([points[0], bad])),
        (InvalidInput, "colour 1 of those given has no points", lambda: index.add([points[0], points[0][:0]])),
        (InvalidInput, "has no points", lambda: index.add(points[0][:0])),
        (InvalidInput, "one id per vector, 60; got 3", lambda: index.add(points[0], [1, 2, 3])),
        (InvalidInput, "one id per matrix, 2; got 3", lambda: index.add(list(points[:2]), [1, 2, 3])),
        (IndexMismatch, "width 5 but the index has dim 24", lambda: index.add(points[0][:, :5], 3)),
        (InvalidType, "ids of this index are integers; got text", lambda: index.add(points[0], "a")),
        (InvalidInput, "must be a matrix", lambda: index.add(np.zeros(4), 1)),
        (InvalidType, "real numbers", lambda: index.add(np.array([["a"]]), 1)),
    ):
        with pytest.raises(error, match=message):
            call()
    assert (len(index), index.num_points) == (40, 2400)
    index.method = "exact"
    with pytest.raises(IndexMismatch, match="metric and method cannot change once the index holds rows"):
        index.search(points[0], 1)
    index.method = "grids"
    with pytest.raises(InvalidInput, match="all zeros, which has no direction"):
        CANN("cosine", 0.1).add(np.zeros((2, 3)))
    whole = CANN("l2", 30).add(as_bytes(points[0]))
    whole.add(as_bytes(points[1]).astype(float))
    with pytest.raises(IndexMismatch, match="the index keeps bytes"):
        whole.add(points[0])
    assert whole.vectors().dtype == np.uint8


def test_bad_queries_are_named():
    points, queries = scene()
    index = CANN("l2", 0.6).add(list(points))
    bad = queries[0].copy()
    bad[1, 1] = np.inf
    for error, message, call in (
        (InvalidInput, "set 1 holds no query vectors", lambda: index.search([queries[0], queries[0][:0]], 1)),
        (InvalidInput, "set 0 holds no query vectors", lambda: index.search(queries[0][:0], 1)),
        (InvalidInput, "queries of set 1.1, 1. is inf", lambda: index.search([queries[0], bad], 1)),
        (IndexMismatch, "width 3 but the index has dim 24", lambda: index.search(queries[0][:, :3], 1)),
        (InvalidInput, "k must be an integer >= 1", lambda: index.search(queries[0], 0)),
        (InvalidInput, "GiB, most of it empty", lambda: index.search(queries[0], 10**12)),
        (InvalidInput, "must be a matrix", lambda: index.search(queries[0][0], 1)),
        (IndexMismatch, r"filter has shape \(3,\) but the index has 40 rows",
         lambda: index.search(queries, 1, filter=np.ones(3, bool))),
        (InvalidInput, "candidates must be an integer >= 1", lambda: index.search(queries, 1, candidates=0)),
    ):  # fmt: skip
        with pytest.raises(error, match=message):
            call()
    assert index.search([], 2).colors.shape == (0, 2)


def test_more_points_than_kernels_can_number(monkeypatch):
    from nearhop.ann.cann import index as module

    monkeypatch.setattr(module, "MOST_POINTS", 100)
    points, _ = scene()
    index = CANN("l2", 0.6).add(points[0])
    with pytest.raises(InvalidInput, match="at most 100 points; got 120"):
        index.add(points[1])
    assert index.num_points == 60
    store = GraphStore()
    store.add_node_type("spot", 120)
    store.nodes("spot")["x"], store.nodes("spot")["of"] = np.concatenate(points[:2]), np.repeat([0, 1], 60)
    with pytest.raises(InvalidInput, match="at most 100 points; got 120"):
        CANN.from_store(store, "x", "of", node_type="spot", radius=0.6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.nodes("node").__setitem__("color", np.full(2400, 40, np.int32)), "colour outside 0..39"),
        (lambda s: s.nodes("node").__setitem__("color", np.zeros(2400, np.int64)), "column 'color' must be int32"),
        (lambda s: s.nodes("entry").__setitem__("row", np.full(48000, 2400, np.int32)), "names a row outside"),
        (lambda s: s.nodes("entry").__setitem__("key", np.arange(48000, 0, -1).astype(np.uint32)), "out of order"),
        (lambda s: s.nodes("start").__setitem__("place", s.nodes("start")["place"][::-1].copy()), "does not rise"),
        (lambda s: s.nodes("axis").__setitem__("shift", np.full(352, np.nan, np.float32)), "must be finite"),
        (lambda s: s.nodes("sign").__setitem__("sign", np.zeros_like(s.nodes("sign")["sign"])), "1 or -1"),
        (lambda s: s.attributes["index"].__setitem__("num_grids", 21), "column 'sign' must be|'shift' must be"),
        (lambda s: s.attributes["index"].__setitem__("radius", "x"), "'radius' must be a number"),
        (lambda s: s.attributes["index"].__setitem__("radius", -1.0), "radius must be a finite number"),
        (lambda s: s.attributes["index"].__setitem__("dim", 23), "column 'vector' must be"),
        (lambda s: s.attributes["index"].__setitem__("cell_width", None), "'cell_width' must be a number"),
        (lambda s: s.attributes["index"].__setitem__("metric", "ip"), "metric must be one of"),
    ],
)
def test_damage_is_named(change, message):
    index = CANN("l2", 0.6).add(list(scene()[0]))
    store = index.as_store()
    change(store)
    with pytest.raises(StoreCorrupt, match=message):
        CANN._opened(store)


def test_searches_beside_changes_see_whole_states():
    points, queries = scene()
    index, failures, stop = CANN("l2", 0.6, candidates=4, threads=1).add(list(points[:20])), [], threading.Event()
    query = points[3, :10]

    def search():
        while not stop.is_set():
            found = index.search([query, queries[0]], 3)
            if found.colors[0, 0] != 3 or (found.colors >= 60).any():
                failures.append(found.colors.tolist())

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for first in range(20, 40, 4):
            index.add(list(points[first : first + 4]), np.arange(first, first + 4) + 20)
            index.remove([first + 20])
            index.compact()
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert failures == []
    assert len(index) == 35


def test_a_callback_may_search_and_not_change():
    points, _ = scene()
    index, told = CANN("l2", 0.6, candidates=4).add(list(points[:30])), []

    def progress(done, total):
        told.append((done, total, int(index.search(points[35, :10], 1).colors[0, 0])))
        with pytest.raises(InvalidInput, match="progress callback"):
            index.remove([0])

    index.add(list(points[30:]), progress=progress)
    assert told == [(2400, 2400, 35)]


@pytest.mark.parametrize("method", METHODS)
def test_pickles_and_copies_are_the_same_index(method):
    points, queries = scene()
    index = CANN("l2", 0.6, method=method, candidates=4, threads=1).add(list(points))
    for one in (copy.deepcopy(index), pickle.loads(pickle.dumps(index))):  # noqa: S301
        assert (one.method, one.radius, one.threads) == (method, 0.6, 1)
        same(one.search(queries, 4), index.search(queries, 4))


def test_a_sketch_loses_few_points_at_the_radius():
    """The share of pairs at a distance that sketches keep is what `axes_apart` was asked for."""
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(4000, 64)).astype(np.float32) * 3
    step = rng.normal(size=rows.shape)
    other = (rows + 2.0 * step / np.linalg.norm(step, axis=1, keepdims=True)).astype(np.float32)
    grids = Grids.drawn(64, 20, 2.5 * 2.0 / 8, seed=1)
    keys = np.empty((2, 22, 4000), np.uint32)
    grids.keys_of(rows, keys[0]), grids.keys_of(other, keys[1])
    same_axis = np.mean([(keys[0] >> s & 3) == (keys[1] >> s & 3) for s in range(0, 32, 2)])
    assert abs(same_axis - axis_probability(2.0 / (grids.width * 8))) < 0.03  # cells four apart are told as the same
    pairs = [(k[20].astype(np.uint64) << np.uint64(32)) | k[21] for k in keys]
    apart = np.array([axes_apart(a, b) for a, b in zip(*pairs, strict=True)])
    plain = [sum((int(a) >> s & 3) != (int(b) >> s & 3) for s in range(0, 64, 2)) for a, b in zip(*pairs, strict=True)]
    assert apart[:50].tolist() == plain[:50]
    for recall in (0.9, 0.99):
        assert (apart <= grids.axes_apart(2.0, recall)).mean() > recall - 0.01
    axes = grids.axes_for(2.0, 0.99)
    met = (keys[0, :20] >> np.uint32(32 - 2 * axes) == keys[1, :20] >> np.uint32(32 - 2 * axes)).any(axis=0)
    assert met.mean() > 0.985
    assert not (keys[0, :20] >> np.uint32(16) == keys[1, :20] >> np.uint32(16)).any(axis=0).all()


def test_texts_that_end_with_zero_characters_are_other_colours(tmp_path):
    images = np.random.default_rng(0).normal(size=(3, 20, 8)).astype(np.float32)
    index = CANN("l2", radius=0.5).add(list(images), ["a\0", "a", "a\0\0"])
    index.save(tmp_path / "c.nh")
    for each in (index, CANN.load(tmp_path / "c.nh")):
        assert each.ids.tolist() == ["a\0", "a", "a\0\0"]
        assert each.search(list(images), 1).colors.ravel().tolist() == ["a\0", "a", "a\0\0"]
        assert each.search(images[0], 1, filter=["a\0"] if each is index else np.array(["a\0"], "O")).counts == 1


def test_what_cannot_be_tried_is_refused():
    index = CANN("l2", radius=0.5).add(list(np.random.default_rng(0).normal(size=(3, 20, 8))))
    queries = [np.zeros((2, 8))]
    for radii in ([], [-1.0], [np.nan], [[1.0, 2.0]]):
        with pytest.raises(InvalidInput, match="radii must be finite numbers > 0, one at least"):
            index.tune(queries, [[0]], radii=radii)
    with pytest.raises(InvalidInput, match="shapes must be numbers"):
        index.tune(queries, [[0]], shapes=[])
    for radius in (1e-300, 1e40):
        with pytest.raises(InvalidInput, match=r"radius must be between 1e-30 and 1e\+30"):
            CANN("l2", radius=radius).add(queries)
    with pytest.raises(InvalidInput, match=r"ids: number 1, .* is not valid Unicode"):
        CANN().add([np.ones((1, 4)), np.zeros((1, 4))], ["a", "\ud800"])
