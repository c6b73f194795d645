"""How a room shows its public names: each stands once, in the stub `__init__.pyi` beside the room's `__init__.py`.

Type checkers and editors read the stub; at run time a name is imported when it is first asked for, so that importing
a room costs next to nothing.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any


def names_of(stub: Path) -> dict[str, str]:
    """Each public name of a stub and the module, relative to the room, that defines it.

    A stub is a list of `from .module import Name as Name`.
    """
    homes: dict[str, str] = {}
    for statement in ast.parse(stub.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.ImportFrom):
            module = "." * statement.level + (statement.module or "")
            homes.update((alias.asname or alias.name, module) for alias in statement.names)
    return homes


class Room(ModuleType):
    """A room's module. An import of `walks/temporal_walks.py` binds its module in `walks` under its own name, which is
    a public function's too: the function keeps the name, whichever is imported first."""

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and self.__dict__.get("_homes", {}).get(name, ".") != ".":
            return
        super().__setattr__(name, value)


def attach(
    package: str, file: str, *, extra: str | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a room, from the stub beside `file` (the room's `__file__`).

    Parameters
    ----------
    package : str
        The room's `__name__`.
    file : str
        The room's `__file__`.
    extra : str, optional
        An optional package that every name of the room needs; where it is missing, asking for a name raises
        `MissingExtra`.
    """
    homes = names_of(Path(file).with_suffix(".pyi"))
    room = sys.modules[package]
    room.__class__ = Room
    room._homes = homes  # type: ignore[attr-defined]

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if extra is not None:
            from .extras import require

            require(extra, f"{package}.{name}")
        module = homes[name]
        if module == ".":  # a room within the room
            return importlib.import_module(f".{name}", package)
        value = getattr(importlib.import_module(module, package), name)
        setattr(room, name, value)  # from now on without this detour
        return value

    return load, lambda: sorted(homes), sorted(homes)
