"""One pass over every byte of a text file: what is in it, and a plain UTF-8 copy where it is not that already.

What is decided from the head of a file (`layout`) is only safe with what the rest holds, so facts are gathered here
once: quotes, comment marks, blank lines, line ends. The pass runs at the speed of memory, in pieces of a MiB.
"""

from __future__ import annotations

import codecs
import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ...errors import IngestError, InvalidInput
from ...guarded import open_gzip
from ...names import shown
from .members import open_members

MAX_LINE = 2 << 20
_PIECE = 1 << 20
_MAGIC = {"gzip": b"\x1f\x8b", "bzip2": b"BZh", "xz": b"\xfd7zXZ\x00", "zstd": b"\x28\xb5\x2f\xfd"}
_BOMS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
}
_BLANK = re.compile(rb"\n(?=[ \t]*\r?\n)")
_BLANKS = re.compile(rb"\n[ \t]+\r?\n")


@dataclass
class Facts:
    """What a text file holds, and where it can be read as plain UTF-8 with no byte-order mark.

    Attributes
    ----------
    name : str
        The file's own name, for messages.
    path : Path
        The file itself, or a copy in the scratch folder.
    encoding, packed : str
        As the file was; packed is "" for a file that is not compressed.
    lines, blank : int
        Lines, and those of them that are empty or hold blanks only.
    marked : dict
        Lines that begin with "#" and with "%".
    """

    name: str
    path: Path
    encoding: str = "utf-8"
    packed: str = ""
    lines: int = 0
    blank: int = 0
    blanks_only: bool = False
    quotes: bool = False
    tabs: bool = False
    uneven: bool = False
    mixed_ends: bool = False
    returns: int = 0
    marked: dict[str, int] = field(default_factory=dict)


def packing(path: Path) -> str:
    """How a file is compressed, by its first bytes: "gzip", "bzip2", "xz", "zstd" or ""."""
    with path.open("rb") as stream:
        start = stream.read(8)
    return next((kind for kind, magic in _MAGIC.items() if start.startswith(magic)), "")


def unpacked(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked if it is compressed."""
    kind = packing(path)
    if kind == "gzip":
        return open_gzip(path, error=IngestError)
    if kind in ("bzip2", "xz"):
        return open_members(path, kind)
    if kind == "zstd":
        import pyarrow as pa

        stream: Any = pa.input_stream(str(path), compression="zstd")
        return stream
    return path.open("rb")


@contextlib.contextmanager
def unpacking(path: Path) -> Iterator[None]:
    """Damage of a compressed file as one `IngestError`."""
    try:
        yield
    except IngestError:
        raise
    except (OSError, EOFError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise IngestError(f"{shown(path.name)} cannot be unpacked: {reason}") from error


def pieces(path: Path) -> Iterator[bytes]:
    """A file's bytes, unpacked, in pieces."""
    with unpacking(path), unpacked(path) as stream:
        while piece := stream.read(_PIECE):
            yield piece


def start_of(path: Path, size: int = 4096) -> bytes:
    """The first bytes of a file, unpacked."""
    with unpacking(path), unpacked(path) as stream:
        return stream.read(size)


def survey(path: Path, encoding: str | None, copy: Path) -> Facts:
    """Read a file once. Compressed files, other encodings and old line ends are copied, as plain UTF-8, to `copy`."""
    start = start_of(path, _PIECE)
    bom = next((name for name, mark in _BOMS.items() if start.startswith(mark)), None)
    used = encoding or bom or "utf-8"
    try:
        codec = codecs.lookup(used)
    except LookupError as error:
        raise InvalidInput(f'encoding must be one that Python knows, such as "latin-1"; got {encoding!r}') from error
    facts = Facts(shown(path.name), path, codec.name, packing(path))
    old_ends = b"\r" in start and b"\n" not in start.replace(b"\n\0", b"\n")
    skip = len(_BOMS[bom]) if bom is not None else 0
    text = _as_utf8(facts, path, None if codec.name == "utf-8" else codec.incrementaldecoder("strict"), skip)
    copying = bool(facts.packed or codec.name != "utf-8" or skip or old_ends)
    with copy.open("wb") if copying else contextlib.nullcontext() as out:
        for block in _whole_lines(facts, (piece.replace(b"\r", b"\n") for piece in text) if old_ends else text):
            _look_at(facts, block)
            if out is not None:
                out.write(block)
    facts.path = copy if copying else path
    facts.mixed_ends = 0 < facts.returns < facts.lines
    return facts


def _as_utf8(facts: Facts, path: Path, decoder: Any, skip: int) -> Iterator[bytes]:
    """UTF-8 bytes of a file, of which the first `skip` bytes are a mark that belongs to no cell."""
    check = codecs.getincrementaldecoder("utf-8")("strict")
    for given in pieces(path):
        piece, skip = given[skip:], 0
        try:
            if decoder is not None:
                yield decoder.decode(piece).encode("utf-8")
                continue
            if not piece.isascii() or check.getstate()[0]:
                check.decode(piece)
        except UnicodeError as error:
            line = facts.lines + piece[: getattr(error, "start", 0)].count(b"\n") + 1
            raise IngestError(
                f"{facts.name}, line {line}: not {facts.encoding}; say what it is with encoding=, such as "
                'encoding="latin-1"'
            ) from error
        yield piece
    if (decoder or check).getstate()[0]:
        raise IngestError(f"{facts.name} ends within a character of {facts.encoding}; is it whole? See encoding=")


def _whole_lines(facts: Facts, stream: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in blocks of whole lines; only the last may lack its line feed."""
    rest = b""
    for piece in stream:
        block = rest + piece
        cut = block.rfind(b"\n") + 1
        if len(block) - cut > MAX_LINE or (cut == 0 and len(block) > MAX_LINE) or block.find(b"\n") > MAX_LINE:
            line = facts.lines + 1 + (block.count(b"\n") if len(block) - cut > MAX_LINE else 0)
            raise IngestError(f"{facts.name}, line {line} is longer than {MAX_LINE >> 20} MiB; is this a table?")
        if cut:
            yield block[:cut]
        rest = block[cut:]
    if rest:
        yield rest


def _look_at(facts: Facts, block: bytes) -> None:
    """Add what a block of whole lines holds."""
    around = b"\n" + (block if block.endswith(b"\n") else block + b"\n")
    if b"\0" in block:
        line = facts.lines + block[: block.find(b"\0")].count(b"\n") + 1
        raise IngestError(
            f"{facts.name}, line {line} holds a zero byte: a binary file, or UTF-16 without its mark "
            '(encoding="utf-16-le")'
        )
    if b"\r" in block:
        ends = around.count(b"\r\n")
        if ends != block.count(b"\r"):
            line = facts.lines + block[: re.search(rb"\r(?!\n)", around).start()].count(b"\n") + 1  # type: ignore[union-attr]
            raise IngestError(f"{facts.name}, line {line} holds a carriage return inside; remove it")
        facts.returns += ends
    facts.quotes = facts.quotes or b'"' in block
    for mark in (b"#", b"%"):
        if mark in block:
            facts.marked[mark.decode()] = facts.marked.get(mark.decode(), 0) + around.count(b"\n" + mark)
    facts.tabs = facts.tabs or b"\t" in block
    if b" " in block:
        facts.uneven = facts.uneven or any(each in around for each in (b"  ", b"\n ", b" \n", b" \r"))
    if any(each in around for each in (b"\n\n", b"\n\r", b"\n ", b"\n\t")):
        facts.blank += len(_BLANK.findall(around))
        facts.blanks_only = facts.blanks_only or _BLANKS.search(around) is not None
    facts.lines += around.count(b"\n") - 1
