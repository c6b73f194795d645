"""CSV files of numbers, in which a first row of names is told from a first row of numbers."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from ..graphlib.errors import InvalidInput
from ..graphlib.guarded import guarded
from ..graphlib.scalars import WRITTEN_INTEGER
from .output import note, one_line

_WHAT = "a table of numbers, nor .npy"
_BOM = b"\xef\xbb\xbf"
_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff")
_HEAD_BYTES = 1 << 20
_LARGEST_BLOCK = (1 << 31) - 1
_DELIMITERS = ",\t; "
_MISSING = ("", "NA", "N/A", "n/a", "#N/A", "#NA", "<NA>", "#N/A N/A", "NULL", "null", "None")  # nan is a number


def read_csv(data: bytes, name: str, apart: str | None = None) -> Any:
    """An Arrow table of a CSV file. Its first row gives the columns their names where no cell of it is a number.

    The delimiter is the first of comma, tab, semicolon and blank that the first row has. `name` is for messages. Cells
    of the column `apart` are kept as they are written, so integers only where every one is written as integers are.

    Raises
    ------
    InvalidInput
        Not a table, in another encoding than UTF-8, or with a first row that is neither numbers nor names, or that
        counts the columns as pandas does where they have no names.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow

    if data.startswith(_WIDE_BOMS):
        raise InvalidInput(f"{name} is UTF-16, and a CSV file of numbers must be UTF-8; save it as UTF-8")
    data = data.removeprefix(_BOM).lstrip(b"\r\n")
    with guarded(name, _WHAT, InvalidInput):
        delimiter, cells = _first_row(data)
        width = re.search(rb"[\r\n]", data)
    block = max(_HEAD_BYTES, 4 * (width.start() if width else len(data)))  # must hold a row
    named = not all(map(_is_number, cells))
    if named:
        _check_names(cells, name)
    else:
        _check_count(cells, name)
    with guarded(name, _WHAT, InvalidInput):
        found = arrow.read_csv(
            io.BytesIO(data),
            arrow.ReadOptions(block_size=min(block, _LARGEST_BLOCK), autogenerate_column_names=not named),
            arrow.ParseOptions(delimiter=delimiter),
            arrow.ConvertOptions(null_values=list(_MISSING), column_types={apart: pa.string()} if apart else None),
        )
    return found if apart not in found.column_names else _with_ids(found, str(apart), name)


def _first_row(data: bytes) -> tuple[str, list[str]]:
    """The delimiter, and the cells of the first row without their quotes."""
    head = data[:_HEAD_BYTES]
    text = (head if re.search(rb"[\r\n]", head) else data).decode("utf-8", "replace")
    first = re.sub(r'"[^"]*"', "", text).partition("\n")[0].partition("\r")[0]
    delimiter = next((d for d in _DELIMITERS if d in first), ",")
    return delimiter, next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])


def _check_names(cells: list[str], name: str) -> None:
    """Refuse a first row with a number or without any name: it may be a vector, which must not be lost."""
    missing = [cell.strip() in _MISSING for cell in cells]
    if not all(missing) and not any(map(_is_number, cells)):
        if cells[0].strip():
            return
        raise InvalidInput(
            f"{name}: the first column has no name, as that of row numbers which pandas writes; leave it out "
            "(to_csv(..., index=False)), or give it a name: one that --ids takes if it holds ids"
        )
    at = next(i for i, cell in enumerate(cells) if not _is_number(cell))
    held = "is empty" if not cells[at].strip() else f"is {_quoted(cells[at])}"
    raise InvalidInput(
        f"{name}: the first row is neither numbers nor names: its cell {at + 1} {held}; put numbers into all cells of "
        "it, or names that are no numbers"
    )


def _check_count(cells: list[str], name: str) -> None:
    """Refuse a first row 0, 1, 2, ...: pandas writes it above columns without names, and it would count as a vector."""
    if len(cells) < 2 or cells != list(map(str, range(len(cells)))):
        return
    told = f"{name}: the first row is {', '.join(cells[:3])}{', ...' if len(cells) > 3 else ''}"
    if len(cells) == 2:
        note(f"{told}; read as a vector: delete it if it counts the columns (to_csv(..., header=False))")
        return
    raise InvalidInput(
        f"{told}, which pandas writes above columns without names; delete it (to_csv(..., header=False)), or write it "
        "as 0.0 and so on if it is a vector"
    )


def _with_ids(table: Any, apart: str, name: str) -> Any:
    """The table with the texts of one column as int64 where each is written as an integer is."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if table.column_names.count(apart) > 1:
        raise InvalidInput(f"{name} has two columns {apart!r}; rename one of them")
    texts = table.column(apart)
    row = pc.index(pc.equal(pc.utf8_trim_whitespace(texts), ""), True).as_py()
    if row >= 0:
        raise InvalidInput(f"{name}: column {apart!r} is empty in row {row} (counted from 0, without names)")
    if not pc.all(pc.match_substring_regex(texts, f"^({WRITTEN_INTEGER})$")).as_py():
        return table
    try:
        whole = pc.cast(texts, pa.int64())
    except pa.ArrowInvalid:  # beyond 64 bits
        return table
    return table.set_column(table.column_names.index(apart), apart, whole)


def _quoted(cell: str) -> str:
    return f"'{one_line(cell)[:80]}'"


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return re.fullmatch(r"\s*[+-]?0[xX][0-9a-fA-F]+\s*", cell) is not None
    return True


def wrong_cell(column: Any) -> tuple[int, str] | None:
    """The first row of an Arrow column of a table of numbers without a number, and what is there; None where none."""
    from pyarrow import types

    texts = types.is_string(column.type) or types.is_large_string(column.type)
    if not column.null_count and not texts:
        return None
    for row, value in enumerate(column):
        cell = value.as_py()
        if cell is None:
            return row, "no value"
        if texts and not _is_number(cell):
            return row, _quoted(cell)
    return None
