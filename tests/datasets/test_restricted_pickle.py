"""Pickles of arrays are read; everything else is refused, and nothing in a file is ever run."""

from __future__ import annotations

import contextlib
import gzip
import io
import pickle
import struct
import warnings
from collections import OrderedDict, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_matrix, csr_matrix

from nearhop.datasets.restricted_pickle import restricted_load
from nearhop.graphlib.errors import StoreCorrupt
from nearhop.tests.support import data_file

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def read(data):
    return restricted_load(data, name="bad.pkl")


def refused(data, match=""):
    with pytest.raises(StoreCorrupt, match=f"^bad.pkl: .*{match}"):
        read(data)


def same(ours, theirs):
    if isinstance(theirs, csr_matrix):
        assert isinstance(ours, csr_matrix)
        assert ours.shape == theirs.shape
        assert np.array_equal(ours.toarray(), theirs.toarray())
    elif isinstance(theirs, np.ndarray):
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        assert np.array_equal(ours, theirs)
    else:
        assert ours == theirs


def neighbors():
    graph = defaultdict(list)
    for u, v in [(0, 1), (0, 300), (1, 0), (70000, 2)]:
        graph[u].append(v)
    return graph


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "value",
    [
        np.arange(12, dtype=np.int32).reshape(3, 4),
        np.asfortranarray(np.arange(6, dtype=">f8").reshape(2, 3)),
        np.array([True, False]),
        np.array(["a", "bc"]),
        np.zeros((0, 5), np.float32),
        np.array(7.5),
        np.float32(2.5),
        np.frombuffer(bytes(range(256)), np.uint8),
        csr_matrix(np.eye(3, 5)),
        csr_matrix((4, 2)),
        neighbors(),
        {"a": [1, 2.5, "x"], 2: (None, True, b"raw")},
        [[1, 2], [3]],
        2**70,
    ],
    ids=lambda value: type(value).__name__,
)
def test_data_is_read_from_every_protocol(value, protocol):
    same(read(pickle.dumps(value, protocol)), value)


def test_shared_arrays_are_one_array():
    a = np.arange(3)
    first, second = read(pickle.dumps([a, a]))
    assert first is second


@pytest.mark.parametrize("part", ["x", "tx", "allx", "y", "ty", "ally", "graph"])
@pytest.mark.parametrize("name", ["cora", "citeseer"])
def test_python_2_files_agree_with_the_standard_unpickler(name, part):
    data = data_file(f"planetoid/ind.{name}.{part}").read_bytes()
    with warnings.catch_warnings(action="ignore"):  # SciPy moved the module that these files name
        theirs = pickle.loads(data, encoding="latin1")  # noqa: S301 - a known file
    same(read(data), theirs)


class Calls:
    def __init__(self, function, *arguments, state=None):
        self._reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self._reduced


def hostile_calls():
    import os
    import subprocess

    return {
        "system": Calls(os.system, "touch ran"),
        "popen": Calls(subprocess.Popen, ["touch", "ran"]),
        "eval": Calls(eval, "open('ran', 'w')"),
        "exec": Calls(exec, "open('ran', 'w')"),
        "open": Calls(open, "ran", "w"),
        "getattr": Calls(getattr, "text", "upper"),
        "import": Calls(__import__, "os"),
        "numpy.load": Calls(np.load, "ran"),
        "numpy.fromfile": Calls(np.fromfile, "ran"),
        "bytearray": Calls(bytearray, 2**40),
        "range": Calls(list, range(10)),
        "partial": Calls(__import__("functools").partial, print, "ran"),
        "ordered": OrderedDict(a=1),
        "set": {1, 2},
        "complex": 1j,
        "class": io.StringIO,
        "matrix": coo_matrix(np.eye(2)),
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("which", hostile_calls())
def test_calls_are_refused_and_not_made(which, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(pickle.dumps(hostile_calls()[which], protocol))
    refused(pickle.dumps({"a": [hostile_calls()[which]]}, protocol))
    assert not list(tmp_path.iterdir())


def test_the_message_names_file_and_what_was_asked_for():
    import os

    refused(pickle.dumps(Calls(os.system, "true")), r"asks for (posix|nt)\.system, which is refused; only NumPy arrays")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("value", "match"),
    [
        (np.array([1, "a", None], object), "dtype 'O8'|refused"),
        (np.zeros(3, [("a", "i4"), ("b", "f8")]), "refused"),
        (np.array(["2020-01-01"], "M8[D]"), "refused"),
        (np.array([1j]), "refused"),
    ],
)
def test_arrays_of_other_kinds_are_refused(value, match, protocol):
    refused(pickle.dumps(value, protocol), match)


def call(module, name, arguments, state=None):
    """A protocol 2 pickle of module.name(*arguments), with a state, written by hand."""
    body = pickle.dumps(arguments, 2)[2:-1]
    built = b"" if state is None else pickle.dumps(state, 2)[2:-1] + b"b"
    # both parts number their memo from 0, which is in sequence as far as the reader checks
    return b"\x80\x02c" + module + b"\n" + name + b"\n" + body + b"R" + built + b"."


@pytest.mark.parametrize(
    "data",
    [
        call(b"numpy.core.multiarray", b"_reconstruct", (1, (2**40,), b"b")),
        call(b"numpy", b"ndarray", ((2**40,),)),
        call(b"numpy", b"dtype", ("O8", 0, 1)),
        call(b"numpy.core.multiarray", b"scalar", (1, 2)),
        call(b"numpy.core.multiarray", b"_reconstruct", (1,), (1, (3,), "i4", False, "abc")),
        call(b"numpy.core.multiarray", b"_reconstruct", (1,), {"a": 1}),
        call(b"scipy.sparse.csr", b"csr_matrix", ((2**40, 2**40),)),
        call(b"scipy.sparse.csr", b"csr_matrix", (), {"_shape": (1, 1), "data": [1], "indices": [0], "indptr": [0, 1]}),
        call(b"copy_reg", b"_reconstructor", (1, 2, 3)),
        call(b"_codecs", b"encode", ("cmd", "rot13")),
        b"\x80\x02c__builtin__\nlist\n.",
        b"\x80\x02c__builtin__\nlist\n)R.",
        b"\x80\x02cnumpy\nndarray\n}b.",  # state for a class
        b"\x80\x02ccollections\ndefaultdict\n)R}b.",  # attributes for a dict
        b"\x80\x02cnumpy\nndarray\n)R}X\x01\x00\x00\x00aK\x01s\x86b.",
        b"\x80\x04\x8c\x0bnumpy.core.\x8c\x04load\x93.",
        b"cnumpy\nload\n.",
        b"c__builtin__\nlist.__class__\n.",
    ],
)
def test_hand_written_pickles_are_refused(data):
    refused(data)


def test_shapes_are_held_against_the_bytes():
    array = pickle.dumps(np.arange(3, dtype=np.uint8), 2)
    refused(array.replace(b"K\x03\x85", b"K\x09\x85"), r"an array of shape \(9,\) and dtype uint8 in 3 bytes")


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"\x80\x02]r\xff\xff\xff\x7f.", "memo slot 2147483647 out of sequence"),
        (b"]p999999999\n.", "memo slot 999999999 out of sequence"),
        (b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b"a.", "cut off"),
        (b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b"a.", "cut off"),
        (b"\x80\x02T" + struct.pack("<i", -1) + b"a.", "cut off"),
        (b"\x80\x02K\x01P1\n.", "opcode PERSID"),
        (b"\x80\x02K\x01Q.", "opcode BINPERSID"),
        (b"\x80\x02\x82\x01.", "opcode EXT1"),
        (b"(ios\nsystem\n.", "opcode INST"),
        (b"\x80\x02(cnumpy\nndarray\no.", "opcode OBJ"),
        (b"\x80\x02K\x012.", "opcode DUP"),
        (b"\x80\x02K\x01\x86" + b"\x85" * 20_000 + b".", "over 10,000 tuples"),
        (b"\x80\x02K\x01.extra", "5 bytes follow the end"),
        (b"\x80\x02K\x01", "without its end mark"),
        (b"", "without its end mark"),
        (b"<!DOCTYPE html><html>", "refused"),
        (b"version https://git-lfs.github.com/spec/v1\n", ""),
        (b"\x80\x02" + b"]" * 30 + b"a" * 29 + b".", "nested more than 16 deep"),
        (b"I" + b"9" * 100_000 + b"\n.", "not a readable pickle"),
    ],
)
def test_dishonest_byte_code_is_refused(data, match):
    refused(data, match)


def test_tuples_of_tuples_as_keys_cannot_stall_the_reader():
    """Hashing a tuple that holds one tuple twice, forty times over, would take 2^40 steps."""
    doubled = b"\x80\x02}K\x01\x85q\x00" + b"".join(b"h" + bytes([i]) + b"\x86q" + bytes([i + 1]) for i in range(40))
    refused(doubled + b"K\x01s.", "uses memo slot 0")


def test_shared_lists_do_not_grow():
    """Lists of the same lists, sixteen deep: 10^16 elements if they were copied."""
    value: list = [1]
    for _ in range(14):
        value = [value] * 10
    loaded = read(pickle.dumps(value))
    assert loaded[0] is loaded[9]


def read_or_refused(data):
    plain = (int, float, str, bytes, bool, type(None), list, tuple, dict, np.ndarray, np.generic, csr_matrix)
    with contextlib.suppress(StoreCorrupt):
        assert isinstance(read(data), plain)


@given(st.data())
def test_damage_is_refused_or_harmless(data):
    """Flip bytes, cut, insert: the answer is plain data or StoreCorrupt, never another error."""
    values = (np.arange(6).reshape(2, 3), csr_matrix(np.eye(3)), dict(neighbors()), {"a": [np.float32(1), b"x"]})
    original = pickle.dumps(data.draw(st.sampled_from(values)), data.draw(st.sampled_from(PROTOCOLS)))
    damaged = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=4))
        if not damaged:
            break
    read_or_refused(bytes(damaged))


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_or_harmless(data):
    read_or_refused(b"\x80\x02" + data + b".")


def test_a_real_file_cut_anywhere_is_refused():
    data = gzip.decompress(data_file("large/nell/ind.nell.0.001.x.gz").read_bytes())
    for end in range(0, len(data), 997):
        refused(data[:end])
