"""Words of the command line that name seeds and edge types."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

from ..graphlib.errors import InvalidInput
from ..graphlib.scalars import INT64_MAX

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..graphlib.store.store import GraphStore


Among = typer.Option(
    None,
    "--edge-type",
    help="Which edges: source,name,destination; default: node,edge,node, or the graph's only ones.",
)
Unweighted = typer.Option(False, "--unweighted", help="Count every edge as one; signed weights need it.")


def parse_seeds(text: str, ids: NDArray[Any] | None) -> list[Any]:
    """Words separated by commas, as the ids of the store are: integers (also where it has none) or texts."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if ids is not None and ids.dtype.kind not in "iu":
        return words
    return integer_ids(words, "the ids of this store, separated by commas,")


def integer_ids(words: Iterable[str], what: str) -> list[int]:
    """Words as the integers that they are written as; Python's own reading takes "1_0" for 10."""
    found = []
    for word in words:
        if not re.fullmatch("[+-]?[0-9]{1,30}", word) or not -INT64_MAX - 1 <= int(word) <= INT64_MAX:
            raise InvalidInput(f"{what} are integers of 64 bits; got {word[:50]!r}")
        found.append(int(word))
    return found


def find_column(store: GraphStore, column: str) -> tuple[str, str]:
    """A node column of a store as (node type, name): NAME of the default type, or TYPE/NAME."""
    node_type, mark, name = column.partition("/")
    if mark and node_type in store.node_types and name in store.nodes(node_type):
        return node_type, name
    return store._parts.node_type(), column


def parse_edge_type(text: str | None) -> tuple[str, str, str] | None:
    """source,name,destination."""
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    if len(words) != 3 or not all(words):
        raise InvalidInput(f"--edge-type takes source,name,destination such as user,buys,item; got {text!r}")
    return words[0], words[1], words[2]
