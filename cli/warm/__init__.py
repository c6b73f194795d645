"""nearhop warm: compile ahead of time what first calls would compile, in several processes."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import typer

from ...graphlib.errors import InvalidInput, StoreWriteFailed
from ..output import Json, emit, note, one_line, table

_PAUSE_S = 0.02
_RUN = "import sys; from {package}.cli.warm.jobs import run; run(*sys.argv[1:])"


def register(app: typer.Typer) -> None:
    app.command()(warm)


@dataclass
class _Process:
    room: str
    job: str
    process: subprocess.Popen[str]


def warm(
    rooms: list[str] = typer.Argument(
        None, help="graphlib, sampling, embed, ann, communities, blocking, gnn; by default all.", show_default=False
    ),
    jobs: int | None = typer.Option(None, help="Processes at once. Default: as many as cores."),
    as_json: bool = Json,
) -> None:
    """Compile the usual calls ahead of time, so that first calls take no longer than later ones.

    Machine code is kept for this processor, this Python and this Numba, in the user's cache folder or where
    NUMBA_CACHE_DIR says. What is there already takes a second or two. For images of containers, and before tests.

    Example: nearhop warm

    Example: NUMBA_CACHE_DIR=/opt/kernels nearhop warm ann embed
    """
    from ...graphlib.compute.compiling.kernel_cache import kernel_folder
    from .jobs import LONGEST, NEEDS
    from .registry import JOBS

    unknown = [room for room in rooms or [] if room not in JOBS]
    if unknown:
        raise InvalidInput(f"there is nothing to compile for {', '.join(unknown)}; rooms: {', '.join(JOBS)}")
    if jobs is not None and jobs < 1:
        raise InvalidInput(f"--jobs must be at least 1; got {jobs}")
    folder = kernel_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreWriteFailed(
            f"{folder} cannot be made ({error.strerror}); name another in NUMBA_CACHE_DIR"
        ) from error
    if not os.access(folder, os.W_OK):
        raise StoreWriteFailed(f"{folder} cannot be written to; name another in NUMBA_CACHE_DIR")
    wanted = [(room, job) for room in rooms or JOBS for job in JOBS[room]]
    wanted.sort(key=lambda named: LONGEST.index(named[1]) if named[1] in LONGEST else len(LONGEST))
    left_out = {job: NEEDS[job] for _, job in wanted if job in NEEDS and importlib.util.find_spec(NEEDS[job]) is None}
    begun = time.perf_counter()
    done = _run_all([named for named in wanted if named[1] not in left_out], jobs or os.cpu_count() or 1)
    for job, package in left_out.items():
        note(f"{job} needs {package}, which is not installed")
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    told = {"jobs": done, "left_out": sorted(left_out), "folder": str(folder), "folder_bytes": size}
    told["seconds"] = round(time.perf_counter() - begun, 2)
    failed = [entry for entry in done if "failed" in entry]

    def text() -> str:
        rows = [
            [e["room"], e["job"], e.get("processor_seconds", 0.0), e.get("compiled", 0), e.get("failed", "")]
            for e in done
        ]
        shown = table(rows, ["room", "job", "processor s", "kernels compiled", ""])
        return f"{shown}\n\n{told['seconds']:.1f} s; {size / 2**20:,.0f} MiB of machine code in {folder}"

    emit(told, as_json=as_json, text=text)
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(done)} jobs failed: {', '.join(e['job'] for e in failed)}")


def _run_all(wanted: list[tuple[str, str]], at_once: int) -> list[dict[str, Any]]:
    """Run jobs in processes of their own, so many at once; what each took, or how it failed."""
    waiting, done = list(wanted), list[dict[str, Any]]()
    running: list[_Process] = []
    command = [sys.executable, "-c", _RUN.format(package=__package__.partition(".")[0])]
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                room, job = waiting.pop(0)
                pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
                running.append(_Process(room, job, subprocess.Popen([*command, room, job], **pipes)))  # type: ignore[call-overload]
            for each in [each for each in running if each.process.poll() is not None]:
                running.remove(each)
                done.append(_outcome(each))
                note(f"{len(done)} of {len(wanted)}: {each.room} {each.job}")
            time.sleep(_PAUSE_S)
    finally:
        for each in running:
            each.process.kill()
    return done


def _outcome(each: _Process) -> dict[str, Any]:
    said, complaints = each.process.communicate()
    told: dict[str, Any] = {"room": each.room, "job": each.job}
    if each.process.returncode == 0:
        spent = json.loads(said.splitlines()[-1])
        return told | spent
    lines = complaints.strip().splitlines() or [f"exit code {each.process.returncode}"]
    return told | {"failed": one_line(lines[-1])}
