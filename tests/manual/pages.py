"""Pages of the manual as programs: their blocks in order, and what a block prints beside what the page says."""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
LENIENT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A block of code: where it begins, and the text that the page shows below it, if any."""

    language: str
    code: str
    shown: str | None
    line: int


def blocks(path: Path) -> list[Block]:
    """The Python and shell blocks of a page, from first to last."""
    text = path.read_text(encoding="utf-8")
    return [
        Block(found[1], found[2], found[3], text.count("\n", 0, found.start()) + 1) for found in BLOCK.finditer(text)
    ]


class Reader:
    """Somebody who types a page's blocks one after the other, in one folder."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.path, self.folder = path, folder
        self.names: dict[str, Any] = {"__name__": "__main__"}
        tools = folder / ".tools"
        tools.mkdir()
        nearhop = tools / "nearhop"
        nearhop.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "from nearhop.cli import main; main()" "$@"\n')
        nearhop.chmod(0o755)
        self.tools = tools

    def run(self, block: Block) -> str:
        """What a block prints; the folder must be the current one."""
        if block.language == "sh":
            return self._shell(block)
        program = compile("\n" * block.line + block.code, str(self.path), "exec")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(program, self.names)
        return printed.getvalue()

    def _shell(self, block: Block) -> str:
        import os

        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.code],
            cwd=self.folder,
            env={**os.environ, "PATH": f"{self.tools}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{self.path}:{block.line}\n{done.stderr}"
        return done.stdout


def same(shown: str, printed: str) -> bool:
    """Whether a page tells the truth: equal but for white space, and for what the page leaves out as `...`."""
    return doctest.OutputChecker().check_output(shown, printed, LENIENT)
