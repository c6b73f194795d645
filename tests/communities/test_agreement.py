"""Labellings that are compared, and positions and numbers that communities are given: refused by name."""

from __future__ import annotations

import numpy as np
import pytest

from nearhop import GraphStore
from nearhop.communities import (
    adjusted_rand_index,
    community_quality,
    detect,
    flow_diffusion,
    modularity,
    normalized_mutual_information,
)
from nearhop.graphlib.errors import InvalidInput, InvalidType, NearhopError
from nearhop.tests.support import needs

TAIL = GraphStore.from_edges([0, 0, 1, 2, 3, 4, 5, 6], [1, 2, 2, 3, 4, 5, 6, 7])  # a triangle and a tail
BOTH = pytest.mark.parametrize("measure", [normalized_mutual_information, adjusted_rand_index])


@BOTH
def test_empty_labellings_agree(measure):
    assert measure([], []) == 1.0


@BOTH
@pytest.mark.parametrize(
    "labels",
    [["a", None], [0.0, np.nan], np.array(["a", np.nan], object), np.array(["2020", "NaT"], "M8[D]"), [1, None]],
)
def test_missing_labels_are_not_a_class(measure, labels):
    with pytest.raises(InvalidInput, match="right must have one label per node; number 1 is"):
        measure([0, 1], labels)


def test_labels_of_several_kinds_are_refused():
    with pytest.raises(InvalidType, match="left must be all numbers or all text; got int and str"):
        normalized_mutual_information(np.array([1, "a"], object), [0, 1])
    with pytest.raises(InvalidInput, match="labels must have one label per node; number 7 is nan"):
        modularity(TAIL, [0.0] * 7 + [np.nan])
    assert normalized_mutual_information(np.array(["a", "b"], object), [0.5, 1.5]) == pytest.approx(1)


@needs("sknetwork")
@pytest.mark.parametrize("resolution", ["1", None, np.nan, np.inf, 0, True])
def test_resolutions_are_numbers(resolution):
    with pytest.raises(InvalidInput, match="resolution must be a number above 0"):
        detect(TAIL, library="sknetwork", resolution=resolution)
    if resolution != 0:
        with pytest.raises(InvalidInput, match="resolution must be a finite number"):
            modularity(TAIL, [0] * 8, resolution=resolution)


def test_members_and_seeds_are_positions():
    store = GraphStore.from_edges(TAIL.edge_list().src, TAIL.edge_list().dst)
    store.set_ids(np.arange(8)[::-1] + 100)
    assert community_quality(store, store.lookup([107, 106, 105])).clustering == 1
    for members in ([107], [-1], ["a"], [0.5], []):
        with pytest.raises(InvalidInput, match=r"members must be .* positions of nodes in 0\.\.7 \(store\.lookup"):
            community_quality(store, members)
    for seeds in ([107], ["a"]):
        with pytest.raises(NearhopError, match=r"store\.lookup"):
            flow_diffusion(store, seeds, 6)
