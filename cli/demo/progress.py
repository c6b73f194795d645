"""The stages of the demo, told as each one starts, with the time left; their seconds, and how many were compiling."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

from ..clock import compiling_seconds
from ..output import printable

# Seconds on the digits with everything to compile: how long stages take beside each other, to tell what is left.
_USUAL = {
    "load": 2.0,
    "index": 10.0,
    "link": 1.0,
    "write": 2.0,
    "embed": 6.0,
    "search": 6.0,
    "classify": 8.0,
    "communities": 3.0,
    "links": 6.0,
    "report": 14.0,
}


class Stages:
    """Tells stages on standard error and keeps their seconds.

    Attributes
    ----------
    seconds, compiling : dict from a stage's title to seconds
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.compiling: dict[str, float] = {}
        self._coming: list[str] = []
        self._begun, self._usual_done, self._count = time.perf_counter(), 0.0, 0

    def expect(self, coming: list[str]) -> None:
        """The kinds of the stages that are still to come."""
        self._coming = list(coming)

    @contextlib.contextmanager
    def stage(self, kind: str, title: str) -> Iterator[None]:
        """One stage: told now, its seconds kept when the block ends."""
        self._count += 1
        total = self._count - 1 + max(1, len(self._coming))
        place = f"{self._count}/{total}" if self._coming else f"{self._count}"
        sys.stderr.write(printable(f"[{place}] {title}{self._left()}\n"))
        sys.stderr.flush()
        begun, compiled = time.perf_counter(), compiling_seconds()
        try:
            yield
        finally:
            self.seconds[title] = time.perf_counter() - begun
            self.compiling[title] = compiling_seconds() - compiled
            self._usual_done += _USUAL[kind]
            if kind in self._coming:
                self._coming.remove(kind)

    def _left(self) -> str:
        """What the stages so far took, beside what they usually take, says how long the others will take."""
        if not self._coming or self._usual_done < 3:
            return ""
        pace = (time.perf_counter() - self._begun) / self._usual_done
        left = pace * sum(_USUAL[kind] for kind in self._coming)
        return f" (about {max(5, round(left / 5) * 5):.0f} s left)"
