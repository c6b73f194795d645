"""Masked entries of what models are given: refused by name, since `np.asarray` would read what lies below them."""

from __future__ import annotations

import numpy as np
import pytest

from nearhop import GraphStore
from nearhop.gnn.dag import LevelPlan, level_encoding
from nearhop.gnn.graphs import Curves, stratified_folds
from nearhop.gnn.spen import SizeClasses
from nearhop.gnn.temporal.baselines import CommonNeighbours
from nearhop.graphlib.errors import InvalidInput

STAR = LevelPlan.from_store(GraphStore.from_edges([0, 0, 0], [1, 2, 3], directed=True))
HIDDEN = np.ma.array([0, 1, 0, 1], mask=[0, 0, 1, 0])


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("labels", lambda: stratified_folds(HIDDEN, num_folds=2)),
        ("test", lambda: Curves(HIDDEN[None])),
        ("val", lambda: Curves(np.zeros((1, 4)), HIDDEN[None])),
        ("sizes", lambda: SizeClasses.fit(HIDDEN)),
        ("sizes", lambda: SizeClasses((1,)).of(HIDDEN)),
        ("level_encoding: level", lambda: level_encoding(HIDDEN)),
        ("relation 'net'", lambda: LevelPlan(STAR.levels, {"net": (HIDDEN, [1, 2, 3, 2])})),
        ("dst", lambda: CommonNeighbours().observe([0] * 4, HIDDEN, time=[1.0] * 4, edge_ids=range(4))),
        ("negatives", lambda: CommonNeighbours()([0] * 4, [1] * 4, HIDDEN[:, None], time=[1.0] * 4)),
    ],
)
def test_masked_entries_are_refused(name, call):
    with pytest.raises(InvalidInput, match=f"{name} is a masked array"):
        call()


def test_functions_that_label_nodes():
    from nearhop.ann import flow_diffusion

    ring = GraphStore.from_edges([0, 1, 2, 3], [1, 2, 3, 0])
    with pytest.raises(InvalidInput, match="labels is a masked array"):
        flow_diffusion(ring, [0], 4, labels=lambda nodes: np.ma.masked_all(nodes.shape, np.int64))
