"""Damaged files of an index of colours: an error of ours or a search within bounds, never a crash."""

from __future__ import annotations

import resource
import sys

import numpy as np
import pytest

from nearhop import ann
from nearhop.ann import CANN
from nearhop.graphlib.errors import NearhopError

POINTS = np.random.default_rng(0).normal(size=(12, 20, 6)).astype(np.float32)
KINDS = {
    "grids": {"candidates": 2, "num_grids": 5},
    "range": {"method": "range", "num_grids": 5},
    "bytes": {"candidates": 2, "num_grids": 5},
    "exact": {"method": "exact"},
}


def made(kind, path):
    points = np.clip(POINTS * 20 + 128, 0, 255).astype(np.uint8) if kind == "bytes" else POINTS
    radius = 20.0 if kind == "bytes" else 0.9
    index = CANN("l2", radius, **KINDS[kind]).add(list(points), colors=[f"image {i}" for i in range(12)])
    index.remove(["image 3"])
    index.save(path)
    return points


def injured(data, rng):
    """Bytes flipped, overwritten by extremes, lost, doubled or cut off."""
    data = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        at, what = int(rng.integers(len(data))), rng.integers(5)
        if what == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif what == 1:
            data[at : at + 4] = int(rng.choice([0, 1, 127, 2**31 - 1, 2**31, 2**32 - 1])).to_bytes(4, "little")
        elif what == 2:
            del data[at : at + int(rng.integers(1, 64))]
        elif what == 3:
            data[at:at] = data[max(0, at - 48) : at]
        else:
            data = data[: at + 1]
    return bytes(data)


def fuzz(kind, folder, count, seed):
    points = made(kind, folder)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    files = [path for path in files if "segments" in path.parts or "manifests" in path.parts]
    rng = np.random.default_rng(seed)
    refused = searched = 0
    for _ in range(count):
        path = files[rng.integers(len(files))]
        good = path.read_bytes()
        path.write_bytes(injured(good, rng))
        try:
            found = ann.load(folder).search([points[5][:4], points[6]], 3)
            assert (found.counts <= 3).all()
            assert (np.isfinite(found.scores)).all()
            searched += 1
        except NearhopError as error:
            refused += folder.name in str(error)
        finally:
            path.write_bytes(good)
    assert ann.load(folder).search(points[5], 1).colors.tolist() == [["image 5"]]
    return refused, searched


@pytest.mark.parametrize("kind", KINDS)
def test_fuzzed_files(kind, tmp_path):
    refused, searched = fuzz(kind, tmp_path / "victim.nh", 120, seed=1)
    assert refused + searched == 120
    assert refused > 80


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_fuzzed_files(kind, tmp_path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert fuzz(kind, tmp_path / "victim.nh", 2500, seed=2)[0] > 1500
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 400_000 * (1 if sys.platform == "linux" else 1024)


@pytest.mark.parametrize("kind", ["grids", "range", "bytes"])
def test_damage_behind_the_checks_is_searched_within_bounds(kind, tmp_path):
    """Values that look sound one by one: any colours, any rows, keys in any order that rises."""
    points = made(kind, tmp_path / "a.nh")
    rng = np.random.default_rng(3)
    for _ in range(40):
        store = ann.load(tmp_path / "a.nh").as_store()
        store.nodes("node")["color"] = rng.integers(0, 12, 240).astype(np.int32)
        store.nodes("entry")["row"] = rng.integers(0, 240, 1200).astype(np.int32)
        keys = np.sort(rng.integers(0, 2**32, (5, 240), dtype=np.uint64), axis=1).astype(np.uint32)
        store.nodes("entry")["key"] = keys.ravel()
        places = store.nodes("start")["place"].reshape(5, -1).copy()
        places[:, 1:-1] = np.sort(rng.integers(0, 241, places[:, 1:-1].shape), axis=1)
        store.nodes("start")["place"] = places.ravel()
        found = CANN._opened(store).search([points[5], points[6]], 5)
        assert (found.counts <= 5).all()
        assert (found.matches.points >= 0).all()
