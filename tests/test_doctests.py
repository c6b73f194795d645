"""The example in every docstring runs."""

from __future__ import annotations

import doctest
import importlib
import os

import pytest

from nearhop.graphlib.errors import MissingExtra
from nearhop.tests.house import FLOOR_OF
from nearhop.tests.support import ROOT

OPTIONAL = {"torch", "torch_geometric", "faiss", "sklearn", "matplotlib", "networkx", "pandas", "polars"}


def modules() -> list[str]:
    found = ["nearhop"]
    for room in FLOOR_OF:
        for path in sorted((ROOT / room).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found.append(".".join(("nearhop", *(p for p in parts if p != "__init__"))))
    return found


class Runner(doctest.DocTestRunner):
    """Keeps examples that went wrong apart from those that need a package which is not installed."""

    def __init__(self) -> None:
        super().__init__(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        self.wrong = 0
        self.missing: MissingExtra | None = None

    def report_failure(self, out, test, example, got):
        self.wrong += 1
        super().report_failure(out, test, example, got)

    def report_unexpected_exception(self, out, test, example, exc_info):
        if isinstance(exc_info[1], MissingExtra):
            self.missing = exc_info[1]
            return
        if self.missing is None:  # else what the missing one would have made
            self.wrong += 1
            super().report_unexpected_exception(out, test, example, exc_info)


@pytest.mark.parametrize("name", modules())
def test_docstring_examples(name, tmp_path, monkeypatch):
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        if (error.name or "").partition(".")[0] in OPTIONAL:
            pytest.skip(f"needs {error.name}")
        raise
    monkeypatch.chdir(tmp_path)
    missing = None
    for test in doctest.DocTestFinder().find(module):
        runner = Runner()
        runner.run(test)
        assert runner.wrong == 0
        missing = missing or runner.missing
    assert os.getcwd() == str(tmp_path)
    if missing is not None:
        pytest.skip(str(missing))
