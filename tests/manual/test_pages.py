"""Every block of the manual's tutorials runs, and prints what the page says it prints."""

from __future__ import annotations

import importlib.util
import re

import pytest

from nearhop.tests.manual.pages import Reader, blocks, same
from nearhop.tests.support import ROOT, needs

DOCS = ROOT / "docs"
NEEDS = {"tutorials/gnn-in-pyg.md": "torch_geometric", "tutorials/moving.md": "torch_geometric", "colors.md": "cv2"}
PAGES = ["getting-started.md", "worker-processes.md", "colors.md"]
PAGES += sorted(
    str(path.relative_to(DOCS)) for part in ("tutorials", "concepts") for path in (DOCS / part).glob("*.md")
)


def marked(page: str):
    marks = [needs(NEEDS[page])] if page in NEEDS else []
    return pytest.param(page, id=page, marks=marks)


@pytest.mark.parametrize("page", [marked(page) for page in PAGES if blocks(DOCS / page)])
def test_a_page_runs_and_tells_the_truth(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reader = Reader(DOCS / page, tmp_path)
    for block in blocks(DOCS / page):
        printed = reader.run(block)
        if block.shown is None:
            assert not printed or block.language == "sh", f"{page}:{block.line} does not say what it prints:\n{printed}"
        else:
            assert same(block.shown, printed), f"{page}:{block.line} says\n{block.shown}and it prints\n{printed}"


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))], ids=lambda page: page.name)
def test_what_a_page_imports_is_there(page):
    for path, names in re.findall(
        r"^\s*(?:>>> )?from (nearhop[\w.]*) import ([\w, ]+)$", page.read_text(), re.MULTILINE
    ):
        module = importlib.import_module(path)
        for name in names.replace(" ", "").split(","):
            assert hasattr(module, name) or importlib.util.find_spec(f"{path}.{name}"), f"{path} has no {name}"


def test_a_page_that_lies_is_found(tmp_path, monkeypatch):
    """A test of this file that cannot fail would let a page say anything."""
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n\n```sh\necho twice\n```\n")
    first, second = blocks(page)
    monkeypatch.chdir(tmp_path)
    reader = Reader(page, tmp_path)
    assert not same(first.shown, reader.run(first))
    assert (second.line, second.shown, reader.run(second)) == (9, None, "twice\n")
    assert same("2\n", "2\n")
    assert same("a ... c", "a b c")
