"""Inert stand-ins for the few classes and functions that a pickle of arrays names."""

from __future__ import annotations

import pickle
from typing import Any


class Record:
    """Stands for an object that the pickle wants to make; keeps what was given and does nothing else."""

    __slots__ = ("arguments", "state")
    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any) -> Record:
        self = object.__new__(cls)
        self.arguments = arguments
        self.state = None
        return self

    def __setstate__(self, state: Any) -> None:
        self.state = state


class Array(Record):
    """numpy.ndarray as a class, or a call of `_reconstruct` with the array's state to come."""


class FromBuffer(Record):
    """A call of `_frombuffer(bytes, dtype, shape, order)` (pickle protocol 5)."""


class Scalar(Record):
    """A call of `scalar(dtype, bytes)`."""


class Dtype(Record):
    """A call of `dtype(code, align, copy)`, and its state."""


class Matrix(Record):
    """scipy.sparse.csr_matrix: a dict of attributes as its state."""


class Rebuilt(Record):
    """A call of `_reconstructor(csr_matrix, object, None)` (pickle protocols 0 and 1)."""


class Encoded(Record):
    """A call of `_codecs.encode(text, "latin1")`: how Python 3 writes bytes in old protocols."""


class Named(Record):
    """`list` or `object`, named as an argument."""


class Table(dict[Any, Any]):
    """collections.defaultdict; the factory is ignored."""

    def __init__(self, *_factory: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a dict with attributes")


STAND_INS: dict[tuple[str, str], type] = {
    ("numpy", "ndarray"): Array,
    ("numpy", "dtype"): Dtype,
    ("collections", "defaultdict"): Table,
    ("_codecs", "encode"): Encoded,
}
for _builtins in ("__builtin__", "builtins"):
    STAND_INS[_builtins, "bytes"] = Encoded  # without arguments: how protocol 2 writes empty bytes
    STAND_INS[_builtins, "list"] = STAND_INS[_builtins, "object"] = Named
for _registry in ("copy_reg", "copyreg"):
    STAND_INS[_registry, "_reconstructor"] = Rebuilt
for _core in ("numpy.core", "numpy._core"):
    STAND_INS[f"{_core}.multiarray", "_reconstruct"] = Array
    STAND_INS[f"{_core}.multiarray", "scalar"] = Scalar
    STAND_INS[f"{_core}.numeric", "_frombuffer"] = FromBuffer
for _module in ("scipy.sparse.csr", "scipy.sparse._csr"):
    STAND_INS[_module, "csr_matrix"] = Matrix
