"""Importing nearhop is cheap and leaves the standard library alone."""

from __future__ import annotations

import subprocess
import sys

from nearhop.graphlib.faces import names_of
from nearhop.tests.support import ROOT

HEAVY = ("torch", "numba", "sklearn", "pyarrow", "duckdb", "scipy", "pandas", "matplotlib", "networkx")


def run(code: str, **options) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, **options)
    return done.stdout


def test_import_loads_nothing_heavy():
    loaded = run("import sys, nearhop; print(*sys.modules)").split()
    assert "nearhop" in loaded
    assert not {name for name in loaded if name.partition(".")[0] in HEAVY}


def test_command_line_module_loads_nothing_heavy():
    loaded = run("import sys, nearhop.cli; print(*sys.modules)").split()
    assert not {name for name in loaded if name.partition(".")[0] in HEAVY}


def test_bare_graphlib_is_the_standard_librarys():
    code = "from graphlib import TopologicalSorter as T; print(*T({'b': {'a'}}).static_order(), T.__module__)"
    assert run(code, cwd=ROOT).split() == ["a", "b", "graphlib"]


def test_unknown_name_is_an_attribute_error():
    assert run("import nearhop; print(hasattr(nearhop, 'no_such_name'), 'GraphStore' in dir(nearhop))").split() == [
        "False",
        "True",
    ]


def test_a_function_keeps_its_name_beside_the_module_that_defines_it():
    """`sampling/walks/temporal_walks.py` defines `temporal_walks`: importing the module first changed what the name
    meant."""
    twice = sorted(
        (".".join(("nearhop", *stub.parent.relative_to(ROOT).parts)), name)
        for stub in ROOT.rglob("__init__.pyi")
        if not {".venv", "build"} & set(stub.relative_to(ROOT).parts)
        for name, home in names_of(stub).items()
        if home == f".{name}"
    )
    assert ("nearhop.sampling.walks", "temporal_walks") in twice
    lines = ["from importlib import import_module as load"]
    lines += [
        f"load({f'{room}.{name}'!r}); print(type(getattr(load({room!r}), {name!r})).__name__)" for room, name in twice
    ]
    assert "module" not in run("\n".join(lines)).split()
