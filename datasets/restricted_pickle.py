"""Reading pickles of arrays, sparse matrices, dicts and lists without running anything they ask for.

Three lines of defence. The byte code is scanned first: only plain opcodes, lengths that lie inside the file, memo slots
in sequence. Then `find_class` hands out inert records instead of the classes that the pickle names, so a pickle cannot
call NumPy, SciPy or anything else. Last, the records are turned into arrays by code here, which checks every shape
against the bytes that are there.
"""

from __future__ import annotations

import io
import pickle
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.errors import StoreCorrupt
from .pickle_records import STAND_INS, Array, Dtype, Encoded, FromBuffer, Matrix, Rebuilt, Record, Scalar
from .pickle_scan import scan

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_DEPTH = 16
_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|[SU][1-9]\d{0,3})")


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(io.BytesIO(data), encoding="latin1")
        self._name = name

    def find_class(self, module_name: str, global_name: str) -> type:
        stand_in = STAND_INS.get((module_name, global_name))
        if stand_in is None:
            raise StoreCorrupt(
                f"{self._name}: this pickle asks for {module_name}.{global_name}, which is refused; only NumPy arrays, "
                "SciPy CSR matrices, dicts and lists are read"
            )
        return stand_in

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("a reference to an outside object")


def restricted_load(data: bytes, *, name: str) -> Any:
    """The object in a pickle made of arrays, CSR matrices, dicts, lists, numbers and text only.

    Parameters
    ----------
    data : bytes
        The whole pickle, of protocol 0 to 5, written by Python 2 or 3.
    name : str
        What to call the file in errors.

    Returns
    -------
    numpy.ndarray, scipy.sparse.csr_matrix, dict, list, tuple, int, float, str, bytes, bool or None
        Arrays are read-only views of the pickle's bytes. Text of Python 2 is decoded as Latin-1.

    Raises
    ------
    StoreCorrupt
        Anything else in the file, or damage; the message names the file and what was refused.

    Notes
    -----
    Nothing that the file names is imported or called. Memory stays within a small multiple of the file's size.

    Examples
    --------
    >>> import pickle, numpy as np
    >>> restricted_load(pickle.dumps({0: [1, 2], 1: np.arange(3)}), name="example")
    {0: [1, 2], 1: array([0, 1, 2])}
    """
    scan(data, name)
    try:
        found = _Unpickler(data, name).load()
        return _Maker(name).plain(found, 0)
    except StoreCorrupt:
        raise
    except (RecursionError, MemoryError) as error:
        raise StoreCorrupt(f"{name}: this pickle is nested too deeply or too large to read") from error
    except Exception as error:  # the unpickler raises many kinds on damaged input
        raise StoreCorrupt(f"{name}: not a readable pickle ({type(error).__name__}: {error})") from error


class _Maker:
    """Turns records into arrays; an object met twice is made once."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._made: dict[int, Any] = {}
        self._kept: list[Any] = []  # keeps the objects alive whose ids are keys above

    def plain(self, value: Any, depth: int) -> Any:
        if value is None or type(value) in (bool, int, float, str, bytes):
            return value
        if depth > _MAX_DEPTH:
            raise self.refused(f"objects nested more than {_MAX_DEPTH} deep")
        if type(value) is list and {int}.issuperset(map(type, value)):
            return value  # neighbour lists: the common case by far
        if id(value) in self._made:
            return self._made[id(value)]
        made = self._make(value, depth + 1)
        self._made[id(value)] = made
        self._kept.append(value)
        return made

    def _make(self, value: Any, depth: int) -> Any:
        if isinstance(value, dict):
            return {self._key(key): self.plain(item, depth) for key, item in value.items()}
        if type(value) in (list, tuple):
            return type(value)(self.plain(item, depth) for item in value)
        if type(value) is bytearray:
            return bytes(value)
        makers: dict[type, Callable[[Any, int], Any]] = {
            Array: self._array,
            FromBuffer: self._from_buffer,
            Scalar: self._scalar,
            Matrix: self._matrix,
            Rebuilt: self._matrix,
            Encoded: lambda record, _: self._bytes(record),
        }
        maker = makers.get(type(value))
        if maker is None:
            raise self.refused(f"an object of kind {type(value).__name__} where data is expected")
        return maker(value, depth)

    def _key(self, key: Any) -> Any:
        if type(key) not in (int, str, bool, float, bytes):
            raise self.refused(f"a dict key of kind {type(key).__name__}")
        return key

    def _array(self, record: Record, depth: int) -> Any:
        if not (isinstance(record.state, tuple) and len(record.state) == 5):
            raise self.refused("an array without content")
        _, shape, dtype, fortran, content = record.state
        return self._view(self._bytes(content), self._dtype(dtype), shape, bool(fortran))

    def _from_buffer(self, record: Record, depth: int) -> Any:
        if len(record.arguments) != 4 or record.state is not None:
            raise self.refused("an array made in an unknown way")
        content, dtype, shape, order = record.arguments
        return self._view(self._bytes(content), self._dtype(dtype), shape, order == "F")

    def _scalar(self, record: Record, depth: int) -> Any:
        if len(record.arguments) != 2:
            raise self.refused("a number without content")
        dtype, content = record.arguments
        return self._view(self._bytes(content), self._dtype(dtype), (), False)[()]

    def _view(self, content: bytes, dtype: np.dtype[Any], shape: Any, fortran: bool) -> Any:
        if not isinstance(shape, tuple) or len(shape) > 8 or not all(type(n) is int and n >= 0 for n in shape):
            raise self.refused(f"an array of shape {shape!r:.80}")
        size = dtype.itemsize
        for length in shape:
            size *= length
        if size != len(content):
            raise self.refused(f"an array of shape {shape} and dtype {dtype} in {len(content)} bytes")
        if size == 0:
            # a zero beside a huge length: the strides would not fit
            if any(length > len(content) + 2**31 for length in shape):
                raise self.refused(f"an array of shape {shape}")
            return np.empty(shape, dtype)
        return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")

    def _dtype(self, record: Any) -> np.dtype[Any]:
        code = record.arguments[0] if type(record) is Dtype and record.arguments else None
        if isinstance(code, bytes):
            code = code.decode("latin1")
        if not isinstance(code, str) or not _DTYPE.fullmatch(code):
            raise self.refused(f"an array of dtype {code!r:.80}; only numbers, booleans and text are read")
        dtype = np.dtype(code)
        state = record.state
        if state is None:
            return dtype
        if not isinstance(state, tuple) or len(state) < 5 or any(part is not None for part in state[2:5]):
            raise self.refused(f"a structured dtype {code!r}")
        order = state[1].decode("latin1") if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "|", "="):
            raise self.refused(f"a dtype of byte order {order!r:.80}")
        return np.dtype(order + dtype.str[1:]) if order in "<>" else dtype

    def _bytes(self, content: Any) -> bytes:
        if type(content) is Encoded:
            if not content.arguments:
                return b""
            if len(content.arguments) != 2 or content.arguments[1] not in ("latin1", "latin-1"):
                raise self.refused("bytes in an unknown encoding")
            content = content.arguments[0]
        if isinstance(content, str):
            try:
                return content.encode("latin1")
            except UnicodeEncodeError as error:
                raise self.refused("array content that is not bytes") from error
        if isinstance(content, bytes | bytearray):
            return bytes(content)
        raise self.refused(f"array content of kind {type(content).__name__} (Python objects are not read)")

    def _matrix(self, record: Record, depth: int) -> Any:
        from scipy.sparse import csr_matrix

        if type(record) is Rebuilt and record.arguments[:1] != (Matrix,):
            raise self.refused("an object rebuilt in an unknown way")
        state = record.state
        if not isinstance(state, dict):
            raise self.refused("a sparse matrix without content")
        shape = state.get("_shape", state.get("shape"))
        data, indices, indptr = (self.plain(state.get(part), depth) for part in ("data", "indices", "indptr"))
        for part in (data, indices, indptr):
            if not isinstance(part, np.ndarray) or part.ndim != 1:
                raise self.refused("a sparse matrix whose parts are not arrays")
        if not (isinstance(shape, tuple) and len(shape) == 2 and all(type(n) is int and n >= 0 for n in shape)):
            raise self.refused(f"a sparse matrix of shape {shape!r:.80}")
        fits = (
            data.dtype.kind in "biuf"
            and indices.dtype.kind == indptr.dtype.kind == "i"
            and len(indptr) == shape[0] + 1
            and indptr[0] == 0
            and indptr[-1] == len(indices) == len(data)
            and bool((np.diff(indptr) >= 0).all())
            and (len(indices) == 0 or (indices.min() >= 0 and indices.max() < shape[1]))
            and shape[1] < 2**31
        )
        if not fits:
            raise self.refused(f"a sparse matrix of shape {shape} whose rows and columns do not fit it")
        return csr_matrix((data, indices, indptr), shape=shape)

    def refused(self, what: str) -> StoreCorrupt:
        return StoreCorrupt(f"{self._name}: this pickle holds {what}, which is refused")
