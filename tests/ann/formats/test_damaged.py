"""Damaged files of other libraries: an error of ours or a sound index, never a crash, never a huge allocation."""

from __future__ import annotations

import resource
import struct
import sys

import numpy as np
import pytest

from nearhop import ann
from nearhop.ann import HNSW, Exact, IVFFlat
from nearhop.ann.formats import (
    detect,
    hnswlib_file,
    read_faiss,
    read_hnswlib,
    read_hnswlib_flat,
    write_faiss,
    write_hnswlib,
)
from nearhop.ann.formats import write_hnswlib_flat as write_flat
from nearhop.graphlib.errors import IndexMismatch, NearhopError, StoreCorrupt, StoreMissing

DIM = 5
EXTREMES = (0, 1, 2, 3, 127, 255, 256, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1)


def rows_of(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)


def _hnsw(metric="l2"):
    index = HNSW(metric, M=3, ef_construction=20).add(rows_of(70), ids=np.arange(70) * 2)
    assert index.graph.top > 1
    return index


def _removed(index):
    index.remove([0, 2])
    return index


WRITERS = {
    "hnswlib": lambda path: write_hnswlib(_removed(_hnsw()), path),
    "hnswlib-flat": lambda path: write_flat(Exact().add(rows_of(30)), path),
    "faiss-flat": lambda path: write_faiss(Exact("ip").add(rows_of(30), ids=np.arange(30) + 4), path),
    "faiss-hnsw": lambda path: write_faiss(_hnsw("cosine"), path),
    "faiss-hnsw-sq8": lambda path: write_faiss(_hnsw(), path, storage="sq8"),
    "faiss-ivf": lambda path: write_faiss(IVFFlat(nlist=4).add(rows_of(40)), path),
}  # fmt: skip


def opened(kind, path):
    if kind == "hnswlib":
        return read_hnswlib(path, metric="l2")
    if kind == "hnswlib-flat":
        return read_hnswlib_flat(path, metric="l2")
    return read_faiss(path)


def changed(good, rng):
    """One to three injuries: bytes flipped, a number made extreme, a piece lost, doubled or moved, the end cut off."""
    data = bytearray(good)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(len(data)) if rng.random() < 0.5 else rng.integers(min(len(data), 400)))
        what = rng.integers(6)
        if what == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif what == 1:
            value = struct.pack("<Q", EXTREMES[rng.integers(len(EXTREMES))])[: int(rng.choice([1, 2, 4, 8]))]
            data[at : at + len(value)] = value
        elif what == 2:
            del data[at : at + int(rng.integers(1, 64))]
        elif what == 3:
            data[at:at] = data[max(0, at - 48) : at]
        elif what == 4:
            data = data[: int(rng.integers(1, len(data) + 1))]
        else:
            value = struct.pack("<f", float(rng.choice([np.nan, np.inf, -1e38, 0])))
            data[at : at + 4] = value
        if not data:
            data = bytearray(b"\0")
    return bytes(data)


def fuzz(kind, path, count, seed):
    WRITERS[kind](path)
    good = path.read_bytes()
    dim = opened(kind, path).dim
    assert dim == rows_of(1).shape[1]
    rng = np.random.default_rng(seed)
    refused = searched = 0
    for _ in range(count):
        path.write_bytes(changed(good, rng))
        try:
            index = opened(kind, path)
            assert index.dim is not None or not len(index)
            if index.dim is not None:
                queries = np.zeros((2, index.dim), np.float32)
                found = index.search(queries, 4)
                assert found.counts.min() >= min(4, len(index)) or isinstance(index, IVFFlat)
                searched += 1
        except NearhopError as error:
            refused += path.name in str(error)
    assert searched > count * 0.05
    path.write_bytes(good)
    assert opened(kind, path).dim == dim
    return refused


@pytest.mark.parametrize("kind", WRITERS)
def test_fuzzed_files(kind, tmp_path):
    count = 250
    refused = fuzz(kind, tmp_path / "victim.idx", count, seed=1)
    assert count * 0.3 < refused


@pytest.mark.slow
@pytest.mark.parametrize("kind", WRITERS)
def test_ten_thousand_fuzzed_files(kind, tmp_path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert fuzz(kind, tmp_path / "victim.idx", 10_000, seed=2) > 3000
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 400_000 * (1 if sys.platform == "linux" else 1024)


@pytest.mark.parametrize("levels", [31, 5_000, 200_000])
@pytest.mark.parametrize("says", [True, False])
def test_levels_of_an_hnswlib_file_are_bounded_before_they_are_read(levels, says, tmp_path, monkeypatch):
    path = tmp_path / "tall.idx"
    flat = next(index for seed in range(99) if not (index := HNSW(M=3, seed=seed).add(rows_of(1))).graph.top)
    write_hnswlib(flat, path)
    good = bytearray(path.read_bytes())
    if says:
        good[48:52] = struct.pack("<i", levels)
    block = 4 + 4 * 3
    path.write_bytes(bytes(good[:-4]) + struct.pack("<I", levels * block) + bytes(levels * block))
    made = []
    monkeypatch.setattr(hnswlib_file, "LevelLinks", lambda *given: made.append(given))
    with pytest.raises(StoreCorrupt, match=r"tall\.idx: levels must be in .* below 31; node 0 has"):
        read_hnswlib(path, metric="l2")
    assert made == []


@pytest.mark.parametrize("value", [b"\x01\x00\xa0\x7f", np.float32(np.inf).tobytes(), np.float32(3e38).tobytes()])
def test_ranges_of_codes_that_are_not_finite_are_refused(value, tmp_path):
    path, rows = tmp_path / "ranges.idx", rows_of(30)
    write_faiss(Exact().add(rows), path, storage="sq8")
    data, low = bytearray(path.read_bytes()), rows[:, 0].min()
    at = data.index(low.tobytes())
    for place in (at, at + 4 * rows.shape[1]):  # the minimum, and the range
        data[place : place + 4] = value
    path.write_bytes(data)
    with pytest.raises(StoreCorrupt, match=r"ranges\.idx: .*(infinite|finite)"):
        read_faiss(path)


@pytest.mark.parametrize("kind", WRITERS)
def test_every_truncation_is_refused(kind, tmp_path):
    path = tmp_path / "cut.idx"
    WRITERS[kind](path)
    good = path.read_bytes()
    for size in [*range(1, min(len(good), 160)), *range(160, len(good), 97), len(good) - 1]:
        path.write_bytes(good[:size])
        with pytest.raises(StoreCorrupt, match=r"cut\.idx: "):
            opened(kind, path)
    path.write_bytes(good + b"\0")
    with pytest.raises(StoreCorrupt, match=r"cut\.idx: 1 bytes follow the end"):
        opened(kind, path)


def patched(path, at, layout, value):
    data = bytearray(path.read_bytes())
    struct.pack_into(layout, data, at, value)
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("at", "layout", "value", "message"),
    [
        (0, "<Q", 8, "its header places links at 8"),
        (8, "<Q", 3, "70 nodes but room for 3"),
        (16, "<Q", 2**40, "1,099,511,627,776 nodes"),
        (24, "<Q", 2**63, "its header places"),
        (48, "<i", 30, "levels must be in"),
        (52, "<I", 70, "entry 70 is not a node of the highest level"),
        (56, "<Q", 2**40, "links per node"),
        (96, "<H", 7, "level 0: a node has 7 links, at most 6 fit"),
        (100, "<I", 70, "level 0: a link of node 0 leads outside the nodes 0..69"),
        (124, "<f", np.nan, "values must be finite"),
        (144, "<Q", 4, "id 4 is there twice"),
    ],
)
def test_damage_of_an_hnswlib_file_is_named(at, layout, value, message, tmp_path):
    write_hnswlib(_hnsw(), tmp_path / "a.bin")
    patched(tmp_path / "a.bin", at, layout, value)
    with pytest.raises(StoreCorrupt, match=message):
        read_hnswlib(tmp_path / "a.bin", metric="l2")


FOREIGN = {
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "a git-lfs pointer"),
    "page": (b"\n <!DOCTYPE html>\n<html><head></head></html>", "a web page"),
    "array": (b"\x93NUMPY\x01\x00v\x00{'descr': '<f4'}", "a NumPy array, not an index; build one with"),
    "archive": (b"PK\x03\x04\x14\x00\x00\x00", "a zip archive"),
    "zipped": (b"\x1f\x8b\x08\x00", "compressed with gzip"),
    "table": (b"PAR1\x15\x04", "a Parquet table"),
    "hdf": (b"\x89HDF\r\n\x1a\n\x00", "an HDF5 file"),
    "json": (b'{"index": 1}', "this is JSON"),
    "text": (b"hello there\n", "this is text"),
    "pickle": (b"\x80\x04\x95\x10", "a Python pickle, which is never loaded"),
    "nothing": (b"", "the file is empty"),
    "zeros": (bytes(64), "no index begins with the bytes 00 00"),
    "noise": (bytes(range(200, 256)), "no index begins with the bytes c8 c9"),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files_are_named_in_one_line(name, tmp_path):
    content, message = FOREIGN[name]
    path = tmp_path / f"{name}.faiss"
    path.write_bytes(content)
    for call in (detect, ann.load):
        with pytest.raises(IndexMismatch, match=message) as caught:
            call(path)
        assert f"{name}.faiss: " in str(caught.value)
        assert "\n" not in str(caught.value)


def test_kinds_are_told_by_content(tmp_path):
    names = {}
    for kind, write in WRITERS.items():
        write(tmp_path / f"{kind}.dat")
        names[kind] = detect(tmp_path / f"{kind}.dat")
    assert {k: v.name for k, v in names.items()} == {k: k if k.startswith("hnswlib") else "faiss" for k in WRITERS}
    assert names["faiss-ivf"].detail == "IndexIVFFlat"
    _hnsw().save(tmp_path / "own")
    assert detect(tmp_path / "own").name == "nearhop"
    with pytest.raises(StoreMissing, match="there is no index at"):
        ann.load(tmp_path / "nowhere")
    with pytest.raises(IndexMismatch, match="its dim is 5; dim=6 was asked for"):
        ann.load(tmp_path / "own", dim=6)
    with pytest.raises(IndexMismatch, match="its metric is 'l2'; metric='ip' was asked for"):
        ann.load(tmp_path / "own", metric="ip")
