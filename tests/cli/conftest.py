"""Running commands in an empty folder."""

from __future__ import annotations

import json

import pytest

from nearhop.cli import main


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run a command in an empty folder; returns (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return call


@pytest.fixture
def told(run):
    """Run a command that must succeed with --json; returns what it printed."""

    def call(*words: object):
        code, out, err = run(*words, "--json")
        assert code == 0, err
        return json.loads(out)

    return call
