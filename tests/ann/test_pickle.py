"""Indexes, signatures and searches in other processes: pickle, copy and joblib keep what `save` keeps."""

from __future__ import annotations

import copy
import gc
import multiprocessing
import pickle
import tempfile
from concurrent.futures import ProcessPoolExecutor
from operator import methodcaller
from pathlib import Path

import numpy as np
import pytest

import nearhop
from nearhop import ann
from nearhop.ann.opening import KINDS
from nearhop.ann.pickling import _opened
from nearhop.communities import CommunitySearch
from nearhop.graphlib.errors import StoreCorrupt
from nearhop.tests.support import needs

VECTORS = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
SETS = [range(start, start + 9) for start in range(0, 60, 3)]
MAKERS = {
    "exact": lambda: ann.Exact("cosine", threads=1),
    "ivf": lambda: ann.IVFFlat("l2", nlist=4, nprobe=2, threads=1),
    "neural": lambda: ann.NeuralLSH(nlist=4, nprobe=2, hidden=8, rounds=1, epochs=1, threads=1),
    "hnsw": lambda: ann.HNSW("ip", threads=1, ef_search=50),
    "hnsw int8": lambda: ann.HNSW(storage="int8", threads=1),
    "hnsw int8-float16": lambda: ann.HNSW(storage="int8-float16", layout="packed", threads=1),
    "hnsw int8-only": lambda: ann.HNSW(storage="int8-only", threads=1),
    "hnsw 1bit": lambda: ann.HNSW(storage="1bit", threads=1),
    "hnsw int4-only": lambda: ann.HNSW(storage="int4-only", threads=1),
    "lsh": lambda: ann.LSH(ann.MinHash(64), threshold=0.4, threads=1),
    "faiss": lambda: ann.Faiss("Flat", threads=1),
}
ROUNDS = {
    "pickle": lambda index: pickle.loads(pickle.dumps(index)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


def made(name):
    if name == "faiss":
        pytest.importorskip("faiss")
    if name == "neural":
        pytest.importorskip("torch")
    return MAKERS[name]()


def answers(index):
    queries = SETS[:4] if isinstance(index, ann.LSH) else VECTORS[:4]
    found = index.search(queries, k=3)
    return found.ids.tolist(), found.distances.tolist()


def test_every_kind_is_here():
    elsewhere = {"faiss", "cann"}  # the bridge needs its library; points with colours: tests/ann/cann
    assert {made.KIND for made in (maker() for name, maker in MAKERS.items() if name != "faiss")} | elsewhere == set(
        KINDS
    )


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("way", ROUNDS)
def test_what_comes_back_answers_alike(name, way):
    index = made(name)
    index.add(SETS if name == "lsh" else VECTORS)
    again = ROUNDS[way](index)
    assert type(again) is type(index)
    assert answers(again) == answers(index)
    assert again.threads == 1
    again.remove([int(again.ids[0])])
    assert (len(again), len(index)) == (len(index) - 1, len(index))  # a copy is of its own


@pytest.mark.parametrize("name", MAKERS)
def test_an_index_without_rows_keeps_its_parameters(name):
    index = made(name)
    again = pickle.loads(pickle.dumps(index))
    given = {key: value for key, value in vars(index).items() if not key.startswith("_") and key != "minhash"}
    assert given.items() <= vars(again).items()
    again.add(SETS if name == "lsh" else VECTORS)
    index.add(SETS if name == "lsh" else VECTORS)
    assert answers(again) == answers(index)


def test_deletes_and_text_ids_come_along():
    index = ann.HNSW().add(VECTORS, ids=[f"row {i}" for i in range(60)])
    index.remove(["row 0"])
    again = pickle.loads(pickle.dumps(index))
    assert len(again) == 59
    assert answers(again) == answers(index)


def test_its_files_go_with_it(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    again = pickle.loads(pickle.dumps(ann.Exact().add(VECTORS)))
    assert len(list(tmp_path.iterdir())) == 1
    del again
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_files_outside_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(StoreCorrupt, match="outside its folder"):
        _opened(ann.Exact, {"../index": b""}, {})
    assert list(tmp_path.iterdir()) == []


def test_minhash_and_signatures():
    minhash = ann.MinHash(32, seed=5)
    signatures = minhash.fit_transform(SETS)
    again = pickle.loads(pickle.dumps(minhash))
    np.testing.assert_array_equal(again.fit_transform(SETS), signatures)
    packed = ann.BBitSignatures.pack(signatures, bits=2)
    pairs = [0, 1], [1, 2]
    np.testing.assert_array_equal(copy.deepcopy(packed).pair_similarity(*pairs), packed.pair_similarity(*pairs))


def test_a_search_over_a_stored_graph(tmp_path):
    store = nearhop.datasets.load("karate")
    with pytest.raises(TypeError, match=r"store = store\.save\(path\)"):
        pickle.dumps(CommunitySearch(store, 64, bands=32))
    search = CommunitySearch(store.save(tmp_path / "karate.nh"), 64, bands=32)
    again = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(again.search([0, 1], 5).ids, search.search([0, 1], 5).ids)


@pytest.mark.parametrize("name", ["hnsw", "exact"])
def test_in_a_spawned_process(name):
    index = made(name).add(VECTORS)
    ask = methodcaller("search", VECTORS[:4], k=3)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        found = pool.submit(ask, index).result(timeout=120)
    assert (found.ids.tolist(), found.distances.tolist()) == answers(index)


@needs("joblib")
def test_joblib_files(tmp_path):
    import joblib

    index = ann.HNSW().add(VECTORS)
    joblib.dump(index, tmp_path / "index.joblib")
    assert answers(joblib.load(tmp_path / "index.joblib")) == answers(index)
    assert Path(tmp_path / "index.joblib").exists()
