"""Indexes that the first release wrote, one per kind, storage, metric and layout, open and find what they found."""

from __future__ import annotations

import json
import tarfile

import numpy as np
import pytest

import nearhop
from nearhop import ann
from nearhop.ann.opening import KINDS
from nearhop.tests.support import ROOT

NAMES = [
    *(f"exact-{what}" for what in ("l2", "cosine", "ip", "text", "hamming")),
    *(f"hnsw-{storage}-{metric}" for storage in ("float32", "int8", "int8-only") for metric in ("l2", "cosine", "ip")),
    *("hnsw-float16-l2", "hnsw-hamming", "ivf-l2", "lsh"),
]
FEW_BITS = [f"hnsw-{s}-{m}" for s in ("int4", "1bit", "int4-only", "1bit-only") for m in ("l2", "cosine", "ip")]

PACKED = [f"hnsw-packed-{metric}" for metric in ("l2", "cosine", "ip")]
LISTS = ["neural-int8", "neural-float32", "neural-pair"]
COLORS = ["cann-grids", "cann-range", "cann-cosine"]


def unpacked(name, folder):
    with tarfile.open(ROOT / "tests" / "golden" / f"{name}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return unpacked("indexes-format-1", tmp_path_factory.mktemp("golden"))


@pytest.fixture(scope="module")
def few_bits(tmp_path_factory):
    return unpacked("indexes-rabitq", tmp_path_factory.mktemp("golden"))


@pytest.fixture(scope="module")
def later(tmp_path_factory):
    return unpacked("indexes-lists-colors-packed", tmp_path_factory.mktemp("golden"))


def queries(written, name):
    if "hamming" in name:
        return np.load(written / "bits_60x8.npy")[:8]
    if name == "lsh":
        return np.load(written / "signatures_60x16.npy")[:8]
    return np.load(ROOT / "tests" / "golden" / "vectors_60x6.npy").astype(np.float32)[:8]


def check(found, expected):
    distances = np.array(expected["distances"])
    near = np.isfinite(distances)
    np.testing.assert_allclose(found.distances[near], distances[near], rtol=1e-5, atol=2e-6)
    same = found.ids == np.array(expected["ids"])
    tied = np.isclose(distances[:, 1:], distances[:, :-1], rtol=1e-5, atol=2e-6)
    loose = np.zeros_like(same)
    loose[:, 1:] |= tied
    loose[:, :-1] |= tied
    assert (same | loose | ~near).all()


@pytest.mark.parametrize("in_memory", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_an_index_of_the_first_release_opens(written, name, in_memory):
    expected = json.loads((written / "expected.json").read_text())[name]
    check(ann.load(written / name, in_memory=in_memory).search(queries(written, name), 5), expected)


@pytest.mark.parametrize("name", FEW_BITS)
def test_an_index_of_few_bits_opens(few_bits, name):
    expected = json.loads((few_bits / "expected.json").read_text())[name]
    check(ann.load(few_bits / name).search(np.load(few_bits / "queries_8x10.npy"), 5), expected)


@pytest.mark.parametrize("name", [*PACKED, *LISTS])
def test_a_packed_index_and_one_of_learned_lists_open(later, name):
    expected = json.loads((later / "expected.json").read_text())[name]
    index = ann.load(later / name)
    assert name not in PACKED or index.layout == "packed"
    check(index.search(np.load(later / "queries_8x12.npy"), 5), expected)


@pytest.mark.parametrize("name", COLORS)
def test_an_index_of_colors_opens(later, name):
    expected = json.loads((later / "expected.json").read_text())[name]
    given = np.load(later / "queries_8x12.npy")
    found = ann.load(later / name).search([given[:4], given[4:]], 3)
    assert (found.colors.tolist(), found.counts.tolist()) == (expected["colors"], expected["counts"])
    np.testing.assert_allclose(found.scores, expected["scores"], rtol=1e-6)


def test_every_kind_of_index_has_one():
    """A kind that `ann.load` opens is here, but for FAISS's own, whose files are FAISS's (`test_faiss.py`)."""
    named = {name.partition("-")[0] for name in (*NAMES, *FEW_BITS, *PACKED, *LISTS, *COLORS)}
    assert named == set(KINDS) - {"faiss"}


def test_an_index_beside_its_column_opens(written):
    expected = json.loads((written / "expected.json").read_text())["store-with-hnsw"]
    store = nearhop.open(written / "store-with-hnsw")
    check(ann.HNSW.attach(store, "near").search(queries(written, "x"), 5), expected)
