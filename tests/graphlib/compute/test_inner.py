"""Kernels that kernels call: linked, not compiled to machine code of their own."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
import textwrap

import pytest
from numba import types
from numba.core.caching import NullCache

from nearhop.graphlib.compute.compiling.inner import InnerLibrary
from nearhop.graphlib.compute.jit import kernel

KERNELS = """
import numpy as np
from nearhop.graphlib.compute.jit import kernel
@kernel
def root(x):
    if x < 0:
        raise ValueError("no root of a negative number")
    return np.sqrt(x)
@kernel
def roots(rows, out):
    for i in range(rows.shape[0]):
        out[i] = root(rows[i])
@kernel
def roots_too(rows, out):
    for i in range(rows.shape[0]):
        out[i] = 2 * root(rows[i])
"""
RUN = """
import sys
sys.path.insert(0, ".")
import numpy as np, kernels
from numba.core import event
class Count(event.Listener):
    def __init__(self): self.names = []
    def on_start(self, event): self.names.append(event.data["dispatcher"].py_func.__name__)
    def on_end(self, event): pass
count = Count()
event.register("numba:compile", count)
out = np.empty(3)
for name in sys.argv[1:]:
    getattr(kernels, name)(np.array([1.0, 4, 9]), out)
    print(*out.astype(int), *(name for name in count.names if name.startswith("root")), sep=",")
try:
    kernels.roots(np.array([4.0, -1]), out)
except ValueError as error:
    print(error)
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "kernels.py").write_text(textwrap.dedent(KERNELS))

    def go(*names):
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
        done = subprocess.run(
            [sys.executable, "-c", RUN, *names], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return go


def test_an_inner_kernel_is_compiled_once_and_kept(run):
    raised = "no root of a negative number"
    assert run("roots", "roots") == ["1,2,3,roots,root", "1,2,3,roots,root", raised]
    assert run("roots_too", "roots") == ["2,4,6,roots_too", "1,2,3,roots_too", raised]
    assert run("roots_too") == ["2,4,6", raised]


@kernel
def _add(x, y):
    return x + y


@kernel
def _double(x):
    return _add(x, x)


def test_an_inner_kernel_has_no_machine_code_before_it_is_asked_for():
    _double._cache = NullCache()  # what is read from a file is linked already
    assert _double(21) == 42
    result = _double.overloads[(types.int64,)]
    inner = next(one for one in result.library._linking_libraries if isinstance(one, InnerLibrary))
    assert inner.get_pointer_to_function("nothing of it") == 0
    assert not inner._is_native
    name = next(one.name for one in inner._final_module.functions if "_add" in one.name and not one.is_declaration)
    address = inner.get_pointer_to_function(name)
    assert inner._is_native
    returned, raised = ctypes.c_int64(), ctypes.c_void_p()
    call = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(address)
    assert call(ctypes.byref(returned), ctypes.byref(raised), 40, 2) == 0
    assert returned.value == 42


def test_garbage_is_looked_for_after_compiling_where_it_was_before(monkeypatch):
    seen = []

    def watched(x):
        return x + 1

    compiled = kernel(watched)
    monkeypatch.setattr(compiled._compiler, "compile", lambda *args: seen.append(gc.isenabled()) or failed())
    for before in (True, False):
        (gc.enable if before else gc.disable)()
        try:
            with pytest.raises(RuntimeError, match="no compiler"):
                compiled(1)
            assert gc.isenabled() == before
        finally:
            gc.enable()
    assert seen == [False, False]


def failed():
    raise RuntimeError("no compiler")


@pytest.mark.parametrize("first", ["outer", "inner"])
def test_python_may_call_it_as_well(first):
    for one in (_double, _add) if first == "outer" else (_add, _double):
        assert one(*([1.5] * (2 if one is _add else 1))) == 3.0
    assert (_double(7), _add(3, 4)) == (14, 7)
