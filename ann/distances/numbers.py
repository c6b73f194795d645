"""Numbers that kernels and what calls them agree on: metrics, and the term of a row that is not there."""

from __future__ import annotations

L2, IP, COSINE, HAMMING = 0, 1, 2, 3
NAMES = ("l2", "ip", "cosine", "hamming")
ABSENT = 1 << 30  # the term of a zero row's code where nothing else is kept, above every other term

__all__ = ["ABSENT", "COSINE", "HAMMING", "IP", "L2", "NAMES"]
