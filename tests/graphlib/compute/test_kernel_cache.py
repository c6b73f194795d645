"""Machine code on disk: shared by content, never stale, never fatal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap

import pytest

from nearhop.graphlib.compute import random_cpu
from nearhop.graphlib.compute.compiling import kernel_cache
from nearhop.tests.support import ROOT

OUTER = """
from nearhop.graphlib.compute.jit import kernel
from .inner_cpu import inner
@kernel
def outer(x):
    return inner(x) + 1
"""
INNER = """
from nearhop.graphlib.compute.jit import kernel
@kernel
def inner(x):
    return {factor} * x
"""
RUN = """
import sys
from pathlib import Path
folder = Path(sys.argv[1])
sys.path.insert(0, str(folder.parent))
from nearhop.graphlib.compute.compiling import kernel_cache
kernel_cache._PACKAGE = folder
import importlib
outer = importlib.import_module(folder.name + ".outer_cpu").outer
print(outer(10), sum(outer.stats.cache_hits.values()), sum(outer.stats.cache_misses.values()))
"""


def package(folder, factor):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "__init__.py").write_text("")
    (folder / "outer_cpu.py").write_text(textwrap.dedent(OUTER))
    (folder / "inner_cpu.py").write_text(textwrap.dedent(INNER.format(factor=factor)))
    return folder


def run(folder, cache):
    environment = {**os.environ, "NEARHOP_CACHE": str(cache)}
    environment.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(folder)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


def test_code_is_shared_by_content_and_never_stale(tmp_path):
    cache = tmp_path / "cache"
    first = package(tmp_path / "one" / "kernels", 2)
    assert run(first, cache) == [21, 0, 1]
    assert run(first, cache) == [21, 1, 0]
    moved = package(tmp_path / "two" / "kernels", 2)  # as after a reinstallation, or in another environment
    assert run(moved, cache) == [21, 1, 0]
    package(first, 3)  # the module that is imported changes, the one that is called does not
    assert run(first, cache) == [31, 0, 1]


def test_damaged_code_is_compiled_again(tmp_path):
    cache = tmp_path / "cache"
    folder = package(tmp_path / "kernels", 2)
    run(folder, cache)
    files = sorted(cache.rglob("*.nbc"))
    assert files
    for path in files:
        code = bytearray(path.read_bytes())
        code[len(code) // 2] ^= 1
        path.write_bytes(code)
    assert run(folder, cache) == [21, 0, 1]
    for path in cache.rglob("*.nbi"):
        path.write_bytes(path.read_bytes()[:-9])
    assert run(folder, cache) == [21, 0, 1]


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator writes anywhere")
def test_a_folder_that_can_only_be_read_is_used(tmp_path):
    cache = tmp_path / "cache"
    folder = package(tmp_path / "kernels", 2)
    run(folder, cache)
    for path in [*cache.rglob("*"), cache]:
        path.chmod(0o555)
    try:
        assert run(folder, cache) == [21, 1, 0]
    finally:
        for path in [*cache.rglob("*"), cache]:
            path.chmod(0o755)


def test_a_digest_covers_the_kernels_that_a_module_imports(tmp_path):
    walks = ROOT / "sampling" / "walks" / "walks_cpu.py"
    names = {path.name for path in kernel_cache._with_imports(walks, set())}
    assert {"walks_cpu.py", "random_cpu.py", "jit.py", "ranges.py"} <= names
    products = ROOT / "graphlib" / "sparse" / "products" / "multiply_cpu.py"
    names = {path.name for path in kernel_cache._with_imports(products, set())}
    assert {"semirings.py", "instructions.py"} <= names  # constants, and code that LLVM is given
    copy = tmp_path / "random_cpu.py"
    shutil.copy(random_cpu.__file__, copy)
    before = kernel_cache.source_digest(copy)
    kernel_cache.source_digest.cache_clear()
    copy.write_text(copy.read_text() + "# another\n")
    assert kernel_cache.source_digest(copy) != before
