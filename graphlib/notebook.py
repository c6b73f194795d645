"""What a notebook shows of an object: a small table in which every word is text."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

ROWS = 10  # of a long table, so many are shown


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[Any]], *, hidden: int = 0) -> str:
    """An HTML table; `hidden` is how many rows it leaves out.

    >>> table("2 < 3", ["node"], [["<b>"]]).partition("<tbody>")[2]
    '<tr><td>&lt;b&gt;</td></tr></tbody></table>'
    """
    lines = [f"<tr>{_cells('td', row)}</tr>" for row in rows]
    if hidden:
        lines.append(f'<tr><td colspan="{len(head)}">and {hidden:,} more</td></tr>')
    top = f"<thead><tr>{_cells('th', head)}</tr></thead>"
    return f"<table><caption>{html.escape(caption)}</caption>{top}<tbody>{''.join(lines)}</tbody></table>"


def framed(page: str, height: int) -> str:
    """A whole HTML page inside another; its styles and scripts stay its own."""
    return (
        f'<iframe srcdoc="{html.escape(page)}" style="width:100%;height:{height}px;border:0" '
        'sandbox="allow-scripts"></iframe>'
    )


def _cells(tag: str, values: Sequence[Any]) -> str:
    return "".join(f"<{tag}>{html.escape(str(value))}</{tag}>" for value in values)
