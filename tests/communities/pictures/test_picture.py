"""Pictures: the right nodes and edges, places that fit, one file that needs no other and trusts no name."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from nearhop import GraphStore
from nearhop.ann import CommunitySearch, approximate_pagerank, detect, flow_diffusion
from nearhop.communities.pictures import layout as picture_layout
from nearhop.communities.pictures.canvas import MEMBER, OUTSIDE, SEED
from nearhop.communities.pictures.picture import Picture
from nearhop.graphlib.errors import InvalidInput
from nearhop.tests.support import needs

NAMES = np.array(
    [f"club {i:02d}" for i in range(58)] + ["<script>alert(1)</script>", 'a "quoted" & very long name of a club']
)


def clubs():
    """Three dense groups of twenty, few links between."""
    rng = np.random.default_rng(0)
    left, right = np.triu_indices(60, 1)
    kept = rng.random(len(left)) < np.where(left // 20 == right // 20, 0.5, 0.02)
    store = GraphStore.from_edges(left[kept], right[kept], num_nodes=60)
    store.set_ids(NAMES)
    return store


def of_cluster():
    store = clubs()
    found = flow_diffusion(store, [45, 50], 600)
    return store, found, Picture.of_cluster(store, [45, 50], found, title="Clubs & <friends>")


class Tags(HTMLParser):
    """Counts elements, collects text, and notes whatever a page would load from elsewhere."""

    def __init__(self):
        super().__init__()
        self.count, self.said, self.loads, self.open = {}, [], [], []

    def handle_starttag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1
        self.loads += [v for k, v in attrs if k in ("src", "href", "xlink:href")]
        if tag not in ("meta", "circle", "line", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag  # every element is closed in order

    def handle_data(self, data):
        self.said.append(data)


def test_scores_are_called_what_they_are():
    """A flow of mass 1 is no PageRank."""
    light = GraphStore.from_edges([0, 0, 1, 2, 3, 3, 4], [1, 2, 2, 3, 4, 5, 5], weight=np.full(7, 0.1, np.float32))
    flow = flow_diffusion(light, [0], 1.0)
    assert flow.mass == 1.0
    assert Picture.of_cluster(light, [0], flow).score_name == "potential"
    ranked = approximate_pagerank(light, [0])
    assert Picture.of_cluster(light, [0], ranked).score_name == "PageRank / degree"


def test_a_cluster_shows_its_members_seeds_and_surroundings():
    store, found, picture = of_cluster()
    kind = dict(zip(picture.names, picture.kind.tolist(), strict=True))
    assert {name for name, k in kind.items() if k == SEED} == {NAMES[45], NAMES[50]}
    members = set(NAMES[found.sweep_nodes]) - {NAMES[45], NAMES[50]}
    assert {name for name, k in kind.items() if k == MEMBER} == members
    place = {name: i for i, name in enumerate(NAMES)}
    rows = store.csr()
    for name, k in kind.items():
        if k == OUTSIDE:
            assert set(rows.neighbors(place[name])) & set(found.sweep_nodes.tolist())
    position = [place[name] for name in picture.names]
    drawn = {tuple(sorted((position[s], position[d]))) for s, d in zip(picture.src, picture.dst, strict=True)}
    inside = [v for v in position if kind[NAMES[v]] != OUTSIDE]
    expected = {tuple(sorted((v, int(w)))) for v in inside for w in rows.neighbors(v) if int(w) in position}
    assert drawn == expected  # also edges between members and outside, none among the outside
    score = dict(zip(found.nodes.tolist(), found.values, strict=True))
    for v, name, told, shade in zip(position, picture.names, picture.scores, picture.shade, strict=True):
        if kind[name] == OUTSIDE:
            assert np.isnan(told)
        else:
            assert told == score[v]
        assert 0 <= shade <= 1
    ranked = [i for i in np.argsort(-picture.scores, kind="stable") if picture.kind[i] == MEMBER]
    assert (np.diff(picture.shade[ranked]) <= 0).all()


@pytest.mark.parametrize("count", [1, 2, 3, 60])
def test_places_lie_on_the_canvas_and_circles_do_not_overlap(count):
    rng = np.random.default_rng(1)
    src, dst = rng.integers(0, count, (2, 3 * count))
    radius = rng.uniform(4, 14, count)
    at = picture_layout.fit(picture_layout.place(count, src, dst, np.ones(len(src))), radius, 1000, 720, 46)
    again = picture_layout.fit(picture_layout.place(count, src, dst, np.ones(len(src))), radius, 1000, 720, 46)
    assert at.tobytes() == again.tobytes()
    assert np.isfinite(at).all()
    assert (at >= 46).all()
    assert (at <= [954, 674]).all()
    apart = np.sqrt(((at[:, None] - at[None]) ** 2).sum(axis=2)) + np.eye(count) * 1e9
    assert (apart > radius[:, None] + radius[None] - 1).all()


def test_groups_stand_apart():
    store = clubs()
    edges = store.edge_list()
    at = picture_layout.place(60, edges.src, edges.dst, np.ones(len(edges)))
    group = np.arange(60) // 20
    centre = np.array([at[group == g].mean(axis=0) for g in range(3)])
    spread = max(np.sqrt(((at[group == g] - centre[g]) ** 2).sum(axis=1)).mean() for g in range(3))
    between = min(np.sqrt(((centre[a] - centre[b]) ** 2).sum()) for a, b in ((0, 1), (0, 2), (1, 2)))
    assert between > 2 * spread


def boxes_of(labels, texts, bold):
    boxes = {}
    for node, (x, y, anchor) in labels.items():
        wide = len(texts[node]) * (8.2 if bold[node] else 6.6)
        left = x - {"start": 0, "end": wide, "middle": wide / 2}[anchor]
        boxes[node] = (left, y - 11, left + wide, y + 4)
    return boxes


def crossing(box, other):
    return box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]


def test_labels_cover_neither_each_other_nor_circles():
    """A crowd in which few labels find a place; the last node must have one all the same."""
    at = np.column_stack([x.ravel() for x in np.meshgrid(np.arange(8) * 34.0, np.arange(8) * 19.0)]) + 300
    texts, always = [f"name {i:02d}" for i in range(64)], np.arange(64) == 27
    places = picture_layout.label_places(
        at, np.full(64, 5.0), texts, np.r_[np.delete(np.arange(64), 27), 27], most=40, always=always, limits=(1000, 720)
    )
    assert 27 in places
    assert 8 < len(places) < 40
    boxes = boxes_of(places, texts, always)
    for node, box in boxes.items():
        if node == 27:
            continue
        assert not any(crossing(box, other) for mate, other in boxes.items() if mate not in (node, 27))
        inside = (at[:, 0] > box[0]) & (at[:, 0] < box[2]) & (at[:, 1] > box[1]) & (at[:, 1] < box[3])
        assert not inside.any()


def test_every_seed_has_its_label():
    _, _, picture = of_cluster()
    assert set(np.flatnonzero(picture.kind == SEED).tolist()) <= set(picture.labels())


def test_a_search_links_the_most_similar():
    store = clubs()
    search = CommunitySearch(store)
    found = search.search(NAMES[[45, 50]], 15)
    picture = Picture.of_search(search, NAMES[[45, 50]].tolist(), found)
    assert picture.names == [*NAMES[[45, 50]], *found.ids.tolist()]
    assert picture.kind.tolist() == [SEED] * 2 + [MEMBER] * 15
    assert picture.scores[2:].tolist() == found.scores.astype(float).tolist()
    rows = store.lookup(np.array(picture.names))
    similar = search.index.minhash.similarity(search.index.signatures[rows])
    np.fill_diagonal(similar, 0)
    linked = {frozenset(pair) for pair in zip(picture.src.tolist(), picture.dst.tolist(), strict=True)}
    for node in range(17):
        assert frozenset((node, int(np.argmax(similar[node])))) in linked


@pytest.mark.parametrize("method", ["flow", "pagerank"])
def test_the_page_is_one_sound_file(method, tmp_path):
    store = clubs()
    seeds = [45, 58]  # one of them is named like a script
    found = flow_diffusion(store, seeds, 600) if method == "flow" else approximate_pagerank(store, seeds)
    picture = Picture.of_cluster(store, seeds, found, title="Clubs & <friends>")
    text = picture.save(tmp_path / "a.html").read_text(encoding="utf-8")
    page = Tags()
    page.feed(text)
    assert page.open == []
    assert page.loads == []
    assert not re.search(r"url\(|@import|https?://", text)
    assert page.count["script"] == 1  # ours; the name is text
    said = "".join(page.said)
    assert "<script>alert(1)</script>" in said
    assert "Clubs & <friends>" in said
    rings = int((picture.kind == SEED).sum())
    assert page.count["circle"] == len(picture.names) + rings
    assert page.count["line"] == len(picture.src)
    assert page.count["tr"] == 1 + int((picture.kind != OUTSIDE).sum())
    assert [p.name for p in tmp_path.iterdir()] == ["a.html"]


def test_a_partition_has_a_colour_per_community(tmp_path):
    store = clubs()
    pytest.importorskip("sknetwork")
    found = detect(store, library="sknetwork")
    picture = Picture.of_partition(store, found)
    label = dict(zip(NAMES.tolist(), found.labels.tolist(), strict=True))
    assert [label[name] for name in picture.names] == picture.group.tolist()
    assert len(picture.groups) == len(found.sizes) == 3
    text = picture.save(tmp_path / "a.html").read_text(encoding="utf-8")
    assert text.count('class="group"') == 60


@needs("matplotlib")
def test_png_has_the_seeds_colour(tmp_path):
    from matplotlib.image import imread

    _, _, picture = of_cluster()
    image = imread(picture.save(tmp_path / "a.png"))
    assert image.shape[0] > 1000
    seed = np.array([0xE8, 0x59, 0x0C]) / 255
    assert (np.abs(image[..., :3] - seed).max(axis=2) < 0.02).sum() > 1000


def test_large_communities_are_thinned_and_said_so():
    left, right = np.triu_indices(330, 1)
    kept = np.random.default_rng(0).random(len(left)) < 0.2
    store = GraphStore.from_edges(left[kept], right[kept], num_nodes=400)
    found = approximate_pagerank(store, 0, rho=1e-7)
    picture = Picture.of_cluster(store, [0], found, support=True)
    assert len(found) > 250
    assert int((picture.kind != OUTSIDE).sum()) == 220
    assert "(220 shown)" in picture.facts["members"]
    assert len(picture.src) <= 2400


def test_refused_names(tmp_path):
    _, _, picture = of_cluster()
    with pytest.raises(InvalidInput, match=r"\.html or \.png; got 'a\.pdf'"):
        picture.save("a.pdf")
    with pytest.raises(OSError, match="no"):
        picture.save(tmp_path / "nowhere" / "a.html")
