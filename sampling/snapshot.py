"""What a sampler was made from: the edges of a store as they were then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..graphlib.errors import InvalidInput

if TYPE_CHECKING:
    from ..graphlib.store.store import GraphStore
    from ..graphlib.types import EdgeType


class EdgesThen:
    """The numbers of edges of a store, to notice those that are appended."""

    def __init__(self, owner: str, store: GraphStore, *edge_types: EdgeType) -> None:
        self._owner, self._store = owner, store
        self._counts = {edge_type: store.num_edges_of(edge_type) for edge_type in edge_types}

    def check(self) -> None:
        """`InvalidInput` where edges were appended since: what was made then would leave them out without a word."""
        for edge_type, count in self._counts.items():
            now = self._store.num_edges_of(edge_type)
            if now != count:
                raise InvalidInput(
                    f"{self._owner}: it was made from {count:,} edges, and the store has {now:,} now; make it anew to "
                    "sample them too"
                )
