"""Whether the first line of a text file names its columns: by known names, and by contrast with the rows below.

The procedure, in this order; what it leaves open is asked for:

1. A number or date in the first line is not a name, so a line with one in a column of ends is a row, unless it holds a
   known pair of names such as src and dst.
2. A first line of texts is a header where a column below it holds only numbers, dates or booleans. Placeholders such as
   NA are not names.
3. Where every column holds text: a text of the first line that occurs again below is an id, so the line is a row; a
   known pair, or known names for half of the columns, make a header (single letters do not); so does a first line
   without digits above columns that all have them. A first line with characters that names do not have, or of the
   shape of the rows, is a row.
"""

from __future__ import annotations

import re
from itertools import pairwise

PAIRS = (("src", "dst"), ("source", "target"), ("u", "v"), ("from", "to"))
MORE_PAIRS = (
    ("u", "i"),
    ("user", "item"),
    ("user", "movie"),
    ("user", "product"),
    ("user", "artist"),
    ("user", "book"),
    ("user", "friend"),
    ("customer", "product"),
    ("buyer", "seller"),
    ("buyer", "item"),
    ("author", "paper"),
    ("follower", "followee"),
    ("follower", "followed"),
    ("head", "tail"),
    ("h", "t"),
    ("subject", "object"),
    ("sub", "obj"),
    ("sender", "receiver"),
    ("sender", "recipient"),
    ("citing", "cited"),
    ("parent", "child"),
    ("caller", "callee"),
    ("origin", "destination"),
    ("source", "destination"),
    ("source", "dest"),
    ("src", "dest"),
    ("fromnode", "tonode"),
    ("node1", "node2"),
    ("id1", "id2"),
    ("n1", "n2"),
    ("row", "col"),
    ("row", "column"),
    ("actor", "movie"),
    ("tail", "head"),
)
TWO_KINDS = (
    *(("user", "item"), ("user", "movie"), ("user", "product"), ("user", "artist"), ("user", "book")),
    *(("customer", "product"), ("buyer", "item"), ("author", "paper"), ("actor", "movie")),
)
NAMES_OF_ROWS = {"index", "idx", "row", "rowid", "id", "edge", "no", "nr", "number", "key", "unnamed0", "level0", ""}
RELATIONS = {"relation", "rel", "r", "predicate", "pred", "type", "label", "interaction", "property", "edgetype"}
_OTHERS = {
    *("weight", "w", "time", "timestamp", "ts", "t", "date", "datetime", "year", "rating", "score", "value", "count"),
    *(
        "amount",
        "price",
        "name",
        "title",
        "node",
        "nodeid",
        "sign",
        "distance",
        "attr",
        "features",
        "class",
        "category",
    ),
    *("group", "community", "country", "city", "age", "gender", "comment", "note", "text", "url", "description"),
}
_NUMBER = re.compile(r"\s*[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?\s*")
_DATE = re.compile(r"\s*\d{4}[-/]\d{1,2}[-/]\d{1,2}([ T]\d{1,2}:\d{2}.*)?\s*")
_NAME = re.compile(r"[^\W\d][\w .()/:\[\]-]*")
MISSING = ("na", "n/a", "nan", "null", "none", "-", "?", "\\n", "nil", "#n/a")


def plain(name: str) -> str:
    """A name as it is compared: small letters and digits, without "id" at its end.

    >>> plain("User_ID"), plain("node-1"), plain("Id")
    ('user', 'node1', 'id')
    """
    kept = "".join(c for c in name.lower() if c.isalnum())
    return kept[:-2] if kept.endswith("id") and len(kept) > 2 and kept not in ("nodeid", "rowid") else kept


def usual_pair(names: list[str]) -> tuple[int, int] | None:
    """Positions of the columns that are ends by their names, or None; None too where two pairs could be meant."""
    at = {plain(name): position for position, name in reversed(list(enumerate(names)))}
    lower = {name.lower(): position for position, name in reversed(list(enumerate(names)))}
    for one, other in PAIRS:
        if one in lower and other in lower:
            return lower[one], lower[other]
    found = {
        frozenset((at[a], at[b])): (at[a], at[b]) for a, b in reversed((*PAIRS, *MORE_PAIRS)) if a in at and b in at
    }
    return next(iter(found.values())) if len(found) == 1 else None


def is_known(name: str) -> bool:
    """Whether a name is one that columns of edges or nodes usually have."""
    known = {each for pair in (*PAIRS, *MORE_PAIRS) for each in pair}
    return bool(name.strip()) and plain(name) in known | (NAMES_OF_ROWS - {""}) | RELATIONS | _OTHERS


def _is_end(name: str) -> bool:
    return is_known(name) and plain(name) not in _OTHERS - {"node", "nodeid", "name"}


def kind_of_cell(cell: str) -> str:
    """ "number", "date", "bool", "missing" or "text"."""
    word = cell.strip().lower()
    if not word or word in MISSING:
        return "missing"
    if _NUMBER.fullmatch(word) or word in ("inf", "-inf", "infinity"):
        return "number"
    if _DATE.fullmatch(word):
        return "date"
    return "bool" if word in ("true", "false") else "text"


def decide(first: list[str], rows: list[list[str]]) -> bool | None:
    """Whether `first` is a header above `rows`; None where that is open."""
    kinds = [kind_of_cell(cell) for cell in first]
    columns = list(zip(*rows, strict=False)) if rows else [()] * len(first)
    below = [{kind_of_cell(cell) for cell in column} - {"missing"} for column in columns]
    typed = [i for i, kind in enumerate(kinds) if kind in ("number", "date", "bool")]
    contrast = [
        i for i, kind in enumerate(kinds) if kind == "text" and below[i : i + 1] and below[i] and "text" not in below[i]
    ]
    pair = usual_pair(first) is not None
    if rows and not first[0].strip() and below[0] == {"number"} and (pair or _counts(columns[0])):
        return True  # the index of a data frame, whose name is empty
    if typed:
        if pair and contrast:
            return True
        return None if contrast and not set(typed) & {0, 1} else False
    texts = [cell.strip() for cell, kind in zip(first, kinds, strict=True) if kind == "text"]
    if not texts:
        return False
    ends = {cell.strip() for column in columns[:3] for cell in column}
    again = any(text in ends for text in texts)
    known = sum(is_known(text) for text in texts)
    if contrast:
        named = all(any(c.isalpha() for c in text) for text in texts)
        return None if not named or (again and 2 * known < len(texts)) else True
    if again:
        return None if pair else False
    if max(map(len, texts)) == 1 and (not rows or any(len(cell.strip()) == 1 for column in columns for cell in column)):
        return None  # letters may be names of columns and of nodes
    if pair or (2 * known >= len(first) and any(map(_is_end, texts))):
        return True
    if not rows or known:
        return None
    return _by_shape(
        texts, [[cell.strip() for cell in column] for column, k in zip(columns, kinds, strict=False) if k == "text"]
    )


def _by_shape(texts: list[str], columns: list[list[str]]) -> bool | None:
    if any(not _NAME.fullmatch(text) for text in texts):
        return False
    digits = [any(c.isdigit() for c in text) for text in texts]
    below = [all(any(c.isdigit() for c in cell) for cell in column if cell) for column in columns]
    if all(below) and not any(digits):
        return True
    return False if any(a and b for a, b in zip(digits, below, strict=True)) else None


def _counts(column: tuple[str, ...]) -> bool:
    """Whether cells are row numbers: whole numbers that go up by one."""
    if not all(cell.strip().isdecimal() for cell in column):
        return False
    numbers = [int(cell) for cell in column]
    return all(b == a + 1 for a, b in pairwise(numbers))
