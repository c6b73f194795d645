"""Every command that the manual or an example prints is one that the example takes."""

from __future__ import annotations

import argparse
import re
import shlex
import sys

import pytest

from nearhop.tests.examples.running import imported
from nearhop.tests.support import ROOT

EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("[a-z]*.py"))
COMMON = ("datasets", "seeds", "threads", "short", "json")


class Taken(Exception):
    """The arguments were parsed; nothing more is to happen."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given


def commands() -> list[tuple[str, str]]:
    """(script, its words) for each command line of the manual, the README and the examples."""
    found = []
    for path in (*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", *sorted((ROOT / "examples").glob("*.py"))):
        text = re.sub(r"\\+\n\s*", "", path.read_text(encoding="utf-8"))  # lines that go on in the next one
        for line in text.splitlines():
            for script, words in re.findall(r"python examples/(\w+\.py)((?: [^`#|]*)?)", line):
                if "DIR" not in words:
                    found.append((script, words.strip()))
    return sorted(set(found))


def arguments(script, words, monkeypatch):
    """What an example makes of its words."""
    try:
        module = imported(script)
    except ImportError as error:
        pytest.skip(f"needs {error.name}")
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(self, *args, **named):
        raise Taken(parse(self, *args, **named))

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
    monkeypatch.setattr(sys, "argv", [script, *shlex.split(words)])
    with pytest.raises(Taken) as taken:
        module.main()
    return taken.value.given


@pytest.mark.parametrize(("script", "words"), commands())
def test_a_printed_command_is_taken(script, words, monkeypatch):
    arguments(script, words, monkeypatch)


@pytest.mark.parametrize("script", EXAMPLES)
def test_an_example_takes_what_every_example_takes(script, monkeypatch):
    given = arguments(script, "--seeds 2 --threads 1 --short --json", monkeypatch)
    assert set(COMMON) <= vars(given).keys()
    assert (given.seeds, given.threads, given.short, given.json) == (2, 1, True, True)


@pytest.mark.parametrize("script", EXAMPLES)
@pytest.mark.parametrize("words", ["--seeds 0", "--threads 0", "--seeds 1.5"])
def test_no_runs_are_no_number_of_runs(script, words, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        arguments(script, words, monkeypatch)
    assert "must be a whole number, 1 or more" in capsys.readouterr().err


def test_the_short_form_goes_by_what_is_given():
    def parsed(*words):
        made = imported("_report.py").parser(
            "", datasets=["a", "b"], short={"datasets": ["a"], "seeds": 1, "epochs": 2}, also_short="10 % of it"
        )
        made.add_argument("--epochs", type=int, default=50)
        given = made.parse_args(words)
        return given.datasets, given.seeds, given.epochs

    assert parsed() == (["a", "b"], 5, 50)
    assert parsed("--short") == (["a"], 1, 2)
    assert parsed("--short", "--datasets", "b", "a", "--epochs", "50") == (["b", "a"], 1, 50)
    assert parsed("--seeds", "2", "--short") == (["a"], 2, 2)


def test_commands_are_found():
    found = commands()
    assert ("nat.py", "--dataset uci --seeds 3 --hard") in found
    assert len(found) > 25
