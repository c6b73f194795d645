"""nearhop block: files in, pairs out."""

from __future__ import annotations

import csv

import pytest

from nearhop.blocking import load
from nearhop.tests.blocking.tables import two_tables
from nearhop.tests.support import needs


@pytest.fixture
def tables(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    left, right, truth = two_tables(80)
    for name, table in (("left", left), ("right", right)):
        with open(f"{name}.csv", "w", newline="") as stream:
            csv.writer(stream).writerows([("id", "text"), *zip(table.keys, table.texts(), strict=True)])
    with open("known.csv", "w", newline="") as stream:
        csv.writer(stream).writerows([("l", "r"), *[(left.keys[a], right.keys[b]) for a, b in truth[:40]]])
    return {(left.keys[a], right.keys[b]) for a, b in truth}


def pairs_of(path):
    with open(path, newline="") as stream:
        return [(row["left"], row["right"]) for row in csv.DictReader(stream)]


@pytest.mark.parametrize("method", ["ngrams", "bm25", "minhash", "embedding", "union"])
def test_pairs_between_tables(told, tables, method):
    what = told("block", "left.csv", "right.csv", "--key", "id", "--method", method, "-k", 2, "--out", "p.csv")
    found = pairs_of("p.csv")
    assert what["pairs"] == len(found) <= (320 if method == "union" else 160)
    assert what["possible"] == 6400
    assert len(tables & set(found)) > 60


def test_a_recall_a_model_and_duplicates(told, run, tables):
    common = ["--key", "id", "--matches", "known.csv"]
    what = told("block", "left.csv", "right.csv", *common, "--recall", 0.9, "--save", "model")
    assert what["known_matches"] == 40
    assert what["known_matches_found"] >= 36
    again = told("block", "left.csv", "--key", "id", "--model", "model", "--recall", 0.9)
    assert again["pairs"] == what["pairs"]
    alone = told("block", "left.csv", "--key", "id", "-k", 1, "--codes", "--save", "coded")
    assert load("coded").codes
    assert alone["possible"] == 80 * 79 // 2
    code, out, _ = run("block", "left.csv", "right.csv", "--key", "id")
    assert code == 0
    assert "pairs" in out


@needs("torch")
def test_the_learned_blocker(told, tables):
    what = told("block", "left.csv", "right.csv", "--key", "id", "--matches", "known.csv", "--method", "nlsh", "-k", 3)
    assert what["known_matches_found"] >= 36


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["right.csv", "--method", "magic"], "--method must be ngrams"),
        (["right.csv", "--method", "minhash", "--codes"], "--codes is for ngrams"),
        (["right.csv", "--encoder", "minilm"], "--encoder is for nlsh"),
        (["right.csv", "-k", 3, "--recall", 0.5], "give --k or --recall"),
        (["right.csv", "--recall", 0.5], "need --matches"),
        (["right.csv", "--key", "nr"], "there is no column 'nr'"),
        (["none.csv", "--key", "id"], "there is no file none.csv"),
        (["right.csv", "--model", "m"], "give LEFT alone"),
        (["right.csv", "--key", "id", "--out", "p.txt"], "--out"),
        (["right.csv", "--matches", "known.csv"], "names key 'a"),
    ],
)
def test_mistakes_get_one_line(run, tables, words, message):
    code, out, error = run("block", "left.csv", *words)
    assert code == 3
    assert message in error
    assert not out


def test_what_is_read_is_not_written_over(run, tables, tmp_path):
    (tmp_path / "link.csv").symlink_to("left.csv")
    (tmp_path / "hard.csv").hardlink_to("right.csv")
    (tmp_path / "sub").mkdir()
    assert run("block", "left.csv", "--key", "id", "-k", 1, "--save", "model")[0] == 0
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.csv")}
    two = ["block", "left.csv", "right.csv", "--key", "id", "--matches", "known.csv"]
    for words, option, name in (
        ([*two, "--out", "left.csv"], "--out", "LEFT"),
        ([*two, "--out", "link.csv"], "--out", "LEFT"),
        ([*two, "--out", tmp_path / "sub" / ".." / "right.csv"], "--out", "RIGHT"),
        ([*two, "--out", "hard.csv"], "--out", "RIGHT"),
        ([*two, "--out", "known.csv"], "--out", "--matches"),
        ([*two, "--save", "known.csv"], "--save", "--matches"),
        ([*two, "--out", "new.csv", "--save", "new.csv"], "--out", "--save"),
        (["block", "left.csv", "--key", "id", "--model", "model", "--save", "model"], "--save", "--model"),
    ):
        code, _, error = run(*words)
        assert code == 3
        assert option in error
        assert f"is also what {name} names" in error
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.csv")} == before


def test_a_model_keeps_its_columns(told, run, tmp_path):
    for name, first in (("a", "qqq"), ("b", "zzz")):
        (tmp_path / f"{name}.csv").write_text(f"id,junk,name\n1,{first},sony radio\n2,qqq,desk lamp\n")
    for method in ("ngrams", "union"):
        common = ["--key", "id", "-k", 1, "--method", method, "--save", method]
        told("block", "a.csv", "b.csv", "--columns", "name", *common)
        blocker = load(tmp_path / method)
        assert [part.columns for part in getattr(blocker, "blockers", [blocker])] == [["name"]] * (
            2 if method == "union" else 1
        )
        told("block", "b.csv", "--key", "id", "--model", method, "-k", 1, "--threads", 1, "--out", "p.csv")
        assert pairs_of("p.csv") == [("1", "1"), ("2", "2")]
        code, _, error = run("block", "b.csv", "--key", "id", "--columns", "junk", "--model", method)
        assert (code, "name" in error, "junk" in error) == (3, True, True)


@pytest.mark.parametrize("words", [["--method", "ngrams"], ["--encoder", "ngrams"], ["--no-codes"], ["--seed", 0]])
def test_options_that_make_a_blocker_beside_a_model(run, tables, words):
    code, _, error = run("block", "left.csv", "--key", "id", "--model", "m", *words)
    assert code == 3
    assert "--model was made with options of its own: leave out --" in error
