"""What tests share: named skips and the folder of real data."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
PROCESSORS = {"this": "", "generic": "", "haswell": "+avx2"}  # and their features, as Numba takes them
TIMES = int(os.environ.get("NEARHOP_EXAMPLES", "1"))  # as many drawn examples as usual


def data_folder() -> Path | None:
    """The folder of real datasets: `NEARHOP_DATA`, else `../shared/data` beside the checkout, else None."""
    named = os.environ.get("NEARHOP_DATA")
    for folder in [Path(named)] if named else [ROOT.parent / "shared" / "data"]:
        if folder.is_dir():
            return folder
    return None


def data_file(relative: str) -> Path:
    """The path of a real data file, or a named skip of the test that asked."""
    folder = data_folder()
    if folder is None or not (folder / relative).exists():
        pytest.skip(f"needs real data: {relative} (set NEARHOP_DATA to a folder that holds it)")
    return folder / relative


def examples(count: int) -> settings:
    """So many drawn examples, the same in every run; with NEARHOP_EXAMPLES=n, n times as many, others in every run."""
    return settings(max_examples=count * TIMES, derandomize=TIMES == 1)


def needs(module: str) -> pytest.MarkDecorator:
    """Skip, by name, unless `module` is installed."""
    return pytest.mark.skipif(importlib.util.find_spec(module) is None, reason=f"needs {module}")


@contextlib.contextmanager
def meanwhile(action, threads=2):
    """`action()` again and again in threads of its own while the block runs; what one raises, the block raises."""
    over = threading.Event()

    def again():
        while not over.is_set():
            action()

    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(again) for _ in range(threads)]
        try:
            yield
        finally:
            over.set()
    for thread in running:
        thread.result()


def _has_gpu() -> bool:
    from numba import cuda

    return bool(cuda.is_available()) and os.environ.get("NUMBA_ENABLE_CUDASIM") != "1"


def needs_gpu(function):
    """Mark a test `gpu` and skip it, by name, unless a CUDA device is present."""
    return pytest.mark.gpu(pytest.mark.skipif(not _has_gpu(), reason="needs a CUDA device")(function))


def run_compiled_for(processor: str, program: str, folder: Path) -> list[str]:
    """The words that a program prints whose kernels are compiled for one of `PROCESSORS`, in a process of its own."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    if processor != "this":
        environment |= {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": PROCESSORS[processor]}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    if "not supported" in done.stderr or "not a recognized" in done.stderr:
        pytest.skip(f"this LLVM does not compile for {processor}")
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def run_parity(script: Path, checks: list[str], *, simulated: bool) -> None:
    """Run a parity script in its own process, in Numba's CUDA simulator or on a device; it names what it checked."""
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1" if simulated else "0"}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == checks


def run_example(name: str, data: Path, *options: str) -> dict[str, float]:
    """Run an example in its short form, in a process of its own on one thread; what it reports, by row."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), "--short", "--json", *options],
        env={**os.environ, "NEARHOP_DATA": str(data), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {row["what"]: row["ours"] for row in json.loads(done.stdout.splitlines()[-1])["rows"]}


def kept_as(form: str) -> dict[str, Any]:
    """What `HNSW` takes to keep rows in a storage of that name; "packed": as "int8", with codes beside the links, and
    "packed-float16": as "int8-float16"."""
    packed = {"packed": "int8", "packed-float16": "int8-float16"}
    return {"storage": packed[form], "layout": "packed"} if form in packed else {"storage": form}


@contextlib.contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Ctrl-C in the middle of the block."""
    clock = threading.Timer(seconds, os.kill, [os.getpid(), signal.SIGINT])
    clock.start()
    try:
        yield
    finally:
        clock.cancel()
