"""Tables with typing errors, made from a seed."""

from __future__ import annotations

import numpy as np

from nearhop.blocking import Records

_SYLLABLES = [a + b for a in "bcdfghjklmnprstvwz" for b in ("a", "e", "i", "o", "u", "an", "er", "in")]
_LETTERS = list("abcdefghijklmnopqrstuvwxyz0123456789")


def words(count, seed):
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(_SYLLABLES, rng.integers(2, 5))) for _ in range(count)]


def texts_of(count, seed=0):
    """Names and addresses whose words are of very different frequency."""
    rng = np.random.default_rng(seed)
    first, last, street, city = words(60, 1), words(900, 2), words(400, 3), words(80, 4)
    made = []
    for _ in range(count):
        which = [int(min(rng.pareto(0.8) * len(part) / 40, len(part) - 1)) for part in (first, last, street, city)]
        parts = [part[at] for part, at in zip((first, last, street, city), which, strict=True)]
        made.append(f"{parts[0]} {parts[1]} {rng.integers(1, 400)} {parts[2]} street {parts[3]}")
    return made


def with_errors(texts, seed=1, errors=2.0):
    rng = np.random.default_rng(seed)
    made = []
    for text in texts:
        letters = list(text)
        for _ in range(rng.poisson(errors)):
            at, what = int(rng.integers(len(letters))), int(rng.integers(3))
            if what == 0:
                letters[at] = _LETTERS[int(rng.integers(36))]
            elif what == 1:
                letters.insert(at, _LETTERS[int(rng.integers(36))])
            elif len(letters) > 5:
                del letters[at]
        made.append("".join(letters))
    return made


def two_tables(count, seed=0, errors=2.0):
    """A table, the same things in another order and with errors, and the true row pairs."""
    texts = texts_of(count, seed)
    order = np.random.default_rng(seed + 5).permutation(count)
    left = Records.of({"id": [f"a{i}" for i in range(count)], "text": texts}, key="id")
    right = Records.of(
        {"id": [f"b{i}" for i in range(count)], "text": with_errors([texts[i] for i in order])}, key="id"
    )
    return left, right, np.stack([order, np.arange(count)], axis=1)
