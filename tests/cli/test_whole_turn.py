"""The whole turn from the command line: ingest, embed, index, append, embed again, index again, search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nearhop
from nearhop import ann

EDGE = ("node", "edge", "node")
EMBED = ("embed", "fastrp", "s.nh", "--dim", 16, "--weights", "1,1")
BUILD = ("index", "build", "s.nh", "--column", "fastrp", "--metric", "cosine", "-M", 4)
SEARCH = ("index", "search", "s.nh", "s.nh", "--column", "fastrp", "-k", 3)


def table(path: str, first: int, last: int, columns: str = "user,friend,ts,shop") -> None:
    rng = np.random.default_rng(first)
    names = np.array([f"u{i:02}" for i in range(first, last)])
    rows = [f"{a},{b},2024-01-{1 + i % 28:02},s{i % 3}" for i, (a, b) in enumerate(rng.choice(names, (200, 2)))]
    Path(path).write_text("\n".join([columns, *rows]) + "\n")


def test_the_whole_turn(told, run):
    table("may.csv", 0, 40)
    table("june.csv", 20, 60)
    told("ingest", "may.csv", "s.nh", "--time", "ts")
    told(*EMBED)
    told(*BUILD)
    before = told("info", "s.nh")
    assert list(before["edges"]) == ["node/edge/node"]
    assert before["indexes"]["hnsw"]["column"] == "fastrp"
    assert set(before["nodes"]["node"]["columns"]) == {"fastrp"}
    assert [v["edges"] for v in before["versions"]] == [200, 200, 200]
    added = told("append", "s.nh", "june.csv")
    assert (added["added_edges"], added["added_nodes"], added["nodes"], added["edges"]) == (200, 20, 60, 400)
    code, _, said = run(*SEARCH, "-k", 2)
    assert code == 3
    assert "was replaced" in said or "rows" in said
    told(*EMBED)
    code, _, said = run(*BUILD)
    assert code == 3
    assert "--replace" in said
    told(*BUILD, "--replace")
    found = told(*SEARCH)
    store = nearhop.open("s.nh")
    assert found["ids"][0][0] == store.ids()[0]
    alone = nearhop.GraphStore.from_edges(store.edge_list().src, store.edge_list().dst)
    expected = nearhop.embed.FastRP(16, (1, 1)).fit_transform(alone)
    np.testing.assert_array_equal(store.nodes["fastrp"], expected)
    assert store.num_edges == alone.num_edges == 400
    assert store.edges["shop"].tolist()[:3] == store.edges["shop"].tolist()[200:203] == ["s0", "s1", "s2"]
    assert store.attributes["time_unit"] == "us"
    assert told("info", "s.nh")["versions"][-1]["edges"] == 400
    code, said, _ = run("info", "s.nh")
    assert "60 nodes, 400 edges" in said
    assert "index hnsw: hnsw over fastrp, cosine" in said
    told("verify", "s.nh")


def test_an_index_is_replaced_with_all_its_parts(told):
    table("may.csv", 0, 40)
    told("ingest", "may.csv", "s.nh")
    told(*EMBED)
    told(*BUILD, "--storage", "int8", "-M", 2)
    high = nearhop.open("s.nh").indexes["hnsw"]
    assert len(high.links) > 1
    told(*BUILD, "--replace", "-M", 64)
    low = nearhop.open("s.nh").indexes["hnsw"]
    assert len(low.links) < len(high.links)
    told(*SEARCH)
    assert nearhop.open("s.nh").verify().version == 4


def test_an_index_elsewhere_is_replaced(told, run):
    rng = np.random.default_rng(0)
    np.save("a.npy", rng.random((300, 8), np.float32))
    np.save("b.npy", rng.random((50, 6), np.float32))
    told("index", "build", "a.npy", "--out", "i.nh", "-M", 4, "--storage", "int8")
    assert run("index", "build", "b.npy", "--out", "i.nh")[0] == 3
    told("index", "build", "b.npy", "--out", "i.nh", "--replace", "--metric", "cosine")
    assert (len(ann.load("i.nh")), ann.load("i.nh").dim) == (50, 6)
    told("index", "build", "a.npy", "--out", "i.faiss")
    told("index", "build", "b.npy", "--out", "i.faiss", "--replace")
    assert len(ann.load("i.faiss")) == 50
    Path("notes.txt").write_text("not an index")
    table("may.csv", 0, 40)
    told("ingest", "may.csv", "s.nh")
    for taken in ("notes.txt", "s.nh"):
        assert run("index", "build", "a.npy", "--out", taken, "--replace")[0] == 3
    assert Path("notes.txt").read_text() == "not an index"


def test_drop(told, run):
    table("may.csv", 0, 40)
    told("ingest", "may.csv", "s.nh")
    told(*EMBED)
    told(*BUILD)
    store = nearhop.open("s.nh")
    store.add_edge_type(("node", "knn", "node"), [0, 1], [1, 2], positions=True)
    store.commit()
    code, _, said = run("drop", "s.nh", "--column", "fastrp")
    assert code == 3
    assert "index 'hnsw' was made from" in said
    dropped = told(
        "drop", "s.nh", "--index", "hnsw", "--column", "fastrp", "--edge-type", "node,knn,node",
        "--edge-column", "shop", "--of", "node,edge,node",
    )  # fmt: skip
    assert dropped["dropped"] == ["hnsw", "node,knn,node", "fastrp", "shop"]
    store = nearhop.open("s.nh")
    assert (list(store.nodes), list(store.edges), store.edge_types) == ([], ["ts"], (EDGE,))
    assert "indexes" not in store.attributes
    assert nearhop.open("s.nh", version=3).indexes["hnsw"].column == "fastrp"
    for words in (["--index", "hnsw"], ["--column", "x"], ["--edge-type", "a,b,c"], []):
        assert run("drop", "s.nh", *words)[0] == 3
    assert nearhop.open("s.nh").version == dropped["version"]


@pytest.mark.parametrize("bipartite", [False, True])
def test_append_reads_ids_as_the_store_has_them(told, run, bipartite):
    for name, rows in (("a.csv", "1,2,3\n2,7,1\n"), ("b.csv", "7,9,2\n")):
        Path(name).write_text("user,item,stars\n" + rows)
    told("ingest", "a.csv", "s.nh", "--weight", "stars", *(["--bipartite"] if bipartite else []))
    added = told("append", "s.nh", "b.csv")
    store = nearhop.open("s.nh")
    names = store.ids()[np.stack([store.edge_list().src, store.edge_list().dst])].tolist()
    ends: list[list[object]] = [[1, 2, 7], [2, 7, 9]]
    if bipartite:
        ends = [[f"user:{i}" for i in ends[0]], [f"item:{i}" for i in ends[1]]]
        assert store.nodes["side"].tolist() == ["user", "user", "item", "item", "item", "user"]
    assert names == ends
    assert store.edge_list().weight.tolist() == [3, 1, 2]
    assert added["added_nodes"] == (2 if bipartite else 1)
    Path("c.csv").write_text("user,item\n1,2\n")
    code, _, said = run("append", "s.nh", "c.csv")
    assert code == 3
    assert "stars" in said
    assert nearhop.open("s.nh").version == 2


def test_append_to_positions_and_padding(told):
    np.savez("a.npz", src=[0, 1], dst=[1, 2])
    Path("a.csv").write_text("src,dst\n0,1\n1,2\n")
    Path("b.csv").write_text("src,dst\n2,4\n")
    told("ingest", "a.csv", "s.nh")
    store = nearhop.open("s.nh")
    store.nodes["x"] = np.ones(3, np.float32)
    store.commit()
    assert told("append", "s.nh", "b.csv", "--pad")["added_nodes"] == 2
    assert nearhop.open("s.nh").nodes["x"].tolist() == [1, 1, 1, 0, 0]
