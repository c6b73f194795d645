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
PACKED: dict[str, Any] = {"bz2": bz2.compress, "xz": lzma.compress}


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


def test_a_quote_within_a_cell_opens_none(tmp_path):
    store = ingest(put(tmp_path, '# head\nsrc,dst,t\na,b,5" disk\n# c,d,e\nf,g,x\n', "a.csv"), comment="#")
    assert store.ids().tolist() == ["a", "b", "f", "g"]
    assert store.edges["t"].tolist() == ['5" disk', "x"]
    store = ingest(put(tmp_path, b'# head\r\nsrc,dst,t\na,b,5" disk\nc,d,"x\n# y\nz"\n'))
    assert store.edges["t"].tolist() == ['5" disk', "x\n# y\nz"]


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ('a,b, "x\n# y"\n', ["x\n# y"]),
        ('a,b,"x\n# y" \n', ["x\n# y"]),
        ('a,b,"""x\n# ""y"\nc,d,"1"" disk"\n', ['"x\n# "y', '1" disk']),
        ('"a",b,"x\n\n# y"\n\n# z\nc,"d",\'\n', ["x\n\n# y", "'"]),
        ('a,b,5"\nc,d,5" x 6"\n# z\n', ['5"', '5" x 6"']),
    ],
)
def test_marks_count_outside_quoted_cells_alone(tmp_path, text, cells):
    for ends in ("\n", "\r\n"):
        given = ("# head\nsrc,dst,t\n" + text).replace("\n", ends)
        store = ingest(put(tmp_path, given), comment="#", quote='"')
        assert store.edges["t"].tolist() == [cell.replace("\n", ends) for cell in cells]


def test_quoted_cells_between_blanks_may_hold_line_ends(tmp_path):
    store = ingest(put(tmp_path, '# head\n"New York\n# 1\n\nUSA"  Oslo\nOslo\t"Rio X"\n# z\n'), directed=True)
    assert store.ids().tolist() == ["New York\n# 1\n\nUSA", "Oslo", "Rio X"]
    assert store.ingest_report.to_dict()["files"][0]["comment_lines"] == 2


@pytest.mark.parametrize("options", [{}, {"header": True}, {"delimiter": ","}])
def test_a_line_far_down_that_may_be_a_row_is_asked_for(tmp_path, options):
    rows = "".join(f"n{i},m{i}\n" for i in range(1500))
    path = put(tmp_path, f"# list\nsrc,dst\n{rows}#cats,bob\n")
    with pytest.raises(IngestError, match=r"line 1503, '#cats,bob', may be a comment or a row; .*comment=\"\" takes"):
        ingest(path, **options)
    assert ingest(path, comment="#", **options).num_edges == 1500
    told = put(tmp_path, f"# list\nsrc,dst\n{rows}# cats, bob\n#\n# x\n")
    assert ingest(told, **options).num_edges == 1500


def test_a_mark_alone_far_down_is_asked_for(tmp_path):
    rows = "".join(f"{i}\t{i + 1}\n" for i in range(1500))
    with pytest.raises(IngestError, match=r"line 1502, '#\\t7', may be a comment or a row"):
        ingest(put(tmp_path, f"# list\n{rows}#\t7\n"))
    with pytest.raises(IngestError, match=r"line 3, '#cats bob', may be a comment or a row"):
        ingest(put(tmp_path, "# list\nann bob\n  #cats bob\nbob cy\n").rename(tmp_path / "f.txt"))


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("above", ["", "# head\n"])
def test_line_ends_within_cells_are_kept(tmp_path, ends, above):
    for number, far in enumerate((0, 60_000)):
        rows = f"p,q{ends}" * far
        text = f'{above}src,dst{ends}{rows}"a\r\nb",x{ends}"a\nb",x{ends}'
        store = ingest(put(tmp_path, text.encode(), f"{number}.csv"), ids="text")
        assert set(store.ids().tolist()) == {"a\r\nb", "a\nb", "x"} | ({"p", "q"} if far else set())
    rows = f'1,2,"{"x" * 40}\r\n\n"{ends}' * 80_000
    store = ingest(put(tmp_path, f"{above}src,dst,t{ends}{rows}".encode()))
    assert store.num_edges == 80_000
    assert set(store.edges["t"].tolist()) == {"x" * 40 + "\r\n\n"}


@pytest.mark.parametrize("quote", ['"', "'"])
def test_blank_lines_and_marks_within_cells_are_not_counted(tmp_path, quote):
    q = quote
    path = put(tmp_path, f"src,dst,t\n1,2,{q}a\n\n\nb{q}\n\n3,4,c\n")
    store = ingest(path, quote=quote)
    assert store.ingest_report.to_dict()["files"][0]["blank_lines"] == 1
    assert store.edges["t"].tolist() == ["a\n\n\nb", "c"]
    path = put(tmp_path, f"# head\nsrc,dst,t\nann,bob,{q}a\n#cats,bob,x\n{q}\nbob,cy,c\n")
    store = ingest(path, quote=quote)
    assert store.edges["t"].tolist() == ["a\n#cats,bob,x\n", "c"]
    assert store.ingest_report.to_dict()["files"][0]["comment_lines"] == 1


@pytest.mark.parametrize(
    ("usual", "late", "kind"),
    [("true", late, "bool") for late in ("1", "yes", "t", "n", "0")]
    + [("2020-01-01", late, "date") for late in ("epoch", "infinity", "-infinity")]
    + [("2020-01-01T05:30Z", "epoch", "date")],
)
def test_a_late_cell_of_another_kind_is_an_error_with_its_line(tmp_path, usual, late, kind):
    path = put(tmp_path, "src,dst,t\n" + f"1,2,{usual}\n" * 20_000 + f"5,6,{late}\n")
    with pytest.raises(IngestError, match=rf"line 20002: column 't' is '{late}', where it holds {kind} before"):
        ingest(path)
    assert ingest(path, types={"t": "text"}).edges["t"][-1] == late
    with pytest.raises(IngestError, match=rf"line 20002: (time|weight) 't' is '{late}'"):
        ingest(path, **({"time": "t"} if kind == "date" else {"weight": "t"}))


def test_words_of_a_column_called_bool_are_read(tmp_path):
    path = put(tmp_path, "src,dst,t\n1,2,yes\n2,3,n\n3,4,TRUE\n3,5,0\n")
    assert ingest(path, types={"t": "bool"}).edges["t"].tolist() == [True, False, True, False]
    path = put(tmp_path, "src,dst,t\n1,2,true\n2,3,\n3,4,False\n3,5,NA\n")
    assert [str(cell) for cell in ingest(path).edges["t"].tolist()] == ["1.0", "nan", "0.0", "nan"]


@pytest.mark.parametrize("text", ['src,dst\n" a",b\na,b\n', "src,dst\n'a\t',b\na,b\n", 'src;dst\r\nb;"a "\r\nb;a\r\n'])
def test_blanks_within_quotes_that_ids_lose_are_told(tmp_path, text):
    quote = "'" if "'" in text else '"'
    store = ingest(put(tmp_path, text.encode()), ids="text", quote=quote)
    assert store.ids().tolist() == ["a", "b"]
    assert "blanks around the ids of column" in str(store.ingest_report)
    store = ingest(put(tmp_path, 'src,dst,t\n"a",b," x "\na, b,"y"\n'))
    assert store.edges["t"].tolist() == [" x ", "y"]
    store = ingest(put(tmp_path, 'src,dst,t\n"a",b,"x"\na,b,"y"\n'))
    assert "blanks around" not in str(store.ingest_report)
