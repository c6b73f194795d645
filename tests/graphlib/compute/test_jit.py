"""Compilation, caching and thread counts."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import numba
import numpy as np
import pytest

from nearhop.graphlib.compute.jit import prefetch, resolve_threads, threads_in_use, threads_now
from nearhop.graphlib.errors import InvalidInput, MissingExtra
from nearhop.graphlib.extras import require


def test_threads_are_checked_and_restored():
    before = threads_now()
    with threads_in_use(1) as count:
        assert count == threads_now() == 1
    assert threads_now() == before
    assert resolve_threads(None) == numba.config.NUMBA_NUM_THREADS
    assert resolve_threads(10_000) == numba.config.NUMBA_NUM_THREADS
    for bad in (0, -1, 1.5, "2", True):
        with pytest.raises(InvalidInput, match="threads must be a positive integer"):
            resolve_threads(bad)


def test_prefetch_changes_nothing_and_reaches_the_processor():
    @numba.njit  # not cached, since assembly of cached code cannot be shown
    def total(x):
        s = 0.0
        for i in range(x.shape[0]):
            prefetch(x, i + 8)  # past the end as well: a hint never faults
            s += x[i, 0]
        return s

    x = np.arange(40, dtype=np.float32).reshape(20, 2)
    assert total(x) == x[:, 0].sum()
    assert "prefetch" in next(iter(total.inspect_asm().values()))


def test_missing_extra_names_the_install_line():
    with pytest.raises(MissingExtra, match=r"drawing needs no_such_package, .* pip install no_such_package"):
        require("no_such_package", "drawing")


def test_kernels_work_where_nothing_can_be_cached(tmp_path):
    # as in a read-only container: no cache folder can be made beside the module, nor in the user's home
    (tmp_path / "__pycache__").write_text("in the way")
    module = tmp_path / "readonly_kernels.py"
    module.write_text(
        textwrap.dedent("""
        from nearhop.graphlib.compute.jit import kernel
        @kernel
        def double(x):
            return 2 * x
        """)
    )
    code = (
        "import warnings; warnings.simplefilter('always'); import sys; sys.path.insert(0, '.');"
        "from readonly_kernels import double; print(double(21))"
    )
    blocked = str(tmp_path / "__pycache__")
    environment = {**os.environ, "HOME": blocked, "XDG_CACHE_HOME": blocked, "NUMBA_CACHE_DIR": "", "NEARHOP_CACHE": ""}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "42", done.stderr
    assert "NUMBA_CACHE_DIR" in done.stderr
