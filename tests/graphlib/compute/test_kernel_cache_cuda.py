"""Machine code of CUDA kernels on disk, where numba-cuda's compiler is installed; no device is needed."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys

import pytest

# The first argument says what is to happen: compile and keep, or read. Where a kernel asks which device there is, one
# of compute capability 9.0 is named.
PROGRAM = """
import importlib, sys
from types import SimpleNamespace
from numba import types
from nearhop.sampling.walks.walks_cuda import uniform_walks as kernel

device = SimpleNamespace(compute_capability=(9, 0))
importlib.import_module("numba.cuda.cudadrv.devices").get_context = lambda *_: SimpleNamespace(device=device)
dispatcher = importlib.import_module("numba.cuda.dispatcher")
dispatcher.get_current_device = lambda: device
one, two = (types.Array(types.int64, dims, "C") for dims in (1, 2))
given = (one, one, one, types.Array(types.int32, 1, "C"), types.int64, types.int64, two)
if sys.argv[1] == "keep":
    made = dispatcher._Kernel(kernel.py_func, given, **kernel.targetoptions)
    made._codelibrary.get_cubin(cc=(9, 0))
    kernel._cache.save_overload(given, made)
found = kernel._cache.load_overload(given, kernel.targetctx)
print(0 if found is None else len(found._codelibrary.get_cubin(cc=(9, 0)).code))
"""


def _installed(package):
    try:
        return bool(importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError:
        return False


def run(what, folder):
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "0", "NUMBA_CACHE_DIR": str(folder)}
    command = [sys.executable, "-c", PROGRAM, what]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return int(done.stdout)


@pytest.mark.skipif(
    not all(map(_installed, ("numba-cuda", "nvidia-nvvm", "nvidia-nvjitlink"))),
    reason='needs numba-cuda with its compiler: pip install "nearhop[cuda]"',
)
def test_code_is_kept_read_and_doubted(tmp_path):
    assert run("read", tmp_path) == 0
    size = run("keep", tmp_path)
    assert size > 1000
    assert run("read", tmp_path) == size
    (path,) = tmp_path.rglob("*.nbc")
    code = bytearray(path.read_bytes())
    code[len(code) // 2] ^= 1
    path.write_bytes(code)
    assert run("read", tmp_path) == 0
