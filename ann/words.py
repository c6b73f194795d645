"""The words that indexes take, and what every index can do, for type checkers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypedDict

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .result import SearchResult

Metric = Literal["l2", "ip", "cosine"]
RowMetric = Literal["l2", "ip", "cosine", "hamming"]
Storage = Literal["float32", "float16", "int8", "int8-float16", "int8-only", "int4", "1bit", "int4-only", "1bit-only"]
Layout = Literal["plain", "packed"]


class Index(Protocol):
    """What every kind of index answers to; `load` gives one of these.

    What only one kind has, such as `HNSW.tune`, is there after `isinstance(index, HNSW)`.
    """

    threads: int | None

    def __len__(self) -> int: ...

    @property
    def ids(self) -> NDArray[Any]: ...

    def add(self, rows: Any, /, ids: ArrayLike | None = None) -> Self: ...

    def search(self, queries: Any, /, k: int, *args: Any, **effort: Any) -> SearchResult: ...

    def remove(self, ids: ArrayLike) -> int: ...

    def compact(self) -> Self: ...

    def save(self, path: str | Path) -> None: ...


class HNSWParameters(TypedDict, total=False):
    """What `HNSW` takes by name."""

    metric: RowMetric
    M: int
    ef_construction: int
    storage: Storage | Literal["auto"]
    seed: int
    threads: int | None
    ef_search: int
    layout: Layout
    fit_queries: ArrayLike | None
