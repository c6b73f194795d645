"""The command line, from a table of edges to answers, and what it says when something is wrong."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

import nearhop
from nearhop import ann
from nearhop.cli import main
from nearhop.tests.support import ROOT


def write_edges(path: Path = Path("edges.csv")) -> None:
    rng = np.random.default_rng(0)
    src, dst = rng.integers(0, 60, (2, 400))
    path.write_text(
        "user,friend,ts\n" + "".join(f"{a},{b},{i}\n" for i, (a, b) in enumerate(zip(src, dst, strict=True)))
    )


def test_from_edges_to_answers(told, run):
    write_edges()
    made = told("ingest", "edges.csv", "s.nh", "--src", "user", "--dst", "friend", "--time", "ts")
    assert (made["nodes"], made["edges"]) == (60, 400)
    assert told("embed", "fastrp", "s.nh", "--dim", 16, "--weights", "0,1,1")["dim"] == 16
    built = told("index", "build", "s.nh", "--column", "fastrp", "--metric", "cosine", "-M", 8)
    assert built["rows"] == 60
    shown = told("info", "s.nh")
    assert shown["nodes"]["node"]["columns"]["fastrp"] == "float32[60, 16]"
    assert [v["message"] for v in shown["versions"]] == [
        "saved",
        "column fastrp: FastRP, dim 16",
        "index hnsw over fastrp",
    ]
    assert shown["attributes"]["indexes"]["hnsw"]["metric"] == "cosine"
    found = told("index", "search", "s.nh", "s.nh", "--column", "fastrp", "-k", 3)
    index = nearhop.ann.HNSW.attach(nearhop.open("s.nh"), "hnsw")
    expected = index.search(np.array(nearhop.open("s.nh").nodes["fastrp"]), 3)
    assert found["ids"] == expected.ids.tolist()
    scores = told("index", "eval", "s.nh", "s.nh", "--column", "fastrp", "-k", 5, "--ef-search", "5,60")["scores"]
    assert [s["ef_search"] for s in scores] == [None, 5, 60]
    assert scores[-1]["recall"] > 0.95
    assert told("index", "info", "s.nh")["M"] == 8
    assert told("verify", "s.nh")["sound"] is True
    assert told("compact", "s.nh", "--keep", 1)["version"] == 3
    Path("s.nh/segments", "0" * 32 + ".npy").write_bytes(bytes(99))  # a killed writer's
    assert told("clean", "s.nh") == {"path": "s.nh", "removed": 1, "freed_bytes": 99}
    assert len(told("info", "s.nh")["versions"]) == 1
    code, out, _ = run("info", "s.nh")
    assert code == 0
    assert "60 nodes" in out


def test_index_of_files(told, run):
    rng = np.random.default_rng(1)
    vectors = rng.random((200, 8), dtype=np.float32)
    np.save("v.npy", vectors)
    np.savetxt("v.csv", vectors, delimiter=",", header=",".join("abcdefgh"), comments="")
    np.savetxt("bare.csv", vectors, delimiter=",")
    for source, kind in (("v.npy", "hnsw"), ("v.csv", "exact"), ("bare.csv", "exact")):
        assert told("index", "build", source, "--out", f"{source}.nh", "--kind", kind)["rows"] == 200
        found = told("index", "search", f"{source}.nh", "v.npy", "-k", 1)
        assert [row[0] for row in found["ids"]] == list(range(200))
    for out in ("f.csv", "f.parquet", "f.npy", "f.npz"):
        assert told("index", "search", "v.npy.nh", "v.npy", "-k", 2, "--out", out)["out"] == out
        assert Path(out).stat().st_size > 100
    assert np.load("f.npy")[:, 0].tolist() == list(range(200))
    assert np.load("f.npz")["distances"].shape == (200, 2)
    code, out, _ = run("index", "search", "v.npy.nh", "f.parquet")
    assert code == 3
    code, out, _ = run("index", "search", "v.npy.nh", "v.npy", "-k", 1)
    assert out.splitlines()[0] == '"query","rank","id","distance"'
    assert len(out.splitlines()) == 201


def test_standard_input(told, monkeypatch):
    vectors = np.eye(4, dtype=np.float32)
    np.save("v.npy", vectors)
    told("index", "build", "v.npy", "--out", "i.nh", "--kind", "exact")
    for data in (Path("v.npy").read_bytes(), b"1,0,0,0\n0,0,0,1\n"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        assert told("index", "search", "i.nh", "-", "-k", 1)["ids"][0] == [0]


def test_where_and_text_ids(told):
    Path("e.csv").write_text("a,b\nann,bob\nbob,cem\ncem,ann\ndae,ann\n")
    told("ingest", "e.csv", "s.nh", "--header")
    store = nearhop.open("s.nh")
    store.nodes["age"] = np.array([30, 40, 50, 60])
    store.nodes["v"] = np.eye(4, dtype=np.float32)
    store.commit()
    told("index", "build", "s.nh", "--column", "v")
    assert told("index", "search", "s.nh", "s.nh", "--column", "v", "-k", 1)["ids"] == [
        ["ann"],
        ["bob"],
        ["cem"],
        ["dae"],
    ]
    found = told("index", "search", "s.nh", "s.nh", "--column", "v", "-k", 4, "--where", "age > 45")["ids"]
    assert [sorted(row) for row in found] == [["cem", "dae"]] * 4


def test_embedding_to_a_file_and_evaluation(told):
    told("datasets", "load", "karate", "k.nh")
    assert told("embed", "fastrp", "k.nh", "--dim", 8, "--out", "f.npy")["nodes"] == 34
    assert np.load("f.npy").shape == (34, 8)
    told("embed", "fastrp", "k.nh", "--dim", 8)
    np.testing.assert_array_equal(np.load("f.npy"), nearhop.open("k.nh").nodes["fastrp"])
    scores = told("embed", "evaluate", "k.nh", "--ratios", "0.5", "--repeats", 2)["scores"]
    assert scores[0]["micro_f1"] > 0.7


def test_vectors_in_files_carry_the_user_ids(told, run):
    Path("e.csv").write_text("zoe,amy\namy,bob\nbob,carl\n")
    told("ingest", "e.csv", "s.nh", "--no-header")
    names = nearhop.open("s.nh").ids().tolist()
    for model, *options in (["fastrp"], ["skipgram", "--num-walks", 1], ["graphvite", "--epochs", 1]):
        for out in ("f.csv", "f.parquet"):
            told("embed", model, "s.nh", "--dim", 2, *options, "--out", out)
            kept = pd.read_csv(out) if out.endswith("csv") else pd.read_parquet(out)
            assert list(kept) == ["id", "f0", "f1"]
            assert kept["id"].tolist() == names
    told("index", "build", "f.csv", "--ids", "id", "--kind", "exact", "--out", "i.nh")
    assert sorted(ann.load("i.nh").ids.tolist()) == sorted(names)
    _, _, err = run("embed", "fastrp", "s.nh", "--dim", 2, "--out", "f.npy")
    assert "f.npy holds no user ids" in " ".join(err.split())


def test_a_column_that_is_written_over_is_named(told, run):
    told("datasets", "load", "karate", "k.nh")
    assert "replaced" not in run("embed", "fastrp", "k.nh", "--dim", 2)[2]
    for words in (["fastrp", "k.nh"], ["skipgram", "k.nh", "--num-walks", 1, "--column", "fastrp"]):
        said = run("embed", *words, "--dim", 2)[2]
        assert "column 'fastrp' is replaced; earlier versions" in " ".join(said.split())


def test_trained_embeddings(told, run):
    told("datasets", "load", "karate", "k.nh")
    words = ("embed", "graphvite", "k.nh", "--dim", 8, "--epochs", 200, "--deterministic", "--checkpoint", "run.npz")
    assert told(*words, "--context", "there")["written"] == "k.nh, column graphvite and there"
    kept = nearhop.open("k.nh").nodes
    assert kept["graphvite"].shape == kept["there"].shape == (34, 8)
    assert told(*words, "--resume", "--out", "again.npy")["dim"] == 8
    np.testing.assert_array_equal(np.load("again.npy"), kept["graphvite"])
    assert told("embed", "skipgram", "k.nh", "--dim", 8, "--num-walks", 20)["nodes"] == 34
    scores = told("embed", "evaluate", "k.nh", "--column", "skipgram", "--ratios", "0.5", "--C", 1)["scores"]
    assert scores[0]["micro_f1"] > 0.6
    told("embed", "evaluate", "k.nh", "--column", "graphvite", "--ratios", "0.5", "--classifier", "linear")
    code, _, err = run("embed", "graphvite", "k.nh", "--partitions", "many")
    assert code == 3
    assert "--partitions must be a whole number or auto; got 'many'" in err
    code, _, err = run("embed", "graphvite", "k.nh", "--dim", 9, "--resume", "--checkpoint", "run.npz")
    assert code == 3
    assert "trained with dim=8, this model has dim=9" in err


def test_datasets(told, run):
    names = {card["name"] for card in told("datasets", "list")["datasets"]}
    assert {"karate", "digits", "cora", "blogcatalog"} <= names
    assert told("datasets", "info", "karate")["edges"] == 78
    code, _, err = run("datasets", "info", "kora")
    assert code == 3
    assert "cora" in err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["info", "nowhere.nh"], 3, "there is no store at nowhere.nh"),
        (["ingest", "nowhere.csv", "s.nh"], 3, "nowhere.csv"),
        (["index", "build", "nowhere.npy", "--out", "i.nh"], 3, "there is no file or store at nowhere.npy"),
        (["index", "build", "v.npy"], 3, "name the new index with --out"),
        (["index", "build", "v.npy", "--out", "v.npy"], 3, "exists already"),
        (["index", "build", "v.npy", "--out", "i.nh", "--metric", "taxi"], 3, "taxi"),
        (["index", "build", "page.npy", "--out", "i.nh"], 4, "is not a .npy file"),
        (["index", "build", "page.parquet", "--out", "i.nh"], 4, "is not a Parquet file"),
        (["index", "build", "words.csv", "--out", "i.nh"], 3, "vectors are numbers"),
        (["embed", "fastrp", "k.nh", "--weights", "a,b"], 3, "--weights must be numbers"),
        (["embed", "evaluate", "k.nh", "--column", "none"], 3, "no column 'none'"),
        (["bogus"], 2, "No such command"),
        (["ingest", "a.csv"], 2, "Missing argument"),
        (["info", "k.nh", "--version", "x"], 2, "Invalid value"),
    ],
)
def test_errors_are_one_line_with_a_code(run, told, words, code, message):
    np.save("v.npy", np.eye(3))
    Path("page.npy").write_text("<!doctype html>")
    Path("page.parquet").write_text("<!doctype html>")
    Path("words.csv").write_text("a,b\nx,y\n")
    told("datasets", "load", "karate", "k.nh")
    got, out, err = run(*words)
    assert got == code
    assert message in " ".join(err.split())
    assert "Traceback" not in err
    assert out == ""
    if code > 2:
        assert err.startswith("error: ")
        assert err.count("\n") == 1
    assert not Path("i.nh").exists()


def test_damaged_and_busy_stores_have_codes_of_their_own(run, told):
    told("datasets", "load", "karate", "k.nh")
    writer = nearhop.open("k.nh")
    writer.nodes["x"] = np.ones(34)
    code, _, err = run("embed", "fastrp", "k.nh", "--dim", 4)
    assert (code, "is being changed" in err) == (5, True)
    writer.close()
    segment = max(Path("k.nh/segments").iterdir(), key=lambda p: p.stat().st_size)
    data = bytearray(segment.read_bytes())
    data[-1] ^= 1
    segment.write_bytes(data)
    code, _, err = run("verify", "k.nh")
    assert (code, segment.name in err) == (4, True)


def test_debug_shows_the_traceback(run, capsys):
    with pytest.raises(nearhop.NearhopError):
        main(["info", "nowhere.nh", "--debug"])


def test_help_is_quick_and_complete():
    code = (
        "import sys\nfrom nearhop.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'numpy', 'numba', 'torch', 'duckdb', 'pyarrow', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for command in ("ingest", "info", "verify", "embed", "index", "datasets", "demo"):
        assert command in done.stdout
    assert "Exit codes" in done.stdout


def test_every_command_has_help_with_an_example(run):
    commands = [
        ["ingest"],
        ["info"],
        ["verify"],
        ["compact"],
        ["clean"],
        ["demo"],
        ["embed", "fastrp"],
        ["embed", "evaluate"],
    ]
    commands += [["index", verb] for verb in ("build", "add", "remove", "search")]
    commands += [["index", verb] for verb in ("eval", "tune", "info", "verify", "convert", "bench")]
    commands += [["datasets", verb] for verb in ("list", "info", "load")]
    for command in commands:
        code, out, _ = run(*command, "--help")
        assert code == 0
        assert "Example: nearhop " + " ".join(command) in " ".join(out.split()), command


def test_the_documented_exit_codes_are_those_in_the_manual():
    manual = (ROOT / "docs" / "cli.md").read_text()
    for line in ("| 0 |", "| 1 |", "| 2 |", "| 3 |", "| 4 |", "| 5 |", "| 130 |"):
        assert line in manual


def test_names_and_messages_cannot_steer_the_terminal(run, told):
    """Escapes and line breaks of user ids, attributes, options, commands and warnings stand there as text."""
    evil = "e\x1b[31m[red]\n\u202eb"
    store = nearhop.ingest([("ann", evil), (evil, "cy")])
    store.attributes = {evil: evil}
    store.nodes["v"] = np.eye(3, dtype=np.float32)
    store.save("s.nh", message="with " + "\x1b[2J").close()
    told("index", "build", "s.nh", "--column", "v")
    np.save("q.npy", np.eye(3, dtype=np.float32))
    for words in (
        ["info", "s.nh"],
        ["community", "local", "s.nh", "--seeds", "ann"],
        ["community", "local", "s.nh", "--seeds", evil],
        ["community", "detect", "s.nh", "--labels", evil],
        ["no" + evil],
        ["info", "--no" + evil],
        ["index", "search", "s.nh", evil + ".npy"],
        ["index", "build", "q.npy", "--out", "i.nh", "--kind", evil],
        ["index", "build", "q.npy", "--out", "i.nh", "--storage", evil],
        ["index", "search", "s.nh", "q.npy", "--where", evil],
        ["embed", "fastrp", "s.nh", "--weights", evil],
        ["datasets", "info", evil],
    ):
        _, out, err = run(*words)
        assert not {"\x1b", "\u202e"} & set(out + err), words
        assert out or err


def test_found_ids_are_the_same_in_every_format(told, run):
    """Of a store with text ids every format has the texts; missing neighbours are empty there, and -1 for integers."""
    named = nearhop.ingest([("ann", "bob"), ("bob", "cy"), ("cy", "dora")])
    numbered = nearhop.GraphStore.from_edges([0, 1, 2], [1, 2, 3])
    numbered.set_ids([40, 30, 20, 10])
    for name, store in (("named", named), ("numbered", numbered)):
        store.nodes["v"] = np.eye(4, dtype=np.float32)
        store.save(f"{name}.nh").close()
        told("index", "build", f"{name}.nh", "--column", "v")
        np.save("q.npy", np.eye(4, dtype=np.float32)[:2])
        search = ["index", "search", f"{name}.nh", "q.npy", "-k", "6"]
        expected = told(*search)["ids"]
        assert [row[0] for row in expected] == store.ids()[:2].tolist()
        for form in ("npz", "npy", "csv", "parquet"):
            run(*search, "--out", f"f.{form}")
        padding = "" if name == "named" else -1
        for found in (np.load("f.npz")["ids"], np.load("f.npy")):
            assert found.tolist() == [row + [padding] * 2 for row in expected]
        table = parquet.read_table("f.parquet")
        assert table["id"].to_pylist() == [i for row in expected for i in row]
        assert [line.split(",")[2].strip('"') for line in Path("f.csv").read_text().splitlines()[1:]] == [
            str(i) for row in expected for i in row
        ]
