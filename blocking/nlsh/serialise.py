"""Records as texts for language models."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..records import Records


def serialised(records: Records) -> list[str]:
    """ "[COL] name [VAL] value" for every column that has a value; the value alone where a table has one column.

    >>> from nearhop.blocking import Records
    >>> serialised(Records.of({"id": [1], "name": ["lamp"], "price": [None]}, key="id"))
    ['[COL] name [VAL] lamp']
    >>> serialised(Records.of({"id": [1], "name": ["lamp"]}, key="id"))
    ['lamp']
    """
    columns = records.columns
    if len(columns) == 1:
        return records.texts()
    return [
        " ".join(f"[COL] {column} [VAL] {values[row]}" for column, values in columns.items() if values[row])
        for row in range(len(records))
    ]


__all__ = ["serialised"]
