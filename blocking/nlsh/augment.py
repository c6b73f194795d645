"""Operators that make another record of the same thing out of a record, for training."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def augmented(text: str, rng: np.random.Generator) -> str:
    """The text after one operator: words dropped, a span dropped, words swapped, or typing errors.

    >>> import numpy as np
    >>> augmented("sony radio 100", np.random.default_rng(0)) != "sony radio 100"
    True
    """
    words = text.split()
    choice = int(rng.integers(4))
    if choice == 0 and len(words) > 2:  # each word with probability 0.15, at least one
        drop = rng.random(len(words)) < 0.15
        drop[int(rng.integers(len(words)))] = True
        return " ".join(word for word, gone in zip(words, drop, strict=True) if not gone)
    if choice == 1 and len(words) > 3:
        length = int(rng.integers(1, max(2, len(words) // 3)))
        start = int(rng.integers(len(words) - length))
        return " ".join(words[:start] + words[start + length :])
    if choice == 2 and len(words) > 1:
        at = int(rng.integers(len(words) - 1))
        words[at], words[at + 1] = words[at + 1], words[at]
        return " ".join(words)
    letters = list(text)
    for _ in range(1 + int(rng.integers(1 + len(letters) // 20))):
        at, what = int(rng.integers(len(letters))), int(rng.integers(3))
        if what == 0:
            letters[at] = _LETTERS[int(rng.integers(len(_LETTERS)))]
        elif what == 1:
            letters.insert(at, _LETTERS[int(rng.integers(len(_LETTERS)))])
        elif len(letters) > 3:
            del letters[at]
    return "".join(letters)


__all__ = ["augmented"]
