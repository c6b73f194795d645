"""What the tests of the house share: every module of the package and what each imports, inside functions too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from nearhop.tests.support import ROOT

FLOORS = (
    ("graphlib",),
    ("sampling", "datasets"),
    ("embed", "ann"),
    ("communities", "blocking"),
    ("gnn",),
    ("interop", "distributed"),
    ("cli",),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


@cache
def modules() -> dict[str, Path]:
    """Every module of the rooms by its dotted name below `nearhop`."""
    found = {}
    for room in FLOOR_OF:
        for path in sorted((ROOT / room).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(part for part in parts if part != "__init__")] = path
    return found


@cache
def imports_of(module: str) -> frozenset[str]:
    """The modules of the package that a module imports, wherever it does; imports for type checking alone are free."""
    path = modules()[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found: set[str] = set()
    for node in _nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            targets = [alias.name.removeprefix("nearhop.") for alias in node.names if alias.name.startswith("nearhop")]
        elif isinstance(node, ast.ImportFrom):
            targets = _targets(node, package)
        else:
            continue
        for target in targets:
            while target and target not in modules():
                target = target.rpartition(".")[0]
            found.add(target)
    return frozenset(found - {"", module})


def kernels_of(tree: ast.AST, stem: str) -> Iterator[tuple[str, int]]:
    """Names and numbers of arguments of what is compiled, and of every function of a file of kernels."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            marks = {ast.unparse(mark).partition("(")[0] for mark in node.decorator_list}
            if marks & {"kernel", "parallel_kernel", "cuda_kernel", "cuda.jit"} or stem.endswith(("_cpu", "_cuda")):
                given = node.args
                yield node.name, len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs)


def _targets(node: ast.ImportFrom, package: str) -> list[str]:
    if node.level == 0:
        if node.module is None or node.module.partition(".")[0] != "nearhop":
            return []
        base = node.module.removeprefix("nearhop").removeprefix(".")
    else:
        parts = package.split(".")
        kept = parts[: len(parts) - node.level + 1]
        base = ".".join([*kept, *([node.module] if node.module else [])])
    return [f"{base}.{alias.name}" if base else alias.name for alias in node.names]


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node, the bodies of `if TYPE_CHECKING:` left out."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            for other in child.orelse:
                yield other
                yield from _nodes(other)
            continue
        yield child
        yield from _nodes(child)


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The sets of modules that reach one another (Tarjan), each sorted."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in order:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], order[other])
        if low[node] == order[node]:
            members = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(members) > 1:
                found.append(sorted(members))

    for node in sorted(graph):
        if node not in order:
            visit(node)
    return found
