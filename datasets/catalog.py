"""What is known of each dataset before it is loaded."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from ..graphlib.errors import NotFound
from .circuits import listing
from .sets import ORIGINS, SETS

if TYPE_CHECKING:
    from .files import DataFile


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """A dataset's card.

    Attributes
    ----------
    name : str
        What `load` takes.
    kind : str
        "nodes" (labelled nodes), "labels" (several labels a node), "links" (a graph without labels), "stream" (timed
        edges), "graphs" (many labelled graphs in one store), "vectors" (nodes without edges) or "circuit" (pins or
        gates).
    nodes, edges : int
        As loaded; an undirected edge counts once.
    features : int
        Width of the column x; 0 where there is none.
    classes : int
        Number of classes of y, or of `attributes["graph_labels"]`; 0 where there are none.
    directed : bool
    use : str
        What it is good for.
    source, licence, citation : str
        Where the files come from, the licence stated there, and the paper to cite.
    files : tuple of str
        The files it needs, as paths inside a data folder; their sizes and digests are in `downloads`.
    reader : str
        Module and function that make the store.
    """

    name: str
    kind: str
    nodes: int
    edges: int
    features: int = 0
    classes: int = 0
    directed: bool = False
    use: str
    source: str
    licence: str
    citation: str
    files: tuple[str, ...]
    reader: str

    @property
    def downloads(self) -> tuple[DataFile, ...]:
        """Size, SHA-256 and, where it is known, public address of each file."""
        from .files import table

        return tuple(table()[path] for path in self.files)


def names() -> list[str]:
    """The names of all datasets, sorted.

    >>> "karate" in names()
    True
    """
    return sorted(_all())


def info(name: str) -> DatasetInfo:
    """The card of one dataset; `NotFound` names those that are spelled nearly so.

    >>> info("cora").nodes, info("cora").classes
    (2708, 7)
    """
    found = _all().get(name)
    if found is None:
        near = difflib.get_close_matches(str(name).lower(), names(), n=3)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "see nearhop.datasets.names()"
        raise NotFound(f"there is no dataset {name!r}; {hint}")
    return found


@cache
def _all() -> dict[str, DatasetInfo]:
    found = {}
    lines = [*SETS.strip().splitlines(), *listing.sets().splitlines()]
    origins = ORIGINS | listing.ORIGINS
    for card, files in zip(lines[0::2], lines[1::2], strict=True):
        name, kind, nodes, edges, features, classes, directed, origin, reader, use = card.split("|")
        source, licence, citation = origins[origin]
        found[name] = DatasetInfo(
            name=name,
            kind=kind,
            nodes=int(nodes),
            edges=int(edges),
            features=int(features),
            classes=int(classes),
            directed=directed == "d",
            use=use,
            source=source,
            licence=licence,
            citation=citation,
            files=_expand(files),
            reader=reader,
        )
    return found


def _expand(files: str) -> tuple[str, ...]:
    """ "folder/a.{x,y}" as ("folder/a.x", "folder/a.y"), for each word; "-" as nothing."""
    found = []
    for word in files.split():
        head, brace, rest = word.partition("{")
        middle, _, tail = rest.partition("}")
        found += [f"{head}{part}{tail}" for part in middle.split(",")] if brace else [word]
    return () if files.strip() == "-" else tuple(found)
