"""Words of the command line that name seeds and edge types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from ..graphlib.errors import InvalidInput

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
    try:
        return [int(word) for word in words]
    except ValueError as error:
        raise InvalidInput(f"the ids of this store are integers, separated by commas; got seeds {text!r}") from error


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
