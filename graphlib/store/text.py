"""Columns of text of any length: UTF-8 bytes and offsets in files, NumPy's StringDType in memory."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidInput, InvalidType, StoreCorrupt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

TEXT = np.dtypes.StringDType()


class TextColumn:
    """A column of text as it lies on disk: text i is `bytes[offsets[i]:offsets[i + 1]]`, UTF-8.

    Decoded at the first use, in O(bytes), and kept; what the files hold is checked then.

    Examples
    --------
    >>> from nearhop.graphlib.store.text import TextColumn, encode_text
    >>> TextColumn(encode_text(["Lyon", "", "Orléans"]), "here").values().tolist()
    ['Lyon', '', 'Orléans']
    """

    ndim = 1
    dtype = TEXT

    def __init__(self, arrays: dict[str, NDArray[Any]], where: str) -> None:
        self.arrays = arrays
        self._where = where
        self._values: NDArray[Any] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.arrays["offsets"].shape[0] - 1,)

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.arrays.values())

    def values(self) -> NDArray[Any]:
        """The texts, as a read-only array of NumPy's StringDType; `StoreCorrupt` where the files are damaged."""
        if self._values is None:
            self._values = decode_text(self.arrays["bytes"], self.arrays["offsets"], self._where)
        return self._values


def encode_text(texts: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Texts as {"bytes": uint8 (total,), "offsets": int64 (n + 1,)}."""
    encoded = [text.encode() for text in texts]
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(each) for each in encoded], out=offsets[1:])
    return {"bytes": np.frombuffer(b"".join(encoded), np.uint8), "offsets": offsets}


def decode_text(data: NDArray[Any], offsets: NDArray[Any], where: str) -> NDArray[Any]:
    """The texts again, after checking that the offsets rise from 0 to the end and that the bytes are UTF-8."""
    if not len(offsets) or offsets[0] != 0 or offsets[-1] != data.shape[0] or (offsets[1:] < offsets[:-1]).any():
        raise StoreCorrupt(f"{where}: its texts do not lie within their bytes")
    raw = data.tobytes()
    whole = raw.decode("ascii") if raw.isascii() else raw
    parts = [whole[start:stop] for start, stop in pairwise(offsets.tolist())]
    try:
        texts = [part if isinstance(part, str) else part.decode() for part in parts]
    except UnicodeDecodeError as error:
        raise StoreCorrupt(f"{where}: a text is not UTF-8 ({error})") from error
    values = np.array(texts, TEXT)
    values.flags.writeable = False
    return values


def fixed_text(texts: list[str]) -> NDArray[Any]:
    """Text of fixed width, or of any length where that would lose zero characters at the end."""
    return np.array(texts, TEXT if any(text.endswith("\0") for text in texts) else np.str_)


def as_text(name: str, values: Any) -> NDArray[Any]:
    """Python texts, or an array of them, as StringDType; anything else among them is refused by its place."""
    listed: list[Any] = values.tolist() if isinstance(values, np.ndarray) else list(values)
    for place, value in enumerate(listed):
        if not isinstance(value, str):
            missing = (
                value is None
                or type(value).__name__ == "NAType"
                or (isinstance(value, float | np.floating) and value != value)
            )
            cure = (
                'give missing texts a value, such as ""' if missing else "allowed are numbers, booleans, dates and text"
            )
            raise InvalidType(f"column {name!r} holds Python objects: {value!r:.50} at row {place}; {cure}")
    try:
        return np.array(listed, TEXT)
    except UnicodeEncodeError as error:
        place = next(i for i, text in enumerate(listed) if not _encodes(text))
        raise InvalidInput(f"column {name!r}: the text at row {place} is not valid Unicode ({error.reason})") from error


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
