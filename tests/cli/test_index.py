"""nearhop index: the same commands on nearhop, hnswlib and FAISS files."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

import nearhop
from nearhop import ann
from nearhop.ann.formats import write_faiss, write_hnswlib
from nearhop.cli.index import curves
from nearhop.graphlib.disk import files as disk_files
from nearhop.graphlib.vector_files import write_vecs
from nearhop.tests.support import needs

NAMES = ("own.nh", "theirs.bin", "other.faiss")


def rows_of(count, dim=8, seed=0):
    return np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with vectors and the three kinds of index over them, with ids from 1000."""
    made = tmp_path_factory.mktemp("made")
    vectors = rows_of(600)
    np.save(made / "v.npy", vectors)
    np.save(made / "ids.npy", np.arange(600) + 1000)
    index = ann.HNSW(M=6, ef_construction=60).add(vectors, ids=np.arange(600) + 1000)
    index.save(made / "own.nh")
    write_hnswlib(index, made / "theirs.bin")
    write_faiss(index, made / "other.faiss")
    return made


@pytest.fixture
def here(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return tmp_path


def metric_for(name):
    return ("--metric", "l2") if name.endswith(".bin") else ()


@pytest.mark.parametrize("name", NAMES)
def test_every_command_takes_every_format(name, told, here):
    more = metric_for(name)
    truth = ann.Exact().add(np.load("v.npy"), np.load("ids.npy")).search(np.load("v.npy"), 3)
    found = told("index", "search", name, "v.npy", "-k", 3, "--ef-search", 200, *more)
    assert found["ids"] == truth.ids.tolist()
    shown = told("index", "info", name, *more)
    assert (shown["rows"], shown["dim"], shown["deleted"], shown["M"], shown["metric"]) == (600, 8, 0, 6, "l2")
    assert shown["format"] == {"own.nh": "nearhop", "theirs.bin": "hnswlib", "other.faiss": "faiss"}[name]
    assert shown["file_bytes"] > 600 * 8 * 4
    sound = told("index", "verify", name)
    assert (sound["sound"], sound["unreachable"], sound["rows"]) == (True, 0, 600)
    scores = told("index", "eval", name, "v.npy", "-k", 5, "--ef-search", "5,300", "--limit", 100, *more)["scores"]
    assert [s["ef_search"] for s in scores] == [None, 5, 300]
    assert 0.5 < scores[1]["recall"] <= scores[2]["recall"] == 1
    tuned = told("index", "tune", name, "v.npy", "-k", 5, "--recall", 0.9, "--limit", 100, *more)
    assert tuned["reached"]
    assert tuned["recall"] >= 0.9
    assert tuned["ef_search"] < 300
    assert all(t["recall"] < 0.9 for t in tuned["tried"] if t["ef_search"] < tuned["ef_search"])

    np.save("w.npy", rows_of(30, seed=1))
    added = told("index", "add", name, "w.npy", *more)
    assert (added["added"], added["rows"]) == (30, 630)
    assert told("index", "search", name, "w.npy", "-k", 1, *more)["ids"] == [[i] for i in range(1600, 1630)]
    assert told("index", "remove", name, 1600, 1000, *more)["rows"] == 628
    assert told("index", "search", name, "w.npy", "-k", 1, *more)["ids"][0] != [1600]
    dead = 0 if name == "other.faiss" else 2
    assert told("index", "info", name, *more)["deleted"] == dead
    told("index", "remove", name, "--compact", *more)
    assert told("index", "info", name, *more)["deleted"] == 0
    np.save("gone.npy", np.arange(1001, 1011))
    assert told("index", "remove", name, "--ids", "gone.npy", "--out", f"less{Path(name).suffix}", *more)["rows"] == 618
    assert told("index", "info", name, *more)["rows"] == 628
    assert not [p.name for p in here.iterdir() if p.name.endswith((".part", ".old"))]


@pytest.mark.parametrize("source", NAMES)
@pytest.mark.parametrize("target", ["new.nh", "new.bin", "new.faiss"])
def test_convert_keeps_graph_ids_and_answers(source, target, told, here):
    made = told("index", "convert", source, target, *metric_for(source))
    assert (made["rows"], made["kind"], made["metric"]) == (600, "hnsw", "l2")
    old, new = ann.load(source, metric="l2"), ann.load(target, metric="l2")
    a, b = old.search(rows_of(20, seed=2), 5, ef_search=20), new.search(rows_of(20, seed=2), 5, ef_search=20)
    assert a.ids.tolist() == b.ids.tolist()
    exact = told("index", "convert", source, f"flat{Path(target).suffix}", "--kind", "exact", *metric_for(source))
    assert (exact["kind"], exact["rows"]) == ("exact", 600)
    assert ann.load(f"flat{Path(target).suffix}", metric="l2").search(np.load("v.npy")[3], 1).ids.tolist() == [[1003]]


def test_deleted_rows_are_dropped_where_they_cannot_be_marked(run, told, here):
    told("index", "remove", "own.nh", 1000, 1001)
    code, _, err = run("index", "convert", "own.nh", "a.faiss")
    assert code == 0
    assert "note: FAISS cannot mark deleted rows: 2 are dropped" in err
    assert told("index", "info", "a.faiss")["rows"] == 598
    told("index", "convert", "own.nh", "a.bin")
    assert told("index", "info", "a.bin", "--metric", "l2")["deleted"] == 2


def test_an_hnswlib_file_tells_what_it_knows_without_a_metric(told, here):
    shown = told("index", "info", "theirs.bin")
    assert (shown["rows"], shown["dim"], shown["M"], shown["ef_construction"], shown["metric"]) == (600, 8, 6, 60, None)


@pytest.mark.parametrize("ending", ["npy", "fvecs", "hdf5", "parquet", "csv"])
def test_vectors_from_every_kind_of_file(ending, told, run, tmp_path):
    vectors = rows_of(120)
    name = f"v.{ending}"
    if ending == "npy":
        np.save(name, vectors)
    elif ending == "fvecs":
        write_vecs(name, vectors)
    elif ending == "hdf5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(name, "w") as file:
            file["train"], file["test"], file["other"] = vectors, vectors[:7], vectors[:9]
            file.attrs["distance"] = "angular"
    elif ending == "parquet":
        parquet.write_table(pa.table({f"c{i}": vectors[:, i] for i in range(8)}), name)
    else:
        np.savetxt(name, vectors, delimiter=",")
    built = told("index", "build", name, "--out", "i.nh", "--kind", "exact")
    assert (built["rows"], built["dim"]) == (120, 8)
    assert built["metric"] == ("cosine" if ending == "hdf5" else "l2")
    found = told("index", "search", "i.nh", name, "-k", 1)["ids"]
    assert [row[0] for row in found] == list(range(7 if ending == "hdf5" else 120))
    if ending == "hdf5":
        assert len(told("index", "search", "i.nh", name, "-k", 1, "--column", "other")["ids"]) == 9
        code, _, err = run("index", "search", "i.nh", name, "--column", "none")
        assert (code, "datasets: other, test, train" in err) == (3, True)


@pytest.mark.parametrize("ending", ["ivecs", "npy", "hdf5"])
def test_truth_from_a_file(ending, told, run, here):
    queries = rows_of(40, seed=3)
    np.save("q.npy", queries)
    truth = ann.Exact().add(np.load("v.npy"), np.load("ids.npy")).search(queries, 10).ids
    truth[:, 9] = -5  # one of ten is wrong: recall of an exact search is then 0.9
    if ending == "hdf5":
        h5py = pytest.importorskip("h5py")
        with h5py.File("t.hdf5", "w") as file:
            file["neighbors"] = truth
    elif ending == "npy":
        np.save("t.npy", truth)
    else:
        write_vecs("t.ivecs", truth)
    words = ("index", "eval", "other.faiss", "q.npy", "--truth", f"t.{ending}", "--effort", "600")
    scores = told(*words, "--limit", 20)["scores"]
    assert [s["recall"] for s in scores] == [pytest.approx(0.9)]
    assert told(*words, "-k", 9)["scores"][0]["recall"] == 1
    code, _, err = run(*words, "-k", 11)
    assert (code, "at least k = 11 columns" in err) == (3, True)


@needs("matplotlib")
def test_eval_and_bench_draw_and_print_curves(told, run, here):
    code, out, _ = run("index", "eval", "own.nh", "v.npy", "--limit", 50, "--ef-search", "10,40", "--plot", "c.png")
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [["exact", "-"], ["hnsw", "10"], ["hnsw", "40"]]
    assert Path("c.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    small = ("--nlist", 8, "-M", 4, "--effort", "4,8")
    told_ = told("index", "bench", "v.npy", "--kinds", "hnsw,ivf,exact", "--plot", "b.png", *small)
    assert list(told_["kinds"]) == ["hnsw", "ivf", "exact"]
    assert (told_["rows"], told_["queries"]) == (540, 60)
    assert told_["kinds"]["exact"]["scores"][0]["recall"] == 1
    last = told_["kinds"]["ivf"]["scores"][-1]
    assert (last["nprobe"], last["recall"]) == (8, 1)
    assert Path("b.png").stat().st_size > 5000
    code, out, _ = run("index", "bench", "v.npy", "--kinds", "ivf", "--nlist", 4)
    assert "build s" in out


def test_scalar_codes_and_vectors_from_standard_input(told, here, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path("v.npy").read_bytes())))
    told("index", "build", "-", "--out", "q.faiss", "--storage", "sq8", "--ids", "ids.npy", "--metric", "cosine")
    shown = told("index", "info", "q.faiss")
    assert (shown["class"], shown["storage"], shown["metric"], shown["rows"]) == (
        "IndexIDMap2 > IndexPreTransform > IndexHNSWSQ > IndexScalarQuantizer", "sq8", "cosine", 600,
    )  # fmt: skip
    assert told("index", "search", "q.faiss", "v.npy", "-k", 1)["ids"][5] == [1005]
    told("index", "remove", "q.faiss", 1005)
    assert told("index", "info", "q.faiss")["storage"] == "sq8"


def test_inverted_files(told, here):
    built = told("index", "build", "v.npy", "--kind", "ivf", "--nlist", 12, "--out", "i.faiss", "--ids", "ids.npy")
    assert built["rows"] == 600
    shown = told("index", "info", "i.faiss")
    assert (shown["class"], shown["nlist"], shown["nprobe"]) == ("IndexIVFFlat", 12, 8)
    scores = told("index", "eval", "i.faiss", "v.npy", "--nprobe", "1,12", "--limit", 80)["scores"]
    assert scores[-1]["recall"] == 1 > scores[1]["recall"]
    tuned = told("index", "tune", "i.faiss", "v.npy", "--recall", 1, "--limit", 80)
    assert tuned["reached"]
    assert tuned["nprobe"] <= 12
    told("index", "convert", "i.faiss", "i.nh")
    assert told("index", "verify", "i.nh")["checksums"] == "checked"
    assert told("index", "add", "i.nh", "v.npy")["rows"] == 1200


@needs("faiss")
def test_other_faiss_indexes_go_through_faiss(told, run, here):
    built = told(
        "index", "build", "v.npy", "--kind", "faiss:IVF4,PQ4x4", "--threads", 1, "--out", "p.faiss", "--ids", "ids.npy"
    )
    assert built["rows"] == 600
    shown = told("index", "info", "p.faiss")
    assert (shown["kind"], shown["rows"], shown["metric"], shown["dim"]) == ("faiss", 600, "l2", 8)
    scores = told("index", "eval", "p.faiss", "v.npy", "--nprobe", "4", "--limit", 50)["scores"]
    assert scores[-1]["recall"] > 0.1
    assert told("index", "remove", "p.faiss", 1000)["rows"] == 599
    code, _, err = run("index", "convert", "p.faiss", "p.nh")
    assert (code, "its vectors become an exact index" in err) == (0, True)
    assert told("index", "info", "p.nh")["rows"] == 599


def test_attributes_and_ids_of_a_table_are_carried_along(told, run, tmp_path):
    vectors = rows_of(50)
    table = {
        "v": list(vectors),
        "id": np.arange(50) * 2,
        "year": np.arange(50) + 1970,
        "name": [f"n{i}" for i in range(50)],
    }
    parquet.write_table(pa.table({k: pa.array(v) for k, v in table.items()}), "t.parquet")
    assert told("index", "build", "t.parquet", "--ids", "id", "--out", "i.nh")["rows"] == 50
    assert told("index", "info", "i.nh")["attributes"] == "name, year"
    found = told("index", "search", "i.nh", "t.parquet", "-k", 1, "--show", "name,year")
    assert found["ids"] == [[2 * i] for i in range(50)]
    assert found["name"] == [[f"n{i}"] for i in range(50)]
    only = told("index", "search", "i.nh", "t.parquet", "--column", "v", "-k", 50, "--where", "year >= 2017")
    assert {i for row in only["ids"] for i in row} == {94, 96, 98}
    told("index", "build", "t.parquet", "--ids", "id", "--kind", "ivf", "--nlist", 3, "--out", "ivf.nh")
    only = told("index", "search", "ivf.nh", "t.parquet", "--column", "v", "-k", 50, "--where", "year >= 2017")
    assert {i for row in only["ids"] for i in row} == {94, 96, 98}
    parquet.write_table(
        pa.table({"v": pa.array(list(rows_of(2, seed=5))), "id": [7, 9], "year": [1, 2], "name": ["x", "y"]}),
        "m.parquet",
    )
    told("index", "add", "i.nh", "m.parquet", "--ids", "id")
    told("index", "remove", "i.nh", 0, 2, "--compact")
    shown = told("index", "search", "i.nh", "m.parquet", "--column", "v", "-k", 1, "--show", "year")
    assert (shown["ids"], shown["year"]) == ([[7], [9]], [[1], [2]])
    assert told("index", "search", "i.nh", "t.parquet", "--column", "v", "-k", 1, "--show", "year")["year"][9] == [1979]
    told("index", "convert", "i.nh", "copy.nh")
    assert told("index", "info", "copy.nh")["attributes"] == "name, year"
    code, _, err = run("index", "convert", "i.nh", "i.faiss")
    assert (code, "faiss files hold no attributes; left out: name, year" in err) == (0, True)
    code, _, err = run("index", "search", "i.nh", "t.parquet", "--column", "w")
    assert (code, "has no column 'w'; columns: v, id, year, name" in err) == (3, True)
    two = pa.table({"a": pa.array(list(vectors)), "b": pa.array(list(vectors))})
    parquet.write_table(two, "two.parquet")
    code, _, err = run("index", "build", "two.parquet", "--out", "two.nh")
    assert (code, "vectors in columns a, b: choose one with --column" in err) == (3, True)
    np.save("v.npy", vectors)
    code, _, err = run("index", "add", "i.nh", "v.npy")
    assert (code, "have attributes name, year; the source has not" in err) == (3, True)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["search", "theirs.bin", "v.npy"], 3, "an hnswlib file does not say its metric"),
        (["search", "other.faiss", "v.npy", "--metric", "ip"], 3, "its metric is 'l2'"),
        (["search", "other.faiss", "thin.npy"], 3, "width 3 but the index has dim 8"),
        (["search", "other.faiss", "v.npy", "--where", "x > 1"], 3, "--where needs attributes"),
        (["search", "v.npy", "v.npy"], 3, "this is a NumPy array, not an index"),
        (["info", "page.faiss"], 3, "this is a web page"),
        (["info", "pointer.bin"], 3, "git lfs pull"),
        (["verify", "cut.faiss"], 4, "cut.faiss: "),
        (["verify", "cut.bin"], 4, "cut.bin: "),
        (["info", "none.faiss"], 3, "there is no index at none.faiss"),
        (["convert", "own.nh", "other.faiss"], 3, "exists already"),
        (["convert", "own.nh", "x.nh", "--format", "zip"], 3, "--format must be nearhop, hnswlib or faiss"),
        (["convert", "own.nh", "x.nh", "--kind", "ivf"], 3, "--kind must be exact"),
        (["remove", "own.nh"], 3, "name the ids to delete"),
        (["remove", "own.nh", "5"], 3, "id 5 is not in the index"),
        (["add", "own.nh", "thin.npy"], 3, "width 3"),
        (["add", "own.nh", "v.npy", "--ids", "ids.npy"], 3, "is in the index already"),
        (
            ["build", "v.npy", "--out", "x.nh", "--kind", "tree"], 3,
            "--kind must be hnsw, exact, ivf, neural, faiss:FACTORY or cann",
        ),
        (["build", "v.npy", "--out", "x.nh", "--ids", "thin.npy"], 3, "ids must be 600 integers"),
        (["build", "v.npy", "--out", "x.bin", "--kind", "ivf", "--nlist", "4"], 3, "hnswlib has no inverted files"),
        (["build", "v.npy", "--out", "x.nh", "--storage", "sq8"], 3, "storage must be one of"),
        (["build", "v.npy", "--out", "x.faiss", "--storage", "int8"], 3, "storage must be one of"),
        (["tune", "own.nh", "v.npy", "--recall", "1.5"], 3, "--recall must be in (0, 1]"),
        (["eval", "own.nh", "v.npy", "--effort", "a"], 3, "--effort must be integers"),
        (["eval", "own.nh", "v.npy", "--plot", "x.pdf"], 3, "--plot must end in .png"),
    ],
)  # fmt: skip
def test_mistakes_get_one_line_and_change_nothing(words, code, message, run, here):
    np.save("thin.npy", rows_of(4, dim=3))
    Path("page.faiss").write_text("<!DOCTYPE html><html></html>")
    Path("pointer.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    Path("cut.faiss").write_bytes(Path("other.faiss").read_bytes()[:9000])
    Path("cut.bin").write_bytes(Path("theirs.bin").read_bytes()[:9000])
    before = {p: p.read_bytes() for p in here.rglob("*") if p.is_file()}
    got, out, err = run("index", *words)
    assert got == code, err
    assert message in " ".join(err.split())
    assert (err.startswith("error: "), err.count("\n"), out) == (True, 1, "")
    assert {p: p.read_bytes() for p in here.rglob("*") if p.is_file() and p.name != "LOCK"} == before


def test_a_foreign_graph_is_walked_on_codes(told, run, here):
    told("index", "convert", "theirs.bin", "codes.nh", "--storage", "int8", "--metric", "l2")
    shown = told("index", "info", "codes.nh")
    assert (shown["storage"], shown["rows"], shown["M"]) == ("int8", 600, 6)
    scores = told("index", "eval", "codes.nh", "v.npy", "--ef-search", "100", "--limit", 100)["scores"]
    assert scores[-1]["recall"] > 0.97
    told("index", "convert", "codes.nh", "back.bin")
    assert told("index", "info", "back.bin")["rows"] == 600
    code, _, err = run("index", "convert", "theirs.bin", "x.nh", "--storage", "int3", "--metric", "l2")
    assert (code, "storage must be one of" in err) == (3, True)


@pytest.mark.parametrize("name", NAMES)
def test_an_interrupt_leaves_the_index_as_it_was(name, run, here, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    before = {p: p.read_bytes() for p in here.rglob("*") if p.is_file() and p.name != "LOCK"}
    monkeypatch.setattr("os.fsync", stopped)
    monkeypatch.setattr("nearhop.graphlib.disk.files.sync", stopped)
    code, _, err = run("index", "remove", name, 1005, *metric_for(name))
    assert (code, "interrupted" in err) == (130, True)
    assert {p: p.read_bytes() for p in here.rglob("*") if p.is_file() and p.name != "LOCK"} == before


def test_an_interrupted_change_leaves_the_index_as_it_was(run, here, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(disk_files, "publish", interrupted)
        assert run("index", "remove", "own.nh", 1000)[0] == 130
    assert len(ann.load(here / "own.nh")) == 600
    assert nearhop.open(here / "own.nh").version == 1
    assert run("index", "remove", "own.nh", 1000)[0] == 0


def test_a_change_is_a_version_and_all_else_stays(told, run, here):
    """What users keep in the store of an index, or beside it under the names of old temporaries, is theirs."""
    for name in ("own.nh.old", "own.nh.part"):
        (here / name).mkdir()
        (here / name / "mine.txt").write_text("keep")
    with nearhop.open("own.nh") as store:
        store.add_node_type("user", 3)
        store.nodes("user")["age"] = np.array([1, 2, 3])
        store.add_edge_type(("user", "likes", "node"), [0, 2], [5, 599], weight=[0.5, 2], positions=True)
        store.edges(("user", "likes", "node"))["when"] = np.array([7, 8])
        store.attributes = {**store.attributes, "owner": "me"}
        store.commit("mine")
    np.save("more.npy", rows_of(4, seed=9))
    assert told("index", "add", "own.nh", "more.npy")["rows"] == 604
    assert told("index", "remove", "own.nh", 1001)["rows"] == 603
    store = nearhop.open("own.nh")
    assert store.verify().version == store.version == 4
    assert [v.message for v in store.versions()][1:] == ["mine", "added 4", "removed 1"]
    assert store.attributes["owner"] == "me"
    likes = store.edge_list(("user", "likes", "node"))
    assert (likes.src.tolist(), likes.dst.tolist(), likes.weight.tolist()) == ([0, 2], [5, 599], [0.5, 2.0])
    assert store.edges(("user", "likes", "node"))["when"].tolist() == [7, 8]
    assert store.nodes("user")["age"].tolist() == [1, 2, 3]
    assert len(ann.opening.from_saved(nearhop.open("own.nh", version=2))) == 600
    code, _, err = run("index", "remove", "own.nh", "--compact")
    assert (code, "('user', 'likes', 'node') of the store join row" in err) == (3, True), err
    assert nearhop.open("own.nh").version == 4
    assert told("index", "remove", "own.nh", "--compact", "--out", "less.nh")["rows"] == 603
    for name in ("own.nh.old", "own.nh.part"):
        assert (here / name / "mine.txt").read_text() == "keep"


def test_links_kept_as_edge_types_follow_the_index(told, here):
    index = ann.HNSW(M=6, ef_construction=60).add(rows_of(80), ids=np.arange(80))
    index.save("links.nh", edges=True)
    np.save("more.npy", rows_of(40, seed=9))
    told("index", "add", "links.nh", "more.npy")
    store = nearhop.open("links.nh")
    loaded = ann.load("links.nh")
    assert store.num_edges_of(("node", "link0", "node")) == loaded.graph.counts[:120].sum()
    told("index", "remove", "links.nh", *range(100), "--compact")
    assert nearhop.open("links.nh").verify().version == 3
    assert sorted(ann.load("links.nh").ids.tolist()) == list(range(100, 120))


@pytest.mark.parametrize("name", ["own.nh", "theirs.bin", "other.faiss"])
def test_two_changes_at_once_lose_nothing(told, here, name):
    processes = []
    for number in range(3):
        np.save(f"more{number}.npy", rows_of(5, seed=20 + number))
        np.save(f"ids{number}.npy", np.arange(5) + 5000 + 10 * number)
        words = ["index", "add", name, f"more{number}.npy", "--ids", f"ids{number}.npy", *metric_for(name)]
        code = f"from nearhop.cli import main; main({words!r})"
        processes.append(subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True))
    for each in processes:
        assert each.communicate(timeout=120)[1] is not None
        assert each.returncode == 0
    assert told("index", "info", name, *metric_for(name))["rows"] == 615


def test_an_index_inside_a_store_is_measured_but_not_changed(told, run, tmp_path):
    store = nearhop.GraphStore.from_edges(np.arange(99), np.arange(1, 100))
    store.nodes["x"] = rows_of(100)
    store.save("s.nh").close()
    told("index", "build", "s.nh", "--column", "x")
    assert told("index", "tune", "s.nh", "--recall", 0.9, "-k", 3)["reached"]
    assert told("index", "convert", "s.nh", "s.faiss")["rows"] == 100
    np.save("v.npy", rows_of(2))
    code, _, err = run("index", "add", "s.nh", "v.npy")
    assert (code, "change the column, then build it again" in err) == (3, True)


def test_columns_of_other_numbers_are_indexed_beside_the_store(told, run, here):
    vectors = np.load("v.npy").astype(np.float64)
    store = nearhop.GraphStore.from_edges([0, 1], [1, 2], num_nodes=600)
    store.nodes["wide"] = vectors
    store.set_ids(np.arange(600) * 2)
    store.save("graph.nh")
    code, _, err = run("index", "build", "graph.nh", "--column", "wide")
    assert code == 3
    assert "column 'wide' is float64[600, 8], and an index in the store lies over float32; --out PATH" in err
    assert told("index", "build", "graph.nh", "--column", "wide", "--out", "wide.nh")["rows"] == 600
    found = ann.load("wide.nh").search(vectors[7:8].astype(np.float32), 1)
    assert found.ids.tolist() == [[14]]


def test_least_effort_finds_the_smallest_and_gives_up_at_the_most(monkeypatch):
    def fake(index, queries, k, truth, efforts, *, threads):
        return [curves.Score("hnsw", e, min(1.0, e / 150), 1000 / e) for e in efforts]

    monkeypatch.setattr(curves, "sweep", fake)
    monkeypatch.setattr(curves, "knob_of", lambda index: "ef_search")
    found = curves.least_effort(None, None, 10, None, 0.9, threads=1, most=2000)
    assert found[-1].effort in range(135, 141)
    assert curves.least_effort(None, None, 10, None, 0.9, threads=1, most=50)[-1].effort == 50


def test_text_ids_from_a_file_to_a_result(told, run, here):
    names = [f"item {i}" for i in range(600)]
    np.save("names.npy", np.array(names))
    told("index", "build", "v.npy", "--out", "named.nh", "--ids", "names.npy", "-M", 6)
    assert told("index", "search", "named.nh", "v.npy", "-k", 1)["ids"] == [[name] for name in names]
    assert told("index", "remove", "named.nh", "item 3", "item 5")["removed"] == 2
    np.save("more.npy", np.load("v.npy")[[3, 5]])
    np.save("again.npy", np.array(["item 3", "new"]))
    assert told("index", "add", "named.nh", "more.npy", "--ids", "again.npy")["added"] == 2
    told("index", "search", "named.nh", "more.npy", "-k", 1, "--out", "found.npy")
    assert np.load("found.npy").tolist() == [["item 3"], ["new"]]
    for words, said in [
        (("build", "v.npy", "--out", "n.bin", "--ids", "names.npy"), "hnswlib files hold integer ids"),
        (("remove", "own.nh", "item 3"), "ids of this index are integers"),
    ]:
        code, _, error = run("index", *words)
        assert code != 0
        assert said in error


def test_the_text_ids_of_a_store_go_where_they_can(told, here):
    store = nearhop.GraphStore.from_edges(np.arange(599), np.arange(1, 600))
    store.nodes["x"] = np.load("v.npy")
    store.set_ids([f"node {i}" for i in range(600)])
    store.save("s.nh")
    told("index", "build", "s.nh", "--column", "x", "--out", "own2.nh", "-M", 6)
    told("index", "build", "s.nh", "--column", "x", "--out", "theirs2.bin", "-M", 6)
    assert told("index", "search", "own2.nh", "v.npy", "-k", 1)["ids"][7] == ["node 7"]
    assert told("index", "search", "theirs2.bin", "v.npy", "-k", 1, "--metric", "l2")["ids"][7] == [7]


def test_codes_serve_queries_from_a_file(told, run, here):
    told("index", "build", "v.npy", "--out", "fitted.nh", "--storage", "int8", "--fit-queries", "v.npy")
    assert np.array_equal(ann.load("fitted.nh").fit_queries, np.load("v.npy"))
    code, _, err = run("index", "build", "v.npy", "--out", "x.bin", "--fit-queries", "v.npy")
    assert (code, "--fit-queries are for an hnsw index" in err) == (3, True)


@pytest.mark.parametrize("storage", ["float16", "int8-float16", "int8-only", "int4", "1bit"])
def test_storages_that_keep_rounded_vectors(here, told, storage):
    told("index", "build", "v.npy", "--out", "s.nh", "--storage", storage)
    assert told("index", "info", "s.nh")["storage"] == storage
    assert told("index", "verify", "s.nh")["unreachable"] == 0
    assert told("index", "tune", "s.nh", "v.npy", "--recall", "0.9")["reached"]
    told("index", "convert", "s.nh", "s.bin")
    told("index", "convert", "s.bin", "t.nh", "--metric", "l2", "--storage", storage)
    assert told("index", "info", "t.nh")["storage"] == storage


def test_an_index_of_packed_bits(here, run, told):
    rows = np.random.default_rng(0).integers(0, 256, (300, 8), dtype=np.uint8)
    np.save("bits.npy", rows)
    told("index", "build", "bits.npy", "--out", "bits.nh", "--metric", "hamming")
    assert told("index", "search", "bits.nh", "bits.npy", "-k", "1")["ids"] == [[row] for row in range(300)]
    assert told("index", "info", "bits.nh")["metric"] == "hamming"
    code, _, err = run("index", "convert", "bits.nh", "bits.bin")
    assert code != 0
    assert "no place in hnswlib and FAISS files" in err


def test_results_take_the_place_of_no_input(run, here):
    before = Path("v.npy").read_bytes()
    Path("link.npy").symlink_to("v.npy")
    np.save("sets.npy", np.arange(600))
    for out, name in (("v.npy", "QUERIES"), ("./v.npy", "QUERIES"), ("link.npy", "QUERIES"), ("sets.npy", "--sets")):
        code, _, error = run("index", "search", "own.nh", "v.npy", "--sets", "sets.npy", "--out", out)
        assert (code, f"--out {out} is also what {name} names" in error) == (3, True), error
    assert Path("v.npy").read_bytes() == before


@pytest.mark.parametrize("word", ["1_0", "1e1", "\u0663", "99999999999999999999", "0x3", ""])
def test_an_id_is_read_as_it_is_written(run, here, word):
    code, _, error = run("index", "remove", "own.nh", word)
    assert (code, "the ids of this index are integers of 64 bits; got" in error) == (3, True), error
