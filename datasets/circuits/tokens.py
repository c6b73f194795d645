"""Words of a text file one after the other, with line numbers for messages and bounds on what is read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...graphlib.errors import IngestError

MOST_BYTES = 1 << 30


def decode(content: bytes | str, what: str) -> str:
    """Text of a file; `IngestError` if it is not text, or implausibly large."""
    if len(content) > MOST_BYTES:
        raise IngestError(f"{what}: {len(content):,} bytes, more than the {MOST_BYTES:,} that are read")
    if isinstance(content, str):
        return content
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise IngestError(f"{what} is not text: byte {error.start:,} is not UTF-8") from None


class Tokens:
    """Tokens of a text by a regular expression whose group "skip" matches what is left out.

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
            if match is None or match.end() == place:
                self._at = place
                raise self.error(f"{self._text[place : place + 20]!r} is not understood")
            if match.lastgroup != "skip":
                yield match.group(), place
            place = match.end()

    def peek(self) -> str:
        """The next token, or "" at the end."""
        if self._ahead is None:
            self._ahead = next(self._matches, ("", len(self._text)))
        return self._ahead[0]

    def next(self) -> str:
        """The next token; the end of the file is an error."""
        token = self.peek()
        if not token:
            self._at = len(self._text)
            raise self.error("the file ends too early")
        assert self._ahead is not None
        self._at = self._ahead[1]
        self._ahead = None
        return token

    def expect(self, wanted: str) -> None:
        """The next token must be this one."""
        token = self.next()
        if token != wanted:
            raise self.error(f"expected {wanted!r}, found {token[:40]!r}")

    def error(self, message: str) -> IngestError:
        """An error that names the file and the line of the token read last."""
        line = self._text.count("\n", 0, self._at) + 1
        return IngestError(f"{self._what}, line {line:,}: {message}")


def number(text: str, tokens: Tokens | None, what: str) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not -1e300 < value < 1e300:
        message = f"{text[:40]!r} is not a finite number"
        raise tokens.error(message) if tokens is not None else IngestError(f"{what}: {message}")
    return value
