"""nearhop warm: every job runs, and what a job has compiled nobody compiles again."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from nearhop.cli import warm
from nearhop.cli.clock import Stopwatch, timed
from nearhop.cli.warm.jobs import LONGEST, NEEDS
from nearhop.cli.warm.registry import JOBS
from nearhop.graphlib.compute.compiling import notice
from nearhop.tests.support import needs

ALL = [(room, name) for room, named in JOBS.items() for name in named]


@pytest.mark.slow
@pytest.mark.parametrize(("room", "name"), ALL)
@needs("torch")
def test_every_job_runs(room, name):
    JOBS[room][name]()


def test_names_are_those_of_jobs():
    names = [name for _, name in ALL]
    assert len(set(names)) == len(names)
    assert set(LONGEST) | set(NEEDS) <= set(names)


def test_what_was_compiled_is_not_compiled_again(tmp_path):
    """One small job, in processes with a cache of their own."""
    code = "from nearhop.cli.warm.jobs import run; run('sampling', 'negatives')"
    counts = []
    for _ in range(2):
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kernels")}
        left = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        counts.append(json.loads(left.stdout)["compiled"])
    assert counts[0] >= 3
    assert counts[1] == 0


def test_the_command(told, run, monkeypatch):
    monkeypatch.setattr(
        warm, "_RUN", "import json; print(json.dumps({{'processor_seconds': 1.0, 'compiled': 2}}))  # {package}"
    )
    said = told("warm", "graphlib", "sampling", "--jobs", 3)
    assert {each["room"] for each in said["jobs"]} == {"graphlib", "sampling"}
    assert all(each["compiled"] == 2 for each in said["jobs"])
    monkeypatch.setattr(warm, "_RUN", "raise ValueError('{package} \\x1b[31m')")
    code, out, err = run("warm", "graphlib")
    assert code == 1
    assert "3 of 3 jobs failed" in err
    assert "ValueError" in out
    assert "\x1b" not in out
    assert run("warm", "kitchen")[0] == 3
    assert run("warm", "--jobs", 0)[0] == 3


def test_folders_that_cannot_be_used(run, monkeypatch, tmp_path):
    from nearhop.graphlib.compute.compiling import kernel_cache

    (tmp_path / "file").write_text("")
    monkeypatch.setattr(kernel_cache, "kernel_folder", lambda: tmp_path / "file" / "kernels")
    code, _, err = run("warm", "sampling")
    assert code == 3
    assert "NUMBA_CACHE_DIR" in err


class Clock:
    """A clock that calls move on by so many seconds."""

    def __init__(self, *seconds: float) -> None:
        self.now, self.calls, self.seconds = 0.0, 0, seconds

    def __call__(self) -> float:
        return self.now

    def run(self) -> int:
        self.now += self.seconds[min(self.calls, len(self.seconds) - 1)]
        self.calls += 1
        return self.calls


@pytest.mark.parametrize(
    ("seconds", "expected", "runs"),
    [
        ((9.0, 0.5, 0.7, 0.6), 0.6, 3),  # the first run does not count
        ((9.0, 0.01), 0.01, 25),  # short calls are repeated
        ((9.0, 0.04), 0.04, 8),
        ((9.0, 15.0), 15.0, 2),
        ((9.0, 30.0), 30.0, 1),
        ((25.0, 1.0), 25.0, 1),  # a long first run without compilation is the figure
    ],
)
def test_speeds_are_medians_of_warm_runs(monkeypatch, seconds, expected, runs):
    clock = Clock(*seconds)
    monkeypatch.setattr("nearhop.cli.clock.time.perf_counter", clock)
    _, timing = timed(clock.run)
    assert timing.seconds == pytest.approx(expected)
    assert timing.runs == runs


def test_compilation_is_told_apart(monkeypatch):
    watch = Stopwatch()
    assert set(watch.told()) == {"seconds"}
    monkeypatch.setattr(notice._listener, "_spent", notice.spent() + 3.0)
    assert watch.told("build_seconds")["build_seconds_compiling"] == 3.0
