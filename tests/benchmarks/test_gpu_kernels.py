"""Every CUDA kernel compiles for compute capability 9.0, where numba-cuda's compiler is installed."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys

import pytest

from nearhop.tests.support import ROOT

SCRIPT = ROOT / "benchmarks" / "gpu_kernels.py"


@pytest.fixture(scope="module")
def gpu_kernels():
    spec = importlib.util.spec_from_file_location("benchmarks_gpu_kernels", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def decorated_kernels(path):
    """Names of functions of a module's top level that are launched by a host."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef) and any(ast.unparse(d) == "cuda_kernel" for d in node.decorator_list):
            yield node.name


def test_every_kernel_is_listed(gpu_kernels):
    found = {}
    for path in ROOT.rglob("*_cuda.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[0] in ("tests", "build", ".venv") or not (names := set(decorated_kernels(path))):
            continue
        found[".".join(parts)] = names
    assert found == {module: set(table) for module, table in gpu_kernels.KERNELS.items()}


@pytest.mark.parametrize(
    ("threads", "registers", "shared", "warps"),
    [(256, 32, 0, 64), (256, 64, 0, 32), (32, 32, 0, 32), (512, 40, 49152, 48), (1024, 32, 8192, 64)],
)
def test_occupancy(gpu_kernels, threads, registers, shared, warps):
    assert gpu_kernels.occupancy(threads, registers, shared) == warps


def _installed(package):
    try:
        return bool(importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError:
        return False


@pytest.mark.skipif(
    not all(map(_installed, ("numba-cuda", "nvidia-nvvm", "nvidia-nvjitlink"))),
    reason='needs numba-cuda with its compiler: pip install "nearhop[cuda]"',
)
def test_every_kernel_compiles(tmp_path, gpu_kernels):
    rows = tmp_path / "kernels.json"
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "0"}
    command = [sys.executable, str(SCRIPT), "--cc", "9.0", "--json", str(rows)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(rows.read_text())
    assert {(row["module"], row["name"]) for row in found} >= {
        (module, name) for module, table in gpu_kernels.KERNELS.items() for name in table
    }
    for row in found:
        assert 0 < row["registers"] <= 255
        assert row["spilled"] == 0, row
        assert row["warps"] >= 8, row
