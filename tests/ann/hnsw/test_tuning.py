"""Beams of classes of queries: found one by one, taken by name, saved with the index."""

from __future__ import annotations

import numpy as np
import pytest

from nearhop import ann
from nearhop.graphlib.errors import InvalidInput, StoreCorrupt

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(3000, 24)).astype(np.float32)
NEAR = ROWS[:80] + np.float32(0.05) * RNG.normal(size=(80, 24)).astype(np.float32)
FAR = np.abs(RNG.normal(size=(80, 24))).astype(np.float32) * 2
CLASSES = {"near": NEAR, "far": FAR}


@pytest.fixture(scope="module")
def index():
    made = ann.HNSW(M=6, ef_construction=40).add(ROWS)
    made.tune(0.9, queries=CLASSES)
    return made


def found_of(index, rows, **options):
    truth = ann.Exact().add(ROWS).search(rows, 10)
    return ann.recall(index.search(rows, 10, **options), truth)


def test_every_class_gets_the_beam_that_it_gets_alone(index):
    alone = ann.HNSW(M=6, ef_construction=40).add(ROWS)
    assert index.beams == {name: alone.tune(0.9, queries=rows) for name, rows in CLASSES.items()}
    assert index.ef_search == max(index.beams.values())
    assert index.beams["near"] < index.beams["far"]
    for name, rows in CLASSES.items():
        assert found_of(index, rows, ef_search=name) >= 0.9


def test_a_name_stands_for_its_beam(index):
    for name, beam in index.beams.items():
        for rows in (FAR, FAR[0]):
            assert (index.search(rows, 10, ef_search=name).ids == index.search(rows, 10, ef_search=beam).ids).all()
        assert index.explain(FAR[0], ef_search=name).beam == beam
        by_name, by_beam = (index.search_within(FAR[:3], 30.0, ef_search=ef) for ef in (name, beam))
        assert (by_name.ids == by_beam.ids).all()


def test_classes_are_kept_and_joined(index, tmp_path):
    index.save(tmp_path / "index")
    opened = ann.load(tmp_path / "index")
    assert opened.beams == index.beams
    assert opened.ef_search == index.ef_search
    assert opened.tune(0.5, queries={"other": NEAR}).keys() == {"other"}
    assert opened.beams.keys() == {"near", "far", "other"}
    opened.beams["near"] = 1
    assert opened.beams["near"] == index.beams["near"]


@pytest.mark.parametrize("search", ["search", "search_within", "explain"])
def test_an_unknown_name_is_told_with_those_there_are(index, search):
    further = {"search": (3,), "search_within": (1.0,), "explain": ()}[search]
    with pytest.raises(InvalidInput, match=r"'middle'.*'near', 'far'"):
        getattr(index, search)(NEAR[0], *further, ef_search="middle")


@pytest.mark.parametrize("classes", [{}, {"": NEAR}, {3: NEAR}])
def test_classes_need_names(index, classes):
    with pytest.raises(InvalidInput, match="names that are text"):
        index.tune(queries=classes)


@pytest.mark.parametrize("beams", [[1], {"near": 0}, {"near": "3"}, {"near": True}])
def test_damaged_beams_are_refused(index, tmp_path, beams):
    store = index.as_store()
    store.attributes["index"] = store.attributes["index"] | {"beams": beams}
    store.save(tmp_path / "damaged")
    with pytest.raises(StoreCorrupt, match="beams"):
        ann.load(tmp_path / "damaged")
