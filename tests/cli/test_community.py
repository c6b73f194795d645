"""nearhop community search, detect, local: answers, pictures, saved columns, and refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest

import nearhop
from nearhop.ann import community_quality, flow_diffusion
from nearhop.cli import main


@pytest.fixture
def call(capsys, tmp_path, monkeypatch):
    """A store of two groups of named friends in an empty folder; runs a command: (exit code, output, errors)."""
    rng = np.random.default_rng(0)
    left, right = np.triu_indices(40, 1)
    kept = rng.random(len(left)) < np.where(left // 20 == right // 20, 0.5, 0.03)
    store = nearhop.GraphStore.from_edges(left[kept], right[kept], num_nodes=41)
    store.set_ids(np.array([f"p{i:02d}" for i in range(41)]))
    store.nodes["group"] = np.arange(41) // 20
    store.save(tmp_path / "friends.nh")
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["community", *map(str, words)])
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return run


def told(call, *words):
    code, out, err = call(*words, "--json")
    assert code == 0, err
    return json.loads(out)


def test_search(call, tmp_path):
    found = told(call, "search", "friends.nh", "p03,p07", "--size", 15, "--picture", "a.html", "--out", "x.csv")
    assert found["found"] == 15
    assert np.mean([int(name[1:]) < 20 for name in found["ids"]]) > 0.9
    assert found["pictures"] == ["a.html"]
    assert ">p03</text>" in (tmp_path / "a.html").read_text(encoding="utf-8")
    store = nearhop.open(tmp_path / "friends.nh")
    members = store.lookup(np.array(["p03", "p07", *found["ids"]]))
    assert found["conductance"] == pytest.approx(community_quality(store, members).conductance, abs=1e-6)
    code, out, _ = call("search", "friends.nh", "p03", "--method", "minrank", "--size", 10)
    assert code == 0
    assert out.splitlines()[0].replace('"', "") == "id,score"
    assert len(out.splitlines()) == 11


def test_search_with_a_kept_index(call, tmp_path):
    first = told(call, "search", "friends.nh", "p03,p07", "--index", "friends.lsh")
    assert (tmp_path / "friends.lsh").is_dir()
    again = told(call, "search", "friends.nh", "p03,p07", "--index", "friends.lsh")
    assert (again["ids"], again["scores"]) == (first["ids"], first["scores"])
    code, _, err = call("search", "friends.nh", "p03", "--index", "friends.nh")
    assert code != 0
    assert "no LSH index" in err
    assert (
        told(call, "search", "friends.nh", "p03,p07", "--index", "friends.lsh", "--bands", "64")["ids"] == again["ids"]
    )
    for option, made in (("--num-perm", 128), ("--bands", 64), ("--seed", 1)):
        code, _, err = call("search", "friends.nh", "p03", "--index", "friends.lsh", option, "32")
        assert code != 0
        assert f"was made with {option} {made}, and 32 is asked for" in " ".join(err.split())


def test_detect(call, tmp_path):
    pytest.importorskip("sknetwork")
    words = "--library", "sknetwork", "--labels", "group", "--save-as", "found", "--picture", "b.html"
    found = told(call, "detect", "friends.nh", *words)
    assert found["nmi"] > 0.8
    assert sum(found["sizes"]) == 41
    store = nearhop.open(tmp_path / "friends.nh")
    assert np.bincount(store.nodes["found"]).tolist() == found["sizes"]
    assert (tmp_path / "b.html").stat().st_size > 5000
    code, out, _ = call("detect", "friends.nh", "--library", "sknetwork")
    assert code == 0
    assert "modularity" in out


def test_local(call, tmp_path):
    pytest.importorskip("matplotlib")
    found = told(
        call, "local", "friends.nh", "--seeds", "p03", "--mass", 250, "--picture", "c.html", "--picture", "c.png"
    )
    store = nearhop.open(tmp_path / "friends.nh")
    same = flow_diffusion(store, 3, 250.0)
    assert found["nodes"] == store.ids()[same.sweep_nodes].tolist()
    assert found["touched_nodes"] == same.touched_nodes
    assert found["pictures"] == ["c.html", "c.png"]
    assert (tmp_path / "c.png").read_bytes()[:4] == b"\x89PNG"
    walked = told(call, "local", "friends.nh", "--seeds", "p03,p05", "--method", "pagerank", "--rho", 1e-4)
    assert {"p03", "p05"} <= set(walked["nodes"])
    code, out, _ = call("local", "friends.nh", "--seeds", "p03", "--show", 3)
    assert code == 0
    assert "seed" in out
    assert "more" in out


def test_edge_types_are_named_by_three_words(call):
    kind = "node,edge,node"
    plain, named = (
        told(call, "local", "friends.nh", "--seeds", "p03", *extra) for extra in ((), ("--edge-type", kind))
    )
    assert named["nodes"] == plain["nodes"]
    found = told(call, "search", "friends.nh", "p03", "--edge-type", kind, "--out", "x.csv")
    assert found["ids"] == told(call, "search", "friends.nh", "p03", "--out", "x.csv")["ids"]
    code, _, err = call("detect", "friends.nh", "--edge-type", "node,edge")
    assert code != 0
    assert "source,name,destination" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("search", "friends.nh", "nobody"), "nobody"),
        (("search", "friends.nh", "p40"), "no seed has a neighbour"),
        (("search", "friends.nh", "p01", "--picture", "a.pdf"), "'a.pdf'"),
        (("search", "friends.nh", "p01", "--picture", "nowhere/a.html"), "no folder nowhere"),
        (("detect", "friends.nh", "--method", "walktrap"), "method must be one of"),
        (("local", "friends.nh", "--seeds", "p40"), "isolated"),
        (("local", "friends.nh", "--seeds", "p01", "--mass", 50, "--target-volume", 3), "not both"),
        (("local", "friends.nh", "--seeds", "p01", "--labels", "group", "--epsilon", 2), r"epsilon must be in [0, 1]"),
        (("local", "friends.nh", "--seeds", "p01", "--labels", "nothing"), "nothing"),
    ],
)
def test_bad_input_is_named(call, words, message):
    code, _, err = call(*words)
    assert code != 0
    assert message in " ".join(err.split())
    assert "Traceback" not in err
