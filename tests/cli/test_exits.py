"""How commands end: missing folders, empty input, closed pipes, and what is no finding below zero."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nearhop
from nearhop import ann

RUN = [sys.executable, "-c", "from nearhop.cli import main; main()"]


@pytest.fixture
def here(run):
    """A store, an index and vectors in the present folder."""
    rng = np.random.default_rng(0)
    np.save("v.npy", rng.random((60, 4), np.float32))
    np.save("none.npy", np.empty((0, 4), np.float32))
    Path("empty.csv").write_text("")
    Path("afile").write_text("")
    Path("e.csv").write_text("a,b\n0,1\n1,2\n")
    nearhop.GraphStore.from_edges([0, 1, 2], [1, 2, 0]).save("s.nh")
    ann.HNSW(M=4).add(np.load("v.npy")).save("i.nh")
    return run


OUTPUTS = [
    ("ingest", "e.csv", "{}/s.nh"),
    ("datasets", "load", "karate", "{}/k.nh"),
    ("demo", "--dataset", "karate", "--out", "{}/demo"),
    ("embed", "fastrp", "s.nh", "--out", "{}/f.npy"),
    ("embed", "skipgram", "s.nh", "--out", "{}/f.csv"),
    ("embed", "graphvite", "s.nh", "--checkpoint", "{}/c.npz"),
    ("index", "build", "v.npy", "--out", "{}/j.nh"),
    ("index", "build", "v.npy", "--out", "{}/j.faiss"),
    ("index", "search", "i.nh", "v.npy", "--out", "{}/f.csv"),
    ("index", "eval", "i.nh", "v.npy", "--plot", "{}/p.png"),
    ("index", "bench", "v.npy", "--plot", "{}/p.png"),
    ("index", "convert", "i.nh", "{}/j.bin"),
    ("index", "add", "i.nh", "v.npy", "--out", "{}/j.nh"),
    ("index", "remove", "i.nh", "3", "--out", "{}/j.nh"),
    ("community", "search", "s.nh", "0", "--out", "{}/f.csv"),
    ("community", "search", "s.nh", "0", "--index", "{}/f.lsh"),
    ("community", "search", "s.nh", "0", "--picture", "{}/p.html"),
    ("community", "detect", "s.nh", "--picture", "{}/p.png"),
    ("community", "local", "s.nh", "--seeds", "0", "--out", "{}/f.csv"),
]


@pytest.mark.parametrize("words", OUTPUTS, ids=lambda words: " ".join(words[:3]))
def test_nothing_is_written_into_folders_that_do_not_exist(here, words):
    for folder, why in (("no/such", "make it first"), ("afile", "is not a folder")):
        code, _, said = here(*(word.format(folder) for word in words))
        assert (code, why in said) == (3, True), said
        assert folder in said
    assert not Path("no").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("index", "build", "none.npy", "--out", "j.nh"),
        ("index", "build", "empty.csv", "--out", "j.nh"),
        ("index", "eval", "i.nh", "none.npy"),
        ("index", "tune", "i.nh", "none.npy"),
        ("index", "bench", "none.npy"),
        ("index", "bench", "v.npy", "--queries", "none.npy"),
        ("index", "search", "i.nh", "empty.csv"),
        ("ingest", "empty.csv", "t.nh"),
        ("append", "s.nh", "empty.csv"),
        ("community", "search", "s.nh", ""),
        ("community", "local", "s.nh", "--seeds", ""),
    ],
)
def test_empty_input_is_said_to_be_empty(here, words):
    code, _, said = here(*words)
    assert (code, "Error" in said) == (3, False), said


def test_no_queries_have_no_answers(here):
    code, out, _ = here("index", "search", "i.nh", "none.npy")
    assert (code, out) == (0, '"query","rank","id","distance"\n')


def test_a_closed_pipe_ends_a_command_quietly(here):
    read, write = os.pipe()
    os.close(read)
    for words in (["index", "search", "i.nh", "v.npy"], ["info", "s.nh"], ["info", "s.nh", "--json"], ["--help"]):
        left = subprocess.run([*RUN, *words], stdout=write, stderr=subprocess.PIPE, check=False)
        assert (left.returncode, left.stderr) == (141, b"")
    os.close(write)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_may_not_be_written_is_bad_input(here):
    Path("closed").mkdir(mode=0o500)
    code, _, said = here("index", "build", "v.npy", "--out", "closed/j.nh")
    assert (code, "closed" in said) == (3, True)


def test_a_path_that_the_system_refuses_is_bad_input(here):
    for words in (["info", "s.nh" + "x" * 300], ["info", "afile/s.nh"], ["index", "info", "afile/i.nh"]):
        code, _, said = here(*words)
        assert (code, "Error" in said) == (3, False), said


def test_distances_are_not_below_zero(told, here):
    rng = np.random.default_rng(0)
    np.save("w.npy", rng.standard_normal((300, 24)).astype(np.float32))
    for metric in ("cosine", "l2"):
        told("index", "build", "w.npy", "--out", f"{metric}.nh", "--metric", metric)
        found = told("index", "search", f"{metric}.nh", "w.npy", "-k", 1)
        distances = np.array(found["distances"])
        assert not np.signbit(distances).any()


def test_the_package_is_the_command(tmp_path):
    def ended(*words):
        return subprocess.run([sys.executable, "-m", "nearhop", *words], cwd=tmp_path, capture_output=True, text=True)

    assert ended("--help").stdout.split()[:2] == ["Usage:", "nearhop"]
    missing = ended("info", "none.nh")
    assert (missing.returncode, missing.stdout) == (3, "")
    assert "none.nh" in missing.stderr
