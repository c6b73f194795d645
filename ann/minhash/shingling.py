"""Texts as sets: the runs of a few characters or words that occur in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...graphlib.compute.jit import threads_in_use
from ...graphlib.errors import InvalidInput, InvalidType
from ..metrics import check_count
from .sets import RaggedSets, encode_strings, fast_token_hash, read_only


def shingles(texts: Sequence[str], *, width: int = 5, unit: str = "char", threads: int | None = None) -> RaggedSets:
    """One set per text: 32-bit hashes of its runs of `width` characters or words (w-shingles).

    Parameters
    ----------
    texts : sequence of str
        Nothing is folded or stripped; lower-case them first if case should not matter.
    width : int, default 5
        Units per shingle, >= 1. A shorter text is one shingle; an empty one is the empty set.
    unit : {"char", "word"}, default "char"
        Characters are Unicode code points, words are what `str.split` gives.
    threads : int, optional

    Returns
    -------
    RaggedSets
        uint32 elements, repeats kept: a set does not count them.

    Raises
    ------
    InvalidType, InvalidInput
        A text that is not a str, an unknown unit, a width below 1.

    Notes
    -----
    O(characters * width) time; 8 bytes per character while it runs. The hash is not cryptographic.

    Examples
    --------
    >>> from nearhop.ann import shingles
    >>> shingles(["abcdef", "abc", ""], width=5)
    RaggedSets(3 sets, 3 elements of uint32, 1 empty)
    """
    from .hashing_cpu import window_hashes

    width = check_count("width", width)
    if unit not in ("char", "word"):
        raise InvalidInput(f'unit must be "char" or "word"; got {unit!r}')
    if isinstance(texts, str):
        raise InvalidType("shingles takes a sequence of texts; got one text: wrap it in a list")
    texts = list(texts)
    for text in texts:
        if not isinstance(text, str):
            raise InvalidType(f"texts must be str; got {type(text).__name__} {str(text)[:40]!r}")
    parts = [text.split() for text in texts] if unit == "word" else texts
    offsets = np.zeros(len(parts) + 1, np.int64)
    np.cumsum([len(part) for part in parts], out=offsets[1:])
    if unit == "word":
        units = fast_token_hash(*encode_strings([word for part in parts for word in part]))
    else:
        try:
            units = np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32)
        except UnicodeEncodeError as error:
            raise InvalidInput(f"a text holds half of a surrogate pair, which is no character: {error}") from None
    sizes = np.diff(offsets)
    out_offsets = np.zeros(len(parts) + 1, np.int64)
    np.cumsum(np.where(sizes > 0, np.maximum(sizes - width + 1, 1), 0), out=out_offsets[1:])
    out = np.empty(int(out_offsets[-1]), np.uint32)
    with threads_in_use(threads):
        window_hashes(read_only(units), read_only(offsets), width, read_only(out_offsets), out)
    return RaggedSets(read_only(out_offsets), read_only(out))


__all__ = ["shingles"]
