"""The table of datasets is complete and consistent, and importing it is cheap."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys

import pytest

from nearhop import datasets
from nearhop.datasets.files import table
from nearhop.graphlib.errors import NotFound
from nearhop.tests.support import ROOT


def test_importing_the_room_loads_nothing_heavy():
    code = "import sys, nearhop.datasets as d; d.names(); d.info('cora').downloads; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"numba", "pyarrow", "duckdb", "sklearn", "scipy", "torch", "pandas", "networkx", "numpy", "rich"}
    assert not {name for name in loaded if name.partition(".")[0] in heavy}


@pytest.mark.parametrize("name", datasets.names())
def test_card(name):
    card = datasets.info(name)
    module, _, function = card.reader.partition(":")
    assert callable(getattr(importlib.import_module(f"nearhop.datasets.{module}"), function))
    assert card.kind in {"nodes", "labels", "links", "stream", "graphs", "vectors", "circuit"}
    assert card.nodes > 0
    assert card.use
    assert card.licence
    assert card.citation
    assert [file.path for file in card.downloads] == list(card.files)
    for file in card.downloads:
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert file.size > 0
        if file.url is not None:
            address = r"https://raw\.githubusercontent\.com/[\w.-]+/[\w.-]+/[0-9a-f]{40}/[\w./%-]+"
            assert re.fullmatch(address, file.url), file.url


def test_every_known_file_belongs_to_a_dataset():
    assert set(table()) == {path for name in datasets.names() for path in datasets.info(name).files}


def test_addresses():
    def url(path):
        return table()[path].url

    home = "https://raw.githubusercontent.com"
    commit = "af6abf468a772cc055bec88c52e4d6f51b7c37e3"
    assert url("planetoid/ind.cora.test.index") == f"{home}/kimiyoung/planetoid/{commit}/data/ind.cora.test.index"
    assert url("embedding/PPI.cmty.gz").endswith("/data/PPI.cmty")  # published without gzip
    assert url("large/JohnsHopkins55.mat").endswith("/data/facebook100/Johns%20Hopkins55.mat")
    assert url("linkpred/NS.mat").endswith("/MATLAB/data/NS.mat")
    assert url("linkpred/USAir.mat").endswith("/Python/data/USAir.mat")
    assert url("gnn_benchmark/cora_ml.npz") is None


def test_names():
    assert datasets.names() == sorted(set(datasets.names()))
    assert {"cora", "karate", "mnist", "threads-math-sx", "imdb-multi"} <= set(datasets.names())


def test_unknown_names_suggest_near_ones():
    with pytest.raises(NotFound, match="no dataset 'Corra'; did you mean 'cora'"):
        datasets.info("Corra")
    with pytest.raises(NotFound, match=r"see nearhop.datasets.names\(\)"):
        datasets.load("qqqqqq")


def test_the_page_lists_every_dataset_with_its_counts():
    page = (ROOT / "docs" / "datasets.md").read_text()
    rows = dict(re.findall(r"^\| `([\w-]+)`( \*)? \|.*$", page, re.M))
    assert sorted(rows) == datasets.names()
    for name in datasets.names():
        card = datasets.info(name)
        star = "" if all(file.url for file in card.downloads) else " *"
        edges = f"{card.edges:,}{' directed' if card.directed else ''}" if card.edges else "–"
        numbers = [f"{number:,}" if number else "–" for number in (card.features, card.classes)]
        assert f"| `{name}`{star} | {card.nodes:,} | {edges} | {' | '.join(numbers)} | {card.use} |" in page
