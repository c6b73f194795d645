"""Columns: named arrays whose first axis is the nodes, or the edges, of one type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidInput, InvalidType, NotFound
from ..types import choose_type

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

_KINDS = "biufSUM"


class Columns(MutableMapping[str, "NDArray[Any]"]):
    """A mapping from a column's name to its array.

    Arrays are kept as given where NumPy can view them in place, so assigning a float32 array copies nothing. On a store
    that lies on disk, an assigned column is staged and written by `commit()`.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> store = nearhop.GraphStore.from_edges(np.array([0, 1]), np.array([1, 2]))
    >>> store.nodes["x"] = np.ones((3, 4), np.float32)
    >>> store.nodes["x"].shape, list(store.nodes)
    ((3, 4), ['x'])
    """

    def __init__(
        self,
        owner: str,
        length: Callable[[], int],
        on_change: Callable[[], None],
        create: Callable[[tuple[int, ...], DTypeLike], NDArray[Any]],
    ) -> None:
        self._owner = owner
        self._length = length
        self._on_change = on_change
        self._create = create
        self._arrays: dict[str, NDArray[Any]] = {}

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._arrays:
            known = ", ".join(sorted(self._arrays)) or "none yet"
            raise NotFound(f"{self._owner} have no column {name!r}; columns: {known}")
        array = self._arrays[name]
        if array.shape[0] != self._length():
            raise InvalidInput(
                f"column {name!r} has {array.shape[0]} rows but there are {self._length()} {self._owner} since edges "
                f"were appended; assign it again, or call pad({name!r}, fill=...)"
            )
        return array

    def __setitem__(self, name: str, values: ArrayLike) -> None:
        check_name(name)
        array = check_column(name, values, self._length(), self._owner)
        self._on_change()
        self._arrays[name] = array

    def __delitem__(self, name: str) -> None:
        if name not in self._arrays:
            raise NotFound(f"{self._owner} have no column {name!r} to delete")
        self._on_change()
        del self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __contains__(self, name: object) -> bool:
        return name in self._arrays

    def create(self, name: str, shape: tuple[int, ...] = (), dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """A new column of zeros to be filled in place; each row has `shape`.

        On a store that lies on disk it is a map of a file there, so it can be larger than memory. Fill it,
        `commit()`, and do not write to it afterwards.
        """
        check_name(name)
        dtype = np.dtype(dtype)
        if dtype.kind not in _KINDS:
            raise InvalidType(f"column {name!r} cannot have dtype {dtype}; allowed: numbers, booleans, dates and text")
        array = self._create((self._length(), *shape), dtype)
        self._on_change()
        self._arrays[name] = array
        return array

    def pad(self, name: str, fill: Any = 0) -> None:
        """Lengthen a column that fell short when appended edges brought new nodes; new rows hold `fill`."""
        if name not in self._arrays:
            raise NotFound(f"{self._owner} have no column {name!r} to pad")
        old = self._arrays[name]
        new = np.full((self._length(), *old.shape[1:]), fill, old.dtype)
        new[: old.shape[0]] = old
        self[name] = new

    def stored(self, name: str) -> NDArray[Any]:
        """The array as it is kept, however many rows it has."""
        return self._arrays[name]

    def restore(self, name: str, array: NDArray[Any]) -> None:
        """Put back an array that is already part of the store (no change is recorded)."""
        self._arrays[name] = array

    def __repr__(self) -> str:
        parts = [f"{name}: {a.dtype}{list(a.shape)}" for name, a in self._arrays.items()]
        return f"<{self._length():,} {self._owner}; {', '.join(parts) or 'no columns'}>"


class TypedColumns(MutableMapping[str, "NDArray[Any]"]):
    """The columns of a store's only (or default) type; call it with a type to get the columns of that one."""

    def __init__(self, kind: str, default: Any, by_type: Mapping[Any, Columns]) -> None:
        self._kind = kind
        self._default_type = default
        self._by_type = by_type

    def __call__(self, name: Any) -> Columns:
        return self._by_type[choose_type(self._kind, name, self._by_type, self._default_type)]

    def _default(self) -> Columns:
        return self._by_type[choose_type(self._kind, None, self._by_type, self._default_type)]

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._default()[name]

    def __setitem__(self, name: str, values: ArrayLike) -> None:
        self._default()[name] = values

    def __delitem__(self, name: str) -> None:
        del self._default()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._default())

    def __len__(self) -> int:
        return len(self._default())

    def __contains__(self, name: object) -> bool:
        return name in self._default()

    def pad(self, name: str, fill: Any = 0) -> None:
        """Lengthen a column that fell short when appended edges brought new nodes; new rows hold `fill`."""
        self._default().pad(name, fill)

    def create(self, name: str, shape: tuple[int, ...] = (), dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """A new column of zeros to be filled in place; each row has `shape`. See `Columns.create`."""
        return self._default().create(name, shape, dtype)

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {columns!r}" for name, columns in self._by_type.items())


def check_name(name: object) -> None:
    """Column names are short printable text without surrounding blanks."""
    if not isinstance(name, str):
        raise InvalidType(f"a column name must be text; got {type(name).__name__}")
    if not name or len(name) > 200 or not name.isprintable() or name != name.strip():
        raise InvalidInput(
            f"a column name must be 1 to 200 printable characters without surrounding blanks; got {name!r}"
        )


def check_column(name: str, values: ArrayLike, length: int, owner: str) -> NDArray[Any]:
    """`values` as an array of numbers, booleans, dates or fixed-width text with `length` rows."""
    array: NDArray[Any] = np.asarray(values)
    if array.dtype.kind in "OT":
        array = _fixed_width_text(name, array)
    if array.dtype.kind not in _KINDS:
        raise InvalidType(
            f"column {name!r} has dtype {array.dtype}; allowed are booleans, integers, floats, datetime64 and text"
        )
    if array.ndim == 0 or array.shape[0] != length:
        raise InvalidInput(f"column {name!r} has shape {array.shape}; its first axis must be {length}, the {owner}")
    return array


def _fixed_width_text(name: str, array: NDArray[Any]) -> NDArray[Any]:
    if not all(isinstance(value, str) for value in array.flat):
        raise InvalidType(f"column {name!r} holds Python objects; allowed are numbers, booleans, dates and text")
    return array.astype(np.str_)
