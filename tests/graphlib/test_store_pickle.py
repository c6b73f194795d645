"""A store in other processes: its path and version, or one error that says what to do."""

from __future__ import annotations

import copy
import pickle

import pytest

import nearhop
from nearhop.graphlib.errors import InvalidType


def test_a_stored_graph_is_its_path_and_version(tmp_path):
    store = nearhop.datasets.load("karate").save(tmp_path / "karate.nh")
    early = pickle.dumps(store)
    assert len(early) < 500
    store.append_edges([0], [9])
    store.commit("an edge")
    assert [pickle.loads(data).num_edges for data in (early, pickle.dumps(store))] == [78, 79]
    assert copy.deepcopy(store).path == store.path


def test_what_others_cannot_see_is_refused(tmp_path):
    store = nearhop.datasets.load("karate")
    for act in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(InvalidType, match="a store in memory"):
            act(store)
    stored = store.save(tmp_path / "karate.nh")
    stored.append_edges([0], [9])
    with pytest.raises(InvalidType, match="commit\\(\\) or close\\(\\) first"):
        pickle.dumps(stored)
