"""`nearhop index` on an index of colours: built, told, verified, searched; other commands say what it is."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nearhop.cli import main


def run(capsys, *words):
    with pytest.raises(SystemExit) as left:
        main([*map(str, words), "--json"])
    said = capsys.readouterr()
    return left.value.code, json.loads(said.out) if said.out else said.err


def test_an_index_of_colours_on_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    points = np.random.default_rng(0).normal(size=(40, 60, 16)).astype(np.float32)
    np.save("v.npy", points.reshape(-1, 16)), np.save("image.npy", np.repeat(np.arange(40) + 7, 60))
    np.save("q.npy", points[3, :20])
    code, told = run(capsys, "index", "build", "v.npy", "--kind", "cann", "--ids", "image.npy", "--set", "radius=0.6",
                     "--out", "c.nh")  # fmt: skip
    assert (code, told["rows"], told["dim"]) == (0, 40, 16)
    code, told = run(capsys, "index", "info", "c.nh")
    assert (code, told["kind"], told["num_points"], told["radius"]) == (0, "cann", 2400, 0.6)
    assert run(capsys, "index", "verify", "c.nh")[0] == 0
    code, told = run(capsys, "index", "search", "c.nh", "q.npy", "-k", 2)
    assert (code, told["colors"], told["scores"]) == (0, [10], [1.0])
    code, told = run(capsys, "index", "search", "c.nh", "q.npy", "-k", 2, "--out", "found.npz")
    assert np.load("found.npz")["ids"].tolist() == [[10, -1]]


@pytest.fixture
def images(tmp_path, capsys, monkeypatch):
    """An index of 30 images of 40 descriptors, in the working folder, and these."""
    monkeypatch.chdir(tmp_path)
    points = np.random.default_rng(1).normal(size=(40, 40, 16)).astype(np.float32)
    np.save("v.npy", points[:30].reshape(-1, 16)), np.save("image.npy", np.repeat(np.arange(30), 40))
    code, _ = run(capsys, "index", "build", "v.npy", "--kind", "cann", "--ids", "image.npy", "--set", "radius=4",
                  "--out", "c.nh")  # fmt: skip
    assert code == 0
    return points


def test_colours_are_added_and_removed_as_the_next_version(images, capsys):
    import nearhop
    from nearhop.ann import CANN

    with nearhop.open("c.nh") as store:
        store.nodes("color")["year"] = np.arange(30) + 1990
        store.nodes("node")["x"] = np.arange(1200) * 2
        store.add_node_type("place", 2)
        store.add_edge_type(("color", "at", "place"), [3, 29], [0, 1])
        store.attributes["mine"] = "kept"
        store.commit("beside the index")
    np.save("more.npy", images[3, 20:30] + np.float32(9)), np.save("old.npy", np.full(10, 3))
    code, said = run(capsys, "index", "add", "c.nh", "more.npy", "--ids", "old.npy")
    assert (code, "the points of c.nh have columns x; the source has not" in said) == (3, True)
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = {"v": list(np.load("more.npy")), "image": np.full(10, 3), "x": np.arange(10) - 100}
    pq.write_table(pa.table(rows), "more.parquet")
    code, told = run(capsys, "index", "add", "c.nh", "more.parquet", "--column", "v", "--ids", "image")
    assert (code, told["added"], told["rows"]) == (0, 10, 30)
    pq.write_table(pa.table({**rows, "image": np.full(10, 99)}), "new.parquet")
    code, said = run(capsys, "index", "add", "c.nh", "new.parquet", "--column", "v", "--ids", "image")
    assert code == 3
    assert "the colours of c.nh have columns year, which new colours would lack" in said
    code, told = run(capsys, "index", "search", "c.nh", "more.npy", "-k", 1)
    assert (told["colors"], told["scores"]) == ([3], [1.0])
    code, told = run(capsys, "index", "remove", "c.nh", 3, 5)
    assert (code, told["removed"], told["rows"]) == (0, 2, 28)
    assert run(capsys, "index", "search", "c.nh", "more.npy", "-k", 1)[1]["colors"] == []
    with nearhop.open("c.nh") as store:
        assert store.nodes("color")["year"].tolist() == list(range(1990, 2020))
        assert store.nodes("node")["x"].tolist() == [*range(0, 2400, 2), *range(-100, -90)]
        assert store.edge_list(("color", "at", "place")).src.tolist() == [3, 29]
        assert store.attributes["mine"] == "kept"
        assert len(store.versions()) == 4
    code, said = run(capsys, "index", "remove", "c.nh", 7, "--compact")
    assert code == 3
    assert "join colour 3, which this change would give to another colour" in said
    code, told = run(capsys, "index", "remove", "c.nh", 7, "--compact", "--out", "small.nh")
    assert (code, told["rows"]) == (0, 27)
    with nearhop.open("small.nh") as store:
        left = [i for i in range(30) if i not in (3, 5, 7)]
        assert store.nodes("color")["year"].tolist() == [1990 + i for i in left]
        assert store.nodes("node")["x"].tolist() == [2 * p for i in left for p in range(40 * i, 40 * i + 40)]
    fresh = CANN(radius=4).add(list(images[left]), colors=left)
    kept = nearhop.ann.load("small.nh").search(images[left[0], :10], 5)
    assert kept.colors.tolist() == fresh.search(images[left[0], :10], 5).colors.tolist()
    code, said = run(capsys, "index", "remove", "c.nh", 1000)
    assert (code, "1000" in said) == (3, True)


def test_new_colours_without_ids(images, capsys):
    np.save("new.npy", images[35])
    code, told = run(capsys, "index", "add", "c.nh", "new.npy")
    assert (code, told["added"], told["rows"]) == (0, 40, 31)
    assert run(capsys, "index", "search", "c.nh", "new.npy", "-k", 1)[1]["colors"] == [30]


def test_sets_are_searched_compared_and_tuned(images, capsys):
    from nearhop.ann import load

    noise = np.random.default_rng(2).normal(scale=0.2, size=(3, 20, 16)).astype(np.float32)
    asked = images[[4, 8, 15], :20] + noise
    np.save("q.npy", asked.reshape(-1, 16)), np.save("set.npy", np.repeat([40, 80, 15], 20))
    code, told = run(capsys, "index", "search", "c.nh", "q.npy", "--sets", "set.npy", "-k", 1)
    assert (code, told["colors"], told["sets"], told["vectors"]) == (0, [[4], [8], [15]], 3, 60)
    with pytest.raises(SystemExit):
        main(["index", "search", "c.nh", "q.npy", "--sets", "set.npy", "-k", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[:3] for line in lines[1:]] == [["40", "0", "4"], ["80", "0", "8"], ["15", "0", "15"]]
    code, told = run(capsys, "index", "eval", "c.nh", "q.npy", "--sets", "set.npy", "-k", 5, "--effort", "1,400")
    first, few, many = told["scores"]
    assert (code, first["search"], first["agreement"]) == (0, "exact", 1.0)
    assert (few["candidates"], many["candidates"]) == (1, 400)
    assert few["agreement"] < many["agreement"]
    index, truth = load("c.nh"), load("c.nh").search(list(asked), 5, exact=True).colors
    for score in (few, many):
        found = index.search(list(asked), 5, candidates=score["candidates"]).colors
        hits = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(found.tolist(), truth.tolist(), strict=True)])
        assert score["agreement"] == pytest.approx(hits)
        assert score["sets_per_second"] > 0
    with open("answers.csv", "w") as out:
        out.write("set,color\n40,4\n80,8\n15,15\n")
    words = ("index", "tune", "c.nh", "q.npy", "--sets", "set.npy", "--answers", "answers.csv")
    code, told = run(capsys, *words)
    assert (code, told["precision"], told["sets"]) == (0, 1.0, 3)
    tuned = load("c.nh")
    assert (tuned.radius, tuned.shape) == (told["radius"], told["shape"])
    assert tuned.radius != 4
    code, said = run(capsys, *words, "--leave-out-own")
    assert (code, "15" in said) == (3, True)  # the only answer of set 15 is itself
    for text, what in (
        ("set,color\n40,4\n80,8\n", "set '15' has no right colour"),
        ("set,color\n40,4\n9,8\n", "row 1 names set '9', which --sets does not have"),
        ("set,color,n\n40,4,1\n", "answers are two columns"),
        ("set,color\n40,\n80,8\n", "row 0 has no colour"),
    ):
        with open("answers.csv", "w") as out:
            out.write(text)
        code, said = run(capsys, *words)
        assert (code, what in said) == (3, True)
    assert load("c.nh").radius == tuned.radius


def test_options_of_colours_are_for_colours(images, capsys):
    np.save("one.npy", images[0])
    assert run(capsys, "index", "build", "one.npy", "--kind", "exact", "--out", "e.nh")[0] == 0
    for words, option in (
        (("search", "e.nh", "one.npy", "--sets", "image.npy"), "--sets"),
        (("eval", "e.nh", "one.npy", "--sets", "image.npy"), "--sets"),
        (("tune", "e.nh", "one.npy", "--answers", "image.npy"), "--answers"),
        (("tune", "e.nh", "one.npy", "--leave-out-own"), "--leave-out-own"),
    ):
        code, said = run(capsys, "index", *words)
        assert (code, f"{option} is for an index of colours" in said) == (3, True)
    for words, what in (
        (("tune", "c.nh", "one.npy"), "tuned by query vectors, QUERIES, and their right colours, --answers"),
        (("eval", "c.nh", "one.npy", "--plot", "a.png"), "leave out --truth and --plot"),
        (("eval", "c.nh", "one.npy", "--effort", "x"), "--effort must be integers"),
        (("eval", "c.nh", "one.npy", "--sets", "gone.npy"), "gone.npy"),
        (("convert", "c.nh", "c.bin"), "index of colours"),
    ):
        code, said = run(capsys, "index", *words)
        assert (code, what in said) == (3, True), said


def test_signatures_are_told_and_verified(tmp_path, capsys, monkeypatch):
    from nearhop.ann import LSH

    monkeypatch.chdir(tmp_path)
    LSH().add([range(5), range(9)]).save("l.nh")
    code, told = run(capsys, "index", "info", "l.nh")
    assert (code, told["kind"], told["rows"], "candidates" in told) == (0, "lsh", 2, False)
    assert run(capsys, "index", "verify", "l.nh")[0] == 0
