"""The one command for a GPU, rehearsed in Numba's CUDA simulator, and its care for parts that crash or hang."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time

import pytest

from nearhop.tests.support import ROOT, needs

SCRIPT = ROOT / "benchmarks" / "gpu.py"


def rehearse(folder, *arguments):
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    command = [sys.executable, str(SCRIPT), "--out", str(folder), "--minutes", "9", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=590, check=False)


@pytest.fixture
def gpu():
    """The script as a module of its own, whose parts a test may replace."""
    spec = importlib.util.spec_from_file_location("benchmarks_gpu", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@needs("torch_geometric")
@needs("sklearn")
def test_a_rehearsal_measures_every_part_and_is_not_repeated(tmp_path, gpu):
    measured = [name for name, part in gpu.PARTS.items() if part.function]
    done = rehearse(tmp_path, "--only", *measured)
    said = done.stdout + done.stderr + (tmp_path / "gpu.log").read_text()
    assert done.returncode == 0, said[-3000:]
    kept = json.loads((tmp_path / "gpu.json").read_text())
    assert kept["machine"]["device"] == "Numba's simulator"
    assert {name: part["state"] for name, part in kept["parts"].items()} == dict.fromkeys(measured, "done")
    for part in kept["parts"].values():
        assert part["rows"]
        assert all(row["value"] > 0 or row["what"].startswith("difference") for row in part["rows"])
    page = (tmp_path / "gpu.md").read_text()
    assert all(gpu.PARTS[name].title in page for name in measured)
    again = rehearse(tmp_path, "--only", *measured)
    assert again.returncode == 0
    assert "==" not in again.stdout


def test_the_scripts_that_prove_are_there(gpu):
    scripts = {path.parent for path in (ROOT / "tests").rglob("cuda_parity.py")}
    assert scripts == {ROOT / part.script for part in gpu.PARTS.values() if part.script}


def part_of(gpu, folder, code, limit=20.0):
    folder.mkdir()
    (folder / "cuda_parity.py").write_text(code)
    return gpu.Part(folder.name, limit, script=str(folder))


def test_a_crash_or_a_hang_costs_its_part_alone(tmp_path, gpu, monkeypatch):
    parts = {
        "crash": part_of(gpu, tmp_path / "crash", "import os; os.abort()"),
        "error": part_of(gpu, tmp_path / "error", "raise ValueError('wrong | sum')"),
        "hang": part_of(gpu, tmp_path / "hang", "import time; time.sleep(100)", limit=1.0),
        "fine": part_of(gpu, tmp_path / "fine", "import nearhop; print(nearhop.__file__)"),
    }
    monkeypatch.setattr(gpu, "PARTS", parts)
    report = gpu.Report(tmp_path / "out", {**gpu.machine_versions(), "device": "none", "driver": "none"})
    start = time.monotonic()
    gpu.measure(report, None, 5)
    assert time.monotonic() - start < 60
    states = {name: part["state"] for name, part in report.parts.items()}
    assert states == {"crash": "failed", "error": "failed", "hang": "out of time", "fine": "done"}
    assert "wrong / sum" in report.markdown()
    assert report.missing(None) == ["crash", "error", "hang"]
    taken_up = gpu.Report(tmp_path / "out", report.about)
    assert taken_up.parts == report.parts
    assert taken_up.missing(["fine", "hang"]) == ["hang"]
    elsewhere = gpu.Report(tmp_path / "out", {**report.about, "device": "another"})
    assert elsewhere.parts == {}
    (tmp_path / "out" / "gpu.json").write_text('{"machine": 3')
    assert gpu.Report(tmp_path / "out", report.about).parts == {}
    gpu.measure(report, None, 0)  # no time is left
    assert report.missing(None) == ["crash", "error", "hang"]


def test_rows_that_were_written_before_a_hang_are_kept(tmp_path, gpu, monkeypatch):
    code = "import sys, time, pathlib\nprint('begun', flush=True)\ntime.sleep(100)"
    monkeypatch.setattr(gpu, "PARTS", {"slow": part_of(gpu, tmp_path / "slow", code, limit=2.0)})
    run = gpu.Run("slow", 2.0, tmp_path)
    row = {"what": "rate", "value": 2.5, "unit": "GB/s", "at_least": 2.0, "at_most": None, "passed": True}
    run.rows.write_text(json.dumps(row) + "\n" + '{"what": "half a li')
    result = run.result()
    assert (result["state"], result["rows"]) == ("out of time", [row])
    assert run.process.poll() is not None
    report = gpu.Report(tmp_path / "out", {**gpu.machine_versions(), "device": "a", "driver": "b"})
    report.put("slow", result)
    assert "| slow | rate | 2.5 GB/s | >= 2 | yes |" in report.markdown()
    assert "out of time: limit of 2 s" in report.markdown()


def test_without_a_device_it_says_what_to_do(tmp_path):
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "0", "PATH": str(tmp_path)}
    command = [sys.executable, str(SCRIPT), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 1
    assert "no NVIDIA device answers" in done.stderr
    assert "rehearses without one" in done.stderr
