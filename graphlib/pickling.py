"""A store to another process: as the path of its folder, which that process maps; never as copied arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .errors import InvalidType

if TYPE_CHECKING:
    from .store.store import GraphStore


def reduced(
    store: GraphStore, *, changed: bool, opener: Callable[..., GraphStore]
) -> tuple[Callable[..., GraphStore], tuple[Any, ...]]:
    """What pickle keeps of a store: how to open this version of it."""
    if store.path is None or store.version is None:
        raise InvalidType(
            "a store in memory cannot be pickled or copied; save it, store = store.save(path): a stored graph is "
            "pickled as its path, and every process maps the same files"
        )
    if changed:
        raise InvalidType(
            f"{store.path.name} has changes that are not committed, which another process could not see; commit() or "
            "close() first"
        )
    return _reopened, (opener, str(store.path), store.version)


def _reopened(opener: Callable[..., GraphStore], path: str, version: int) -> GraphStore:
    return opener(path, version=version)
