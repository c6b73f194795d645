"""Signed weights: measures and methods of communities refuse them by name, or leave weights out."""

from __future__ import annotations

import pytest

import nearhop
import nearhop.graphlib.convert
from nearhop.communities import community_quality, detect, detection, modularity
from nearhop.graphlib.errors import InvalidInput


@pytest.mark.parametrize("library", ["igraph", "leidenalg", "sknetwork"])
def test_signed_weights_are_refused_by_name_or_left_out(library):
    pytest.importorskip(library)
    weight = [5.0, -3, 2, -1, 4, 1]
    signed = nearhop.GraphStore.from_edges([0, 0, 1, 2, 3, 3], [1, 2, 2, 3, 4, 5], weight=weight)
    plain = nearhop.GraphStore.from_edges([0, 0, 1, 2, 3, 3], [1, 2, 2, 3, 4, 5])
    matrix = nearhop.graphlib.convert.to_scipy(signed)
    for graph in (signed, matrix):
        calls = [lambda g=graph, **o: detect(g, library=library, **o).labels.tolist()]
        calls.append(lambda g=graph, **o: list(vars(community_quality(g, [0, 1, 2], **o)).values()))
        calls.append(lambda g=graph, **o: modularity(g, [0, 0, 0, 1, 1, 1], **o))
        for call in calls:
            with pytest.raises(
                InvalidInput, match=r"an edge has weight -3, and communities are defined for weights >= 0"
            ):
                call()
            assert call(use_weights=False) == call(plain)


def test_an_error_of_a_library_is_told_as_one_of_ours(monkeypatch):
    def fails(*_):
        raise LookupError("their words")

    monkeypatch.setattr(detection, "_sknetwork", fails)
    pytest.importorskip("sknetwork")
    with pytest.raises(InvalidInput, match=r"detect: sknetwork .* cannot split this graph \(their words\)"):
        detect(nearhop.GraphStore.from_edges([0], [1]), library="sknetwork")
