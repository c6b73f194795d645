"""User ids: which integer or text each node position stands for, and the way back."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import id_array, unmasked
from ..errors import InvalidInput, InvalidType, NotFound
from ..scalars import INT64_MAX

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray


class IdMap:
    """A one-to-one map between node positions and user ids.

    Integers are kept as one int64 array; text as UTF-8 bytes with int64 offsets. `order` sorts the ids, so a look-up is
    a binary search over arrays that can lie in a file.
    """

    def __init__(self, arrays: dict[str, NDArray[Any]], check: Callable[[], None] | None = None) -> None:
        self.arrays = arrays
        self._check = check

    def verify(self) -> None:
        """Check arrays that come from a file, once, before they are used."""
        if self._check is not None:
            self._check()
            self._check = None

    @classmethod
    def from_values(cls, values: ArrayLike) -> IdMap:
        """Make the map of distinct user ids given in node order."""
        given = unmasked("the array of user ids", values)
        if given.ndim != 1:
            raise InvalidInput(f"user ids must have one dimension; got shape {given.shape}")
        if given.dtype.kind in "iu":
            id_array("user ids", values)
            if given.dtype == np.uint64 and given.size and given.max() > INT64_MAX:
                raise InvalidInput(f"user id {given.max()} does not fit in a signed 64-bit integer")
            arrays = {"values": given.astype(np.int64, copy=False)}
            order = np.argsort(arrays["values"], kind="stable")
            ranked = arrays["values"][order]
            repeated = ranked[1:][ranked[1:] == ranked[:-1]]
        else:
            # fixed-width text would lose zero characters at the end of Python's texts
            texts = _texts(given if isinstance(values, np.ndarray) else list(values))  # type: ignore[arg-type]
            encoded = [_encoded(text, place) for place, text in enumerate(texts)]
            offsets = np.zeros(len(encoded) + 1, np.int64)
            np.cumsum([len(e) for e in encoded], out=offsets[1:])
            arrays = {"bytes": np.frombuffer(b"".join(encoded), np.uint8), "offsets": offsets}
            order = np.array(sorted(range(len(encoded)), key=encoded.__getitem__), np.int64)
            repeated = [texts[a] for a, b in pairwise(order) if encoded[a] == encoded[b]]
        if len(repeated):
            raise InvalidInput(f"user id {repeated[0]!r} is given to two nodes; ids must be distinct")
        arrays["order"] = order.astype(np.int64)
        return cls(arrays)

    def extended(self, values: ArrayLike) -> IdMap:
        """The map with more ids behind the present ones, which must be of the same kind and distinct from them."""
        if np.size(np.asarray(values)) == 0:
            return self
        new = IdMap.from_values(values)
        if new.is_text != self.is_text:
            kinds = {True: "text", False: "integers"}
            raise InvalidType(
                f"user ids of this store are {kinds[self.is_text]}; the new ones are {kinds[new.is_text]}"
            )
        if self.is_text:
            return IdMap.from_values([*self.values().tolist(), *new.values().tolist()])
        return IdMap.from_values(np.concatenate([self.values(), new.values()]))

    @property
    def is_text(self) -> bool:
        return "bytes" in self.arrays

    def __len__(self) -> int:
        return int(self.arrays["order"].shape[0])

    def values(self, positions: NDArray[Any] | None = None) -> NDArray[Any]:
        """User ids of all nodes, or of the given positions: int64, or NumPy text."""
        self.verify()
        if not self.is_text:
            values = self.arrays["values"]
            return values if positions is None else values[positions]
        which = range(len(self)) if positions is None else positions.tolist()
        return np.array([self._text(i).decode(errors="replace") for i in which], dtype=np.dtypes.StringDType())

    def _text(self, position: int) -> bytes:
        offsets = self.arrays["offsets"]
        return self.arrays["bytes"][offsets[position] : offsets[position + 1]].tobytes()

    def lookup(self, user_ids: ArrayLike) -> NDArray[np.int64]:
        """Positions of user ids, int64; `NotFound` names the first that is unknown."""
        self.verify()
        given = id_array("user ids", user_ids)
        if given.size == 0:
            return np.empty(0, np.int64)
        if self.is_text:
            if given.dtype.kind not in "UTO":
                raise InvalidType(f"user ids of this store are text; got dtype {given.dtype}")
            return np.array([self._find_text(text) for text in _texts(given)], np.int64)
        if given.dtype.kind not in "iu":
            raise InvalidType(f"user ids of this store are integers; got dtype {given.dtype}")
        values, order = self.arrays["values"], self.arrays["order"]
        if not len(order):
            raise NotFound(f"user id {given.flat[0]} is not in the store, which has no nodes of this type")
        wanted = given.astype(np.int64, copy=False)  # uint64 beside int64 would be searched as float64
        found = order[np.minimum(np.searchsorted(values, wanted, sorter=order), len(order) - 1)]
        missing = (values[found] != wanted) | (given > INT64_MAX)
        if missing.any():
            raise NotFound(f"user id {given[missing][0]} is not in the store")
        return np.asarray(found, np.int64)

    def _find_text(self, text: str) -> int:
        order, wanted = self.arrays["order"], text.encode()
        low, high = 0, len(order)
        while low < high:
            middle = (low + high) // 2
            if self._text(int(order[middle])) < wanted:
                low = middle + 1
            else:
                high = middle
        if low < len(order) and self._text(int(order[low])) == wanted:
            return int(order[low])
        raise NotFound(f"user id {text!r} is not in the store")


def _encoded(text: str, place: int) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"user id number {place}, {text!r}, is not valid Unicode ({error.reason})") from error


def _texts(given: NDArray[Any] | list[Any]) -> list[str]:
    texts = given.tolist() if isinstance(given, np.ndarray) else given
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise InvalidType(f"user ids must be all integers or all text; number {position} is {text!r}")
    return texts
