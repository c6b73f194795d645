"""What a file says comes out whole and in its own words, or an error shows the lines and names the option."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import nearhop
from nearhop.graphlib.errors import IngestError, InvalidInput, InvalidType
from nearhop.tests.support import data_file, needs

ingest: Any = nearhop.ingest


def pairs(store):
    edges, ids = store.edge_list(), store.ids()
    src, dst = (edges.src, edges.dst) if ids is None else (ids[edges.src], ids[edges.dst])
    return list(zip(src.tolist(), dst.tolist(), strict=True))


def put(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


GOOD = {
    # first rows and marks before them
    "byte-order mark": (b"\xef\xbb\xbf1,2\n2,3\n", {}, [(1, 2), (2, 3)]),
    "mark and blanks": (b"\xef\xbb\xbf1   2\n2 3\n", {}, [(1, 2), (2, 3)]),
    "mark and names": (b"\xef\xbb\xbfdst,src\n1,2\n", {}, [(2, 1)]),
    "UTF-16": ("src,dst\né,x\n".encode("utf-16"), {}, [("é", "x")]),
    "UTF-16 named": ("a,b\nb,c\n".encode("utf-16-le"), {"encoding": "utf-16-le"}, [("a", "b"), ("b", "c")]),
    "Latin-1 named": ("src,dst\nJosé,b\n".encode("latin-1"), {"encoding": "latin-1"}, [("José", "b")]),
    "placeholder first": ("1,2,-\n1,3,0.5\n", {}, [(1, 2), (1, 3)]),
    "blank lines first": ("\n \n1,2\n2,3\n", {}, [(1, 2), (2, 3)]),
    "old Macintosh": ("1,2\r2,3\r", {}, [(1, 2), (2, 3)]),
    "mixed line ends": ("1,2\r\n2,3\n3,1\r\n", {}, [(1, 2), (2, 3), (3, 1)]),
    # ids that look like something else, where their columns are certain
    "dates": ("src,dst\n2020-01-01,2020-1-2\n2020-1-2,x\n", {}, [("2020-01-01", "2020-1-2"), ("2020-1-2", "x")]),
    "true and false": ("src,dst\ntrue,TRUE\nTRUE,false\n", {}, [("true", "TRUE"), ("TRUE", "false")]),
    "dates asked for": ("2020-01-01,2020-01-02\n", {"src": 0, "dst": 1}, [("2020-01-01", "2020-01-02")]),
    # comments
    "mark inside ids": ("# languages\nJava\tC#\nC\tF#\n", {}, [("Java", "C#"), ("C", "F#")]),
    "percent inside": ("% urls\na\tNew%20York\t3\nb\tx%20y\t4\n", {}, [("a", "New%20York"), ("b", "x%20y")]),
    "comments between": ("# a\n1,2\n# b, c\n2,3\n", {}, [(1, 2), (2, 3)]),
    "comment at the end": ("1 2\n2 3\n# end\n", {}, [(1, 2), (2, 3)]),
    "own mark": ("//a\n1,2\n", {"comment": "//"}, [(1, 2)]),
    "no mark": ("#a,#b\n#b,#c\n", {"comment": ""}, [("#a", "#b"), ("#b", "#c")]),
    # delimiters
    "tab, commas inside": ("Doe, J\tRoe, R\nRoe, R\tDoe, J\n", {}, [("Doe, J", "Roe, R"), ("Roe, R", "Doe, J")]),
    "blank and tab": ("% asym\n1 2\t1 1082040961\n2 3\t1 1082040970\n", {}, [(1, 2), (2, 3)]),
    "tab and blank": ("% asym\n1\t2 1 1082040961\n2\t3 1 1082040970\n", {}, [(1, 2), (2, 3)]),
    "decimal commas": ("1;2;0,5\n2;3;0,7\n", {"weight": "column2"}, [(1, 2), (2, 3)]),
    "blanks and decimals": ("1 2 0,5\n2 3 0,7\n", {"weight": "column2"}, [(1, 2), (2, 3)]),
    "double colons": ("1::1193::5::978300760\n1::661::3::978302109\n", {}, [(1, 1193), (1, 661)]),
    "hash as delimiter": ("src#dst\nann#bob\nbob#cy\n", {"delimiter": "#"}, [("ann", "bob"), ("bob", "cy")]),
    "percent as delimiter": ("1%2\n2%3\n", {"delimiter": "%"}, [(1, 2), (2, 3)]),
    "empty cells first": (
        "a#b#c\n#x#y\n#y#z\n",
        {"delimiter": "#", "header": True, "src": "b", "dst": "c"},
        [("x", "y"), ("y", "z")],
    ),
    "caret and tilde": ("ann^~bob\nbob^~cy\n", {"delimiter": "^~"}, [("ann", "bob"), ("bob", "cy")]),
    "colons inside": ("fe80::1,fe80::2\nfe80::2,fe80::3\n", {}, [("fe80::1", "fe80::2"), ("fe80::2", "fe80::3")]),
    "quoted": ('src,dst\n"Smith, J",x\ny,"a ""b"""\n', {}, [("Smith, J", "x"), ("y", 'a "b"')]),
    "quotes that are text": ('src\tdst\n5" pipe\tx\n"y\tz\n', {}, [('5" pipe', "x"), ('"y', "z")]),
    "single quotes": ("src,dst\n'a,b',c\n", {"quote": "'"}, [("a,b", "c")]),
    "quoted, blanks between": ('"New York" Oslo\nOslo "Rio X"\n', {}, [("New York", "Oslo"), ("Oslo", "Rio X")]),
    "blank-only lines": ("1 2\n2 3\n   \n3 4\n \n", {}, [(1, 2), (2, 3), (3, 4)]),
    "a blank line in a CSV": ("src,dst\n1,2\n \n2,3\n", {}, [(1, 2), (2, 3)]),
    "blanks after commas": ("ann, bob\nbob, cy\n", {}, [("ann", "bob"), ("bob", "cy")]),
    # headers
    "all text, known names": ("follower,followee\nann,bob\nbob,cy\n", {}, [("ann", "bob"), ("bob", "cy")]),
    "all text, ids again": ("ann,bob\nbob,cy\n", {}, [("ann", "bob"), ("bob", "cy")]),
    "all text, told": ("ann,bob\ncy,dee\n", {"header": False}, [("ann", "bob"), ("cy", "dee")]),
    "digits below": ("person,place\nP01,L7\nP02,L7\n", {}, [("P01", "L7"), ("P02", "L7")]),
    "index of a frame": (",src,dst\n0,1,2\n1,2,3\n", {}, [(1, 2), (2, 3)]),
    "index, number names": (",0,1\n0,5,7\n1,7,8\n", {}, [(5, 7), (7, 8)]),
    "index, another name": ("Unnamed: 0,u,i,ts\n0,1,2,5\n1,3,2,6\n", {}, [(1, 2), (3, 2)]),
    "triples by name": ("head,relation,tail\na,r,b\nb,r,c\n", {}, [("a", "b"), ("b", "c")]),
    "triples by number": ("a\tr\tb\nb\tr\tc\n", {"src": 0, "dst": 2, "header": False}, [("a", "b"), ("b", "c")]),
    # ids
    "zeros": ("src,dst\n007,7\n07,008\n", {}, [("007", "7"), ("07", "008")]),
    "zeros, map": ("src,dst\n007,7\n", {"ids": "map"}, [("007", "7")]),
    "zeros, positions": ("src,dst\n001,2\n", {"ids": "positions"}, [(1, 2)]),
    "twenty digits": ("src,dst\n18446744073709551615,1\n", {"ids": "map"}, [("18446744073709551615", "1")]),
    "as text": ("src,dst\n1,2\n", {"ids": "text"}, [("1", "2")]),
    "floats": ("1.0,2.0\n2.0,3.0\n", {}, [(1, 2), (2, 3)]),
    "floats as text": ("1.0,1\n2.5,3\n", {"ids": "map"}, [("1.0", "1"), ("2.5", "3")]),
    "from one": ("1 2\n1 3\n2 3\n3 4\n", {}, [(1, 2), (1, 3), (2, 3), (3, 4)]),
    "two sides": ("user,item\n1,1\n2,1\n", {"bipartite": True}, [("user:1", "item:1"), ("user:2", "item:1")]),
    "two sides of text": ("user,item\na,a\n", {"bipartite": True}, [("user:a", "item:a")]),
    "one set": ("user,item\n1,1\n", {"bipartite": False}, [(1, 1)]),
    # other names and forms
    "a matrix by content": ("%%MatrixMarket matrix coordinate pattern general\n3 3 1\n1 2\n", {}, [(0, 1)]),
}


@pytest.mark.parametrize(("content", "options", "expected"), GOOD.values(), ids=GOOD)
def test_what_goes_in_comes_out(tmp_path, content, options, expected):
    store = ingest(put(tmp_path, "e.txt", content), directed=True, **options)
    assert pairs(store) == expected
    if options.get("ids") != "positions" and store.num_edges > 1 and store.ids() is not None:
        assert (store.csr().degrees() + store.csc().degrees()).min() > 0  # no node that nobody named
    assert str(store.ingest_report).startswith("e.txt (")


ASKED = {
    "dates by place": ("user,at\n1,2020-01-02\n", {}, r"dst column 'at' holds date .*; say which columns are the ends"),
    "damaged first id": ("NA,2\n1,3\n2,4\n", {}, r"e\.txt, line 1: src 'column0' is 'NA', not an integer id"),
    "header or row": ("ann,bob\ncy,dee\n", {}, r"'ann,bob' / 'cy,dee'; say header=True or header=False"),
    "letters": ("a,b\nc,d\n", {}, "header=True or header=False"),
    "one text row": ("ann,bob\n", {}, "header=True or header=False"),
    "names that come again": ("from,to\nto,x\n", {}, "header=True or header=False"),
    "hash first": ("#cats,bob\nann,#dogs\n", {}, r"may be a comment or a row.*comment="),
    "only hashes": ("#a,#b\n#b,#c\n", {}, r'every line begins with a comment mark.*comment=""'),
    "two delimiters": ("a|b,c\nd|e,f\n", {}, r"',' and '\|' both give.*delimiter="),
    "tabs or blanks": ("ann x\t1 2\nbob y\t3 4\n", {}, r'delimiter="\\t" or delimiter="whitespace"'),
    "no delimiter": ("1 2 3\n2 3\n3\n", {}, r"equally many columns.*delimiter="),
    "one column": ("alone\nalone\n", {}, "seems to have one column"),
    "triples": ("/m/1\tr\t/m/2\n/m/3\tr\t/m/1\n", {}, r"triples.*src= and dst="),
    "kinds of ids": ("02881\thyper\t02622\n03730\tderiv\t03148\n", {}, "different kinds of ids; .*src= and dst="),
    "row numbers": ("id,person,friend\n1,5,6\n2,6,7\n", {}, r"'id' may number the rows.*src= and dst="),
    "destination first": ("dst,user\n1,2\n", {}, "may be the destination"),
    "two pairs": ("user,item,citing,cited\n1,2,3,4\n", {}, "more than one pair"),
    "relation second": ("person,type,company\na,works,b\nc,owns,d\n", {"header": True}, "kind of the edge"),
    "Latin-1": ("src,dst\nJosé,b\n".encode("latin-1"), {}, r"line 2: not utf-8; .*encoding="),
    "UTF-16 unmarked": ("a,b\nb,c\n".encode("utf-16-le"), {}, r"line 1 holds a zero byte.*encoding="),
    "half a character": ("1,2\né"[:-1].encode() + b"\xc3", {}, "ends within a character"),
    "late zeros, no map": (
        "src,dst\n1,2\n99999999999999999999,1\n",
        {},
        r"line 3: src 'src' is '9+', not an integer id",
    ),
    "late text": ("src,dst\n" + "1,2\n" * 20_500 + "A7,5\n", {}, r"line 20502: src 'src' is 'A7'"),
    "zones mixed": (
        "src,dst,t\n1,2,2021-11-07T05:30Z\n2,3,2021-11-07T05:30\n",
        {"time": "t"},
        r"line 3.*'2021-11-07T05:30'",
    ),
    "dates and numbers": ("src,dst,t\n1,2,5\n2,3,2020-01-01\n", {"time": "t"}, r"line 3.*'2020-01-01'"),
    "late zone": (
        "src,dst,t\n" + "1,2,2021-11-07T05:30Z\n" * 20_500 + "2,3,2021-11-07T05:30\n",
        {"time": "t"},
        r"line 20502: time 't' is .*dates with a time zone",
    ),
    "thousands or decimals": ("a;b;n\n1;2;1,234\n", {"weight": "n"}, "weight column 'n' holds text"),
    "unclosed quote": ('src,dst\n"a,b\n' + "c,d\n" * 1200, {"quote": '"'}, r"line 2.*quote"),
    "behind a quote": ('src,dst\n"a",b\n"a"b,c\n', {"quote": '"'}, r"line 3: .*behind a closing quote"),
    "return inside": ("1,2\n2\r,3\n", {}, r"line 2 holds a carriage return"),
    "no line feed": (b"x" * 3_000_000, {}, "line 1 is longer than 2 MiB"),
    "long cell": (b"src,dst\n1,2\n" + b"x" * 3_000_000 + b",2\n", {}, "line 3 is longer than 2 MiB"),
}


@pytest.mark.parametrize(("content", "options", "message"), ASKED.values(), ids=ASKED)
def test_what_is_open_is_asked_for(tmp_path, content, options, message):
    with pytest.raises(IngestError, match=message) as raised:
        ingest(put(tmp_path, "e.txt", content), tmp_path / "s.nh", **options)
    assert "\n" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["e.txt"]


FOLDERS = {
    "columns by name": ({"a.csv": "src,dst\n1,2\n", "b.csv": "dst,src\n10,20\n"}, {}, [(1, 2), (20, 10)]),
    "blank lines first": ({"a.csv": "\n\n1,2\n2,3\n", "b.csv": "3,4\n4,5\n"}, {}, [(1, 2), (2, 3), (3, 4), (4, 5)]),
    "packed and plain": (
        {"a.csv.gz": gzip.compress(b"src,dst\n1,2\n"), "b.csv": "src,dst\n3,4\n"},
        {},
        [(1, 2), (3, 4)],
    ),
    "delimiters": (
        {"a.csv": "src,dst\n1,2\n", "b.csv": "src;dst\n3;4\n", "c.tsv": "dst\tsrc\n6\t5\n"},
        {},
        [(1, 2), (3, 4), (5, 6)],
    ),
    "text headers": ({"a.csv": "x,y,w\nann,bob,1\n", "b.csv": "x,y,w\n"}, {}, [("ann", "bob")]),
    "header in the first": ({"a.csv": "src,dst\n1,2\n", "b.csv": "3,4\n"}, {"header": "first"}, [(1, 2), (3, 4)]),
    "empty parts": ({"a.csv": "src,dst\n1,2\n", "b.csv": "", "_SUCCESS": "", ".x.csv": "7,8\n"}, {}, [(1, 2)]),
    "names are names": ({"y=2020/a.csv": "src,dst\n1,2\n", "y=2021/[b]*.csv": "src,dst\n3,4\n"}, {}, [(1, 2), (3, 4)]),
    "no header": ({"a.csv": "10,20\n"}, {}, [(10, 20)]),
    "other header": ({"a.csv": "src,dst\n1,2\n", "b.csv": "10,20\n"}, {}, 'b.csv: has no header.*header="first"'),
    "other columns": ({"a.csv": "src,dst\n1,2\n", "b.csv": "src,dst,w\n1,2,3\n"}, {}, "b.csv has columns"),
    "other widths": ({"a.csv": "1,2\n", "b.csv": "1,2,3\n"}, {}, "b.csv: has 3 columns"),
    "other kinds": ({"a.csv": "src,dst\n1,2\n", "b.csv": "src,dst\nx1,2\n3,x2\n"}, {}, "line 2.*'x1'|x1"),
    "Parquet and text": ({"a.parquet": b"PAR1", "b.csv": "1,2\n"}, {}, "1 parquet and 1 text files"),
}


@pytest.mark.parametrize(("files", "options", "expected"), FOLDERS.values(), ids=FOLDERS)
def test_files_of_a_folder(tmp_path, files, options, expected):
    for name, content in files.items():
        put(tmp_path / "f", name, content)
    if isinstance(expected, str):
        with pytest.raises(IngestError, match=expected):
            ingest(tmp_path / "f", directed=True, **options)
        return
    store = ingest(tmp_path / "f", directed=True, **options)
    assert pairs(store) == expected
    assert list(store.edges) == (["w"] if "x,y,w" in str(files) else [])


def test_parquet_files_of_a_folder(tmp_path):
    put(tmp_path, "y=1/x", "")
    pq.write_table(pa.table({"src": pa.array([1], pa.int32()), "dst": [2]}), tmp_path / "y=1" / "a[1].parquet")
    pq.write_table(pa.table({"dst": [20], "src": [1 << 40]}), tmp_path / "y=1" / "b.parquet")
    store = ingest(tmp_path)
    assert pairs(store) == [(1, 2), (1 << 40, 20)]
    assert list(store.edges) == []
    pq.write_table(pa.table({"src": ["x"], "dst": ["y"]}), tmp_path / "y=1" / "c.parquet")
    with pytest.raises(IngestError, match=r"'src' holds text in c\.parquet, but integer in a"):
        ingest(tmp_path)


def test_a_name_that_exists_is_no_pattern(tmp_path, monkeypatch):
    put(tmp_path, "a[1].csv", "1,2\n")
    put(tmp_path, "a1.csv", "5,6\n")
    put(tmp_path, "x*.csv", "3,4\n")
    put(tmp_path, "xy.csv", "7,8\n")
    assert pairs(ingest(tmp_path / "a[1].csv")) == [(1, 2)]
    assert pairs(ingest(tmp_path / "x*.csv")) == [(3, 4)]
    pq.write_table(pa.table({"src": [1], "dst": [2]}), tmp_path / "p[0].parquet")
    assert pairs(ingest(tmp_path / "p[0].parquet")) == [(1, 2)]
    monkeypatch.chdir(tmp_path)
    put(tmp_path, "~.csv", "9,10\n")
    assert pairs(ingest("~.csv")) == [(9, 10)]


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("e.csv.gz", gzip.compress),
        ("e.csv", lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:])),
        ("e.csv.bz2", bz2.compress),
        ("e.csv.xz", lzma.compress),
        ("e.csv.zst", lambda data: pa.compress(data, codec="zstd", asbytes=True)),
    ],
)
def test_packed_files(tmp_path, name, pack):
    data = b"src,dst\n1,2\n" + b"".join(b"%d,%d\n" % (i, i * 7919 % 1000) for i in range(3000))
    path = put(tmp_path, name, pack(data))
    assert ingest(path).num_edges == 3001
    path.write_bytes(pack(data)[:-40])
    with pytest.raises(IngestError, match=r"e\.csv.* cannot be unpacked"):
        ingest(path)


FOREIGN = {
    "g.graph": (b"% METIS\n3 3\n2 3\n1 3\n1 2\n", "METIS"),
    "g.gr": (b"c x\np sp 3 2\na 1 2 7\n", "DIMACS"),
    "g.txt": (b"c x\np edge 3 2\ne 1 2\n", "DIMACS"),
    "g.sif": (b"A pp B\nB pp C\n", "SIF"),
    "g.nt": (b"<http://a> <http://b> <http://c> .\n", "N-Triples"),
    "n.txt": (b"<http://a> <http://b> <http://c> .\n", "N-Triples"),
    "g.xlsx": (b"PK\x03\x04" + bytes(26) + b"[Content_Types].xml", "Excel"),
    "g.csv": (b"PK\x03\x04" + bytes(60), "zip archive"),
    "g.json": (b'{"nodes": []}', "JSON"),
    "j.txt": (b'[{"a": 1}]', "JSON"),
    "g.dot": (b"digraph { a -> b }", "DOT"),
    "g.h5": (b"\x89HDF\r\n\x1a\n", "HDF5"),
    "g.tar.gz": (gzip.compress(b"x" * 257 + b"ustar" + bytes(300)), "tar archive"),
    "g.pkl": (b"\x80\x04\x95", "pickle"),
    "g.xml": (b"<?xml version='1.0'?><a/>", "XML"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_formats_are_named(tmp_path, name):
    content, word = FOREIGN[name]
    with pytest.raises(IngestError, match=rf"{name} is .*{word}.*; \w") as raised:
        ingest(put(tmp_path, name, content))
    assert "\n" not in str(raised.value)


@needs("networkx")
@pytest.mark.parametrize("name", ["g.graphml", "g.gml", "g.gexf", "g.net", "g.graphml.gz", "odd.txt"])
def test_graph_files_go_through_networkx(tmp_path, name):
    import networkx as nx

    graph = nx.relabel_nodes(nx.path_graph(4, nx.DiGraph), str)
    nx.set_edge_attributes(graph, "likes", "kind")
    write = {"gml": nx.write_gml, "gexf": nx.write_gexf, "net": nx.write_pajek}.get(name[2:], nx.write_graphml)
    write(graph, tmp_path / name)
    store = ingest(tmp_path / name)
    assert sorted(pairs(store)) == [("0", "1"), ("1", "2"), ("2", "3")]
    assert store.directed
    assert "read by NetworkX" in str(store.ingest_report)
    if name != "g.net":
        assert store.edges["kind"].tolist() == ["likes"] * 3
    if name == "g.graphml":
        (tmp_path / name).write_text("<graphml><broken>")
        with pytest.raises(IngestError, match=r"g\.graphml cannot be read as GraphML"):
            ingest(tmp_path / name)


def test_pipes_and_devices_are_refused(tmp_path):
    os.mkfifo(tmp_path / "p.csv")
    for path, word in ((tmp_path / "p.csv", "a pipe"), ("/dev/zero", "a device"), ("/dev/null", "a device")):
        with pytest.raises(IngestError, match=rf"{path} is {word}"):
            ingest(path)


def test_names_are_shown_as_text(tmp_path):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.csv")
    put(tmp_path, odd, "1,2\n")
    for given in (odd, tmp_path):
        with pytest.raises(IngestError, match=r"/\\udcff\.csv: its name is not UTF-8"):
            ingest(given)
    os.remove(odd)
    path = put(tmp_path, "e\x1b[31m[bold].csv", "1\n2,3\n4,5\n")
    with pytest.raises(IngestError) as raised:
        ingest(path)
    assert "e\\x1b[31m[bold].csv, line 1" in str(raised.value)


# columns


def test_text_and_odd_columns_are_kept(tmp_path):
    big = 9007199254740993  # 2^53 + 1
    rows = f"1,2,01234,hi,{big},5,1.5\n2,3,99999,,,NA,1.25\n"
    store = ingest(put(tmp_path, "e.csv", "src,dst,zip,note,n,k,weight\n" + rows), tmp_path / "s.nh")
    assert store.edges["zip"].tolist() == ["01234", "99999"]
    assert store.edges["note"].tolist() == ["hi", ""]
    assert store.edges["n"].tolist() == [str(big), ""]
    assert store.edges["k"][0] == 5
    assert np.isnan(store.edges["k"][1])
    told = nearhop.open(tmp_path / "s.nh").ingest_report
    assert told.kept == {"zip": "text", "note": "text", "n": "text", "k": "integer", "weight": "float"}
    assert any("column 'weight' is not the edges' weight" in note for note in told.notes)
    assert any("1 cell such as NA" in note for note in told.notes)
    assert ingest(tmp_path / "e.csv", weight="weight").ingest_report.roles["weight"] == "weight (float)"
    kinds = ingest(tmp_path / "e.csv", types={"k": "text", "zip": "integer"}).edges
    assert (kinds["k"].tolist(), kinds["zip"].tolist()) == (["5", "NA"], [1234, 99999])
    with pytest.raises(IngestError, match="no column 'q' for types"):
        ingest(tmp_path / "e.csv", types={"q": "text"})


def test_node_columns_keep_their_digits(tmp_path):
    nodes = put(tmp_path, "n.csv", "Id,Label,n\nann,Ann A.,9007199254740993\nbob,Bob B.,\n")
    store = ingest(put(tmp_path, "e.csv", "source,target\nann,bob\n"), nodes=nodes)
    assert store.nodes["Label"].tolist() == ["Ann A.", "Bob B."]
    assert store.nodes["n"].tolist() == ["9007199254740993", ""]
    plain = put(tmp_path, "p.csv", "007,x\n008,y\n")
    store = ingest(
        put(tmp_path, "z.csv", "src;dst\n007;008\n"), delimiter=";", nodes=plain, node_text={"header": False}
    )
    assert store.ids().tolist() == ["007", "008"]
    with pytest.raises(InvalidInput, match="node_text says how to read"):
        ingest(tmp_path / "e.csv", node_text={"header": False})


def test_a_huge_cell_does_not_blow_a_column_up(tmp_path):
    rows = "1,2,a\n" * 20_000 + f"1,2,{'x' * 5000}\n1,2,\n"
    store = ingest(put(tmp_path, "e.csv", "src,dst,note\n" + rows), tmp_path / "s.nh")
    assert store.edges["note"].dtype.kind == "T"
    assert [len(text) for text in store.edges["note"][[0, 20_000, 20_001]]] == [1, 5000, 0]
    assert store.estimate().disk_bytes < 3 << 20
    assert list(ingest(tmp_path / "e.csv", columns=[]).edges) == []


def test_user_and_item_that_share_ids(tmp_path):
    path = put(tmp_path, "sales.csv", "user,item,ts\n1,1,10\n1,2,11\n2,1,12\n3,3,13\n")
    with pytest.warns(UserWarning, match=r"both columns 'user' and 'item' \(3 of them\)"):
        ingest(path)
    store = ingest(path, tmp_path / "s.nh", bipartite=True, time="ts")
    assert (store.num_nodes, store.edge_list().src.tolist()) == (6, [0, 0, 1, 2])
    assert store.nodes["side"].tolist() == ["user"] * 3 + ["item"] * 3
    assert store.lookup(["item:1", "user:1"]).tolist() == [3, 0]
    assert store.where("side = 'item'").tolist() == [3, 4, 5]
    for options in ({"ids": "positions"}, {"nodes": {"id": [1]}}):
        with pytest.raises(InvalidInput, match="bipartite=True"):
            ingest(path, bipartite=True, **options)
    matrix = "%%MatrixMarket matrix coordinate pattern general\n2 3 2\n1 1\n2 3\n"
    store = ingest(put(tmp_path, "m.mtx", matrix), bipartite=True)
    assert store.ids().tolist() == ["row:1", "row:2", "column:1", "column:2", "column:3"]
    assert store.edge_list().dst.tolist() == [2, 4]


# direction and matrices


def test_a_matrix_is_whole_and_counts_from_one(tmp_path):
    head = "%%MatrixMarket matrix coordinate pattern general\n5 5 3\n"
    for body, found in (("1 2\n2 3\n", 2), ("1 2\n2 3\n3 4\n4 5\n", 4)):
        with pytest.raises(IngestError, match=f"holds {found} entries, but its head promises 3"):
            ingest(put(tmp_path, "m.mtx", head + body))
    path = put(tmp_path, "m.mtx", head + "1 2\n% between\n2 3\n3 5\n")
    assert pairs(ingest(path)) == [(0, 1), (1, 2), (2, 4)]
    assert pairs(ingest(path, ids="map")) == [(1, 2), (2, 3), (3, 5)]
    assert ingest(path).directed


# times


@pytest.mark.parametrize(
    ("cells", "unit", "expected"),
    [
        (("2021-11-07T05:30:00+02:00", "2021-11-07T05:30:00Z"), "us", [1636255800000000, 1636263000000000]),
        (("2021-11-07", "2021-11-08 00:00:01"), "us", [1636243200000000, 1636329601000000]),
        (("2021-11-07 05:30:00.123456789", "2021-11-07 05:30:01"), "ns", [1636263000123456789, 1636263001000000000]),
        (("2021-11-07T05:30:00.123456789Z", "2021-11-07T05:30:01Z"), "ns", [1636263000123456789, 1636263001000000000]),
        (("2021-11-07 05:30:00.123000000", "2021-11-07"), "us", [1636263000123000, 1636243200000000]),
        (("1636263000123456789", "5"), None, [1636263000123456789, 5]),
    ],
)
def test_times_of_text(tmp_path, cells, unit, expected):
    path = put(tmp_path, "e.csv", f"src,dst,t\n1,2,{cells[0]}\n2,3,{cells[1]}\n")
    store = ingest(path, time="t")
    assert store.edge_list().time.dtype == np.int64
    assert store.edge_list().time.tolist() == expected
    assert store.attributes.get("time_unit") == unit
    if unit is not None:
        assert ingest(path).edges["t"].astype(f"M8[{unit}]").astype(np.int64).tolist() == expected


def test_zones_do_not_depend_on_the_machine(tmp_path):
    pq.write_table(
        pa.table({"src": [0, 1], "dst": [1, 2], "t": pa.array([5 * 10**15, 6 * 10**15], pa.timestamp("us", "UTC"))}),
        tmp_path / "e.parquet",
    )
    put(tmp_path, "e.csv", "src,dst,t\n0,1,2021-11-07T05:30:00Z\n1,2,2021-11-07T06:10:00Z\n")
    code = (
        "import nearhop\n"
        "for name in ('e.parquet', 'e.csv'):\n"
        "    print(nearhop.ingest(name, time='t').edge_list().time.tolist())\n"
        "print(nearhop.ingest('e.csv').edges['t'].astype('int64').tolist())"
    )
    given = {**os.environ, "TZ": "America/New_York"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=given, capture_output=True, text=True, check=True
    )
    csv = "[1636263000000000, 1636265400000000]"
    assert done.stdout.split("\n")[:3] == ["[5000000000000000, 6000000000000000]", csv, csv]


@pytest.mark.parametrize("unit", ["D", "h", "m", "s", "ms", "us", "ns", "W", "M"])
def test_times_of_arrays_of_any_unit(unit):
    time = np.array(["2020-01", "2020-02"], "M8[M]").astype(f"M8[{unit}]")
    store = ingest({"src": np.array([0, 1]), "dst": np.array([1, 2]), "t": time}, time="t")
    assert store.edge_list().time.tolist() == time.astype("M8[us]").astype(np.int64).tolist()


def test_nanoseconds_of_tables_survive():
    for kind in (pa.timestamp("ns"), pa.timestamp("ns", "UTC")):
        table = pa.table({"src": [0, 1], "dst": [1, 2], "t": pa.array([1, 1636263000123456789], kind)})
        store = ingest(table, time="t")
        assert (store.edge_list().time.tolist(), store.attributes["time_unit"]) == ([1, 1636263000123456789], "ns")
        assert ingest(table).edges["t"].tolist() == [1, 1636263000123456789]


# objects


def test_objects_that_cannot_be_read_say_so():
    for source, error, message in (
        (np.array([[0, 5], [1, 2]]), InvalidInput, r"shape \(2, 2\)"),
        (([0, 5], [1, 2]), InvalidInput, "two edges or the pair"),
        ([(2**70, 1)], IngestError, "more than 64 bits; give such ids as text"),
        ({"src": np.array([0]), "dst": np.array([1]), "c": np.array([1j])}, InvalidType, "'c' holds complex128"),
        (pa.table([[1], [2]], ["src", "SRC"]), IngestError, "'src' and 'SRC'; names must differ"),
    ):
        with pytest.raises(error, match=message):
            ingest(source)
    told = ingest(pa.table({"src": [1], "dst": [2], "many": [["a", "b"]]})).ingest_report
    assert "many" in told.left_out
    unsigned = {"src": np.array([1, 2**64 - 1], np.uint64), "dst": np.array([1, 2])}
    assert ingest(unsigned, ids="map").ids().tolist() == ["1", "18446744073709551615", "2"]
    fields = np.array([(1, 2, 0.5)], [("src", "i4"), ("dst", "i4"), ("w", "f4")])
    assert ingest(fields, weight="w").edge_list().weight.tolist() == [0.5]


@needs("pandas")
def test_frames_of_pandas():
    import pandas as pd

    with pytest.raises(IngestError, match="'a' and 'a'; names must differ"):
        ingest(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    named = pd.DataFrame({"dst": [2, 3]}, index=pd.Index([1, 2], name="src"))
    assert pairs(ingest(named)) == [(1, 2), (2, 3)]
    odd = pd.DataFrame({"src": [1, 2], "dst": [2, 3]}, index=["x", "y"])
    assert any("index of the frame" in note for note in ingest(odd).ingest_report.notes)
    with pytest.raises(IngestError, match="mixes kinds"):
        ingest(pd.DataFrame({"src": [1, "a"], "dst": [2, 3]}))
    mixed = [pd.Timestamp("2020-01-01", tz="UTC"), pd.Timestamp("2020-01-01")]
    with pytest.raises(InvalidInput, match="with a time zone and moments without"):
        ingest(pd.DataFrame({"src": [1, 2], "dst": [2, 3], "t": pd.Series(mixed, dtype=object)}), time="t")


@needs("polars")
def test_lazy_frames_of_polars():
    import polars

    assert pairs(ingest(polars.LazyFrame({"src": [1, 2], "dst": [2, 3]}))) == [(1, 2), (2, 3)]


@needs("torch")
def test_tensors():
    import torch

    index = torch.tensor([[0, 5], [1, 2]])
    assert pairs(ingest(index)) == [(0, 1), (5, 2)]
    sparse = torch.sparse_coo_tensor(index, torch.ones(2, dtype=torch.bfloat16), (6, 6), check_invariants=True)
    assert ingest(sparse).num_nodes == 6
    with pytest.raises(InvalidType, match=r"holds torch\.float32; an edge_index holds integers"):
        ingest(torch.zeros(2, 3))


@needs("torch_geometric")
@pytest.mark.filterwarnings("ignore")
def test_tensors_of_pyg():
    import torch
    from torch_geometric.data import Data

    index = torch.tensor([[0, 1], [1, 2]])
    store = ingest(Data(x=torch.ones(3, 2, dtype=torch.bfloat16), edge_index=index, about="text"))
    assert store.nodes["x"].dtype == np.float32
    assert "about" in store.ingest_report.left_out
    with pytest.raises(InvalidType, match="x is a sparse tensor"):
        ingest(Data(x=torch.ones(3, 2).to_sparse(), edge_index=index))


# the report


def test_the_report_is_kept(tmp_path):
    path = put(tmp_path, "e.csv", "# a\n\nfrom;to;km\n1;2;0,5\n\n2;3;1,25\n")
    store = ingest(path, tmp_path / "s.nh", weight="km")
    told = nearhop.open(tmp_path / "s.nh").ingest_report
    assert told == store.ingest_report
    assert told.roles == {"src": "from (integer)", "dst": "to (integer)", "weight": "km (float)"}
    assert told.files == [
        {
            "name": "e.csv",
            "delimiter": "semicolon",
            "header": True,
            "comment": "#",
            "comment_lines": 1,
            "blank_lines": 2,
        }
    ]
    line = str(told)
    assert line.startswith(
        "e.csv (delimiter semicolon, with header, comment #, 1 comment line and 2 blank lines skipped)"
    )
    assert "undirected by default" in line
    assert "decimal commas" in line
    assert "\n" not in line
    assert json.loads(json.dumps(told.to_dict()))["ids"] == "integers, kept in a map"
    assert nearhop.GraphStore.from_edges([0], [1]).ingest_report is None
    store.attributes["ingest_report"] = {"source": 3}
    assert store.ingest_report is None


def test_a_frame_written_with_its_index():
    store = ingest(data_file("temporal/ml_uci.csv.gz"), directed=True)
    assert (store.num_nodes, pairs(store)[:2]) == (1899, [(1, 2), (3, 4)])
    assert "column0" in store.ingest_report.left_out


@pytest.mark.parametrize("text", ["7,7\n%,7\n", "%,7\n7,7\n8,7\n", "7 7\n# 7\n", "7\t7\n%\t7\n8\t8\n"])
def test_a_mark_that_stands_where_an_id_does_is_asked_for(tmp_path, text):
    """Among numbers a marked line is a comment, but a comment has no reason to have a row's cells after nothing."""
    path = tmp_path / "edges.txt"
    path.write_text(text)
    with pytest.raises(IngestError, match="may be a comment or a row"):
        ingest(path)
    assert ingest(path, comment="", ids="text").num_edges == text.count("\n")
    assert ingest(path, comment=re.search("[#%]", text)[0], header=False).num_edges == text.count("\n") - 1


def test_a_file_that_begins_with_counts_behind_a_mark_is_as_it_was(tmp_path):
    path = tmp_path / "out.konect"
    path.write_text("% asym weighted\n% 3 2 2\n1 2 1 5\n2 1 1 6\n")
    assert ingest(path).num_edges == 2


def test_ids_that_elsewhere_mean_nothing_are_told_aloud(tmp_path):
    path = put(tmp_path, "e.csv", "src,dst\nann,NULL\nNaN,cy\nbob,n/a\n")
    with pytest.warns(UserWarning, match="ids such as 'NULL', 'NaN', 'n/a' are nodes like any other"):
        store = ingest(path)
    assert pairs(store) == [("ann", "NULL"), ("NaN", "cy"), ("bob", "n/a")]
    assert "ids such as 'NULL'" in str(store.ingest_report)
    with pytest.warns(UserWarning, match="ids such as"):
        assert ingest(path, bipartite=True).num_nodes == 6
