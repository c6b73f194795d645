"""Part numbers, which tables write with and without hyphens."""

from __future__ import annotations

import re

_APART = re.compile(r"[\W_]+")
_LEAST = 4


def with_codes(text: str) -> str:
    """The text, and behind it once more every word that holds letters and digits, without its punctuation.

    Words of fewer than four letters and digits are left out.

    >>> with_codes("Sony PS-LX350H turntable, 12 V")
    'Sony PS-LX350H turntable, 12 V pslx350h'
    """
    bare = (_APART.sub("", word) for word in text.lower().split())
    codes = [word for word in bare if len(word) >= _LEAST and not word.isalpha() and not word.isdecimal()]
    return " ".join([text, *codes]) if codes else text


__all__ = ["with_codes"]
