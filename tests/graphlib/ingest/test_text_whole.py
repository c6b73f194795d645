"""Nothing of a text file is lost on the way: packed members, comments far down, cells with line ends and quotes."""

from __future__ import annotations

import bz2
import lzma
from typing import Any

import pytest

import nearhop
from nearhop.graphlib.errors import IngestError

ingest: Any = nearhop.ingest


def put(folder, content, name="e.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


HEAD, REST = b"src,dst\n1,2\n", b"3,4\n"
PACKED = {"bz2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("kind", PACKED)
def test_what_follows_a_packed_member_is_read_or_refused(tmp_path, kind):
    pack, name = PACKED[kind], f"e.csv.{kind}"
    first, second = pack(HEAD), pack(REST)
    assert ingest(put(tmp_path, first + second, name)).num_edges == 2
    assert ingest(put(tmp_path, first + pack(b"") + second, name)).num_edges == 2
    damaged = second[:20] + bytes([second[20] ^ 255]) + second[21:]
    for rest in (b"X" + second[1:], b"X", second[:3], second[:-4], damaged, b"\0", b"\0" * 3 + second):
        with pytest.raises(IngestError, match=rf"e\.csv\.{kind} cannot be unpacked: .* from byte {len(first)} on"):
            ingest(put(tmp_path, first + rest, name))
    with pytest.raises(IngestError, match=r"cannot be unpacked: .* from byte 0 on ends before its end mark"):
        ingest(put(tmp_path, first[:-4], name))


def test_zeros_in_fours_pad_members_of_xz(tmp_path):
    first, second = lzma.compress(HEAD), lzma.compress(REST)
    for zeros in (4, 400, 1 << 20):
        packed = first + bytes(zeros) + second + bytes(zeros)
        assert ingest(put(tmp_path, packed, "e.csv.xz")).num_edges == 2
    with pytest.raises(IngestError, match=rf"from byte {len(first)} on is damaged: 6 zero bytes"):
        ingest(put(tmp_path, first + bytes(6) + second, "e.csv.xz"))


@pytest.mark.parametrize("kind", PACKED)
def test_packed_files_of_many_pieces(tmp_path, kind):
    rows = b"".join(b"%d,%d\n" % (i, i * 7919 % 100_003) for i in range(150_000))
    half = len(rows) // 2
    packed = PACKED[kind](b"src,dst\n" + rows[:half]) + PACKED[kind](rows[half:])
    store = ingest(put(tmp_path, packed, f"e.csv.{kind}"), directed=True)
    assert store.num_edges == 150_000
