"""The house keeps its plan: imports point one way, none in a circle, rooms and files stay small, faces agree."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import re
from pathlib import PurePath

import pytest

from nearhop.docs._public import blocks as public_blocks
from nearhop.graphlib.faces import names_of
from nearhop.tests import house
from nearhop.tests.support import ROOT

MOST_MODULES, MOST_LINES = 22, 400
LONG = {  # file: why it is one idea all the same
    "ann/hnsw/index.py": "the public face of HNSW, half of it docstrings; what it does stands beside it",
    "ann/cann/index.py": "the public face of CANN, likewise",
}


def room_of(module: str) -> str:
    return module.partition(".")[0]


def test_imports_point_one_way():
    wrong = []
    for module in house.modules():
        for target in house.imports_of(module):
            here, there = room_of(module), room_of(target)
            if here != there and house.FLOOR_OF[there] >= house.FLOOR_OF[here]:
                wrong.append(f"{module} imports {target}")
    assert wrong == []


def test_nothing_imports_in_a_circle():
    graph = {module: house.imports_of(module) for module in house.modules()}
    assert house.circles(graph) == []


def test_the_readers_of_imports_see_every_kind():
    """A test of this file that cannot fail would hide a circle: the finder finds one, and imports inside functions."""
    assert house.circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    tree = ast.parse("def f():\n    from ..ann import exact\nif TYPE_CHECKING:\n    from ..cli import words\n")
    assert [n.module for n in house._nodes(tree) if isinstance(n, ast.ImportFrom)] == ["ann"]


def test_rooms_and_files_stay_small():
    folders: dict[str, int] = {}
    for path in house.modules().values():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        name = str(path.relative_to(ROOT))
        assert (lines > MOST_LINES) == (name in LONG), f"{name} has {lines} lines: is it two ideas?"
        folders[str(path.parent)] = folders.get(str(path.parent), 0) + 1
    for folder, count in folders.items():
        assert count <= MOST_MODULES, f"{folder} holds {count} modules: more than one noun?"


MOST_ARGUMENTS = 10
WIDE: dict[str, str] = {}
"""Kernels with more arguments, "file: name", and the measurement that forbids a group. None is known."""


def test_kernels_take_few_arguments():
    wide = {}
    for path in house.modules().values():
        text = path.read_text(encoding="utf-8")
        if not path.stem.endswith(("_cpu", "_cuda")) and "kernel" not in text and "cuda.jit" not in text:
            continue  # `kernels_of` would find none
        for name, count in house.kernels_of(ast.parse(text), path.stem):
            if count > MOST_ARGUMENTS:
                wide[f"{path.relative_to(ROOT)}: {name}"] = count
    odd = {name: count for name, count in wide.items() if name not in WIDE}
    assert not odd, f"more than {MOST_ARGUMENTS} arguments; group what belongs together in a named tuple: {odd}"
    assert sorted(WIDE) == sorted(wide), "WIDE names kernels that take few arguments by now"


def test_the_reader_of_kernels_sees_every_kind():
    """As decorators and without, by what a file is called."""
    text = """
@kernel
def a(x, y): pass
@parallel_kernel(fastmath=True)
def b(x, *, y): pass
@cuda.jit(device=True)
def c(x): pass
def d(x, y, z): pass
class E:
    def f(self, x): pass
def made(size):
    @cuda_kernel
    def g(x, y): pass
"""
    tree = ast.parse(text)
    assert sorted(house.kernels_of(tree, "index")) == [("a", 2), ("b", 2), ("c", 1), ("g", 2)]
    everything = [("a", 2), ("b", 2), ("c", 1), ("d", 3), ("f", 2), ("g", 2), ("made", 1)]
    assert sorted(house.kernels_of(tree, "index_cpu")) == sorted(house.kernels_of(tree, "index_cuda")) == everything


def test_nothing_is_asserted_outside_of_tests():
    """What must hold is made so by types or refused with a message; `python -O` changes nothing."""
    found = []
    for path in house.modules().values():
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if "assert" in text else ():
            if isinstance(node, ast.Assert):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []


STUBS = [ROOT / "__init__.pyi", *sorted(stub for room in house.FLOOR_OF for stub in (ROOT / room).rglob("*.pyi"))]


@pytest.mark.parametrize("stub", STUBS, ids=lambda stub: str(stub.relative_to(ROOT).parent))
def test_a_face_lists_what_it_has(stub):
    """Each name of a stub is there, is named once, and comes from where the stub says."""
    package = ".".join(("nearhop", *stub.relative_to(ROOT).parent.parts))
    face = importlib.import_module(package)
    text = stub.read_text(encoding="utf-8")
    listed = [node for node in ast.parse(text).body if isinstance(node, ast.ImportFrom)]
    names = [alias.asname or alias.name for node in listed for alias in node.names]
    assert len(names) == len(set(names))
    assert sorted(names) == face.__dir__() == sorted(set(face.__all__))
    for name, home in names_of(stub).items():
        try:
            value = getattr(face, name)
        except ImportError as error:
            pytest.skip(f"needs {error.name}")
        if home != "." and hasattr(value, "__module__") and hasattr(value, "__qualname__"):
            assert value is getattr(importlib.import_module(home, package), name)


REFERENCE = sorted((ROOT / "docs" / "reference").glob("*.md"))
ROOMS_OF_NAMES = (
    "",
    "graphlib/*/",
    "datasets/*/",
    "embed/*/",
    "ann/*/",
    "gnn/*/",
    *(f"{room}/" for room in house.FLOOR_OF),
)


def listed_names() -> list[str]:
    """The public names of the reference's pages, by the path that a page gives them."""
    return [
        f"{module}.{name}"
        for page in REFERENCE
        for module, names in public_blocks(page.read_text(encoding="utf-8"))
        for name in names
    ]


def test_the_reference_names_what_exists():
    """Every name of the reference is public where it says, and stands there once."""
    listed = listed_names()
    assert len(listed) > 100
    assert len(listed) == len(set(listed))
    for entry in listed:
        module, _, name = entry.rpartition(".")
        face = importlib.import_module(module)
        assert name in face.__dir__() or name in getattr(face, "__all__", ()), f"{entry} is not a public name"


def test_the_reference_leaves_nothing_out():
    """Every name of a face is on a page of docs/reference/, under one of its paths."""
    shown = {entry.rpartition(".")[2]: set() for entry in listed_names()}
    for entry in listed_names():
        module, _, name = entry.rpartition(".")
        shown[name].add(home_of(module, name))
    missing = []
    for stub in sorted({stub for pattern in ROOMS_OF_NAMES for stub in ROOT.glob(f"{pattern}__init__.pyi")}):
        package = ".".join(("nearhop", *stub.relative_to(ROOT).parent.parts))
        for name, home in names_of(stub).items():
            if home != "." and home_of(package, name) not in shown.get(name, ()):
                missing.append(f"{package}.{name}")
    assert not missing, "list these in a block of the room's page in docs/reference/: " + ", ".join(missing)


def home_of(package: str, name: str) -> str:
    """The module that defines a public name of a face, whatever other faces show it too."""
    stub = ROOT.joinpath(*package.split(".")[1:]) / "__init__.pyi"
    homes = names_of(stub) if stub.exists() else {}
    return importlib.util.resolve_name(homes[name], package) if name in homes else package


def test_every_page_of_the_manual_is_in_its_contents():
    pages = {path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").rglob("*.md")}
    named = {PurePath("index")}
    for page in pages:
        text = (ROOT / "docs" / page).with_suffix(".md").read_text(encoding="utf-8")
        for toctree in re.findall(r"^```\{toctree\}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            for line in toctree.splitlines():
                if line and not line.startswith(":"):
                    named.add(PurePath(os.path.normpath(page.parent / line)))
    odd = ", ".join(map(str, sorted(pages ^ named)))
    assert not odd, f"each page stands in a toctree, and each toctree names pages (docs/guide.md has most): {odd}"
