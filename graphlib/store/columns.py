"""Columns: named arrays whose first axis is the nodes, or the edges, of one type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..checks import unmasked
from ..errors import InvalidInput, InvalidType, NotFound
from .text import TEXT, TextColumn, as_text

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from ..disk.filling import Filling
    from .contents import Home
    from .guard import Guard

_KINDS = "biufSUM"
_LAST_CHARACTER = 0x10FFFF
_MOST_DIMENSIONS = 32  # what the format on disk holds


class Columns(MutableMapping[str, "NDArray[Any]"]):
    """A mapping from a column's name to its array.

    Arrays are kept as given where NumPy can view them in place, so assigning a float32 array copies nothing. Text of
    any length is NumPy's StringDType, or fixed-width text where it is given as that. On a store that lies on disk, an
    assigned column is staged and written by `commit()`, also what is written into it until then; a column that is
    committed is read-only. To change one, assign a changed copy.

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
        home: Home,
        guard: Guard,
    ) -> None:
        self._owner = owner
        self._length = length
        self._home = home
        self._guard = guard
        self._arrays: dict[str, NDArray[Any] | TextColumn] = {}
        self._views: dict[str, NDArray[Any]] = {}

    def __getitem__(self, name: str) -> NDArray[Any]:
        array = self.private(name)
        return self._views.get(name, array)

    def private(self, name: str) -> NDArray[Any]:
        """The column, also a committed one, to be written to by this process alone: nothing reaches the files."""
        kept = self.stored(name)
        if kept.shape[0] != self._length():
            raise InvalidInput(
                f"column {name!r} has {kept.shape[0]} rows but there are {self._length()} {self._owner} since edges "
                f"were appended; assign it again, or call pad({name!r}, fill=...)"
            )
        return kept.values() if isinstance(kept, TextColumn) else kept

    def __setitem__(self, name: str, values: ArrayLike) -> None:
        check_name(name)
        with self._guard.lock:
            array = check_column(name, values, self._length(), self._owner)
            self._home.changing()
            self._views.pop(name, None)
            self._arrays[name] = array

    def __delitem__(self, name: str) -> None:
        with self._guard.lock:
            if name not in self._arrays:
                raise NotFound(f"{self._owner} have no column {name!r} to delete")
            self._home.changing()
            self._views.pop(name, None)
            del self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __contains__(self, name: object) -> bool:
        return name in self._arrays

    def create(self, name: str, shape: tuple[int, ...] = (), dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """A new column of zeros to be filled in place; each row has `shape`.

        On a store that lies on disk it is a map of a file there, so it can be larger than memory; its room on the disk
        is taken at once. Fill it and `commit()`, which makes the array read-only.
        """
        with self._guard.lock:
            array = self._home.create(*self._planned(name, shape, dtype))
            self._take(name, array)
        return array

    def fill(self, name: str, shape: tuple[int, ...], dtype: DTypeLike, *, key: str) -> Filling:
        """A new column that is written in order, piece by piece, and taken up again after the process was killed.

        Parameters
        ----------
        name : str
        shape : tuple of int
            Of each row.
        dtype : dtype
        key : str
            What is written, in full: a call with the same key, shape and dtype on the same version of the same store
            goes on behind the rows that a killed one had written. Another key begins anew.

        Returns
        -------
        Filling
            Iterate over its `pieces(rows)` and write those rows of its `array`. The column is there, waiting for
            `commit()`, after the last one.

        Notes
        -----
        On a store on disk rows are flushed to the device piece by piece. `compact` removes what was never finished.

        Examples
        --------
        >>> import nearhop
        >>> store = nearhop.GraphStore.from_edges([0, 1], [1, 2])
        >>> column = store.nodes.fill("double", (), "int64", key="twice the position")
        >>> for first, last in column.pieces(rows=2):
        ...     column.array[first:last] = range(2 * first, 2 * last, 2)
        >>> store.nodes["double"].tolist()
        [0, 2, 4]
        """
        with self._guard.lock:
            whole, kind = self._planned(name, shape, dtype)
            return self._home.fill(f"{name}: {key}", whole, kind, lambda filling: self._finish(name, filling))

    def _planned(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> tuple[tuple[int, ...], np.dtype[Any]]:
        check_name(name)
        kind = np.dtype(dtype)
        if kind.kind not in _KINDS:
            raise InvalidType(f"column {name!r} cannot have dtype {kind}; allowed: numbers, booleans, dates and text")
        whole = (self._length(), *shape)
        _check_dimensions(name, whole)
        return whole, kind

    def _take(self, name: str, array: NDArray[Any]) -> None:
        self._views.pop(name, None)
        self._arrays[name] = array

    def _finish(self, name: str, filling: Filling) -> None:
        with self._guard.lock:
            if filling.array.shape[0] != self._length():
                raise InvalidInput(f"nodes or edges were added while column {name!r} was being written; begin anew")
            self._home.changing()
            self._take(name, filling.array)

    def pad(self, name: str, fill: Any = None) -> None:
        """Lengthen a column that fell short when appended edges brought new nodes.

        New rows hold `fill`: by default 0, or "" for text of any length.
        """
        with self._guard.lock:
            old = self.stored(name)
            if fill is None:
                fill = "" if old.dtype.kind == "T" else 0
            new: NDArray[Any] = np.full((self._length(), *old.shape[1:]), fill, old.dtype)
            new[: old.shape[0]] = old.values() if isinstance(old, TextColumn) else old
            self[name] = new

    def stored(self, name: str) -> NDArray[Any] | TextColumn:
        """The column as it is kept, however many rows it has."""
        if not isinstance(name, str) or name not in self._arrays:
            known = ", ".join(sorted(self._arrays)) or "none yet"
            raise NotFound(f"{self._owner} have no column {name!r}; columns: {known}")
        return self._arrays[name]

    def restore(self, name: str, array: NDArray[Any] | TextColumn) -> None:
        """Put back a column that is committed (no change is recorded); it is handed out read-only."""
        if not isinstance(array, TextColumn):  # whose values are read-only anyway
            view = array.view()
            view.flags.writeable = False
            self._views[name] = view
        self._arrays[name] = array

    def __repr__(self) -> str:
        return self.summary(self._arrays)

    def summary(self, names: Iterable[str]) -> str:
        """The `repr` that lists these columns only."""
        kept = ((name, self._arrays[name]) for name in names)
        parts = [f"{name}: {dtype_name(a.dtype)}{list(a.shape)}" for name, a in kept]
        return f"<{self._length():,} {self._owner}; {', '.join(parts) or 'no columns'}>"


class TypedColumns(MutableMapping[str, "NDArray[Any]"]):
    """The columns of a store's only (or default) type; call it with a type to get the columns of that one."""

    def __init__(self, choose: Callable[[Any], Any], by_type: Mapping[Any, Columns]) -> None:
        self._choose = choose
        self._by_type = by_type

    def __call__(self, name: Any) -> Columns:
        return self._by_type[self._choose(name)]

    def _default(self) -> Columns:
        return self._by_type[self._choose(None)]

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

    def pad(self, name: str, fill: Any = None) -> None:
        """Lengthen a column that fell short when appended edges brought new nodes. See `Columns.pad`."""
        self._default().pad(name, fill)

    def create(self, name: str, shape: tuple[int, ...] = (), dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """A new column of zeros to be filled in place; each row has `shape`. See `Columns.create`."""
        return self._default().create(name, shape, dtype)

    def fill(self, name: str, shape: tuple[int, ...], dtype: DTypeLike, *, key: str) -> Filling:
        """A new column written in order, which a call after a kill takes up again. See `Columns.fill`."""
        return self._default().fill(name, shape, dtype, key=key)

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
    """`values` as an array of numbers, booleans, dates or text with `length` rows."""
    array: NDArray[Any] = unmasked(f"column {name!r}", values)
    if array.dtype.kind == "O" or (array.dtype.kind == "T" and array.dtype != TEXT):
        array = _of_objects(name, array)
    elif array.dtype.kind == "U" and array.size and _largest_character(array) > _LAST_CHARACTER:
        raise InvalidInput(f"column {name!r} holds a number where a character should be, beyond U+10FFFF")
    elif array.dtype.kind == "U" and not isinstance(values, np.ndarray) and array.ndim == 1:
        listed: list[Any] = list(cast("Any", values))
        if any(isinstance(text, str) and text.endswith("\0") for text in listed):  # fixed-width text would lose them
            array = as_text(name, listed)
    if array.dtype.kind == "T" and array.ndim != 1:
        raise InvalidInput(f"column {name!r} has shape {array.shape}; a column of text has one dimension")
    if array.dtype.kind not in _KINDS + "T":
        raise InvalidType(
            f"column {name!r} has dtype {array.dtype}; allowed are booleans, integers, floats, datetime64 and text"
        )
    if array.ndim == 0 or array.shape[0] != length:
        raise InvalidInput(f"column {name!r} has shape {array.shape}; its first axis must be {length}, the {owner}")
    _check_dimensions(name, array.shape)
    return array


def _largest_character(array: NDArray[Any]) -> int:
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return int(np.ascontiguousarray(native).view(np.uint32).max(initial=0))


def _of_objects(name: str, array: NDArray[Any]) -> NDArray[Any]:
    if array.ndim == 1:
        return as_text(name, array)
    flat = as_text(name, array.reshape(-1))
    fixed = flat.astype(np.str_)
    if fixed.astype(TEXT).tolist() != flat.tolist():
        raise InvalidInput(f"column {name!r} holds texts that end in a zero character, in several dimensions")
    return fixed.reshape(array.shape)


def _check_dimensions(name: str, shape: tuple[int, ...]) -> None:
    if len(shape) > _MOST_DIMENSIONS:
        raise InvalidInput(f"column {name!r} has {len(shape)} dimensions; a column has at most {_MOST_DIMENSIONS}")


def dtype_name(dtype: np.dtype[Any]) -> str:
    """A dtype in a word: "text" for text of any length."""
    return "text" if dtype.kind == "T" else str(dtype)
