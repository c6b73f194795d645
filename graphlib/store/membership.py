"""Long lists in conditions: `column IN (1, 2, ...)` is answered by one hash table, not a parsed constant a value.

A database parses, binds and folds every constant of a list several times; a hundred thousand of them take seconds.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_LONG = 64  # constants from which the table pays
_WHOLE = r"[+-]?\d+"
_TEXT = r"'(?:[^']|'')*'"
_LIST = rf"\(\s*(?P<list>{_WHOLE}(?:\s*,\s*{_WHOLE})+|{_TEXT}(?:\s*,\s*{_TEXT})+)\s*\)"
# texts, quoted names and comments are passed over whole, so that a list inside one is not taken for a list
_TOKEN = re.compile(
    rf"(?P<skip>{_TEXT}|--[^\n]*|/\*.*?\*/)"
    rf"|(?<![\w.\"])(?P<name>[A-Za-z_]\w*|\"[^\"]+\")\s+(?P<no>NOT\s+)?IN\s*{_LIST}"
    r'|"[^"]*"',
    re.IGNORECASE | re.DOTALL,
)

# what a condition may stand behind: an operator there would take the name alone, as in `a + b IN (...)`
_BEGINS = re.compile(r"([(,]|(?<![\w.\"])(AND|OR|NOT|CASE|WHEN|THEN|ELSE))\s*\Z", re.IGNORECASE)


def answer_lists(
    sql: str, available: dict[str, str], values: Callable[[str], NDArray[Any]]
) -> tuple[str, dict[str, NDArray[np.bool_]]]:
    """`sql` with long lists replaced by names of boolean columns, and these columns.

    Parameters
    ----------
    sql : str
    available : mapping from a column's name in lower case to its name
    values : callable
        The column of a name. Only columns of integers, and of text, are answered here: they have no missing values, and
        a constant of their own kind needs no conversion.
    """
    if len(sql) < 2 * _LONG or "$" in sql or re.search(r"\be'", sql, re.IGNORECASE):
        return sql, {}
    made: dict[str, NDArray[np.bool_]] = {}
    passed = 0  # where the token before ends

    def replace(found: re.Match[str]) -> str:
        nonlocal passed
        whole, before = found.group(0), sql[passed : found.start()]
        begins = _BEGINS.search(before) or not (passed or before.strip())
        passed = found.end()
        if found["name"] is None or found["list"].count(",") < _LONG - 1 or not begins:
            return whole
        name = available.get(found["name"].strip('"').lower())
        if not name:
            return whole
        hit = _members(values(name), found["list"])
        if hit is None:
            return whole
        title = f"in list {len(made)}"
        while title in available:
            title += "_"
        made[title] = ~hit if found["no"] else hit
        return f'"{title}"'

    return _TOKEN.sub(replace, sql), made


def _members(values: NDArray[Any], listed: str) -> NDArray[np.bool_] | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = not listed.startswith("'")
    if values.dtype.kind not in ("iu" if whole else "UT"):
        return None
    if whole:
        bounds = np.iinfo(values.dtype)
        # constants beyond the column's type are in no row
        asked: Any = [n for n in map(int, listed.split(",")) if bounds.min <= n <= bounds.max]
        rows = pa.array(np.ascontiguousarray(values.astype(values.dtype.newbyteorder("="), copy=False)))
    else:
        asked = [text[1:-1].replace("''", "'") for text in re.findall(_TEXT, listed)]
        rows = pa.array(values.tolist(), pa.large_string())
    return np.asarray(pc.is_in(rows, value_set=pa.array(asked, rows.type)))
