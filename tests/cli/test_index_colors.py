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
    for words in (("eval", "c.nh", "q.npy"), ("add", "c.nh", "q.npy"), ("tune", "c.nh", "q.npy")):
        code, said = run(capsys, "index", *words)
        assert code == 3
        assert "c.nh is an index of colours; this command works on single vectors" in said


def test_signatures_are_told_and_verified(tmp_path, capsys, monkeypatch):
    from nearhop.ann import LSH

    monkeypatch.chdir(tmp_path)
    LSH().add([range(5), range(9)]).save("l.nh")
    code, told = run(capsys, "index", "info", "l.nh")
    assert (code, told["kind"], told["rows"], "candidates" in told) == (0, "lsh", 2, False)
    assert run(capsys, "index", "verify", "l.nh")[0] == 0
