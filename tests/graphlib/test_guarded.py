"""Files that others made: any byte may be wrong, and what comes out is the right array or an error of nearhop's own."""

from __future__ import annotations

import gzip
import importlib.util
import io
import os
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import nearhop
from nearhop.cli.arrays import read_vectors
from nearhop.graphlib.errors import IngestError, NearhopError, StoreCorrupt, StoreMissing
from nearhop.graphlib.guarded import Npz, guarded, open_gzip, read_npy, read_numpy
from nearhop.graphlib.vector_files import hdf5_attributes, write_vecs


def npy(array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npz(packed=False, **arrays) -> bytes:
    stream = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(stream, **arrays)
    return stream.getvalue()


ARRAYS = {
    "bools": np.array([True, False]),
    "small": np.arange(6, dtype=np.int8).reshape(2, 3),
    "big-endian": np.arange(3, dtype=">f8"),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "text": np.array(["ann", "zoë"]),
    "bytes": np.array([b"a", b"bc"]),
    "dates": np.array(["2024-01-01"], "datetime64[ns]"),
    "empty": np.empty((0, 5), np.float32),
    "one": np.array(7),
    "record": np.zeros(2, [("a", "i4"), ("b", "f8")]),
    "record of several versions": np.zeros(1, [("é", "i4")]),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_what_numpy_writes_is_read(tmp_path, name):
    given = ARRAYS[name]
    path = tmp_path / "a.npy"
    path.write_bytes(npy(given))
    for found in (read_npy(path), read_npy(npy(given)), Npz(npz(a=given))["a"], Npz(npz(packed=True, a=given))["a"]):
        assert found.dtype == given.dtype
        assert found.shape == given.shape
        assert np.array_equal(found, given)


def head(descr="'<i8'", shape="(1,)", order="False", version=b"\x01\x00", padding=b"") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}".encode() + padding + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + bytes(8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with b''"),
        (b"version https://git-lfs.github.com/spec/v1\n", "begins with b'version"),
        (b"<!doctype html><html>", "is not a .npy file, or is damaged"),
        (npy(np.arange(9))[:60], "ends within its head"),
        (npy(np.arange(9))[:-1], "promises int64"),
        (head(shape="(1 << 60,)"), "is damaged"),
        (head(shape="(2305843009213693952,)"), "promises int64"),
        (head(shape="(-1,)"), "its shape is"),
        (head(shape="(True,)"), "its shape is"),
        (head(descr="'<U0'", shape="(4611686018427387904,)"), "promises"),
        (head(descr="'|O'"), "holds Python objects"),
        (head(descr="[('a', '|O')]"), "holds Python objects"),
        (head(order="1"), "neither C nor Fortran"),
        (head(version=b"\x09\x00"), "format version 9"),
        (head(padding=b" " * 20_000), "a head of 20,0"),
        (head(descr="__import__('os').system('true')"), "is damaged"),
        (head(descr="'|b1'") , None),
        (head(descr="'|b1'")[:-8] + b"\x07", "neither 0 nor 1"),
        (head(descr="'<U1'")[:-8] + b"\xff\xff\xff\x7f", "not Unicode"),
        (head(descr="'<U1'")[:-8] + b"\x00\xd8\x00\x00", "not Unicode"),
    ],
)  # fmt: skip
def test_hostile_arrays(tmp_path, content, message):
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    if message is None:
        assert read_npy(path).tolist() == [False]
        return
    for source in (path, content):
        with pytest.raises(StoreCorrupt, match=message):
            read_npy(source)


def archive(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        for name, content in members.items():
            made.writestr(name + ".npy", content)
    return stream.getvalue()


def test_hostile_archives(tmp_path):
    with pytest.raises(StoreCorrupt, match="more follows its array 'a'"):
        Npz(archive(a=npy(np.arange(3)) + b"x"))["a"]
    with pytest.raises(StoreCorrupt, match="holds Python objects"):
        Npz(archive(a=npy(np.array([{}]))))["a"]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        made.writestr("a.npy", npy(np.arange(3)))
        with pytest.warns(UserWarning, match="Duplicate name"):
            made.writestr("a.npy", npy(np.arange(4)))
    with pytest.raises(StoreCorrupt, match="two arrays called 'a'"):
        Npz(stream.getvalue())
    whole = bytearray(npz(a=np.arange(3)))
    at = whole.index(b"PK\x01\x02") + 24  # of the directory: the size when unpacked
    whole[at : at + 4] = (1 << 31).to_bytes(4, "little")
    with pytest.raises(StoreCorrupt, match=r"promises 2,147,483,648 bytes in"):
        Npz(bytes(whole))["a"]
    with pytest.raises(StoreCorrupt, match="has no array 'b'; it holds a"):
        Npz(npz(a=np.arange(3))).take("a", "b")
    with pytest.raises(StoreCorrupt, match="is an archive of several arrays"):
        read_npy(npz(a=np.arange(3)))
    with pytest.raises(StoreMissing, match="there is no file"):
        read_numpy(tmp_path / "none.npz")
    with pytest.raises(StoreCorrupt, match="is a folder"):
        read_numpy(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")  # opening one would wait for a writer for ever
    for read in (read_numpy, open_gzip, read_vectors):
        with pytest.raises(StoreCorrupt, match="is a pipe, socket or device"):
            read(tmp_path / "pipe.npy")


def test_damaged_gzip_files(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"0 1\n" * 1000))
    with open_gzip(path) as stream:
        assert stream.read() == b"0 1\n" * 1000
    whole = path.read_bytes()
    for content in (whole[:-4], whole[:-8] + bytes(8), whole[:20], whole + b"more"):
        path.write_bytes(content)
        with (
            pytest.raises(IngestError, match=r"a\.gz cannot be unpacked"),
            open_gzip(path, error=IngestError) as stream,
        ):
            stream.read()


def test_errors_of_ones_own_pass_a_guard():
    with pytest.raises(StoreMissing, match=r"there is no file x"), guarded("x", "a file"):
        open("/nowhere/at/all").close()
    with pytest.raises(IngestError, match=r"^mine$"), guarded("x", "a file"):
        raise IngestError("mine")
    with pytest.raises(KeyboardInterrupt), guarded("x", "a file"):
        raise KeyboardInterrupt


def damage(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 6))):
        if rng.random() < 0.15:
            del changed[rng.randrange(len(changed) + 1) :]
        elif changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def edges_of(path: Path) -> object:
    return nearhop.ingest(path).num_edges


def inputs(folder: Path) -> dict:
    """Whole files of every kind that others make, and the call that reads them."""
    rng = np.random.default_rng(0)
    src, dst = rng.integers(0, 20, (2, 40))
    matrix = sp.coo_array((rng.random(40), (src, dst)), shape=(20, 20))
    found = {
        "edges.npz": (npz(src=src, dst=dst, weight=rng.random(40)), edges_of),
        "packed.npz": (npz(packed=True, src=src, dst=dst), edges_of),
        "edges.npy": (npy(np.column_stack([src, dst])), edges_of),
        "edges.csv.gz": (gzip.compress(b"src,dst\n" + b"0,1\n1,2\n" * 50), edges_of),
        "vectors.npy": (npy(rng.random((20, 4), np.float32)), read_vectors),
        "vectors.csv": (b"0.5,1\n2,3\n" * 20, read_vectors),
    }
    for name, made in (("csr.npz", matrix.tocsr()), ("csc.npz", matrix.tocsc()), ("coo.npz", matrix)):
        sp.save_npz(folder / name, made)
        found[name] = ((folder / name).read_bytes(), edges_of)
    for name, dtype in (("a.fvecs", np.float32), ("a.bvecs", np.uint8), ("a.ivecs", np.int32)):
        write_vecs(folder / name, rng.integers(0, 9, (9, 5)).astype(dtype))
        found[name] = ((folder / name).read_bytes(), lambda path: read_vectors(str(path)).sum())
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"v": list(rng.random((9, 4)))}), folder / "v.parquet")
    found["v.parquet"] = ((folder / "v.parquet").read_bytes(), lambda path: read_vectors(str(path)).sum())
    if importlib.util.find_spec("h5py") is not None:
        import h5py

        with h5py.File(folder / "v.hdf5", "w") as file:
            file.create_dataset("train", data=rng.random((9, 4)), compression="gzip")
            file.attrs["distance"] = "angular"
        found["v.hdf5"] = (
            (folder / "v.hdf5").read_bytes(),
            lambda path: (read_vectors(str(path)).sum(), hdf5_attributes(path)),
        )
    return found


def fuzz(folder: Path, rounds: int, seed: int) -> None:
    rng = random.Random(seed)
    for name, (whole, read) in inputs(folder).items():
        path = folder / name
        path.write_bytes(whole)
        read(path)
        for turn in range(rounds):
            path.write_bytes(damage(whole, rng))
            try:
                read(path)
            except NearhopError:
                pass
            except Exception as error:
                kept = folder / f"raw-{turn}-{name}"
                path.rename(kept)
                raise AssertionError(f"{name}, round {turn} of seed {seed}: {error!r}") from error


@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")
def test_damaged_inputs_raise_errors_of_ones_own(tmp_path):
    fuzz(tmp_path, 25, seed=1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("seed", range(2, 6))
def test_damaged_inputs_for_long(tmp_path, seed):
    fuzz(tmp_path, 500, seed)


def test_sparse_matrices_are_checked_within_their_bounds(tmp_path):
    path = tmp_path / "m.npz"
    whole = {"format": np.array(b"csr"), "shape": np.array([3, 3]), "data": np.ones(2), "indices": np.array([1, 2])}
    for indptr, indices in (([0, 1, 2, 2], [1, 9]), ([0, 2, 1, 2], [1, 2]), ([0, 1, 2, 2], [1, -5])):
        np.savez(path, **{**whole, "indptr": np.array(indptr), "indices": np.array(indices)})
        with pytest.raises(IngestError, match=r"m\.npz is not a sparse matrix, or is damaged"):
            nearhop.ingest(path)
