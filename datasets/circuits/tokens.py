"""Words of a text file one after the other, with line numbers for messages and bounds on what is read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ...graphlib.errors import IngestError, InvalidType

MOST_BYTES = 1 << 30
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_MOST_DIGITS = 18


def plain_bytes(content: object, what: str) -> bytes:
    """The content of a file as bytes; `InvalidType` for anything else, such as its path."""
    if isinstance(content, bytes | bytearray | memoryview):
        return bytes(content)
    raise InvalidType(f"{what} must be given as its content, bytes; got {type(content).__name__}")


def decode(content: bytes | str, what: str) -> str:
    """Text of a file without its byte-order mark; `IngestError` if it is not text, or implausibly large."""
    given = content if isinstance(content, str) else plain_bytes(content, what)
    if len(given) > MOST_BYTES:
        raise IngestError(f"{what}: {len(given):,} bytes, more than the {MOST_BYTES:,} that are read")
    if isinstance(given, str):
        return given.removeprefix("\ufeff")
    try:
        return given.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise IngestError(f"{what} is not text: byte {error.start:,} is not UTF-8") from None


def lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, from 1. Only line feeds and carriage returns end one, not what else Unicode breaks at.

    >>> list(lines("a\\r\\nb\\x0cc"))
    [(1, 'a'), (2, 'b\\x0cc')]
    """
    return enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1)


def joined_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines without what follows a "#", joined where one ends with a backslash, with the number of the first."""
    held: list[str] = []
    first = 0
    for place, line in lines(text):
        part = line.partition("#")[0].rstrip()
        first = first or place
        held.append(part.removesuffix("\\"))
        if not part.endswith("\\"):
            yield first, " ".join(held).strip()
            held, first = [], 0
    if held:
        yield first, " ".join(held).strip()


def first_twice(names: Iterable[str]) -> str | None:
    """The first name that was there before, or None."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


class Tokens:
    """Tokens of a text by a regular expression.

    Its group "skip" matches what is left out, its group "open" a comment without an end, which is an error.

    >>> words = Tokens("a = (b)", re.compile(r"(?P<skip>\\s+)|[a-z]+|[=()]"), "example")
    >>> words.next(), words.next(), words.peek()
    ('a', '=', '(')
    """

    def __init__(self, text: str, pattern: re.Pattern[str], what: str) -> None:
        self._text, self._what = text, what
        self._matches = self._scan(pattern)
        self._ahead: tuple[str, int] | None = None
        self._at = 0

    def _scan(self, pattern: re.Pattern[str]) -> Iterator[tuple[str, int]]:
        place = 0
        while place < len(self._text):
            match = pattern.match(self._text, place)
            if match is None or match.end() == place or match.lastgroup == "open":
                self._at = place
                if match is not None and match.lastgroup == "open":
                    raise self.error(f"the comment that begins with {match.group()!r} has no end")
                raise self.error(f"{self._text[place : place + 20]!r} is not understood")
            if match.lastgroup != "skip":
                yield match.group(), place
            place = match.end()

    def peek(self) -> str:
        """The next token, or "" at the end."""
        return self._next()[0]

    def next(self) -> str:
        """The next token; the end of the file is an error."""
        token, self._at = self._next()
        if not token:
            raise self.error("the file ends too early")
        self._ahead = None
        return token

    def _next(self) -> tuple[str, int]:
        """The next token and its place, which it keeps."""
        found = self._ahead
        if found is None:
            found = self._ahead = next(self._matches, ("", len(self._text)))
        return found

    def expect(self, wanted: str) -> None:
        """The next token must be this one."""
        token = self.next()
        if token != wanted:
            raise self.error(f"expected {wanted!r}, found {token[:40]!r}")

    def error(self, message: str) -> IngestError:
        """An error that names the file and the line of the token read last."""
        line = self._text.count("\n", 0, self._at) + 1
        return IngestError(f"{self._what}, line {line:,}: {message}")


def whole(text: str, tokens: Tokens, what: str) -> int:
    """A whole number of at most 18 digits."""
    if not (text.isascii() and text.isdigit()) or len(text) > _MOST_DIGITS:
        raise tokens.error(f"{what}, found {text[:40]!r}")
    return int(text)


def number(text: str, tokens: Tokens | None, what: str) -> float:
    """A finite number in ASCII digits, such as -1.5e-3."""
    value = float(text) if _NUMBER.fullmatch(text) else float("nan")
    if not -1e300 < value < 1e300:
        message = f"{text[:40]!r} is not a finite number"
        raise tokens.error(message) if tokens is not None else IngestError(f"{what}: {message}")
    return value
