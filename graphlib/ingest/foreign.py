"""Files that are not tables of edges: what each is, and what to do; or NetworkX, where it reads the format."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..errors import IngestError, NearhopError
from ..extras import require
from ..names import shown
from .paths import suffix_of
from .text.survey import start_of

NETWORKX = {"graphml": "GraphML", "gml": "GML", "gexf": "GEXF", "net": "Pajek", "pajek": "Pajek", "paj": "Pajek"}
_TABLE = "save it as CSV or Parquet, or read it with pandas and ingest the frame"
_LINES = "write its edges as lines 'source target', or build a list of pairs, and ingest that"
_SUFFIXES = {
    "graph": ("METIS", _LINES),
    "metis": ("METIS", _LINES),
    "gr": ("DIMACS", _LINES),
    "dimacs": ("DIMACS", _LINES),
    "col": ("DIMACS", _LINES),
    "sif": (
        "SIF (source, relation, targets)",
        'with one target per line, src=0, dst=2, delimiter="whitespace" read it',
    ),
    "nt": ("N-Triples", "read it with rdflib and ingest a list of (subject, object) pairs"),
    "nq": ("N-Quads", "read it with rdflib and ingest a list of (subject, object) pairs"),
    "ttl": ("Turtle", "read it with rdflib and ingest a list of (subject, object) pairs"),
    "rdf": ("RDF/XML", "read it with rdflib and ingest a list of (subject, object) pairs"),
    "owl": ("RDF/XML", "read it with rdflib and ingest a list of (subject, object) pairs"),
    "dot": ("Graphviz DOT", "networkx.nx_pydot.read_dot gives a graph that ingest takes"),
    "gv": ("Graphviz DOT", "networkx.nx_pydot.read_dot gives a graph that ingest takes"),
    "g6": ("graph6", "networkx.read_graph6 gives a graph that ingest takes"),
    "s6": ("sparse6", "networkx.read_sparse6 gives a graph that ingest takes"),
    "json": ("JSON", "read it with Python and ingest a table, or a NetworkX graph"),
    "jsonl": ("JSON lines", _TABLE),
    "ndjson": ("JSON lines", _TABLE),
    "xlsx": ("an Excel workbook", _TABLE),
    "xls": ("an Excel workbook", _TABLE),
    "ods": ("a spreadsheet", _TABLE),
    "zip": ("a zip archive", "unpack it and ingest the file inside"),
    "tar": ("a tar archive", "unpack it and ingest the file inside"),
    "tgz": ("a tar archive", "unpack it and ingest the file inside"),
    "7z": ("a 7z archive", "unpack it and ingest the file inside"),
    "rar": ("a RAR archive", "unpack it and ingest the file inside"),
    "lz4": ("compressed with LZ4", "unpack it, or pack it with gzip, zstd, bzip2 or xz"),
    "br": ("compressed with Brotli", "unpack it, or pack it with gzip, zstd, bzip2 or xz"),
    "h5": ("HDF5", "read its arrays with h5py and ingest the pair (src, dst)"),
    "hdf5": ("HDF5", "read its arrays with h5py and ingest the pair (src, dst)"),
    "mat": ("a MATLAB file", "scipy.io.loadmat gives a sparse matrix that ingest takes"),
    "pkl": ("a Python pickle, which could run any program", "save its content in another form where you trust it"),
    "pickle": ("a Python pickle, which could run any program", "save its content in another form where you trust it"),
    "pt": ("a torch file, which may hold a pickle", "load it where you trust it and ingest the Data"),
    "orc": ("ORC", _TABLE),
    "avro": ("Avro", _TABLE),
    "sqlite": ("an SQLite database", _TABLE),
    "db": ("a database", _TABLE),
    "duckdb": ("a DuckDB database", "ingest the Arrow table of a query"),
    "xml": ("XML", "only GraphML and GEXF are read, by their own suffixes"),
}
_STARTS: tuple[tuple[bytes, str, str], ...] = (
    (rb"PK\x03\x04.{26,60}(xl/|\[Content_Types)", *_SUFFIXES["xlsx"]),
    (rb"PK\x03\x04", *_SUFFIXES["zip"]),
    (rb"7z\xbc\xaf\x27\x1c", *_SUFFIXES["7z"]),
    (rb"Rar!", *_SUFFIXES["rar"]),
    (rb"\x04\x22\x4d\x18", *_SUFFIXES["lz4"]),
    (rb"\x89HDF\r\n", *_SUFFIXES["hdf5"]),
    (rb"MATLAB ", *_SUFFIXES["mat"]),
    (rb"SQLite format 3", *_SUFFIXES["sqlite"]),
    (rb"\xd0\xcf\x11\xe0", *_SUFFIXES["xls"]),
    (rb"%PDF-", "a PDF document", "it is not data"),
    (rb"\x89PNG|\xff\xd8\xff|GIF8", "a picture", "it is not data"),
    (rb"ARROW1", "Arrow IPC under another name", "give it the suffix .arrow"),
    (rb"\x93NUMPY", "a NumPy array under another name", "give it the suffix .npy"),
    (rb"ORC\x00?", *_SUFFIXES["orc"]),
    (rb"Obj\x01", *_SUFFIXES["avro"]),
    (rb".{257}ustar", *_SUFFIXES["tar"]),
    (rb"\x80[\x02-\x05]", *_SUFFIXES["pkl"]),
    (rb"\s*\{\s*[\"}]|\s*\[\s*[\[{]", *_SUFFIXES["json"]),
    (rb"<[^<>\s]+>\s+<[^<>\s]+>\s+[<\"_].*\.\s*\n", *_SUFFIXES["nt"]),
    (rb"@prefix ", *_SUFFIXES["ttl"]),
    (rb"(c[^\n]*\n)*p\s+(sp|edge|col|max|aux|min|cut)\b", *_SUFFIXES["gr"]),
    (rb"\s*(strict\s+)?(di)?graph\s+[\w\"]*\s*\{", *_SUFFIXES["dot"]),
)
_NETWORKX_STARTS = (
    (rb"\s*(<\?xml[^>]*\?>\s*)?(<!--.*?-->\s*)*<graphml", "graphml"),
    (rb"\s*(<\?xml[^>]*\?>\s*)?(<!--.*?-->\s*)*<gexf", "gexf"),
    (rb"\s*\*[Vv]ertices\b", "net"),
    (rb"\s*(Creator\s+\"[^\"]*\"\s*)?graph\s*\[", "gml"),
)


def networkx_format(path: Path) -> str | None:
    """The format of a graph file that NetworkX reads, by name or by its first bytes; None for others."""
    suffix = suffix_of(path)
    if suffix in NETWORKX:
        return suffix
    start = start_of(path).removeprefix(b"\xef\xbb\xbf")
    return next((name for pattern, name in _NETWORKX_STARTS if re.match(pattern, start, re.DOTALL)), None)


def read_networkx(path: Path, form: str) -> Any:
    """The graph of a file, read by NetworkX."""
    nx = require("networkx", f"reading {NETWORKX[form]} ({shown(path.name)})")
    reader = {"graphml": nx.read_graphml, "gml": nx.read_gml, "gexf": nx.read_gexf}.get(form, nx.read_pajek)
    from .text.survey import unpacked

    try:
        with unpacked(path) as stream:
            return reader(stream)
    except NearhopError:
        raise
    except Exception as error:  # NetworkX raises whatever its parsers do
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise IngestError(f"{shown(path.name)} cannot be read as {NETWORKX[form]}: {shown(reason)}") from error


def refuse_foreign(path: Path, *, ends_given: bool) -> None:
    """Raise for a file that is no table of edges, by its first bytes and its name."""
    name, start = shown(path.name), start_of(path)
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    if text.startswith(b"version https://git-lfs"):
        raise IngestError(f"{name} is a git-lfs pointer, not the data; fetch the file with git lfs pull")
    if text[:9].lower() == b"<!doctype" or text[:5].lower() == b"<html":
        raise IngestError(f"{name} is an HTML page, not a table; was a download answered with an error page?")
    if start.startswith(b"PAR1"):
        raise IngestError(f"{name} is a binary file (Parquet) under the name of a text file; rename it to .parquet")
    for pattern, kind, cure in _STARTS:
        if re.match(pattern, start.removeprefix(b"\xef\xbb\xbf"), re.DOTALL):
            raise IngestError(f"{name} is {kind}, which ingest does not read; {cure}")
    if text.startswith((b"<?xml", b"<rdf")):
        raise IngestError(f"{name} is XML, which ingest does not read; {_SUFFIXES['xml'][1]}")
    suffix = suffix_of(path)
    if suffix in _SUFFIXES and not (ends_given and suffix in ("sif", "graph", "col", "db")):
        kind, cure = _SUFFIXES[suffix]
        raise IngestError(f"{name} is {kind}, which ingest does not read; {cure}")
