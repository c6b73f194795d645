"""Blocks of public names in the pages of the reference.

A block names a module and, a line each, public names of it::

    ```{public} nearhop.ann
    HNSW
    Exact
    ```

Classes are shown with their methods, functions with their signatures, and a module's own name with all it defines.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator

UNDERSCORE = re.compile(r"\b(\w*[a-z\d])_(?![\w:])(?! :)")
BLOCK = re.compile(r"^```\{public\} (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """(module, names) of every block of a page."""
    for module, names in BLOCK.findall(text):
        yield module, names.split()


def expand(text: str) -> str:
    """The page with its blocks replaced by what Sphinx reads."""
    return BLOCK.sub(lambda match: _directives(match[1], match[2].split()), text)


def readable(lines: list[str]) -> None:
    """Escape, in place, what a docstring does not mean as markup: |A| and names that end with an underscore."""
    for at, line in enumerate(lines):
        parts = line.split("`")
        for plain in range(0, len(parts), 2):  # outside `code`
            parts[plain] = UNDERSCORE.sub(r"\1\\_", parts[plain].replace("|", r"\|"))
        lines[at] = "`".join(parts)


def _directives(module: str, names: list[str]) -> str:
    lines = ["```{eval-rst}"]
    for name in names:
        value = getattr(importlib.import_module(module), name)
        kind = _kind(value)
        lines += [f".. auto{kind}:: {module}.{name}", ""]
    return "\n".join([*lines, "```"])


def _kind(value: object) -> str:
    if inspect.isclass(value) or inspect.ismodule(value):
        return "class" if inspect.isclass(value) else "module"
    return "function" if callable(value) else "data"
