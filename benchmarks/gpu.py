"""Everything that runs on a GPU, proven and measured by one command on a bare machine, from a plain checkout.

python benchmarks/gpu.py --out FOLDER [--minutes 8] [--only PART ...]

Needs Python with torch, numba, numba-cuda, scipy and numpy (torch_geometric for GraphSAGE, scikit-learn for F1);
nothing is installed or fetched, and graphs are generated. Parts run in the order of their worth, each in a process of
its own with a limit of its own, so that a crash or a hang costs that part alone; those that prove run at the same time.
FOLDER holds gpu.json, gpu.md (the table for docs/benchmarks.md) and gpu.log, written after every part. A second call
does what is not done yet; results of another device are measured again. Ends with an error if a part failed.

With NUMBA_ENABLE_CUDASIM=1 it is a rehearsal: the same code at tiny sizes in Numba's simulator, no marks judged.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"


@dataclass(frozen=True)
class Part:
    """What runs in one process: a script that proves, or a function of a module here that yields rows."""

    title: str
    limit: float  # seconds
    script: str = ""
    function: str = ""  # module:name


PARTS = {
    "copies": Part("Copy rates", 45, function="_gpu_rates:copies"),
    "parity-sampling": Part("Samples, walks, gathers and N-caches equal the processor's", 150, "tests/sampling"),
    "parity-graphvite": Part("GraphVite's training equals the processor's", 150, "tests/embed"),
    "parity-nat": Part("NAT with its caches on the device equals the processor's", 150, "tests/gnn"),
    "parity-sparse": Part("Sparse products equal the processor's", 150, "tests/graphlib/sparse"),
    "parity-dag": Part("Propagation along DAGs equals the processor's", 150, "tests/gnn/dag"),
    "parity-cann": Part("Exact scores of colours equal the processor's", 150, "tests/ann/cann"),
    "gather": Part("Rows read from pinned memory", 100, function="_gpu_rates:gather"),
    "sampling": Part("Neighbour samples", 90, function="_gpu_rates:sampling"),
    "graphvite": Part("GraphVite", 120, function="_gpu_models:graphvite"),
    "graphsage": Part("GraphSAGE", 120, function="_gpu_models:graphsage"),
    "nat": Part("NAT and the N-cache", 120, function="_gpu_models:nat"),
    "sparse": Part("Sparse products", 60, function="_gpu_rates:sparse"),
    "cann": Part("CANN, exact scores", 60, function="_gpu_systems:cann"),
    "spen": Part("SPEN", 60, function="_gpu_models:spen"),
    "largegt": Part("LargeGT", 60, function="_gpu_systems:largegt"),
}


def machine() -> dict[str, str]:
    """The device, its driver, and the versions that took part."""
    found = {"device": "Numba's simulator", "driver": "none"}
    if not SIMULATED:
        query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        try:
            said = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True).stdout
            found["device"], found["driver"] = (part.strip() for part in said.splitlines()[0].split(","))
        except (OSError, subprocess.SubprocessError, IndexError, ValueError) as error:
            sys.exit(f"no NVIDIA device answers ({error}); NUMBA_ENABLE_CUDASIM=1 rehearses without one")
    return found | machine_versions()


def machine_versions() -> dict[str, str]:
    """Versions of Python and of the packages that take part."""
    found = {"python": platform.python_version()}
    for name in ("torch", "numba", "numba-cuda", "numpy", "scipy"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "none"
    return found


class Report:
    """Results by part, kept in a folder; what an earlier call left there on the same machine is taken up."""

    def __init__(self, folder: Path, about: dict[str, str]) -> None:
        self.folder, self.about = folder, about
        self.parts: dict[str, dict[str, Any]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        try:
            before = json.loads((folder / "gpu.json").read_text())
            if before["machine"] == about:
                self.parts = {name: part for name, part in before["parts"].items() if name in PARTS}
        except FileNotFoundError:
            pass
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            print(f"{folder / 'gpu.json'} is damaged and is written anew: {error!r}")

    def missing(self, only: list[str] | None) -> list[str]:
        """Parts that are not done, in order."""
        wanted = [name for name in PARTS if only is None or name in only]
        return [name for name in wanted if self.parts.get(name, {}).get("state") != "done"]

    def put(self, name: str, result: dict[str, Any]) -> None:
        self.parts[name] = result
        ordered = {part: self.parts[part] for part in PARTS if part in self.parts}
        self._write("gpu.json", json.dumps({"machine": self.about, "parts": ordered}, indent=1))
        self._write("gpu.md", self.markdown())

    def _write(self, name: str, text: str) -> None:
        beside = self.folder / f".{name}"
        beside.write_text(text)
        beside.replace(self.folder / name)

    def markdown(self) -> str:
        about = self.about
        versions = ", ".join(f"{name} {about[name]}" for name in ("torch", "numba", "numba-cuda", "numpy"))
        lines = [
            f"{about['device']}, driver {about['driver']}; Python {about['python']}, {versions}.",
            "",
            "| part | what | value | mark | reached |",
            "|---|---|---|---|---|",
        ]
        for name in PARTS:
            if name not in self.parts:
                continue
            part, title = self.parts[name], PARTS[name].title
            for row in part["rows"]:
                lines.append(f"| {title} | {row['what']} | {row['value']:.4g} {row['unit']} | {_mark(row)} |")
            if part["state"] != "done" or not part["rows"]:
                lines.append(f"| {title} | {part['state']}{_why(part)} | {part['seconds']:.0f} s | | |")
        return "\n".join(lines) + "\n"


def _mark(row: dict[str, Any]) -> str:
    if row["passed"] is None and row["at_least"] is None and row["at_most"] is None:
        return " | "
    bound = f">= {row['at_least']:g}" if row["at_least"] is not None else f"<= {row['at_most']:.4g}"
    judged = {None: "not judged", True: "yes", False: "**no**"}[row["passed"]]
    return f"{bound} | {judged}"


def _why(part: dict[str, Any]) -> str:
    return f": {part['why']}".replace("|", "/") if part["why"] else ""


class Run:
    """A part in its own process group, with a deadline."""

    def __init__(self, name: str, limit: float, scratch: Path) -> None:
        part = PARTS[name]
        self.name, self.limit, self.start = name, limit, time.monotonic()
        self.rows, self.log = scratch / f"{name}.rows", scratch / f"{name}.log"
        self.rows.touch()
        if part.script:
            command = [sys.executable, str(ROOT / part.script / "cuda_parity.py")]
        else:
            command = [sys.executable, str(Path(__file__).resolve()), "--part", name, "--rows", str(self.rows)]
        paths = [str(scratch), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
        environment.setdefault("NUMBA_ENABLE_CUDASIM", "0")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=scratch, start_new_session=True
            )

    def result(self) -> dict[str, Any]:
        """Wait until it ends or its limit is over; rows that it had written count either way."""
        state, why = "done", ""
        left = self.limit - (time.monotonic() - self.start)
        try:
            code = self.process.wait(max(0.0, left))
            if code:
                state, why = "failed", self._last_line() or f"exit status {code}"
        except subprocess.TimeoutExpired:
            state, why = "out of time", f"limit of {self.limit:.0f} s"
        finally:
            self.end()
        rows = [json.loads(line) for line in self.rows.read_text().splitlines() if line.endswith("}")]
        return {"state": state, "why": why, "seconds": round(time.monotonic() - self.start, 1), "rows": rows}

    def end(self) -> None:
        """Stop the process and whatever it started."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.process.wait()

    def _last_line(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else ""


def run_part(name: str, rows: Path) -> None:
    """In the process of a part: its rows, a line each, as they come."""
    module, function = PARTS[name].function.split(":")
    with rows.open("a") as file:
        for row in getattr(importlib.import_module(module), function)():
            passed = None if SIMULATED else row.passed()
            print(f"{row.what}: {row.value:.4g} {row.unit}", flush=True)
            file.write(json.dumps({**vars(row), "passed": passed}) + "\n")
            file.flush()


def groups(names: list[str]) -> list[list[str]]:
    """Parts that run at the same time: those that prove, next to each other."""
    found: list[list[str]] = []
    for name in names:
        together = found and PARTS[name].script and PARTS[found[-1][0]].script
        (found[-1].append if together else lambda n: found.append([n]))(name)
    return found


def measure(report: Report, only: list[str] | None, minutes: float) -> None:
    """Run what is missing until the time is over."""
    end = time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        (scratch / "nearhop").symlink_to(ROOT)  # the checkout under the package's name
        for group in groups(report.missing(only)):
            left = end - time.monotonic()
            if left < 5:
                print(f"no time is left for {', '.join(group)}")
                continue
            running: list[Run] = []
            try:
                for name in group:
                    print(f"== {name}", flush=True)
                    limit = PARTS[name].limit * (4 if SIMULATED else 1)  # of a rehearsal the speed says nothing
                    running.append(Run(name, min(limit, left), scratch))
                for run in running:
                    result = run.result()
                    report.put(run.name, result)
                    with (report.folder / "gpu.log").open("a") as log:
                        log.write(f"== {run.name}: {result['state']}\n{run.log.read_text(errors='replace')}\n")
                    why = _why(result)
                    print(f"{run.name}: {result['state']}{why} in {result['seconds']:.0f} s", flush=True)
            finally:
                for run in running:
                    run.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder of the results; those that are there are taken up")
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), help="these parts alone")
    parser.add_argument("--part", choices=[n for n, p in PARTS.items() if p.function], help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        run_part(given.part, given.rows)
        return
    if given.out is None:
        parser.error("name a folder for the results: --out FOLDER")
    report = Report(given.out, machine())
    measure(report, given.only, given.minutes)
    print(f"\n{report.markdown()}")
    if any(part["state"] != "done" for part in report.parts.values()) or report.missing(given.only):
        sys.exit(1)


if __name__ == "__main__":
    main()
