"""The example in every docstring runs."""

from __future__ import annotations

import doctest
import importlib
import os

import pytest

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


@pytest.mark.parametrize("name", modules())
def test_docstring_examples(name, tmp_path, monkeypatch):
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        if (error.name or "").partition(".")[0] in OPTIONAL:
            pytest.skip(f"needs {error.name}")
        raise
    monkeypatch.chdir(tmp_path)
    outcome = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert outcome.failed == 0
    assert os.getcwd() == str(tmp_path)
