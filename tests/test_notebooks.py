"""What notebooks show of stores, results, samples, evaluations and pictures."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np

from nearhop import GraphStore, ann
from nearhop.communities import CommunitySearch
from nearhop.communities.pictures.picture import Picture
from nearhop.embed import evaluate
from nearhop.embed.evaluation.links import LinkScores
from nearhop.sampling import NeighborSampler, TypedNeighborSampler


class Cells(HTMLParser):
    """The texts of a table by tag; every tag that is opened is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.attributes: dict[str, str | None] = {}
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.attributes.update(attributes)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.texts.append((self.open[-1], text))

    def of(self, tag: str) -> list[str]:
        return [text for each, text in self.texts if each == tag]


def shown(value) -> Cells:
    return Cells(value._repr_html_())


def test_a_store_tells_its_types_and_columns():
    store = GraphStore.from_edges([0, 1], [1, 2], directed=True)
    store.nodes["<b>age"] = np.arange(3)
    cells = shown(store)
    assert cells.of("caption") == [repr(store).splitlines()[0]]
    assert "<b>age int64[3]" in cells.of("td")
    assert "node/edge/node" in cells.of("td")


def test_results_show_ids_with_their_distances():
    x = np.arange(12, dtype=np.float32)[:, None]
    index = ann.Exact().add(x, ids=np.array([f"n<{i}>" for i in range(12)], np.dtypes.StringDType()))
    cells = shown(index.search(x, k=2))
    assert "n<3> (0)" in cells.of("td")
    assert cells.of("td")[-1] == "and 2 more"
    short = shown(index.search(x[:1], k=14, filter=["n<1>"]))
    assert short.of("td") == ["0", "n<1> (1)"]
    near = shown(ann.HNSW().add(x).search_within(x[:2], 4.0))
    assert near.of("td")[:3] == ["0", "3", "0 (0), 1 (1), 2 (4)"]
    colors = shown(
        ann.CANN(radius=2.0, shape=0.5, method="exact").add(x, [f"<{i // 6}>" for i in range(12)]).search(x[:1], k=3)
    )
    assert colors.of("td") == ["0", "<0> (1)"]


def test_samples_tell_their_hops():
    store = GraphStore.from_edges([0, 1, 2], [1, 2, 3], directed=True)
    cells = shown(NeighborSampler(store, [1, 1]).sample([3]))
    assert cells.of("td")[:2] == ["0", "1"]
    assert cells.of("td")[-3:] == ["2", "1", "1"]
    typed = shown(TypedNeighborSampler(store, [1, 1]).sample({"node": [3]}))
    assert typed.of("td")[:3] == ["nodes", "node", "3"]


def test_evaluations_are_tables():
    labels = np.arange(40) % 2
    scores = evaluate(np.eye(2, dtype=np.float32)[labels], labels, train_ratios=(0.5,), repeats=2)
    assert shown(scores).of("td") == ["50", "1.0000 ± 0.0000", "1.0000 ± 0.0000"]
    one = np.array([0.5, 0.7])
    assert shown(LinkScores(one, one, one, {10: one})).of("td")[-2:] == ["hits@10", "0.6000 ± 0.1000"]


def test_a_picture_is_drawn_inside_the_page():
    rng = np.random.default_rng(0)
    search = CommunitySearch(GraphStore.from_edges(rng.integers(0, 30, 90), rng.integers(0, 30, 90)))
    picture = Picture.of_search(search, [0], search.search([0], 5), title="around <0>")
    page = shown(picture).attributes["srcdoc"] or ""
    assert page.startswith("<!doctype html>")
    assert "around &lt;0&gt;" in page
