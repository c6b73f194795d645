"""The bytes of a .bz2 or .xz file, all its members one after another; what follows a member must be one.

Python's own readers stop without a word at the first byte behind a member that begins none, and drop the rest.
"""

from __future__ import annotations

import bz2
import io
import lzma
from pathlib import Path
from typing import Any

from ...errors import IngestError
from ...names import shown

_PIECE = 1 << 18
_MAGIC = {"bzip2": b"BZh", "xz": b"\xfd7zXZ\x00"}


def open_members(path: Path, kind: str) -> io.BufferedReader:
    """A stream of the unpacked bytes; `kind` is "bzip2" or "xz"."""
    return io.BufferedReader(_Members(path, kind), _PIECE)


class _Members(io.RawIOBase):
    """Unpack member after member. Zero bytes behind one of xz, in fours, are its padding."""

    def __init__(self, path: Path, kind: str) -> None:
        self._name, self._kind = shown(path.name), kind
        self._file = path.open("rb")
        self._packed = b""
        self._decoder: Any = None
        self._begin = 0  # of the member at work, as an offset in the file

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        while True:
            if self._decoder is None and not self._next_member():
                return 0
            found = self._unpack(len(buffer))
            if self._decoder.eof:
                self._packed, self._decoder = self._decoder.unused_data, None
            if found:
                buffer[: len(found)] = found
                return len(found)

    def _unpack(self, most: int) -> bytes:
        piece = b""
        if self._decoder.needs_input:
            piece, self._packed = self._packed or self._file.read(_PIECE), b""
            if not piece:
                raise self._damaged(self._begin, "ends before its end mark; is the file whole?")
        try:
            found: bytes = self._decoder.decompress(piece, most)
        except (OSError, EOFError, ValueError, lzma.LZMAError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise self._damaged(self._begin, f"is damaged ({reason}); fetch or pack the file anew") from error
        return found

    def _next_member(self) -> bool:
        """Begin the member that comes next; False at the end of the file."""
        self._skip_padding()
        magic = _MAGIC[self._kind]
        self._packed += self._file.read(len(magic))
        if not self._packed:
            return False
        self._begin = self._file.tell() - len(self._packed)
        if not self._packed.startswith(magic):
            raise self._damaged(self._begin, "is damaged, for it does not begin as one; fetch or pack the file anew")
        self._decoder = bz2.BZ2Decompressor() if self._kind == "bzip2" else lzma.LZMADecompressor(lzma.FORMAT_XZ)
        return True

    def _skip_padding(self) -> None:
        if self._kind != "xz":
            return
        zeros = 0
        begin = self._file.tell() - len(self._packed)
        while True:
            rest = self._packed.lstrip(b"\0")
            zeros += len(self._packed) - len(rest)
            self._packed = rest or self._file.read(_PIECE)
            if rest or not self._packed:
                break
        if zeros % 4 or (zeros and begin == 0):
            raise self._damaged(begin, f"is damaged: {zeros:,} zero bytes stand there, and xz has them in fours")

    def _damaged(self, offset: int, problem: str) -> IngestError:
        return IngestError(
            f"{self._name} cannot be unpacked: its {self._kind} member from byte {offset:,} on {problem}"
        )
