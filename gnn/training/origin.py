"""What a training began from: a file of another model or other data is told by it, and not taken up."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import unmasked
from ...graphlib.compute.fingerprint import of_array
from ...graphlib.errors import IndexMismatch, StoreCorrupt

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ELSEWHERE = ("training", "cache_device", "workers", "threads")  # may be others where a run goes on
_PLAIN = (bool, int, float, str, type(None))


class Origin:
    """A model and its data as they are before the training.

    Parameters
    ----------
    model : torch.nn.Module
        Its modules are remembered by name, kind and plain attributes (widths, dropout). Its weights are not: those of a
        file take their place.
    groups : iterable of dict
        The parameter groups of the optimizer.
    **parts : iterable of arrays
        Data, by what it is called; None among the arrays stands for one that there is not. They are read when a file is
        first written or read.

    Examples
    --------
    >>> import numpy as np, torch
    >>> origin = Origin(torch.nn.Linear(2, 3), [], labels=[np.arange(3)])
    >>> origin.facts()["modules"]
    {'': 'Linear(in_features=2, out_features=3, bias=True)'}
    """

    def __init__(self, model: Any, groups: Iterable[Mapping[str, Any]], **parts: Iterable[Any]) -> None:
        self._facts: dict[str, Any] = {
            "modules": dict(_modules(model)),
            "groups": {str(number): _group(group) for number, group in enumerate(groups)},
        }
        self._parts = {name: list(arrays) for name, arrays in parts.items()}

    def facts(self) -> dict[str, Any]:
        """What a file keeps of it."""
        if self._parts:
            self._facts["data"] = {name: " ".join(map(_fingerprint, part)) for name, part in self._parts.items()}
            self._parts = {}
        return self._facts

    def check(self, path: object, found: Any) -> None:
        """Refuse a file of another model or other data; None, of a file written before there was this, passes.

        Raises
        ------
        IndexMismatch
            Names what is another.
        StoreCorrupt
        """
        if found is None:
            return
        here = self.facts()
        if not isinstance(found, dict) or any(not isinstance(found.get(kind), dict) for kind in here):
            raise StoreCorrupt(f"{path} is not a whole checkpoint: what it was trained from is {found!r:.80}")
        for kind, own in here.items():
            told = found[kind]
            for name in [*own, *(name for name in told if name not in own)]:
                if told.get(name) != own.get(name):
                    raise IndexMismatch(
                        f"{path}: was trained from {_words(kind, name, told, own)}. Give what it was trained from, or "
                        "another file or folder"
                    )


def inputs_of(model: Any) -> Iterator[Any]:
    """Tensors and matrices that the modules of a model hold, alone or in lists, and training leaves as they are."""
    seen: dict[int, Any] = {}
    for module in model.modules():
        inputs = getattr(module, "inputs", ())
        named = [value for name, value in vars(module).items() if not name.startswith("_")]
        for value in (*_buffers(module), *named, *(inputs if isinstance(inputs, list | tuple) else ())):
            for single in _singles(value):
                seen.setdefault(id(single), single)
    for value in seen.values():
        yield from _arrays_of(value)


def _singles(value: Any) -> Iterator[Any]:
    """What stands in lists, tuples and mappings."""
    if not isinstance(value, list | tuple | Mapping):
        yield value
        return
    for part in value.values() if isinstance(value, Mapping) else value:
        yield from _singles(part)


def _arrays_of(value: Any) -> Iterator[Any]:
    """A tensor or an array, or what makes a sparse matrix; nothing of other values."""
    import torch

    from ...graphlib.sparse.csr import CSR
    from ..sparse.sparse_tensor import SparseTensor

    matrix = value.matrix if isinstance(value, SparseTensor) else value
    if isinstance(matrix, CSR):
        yield from (matrix.indptr, matrix.indices, matrix.values)
    elif isinstance(value, torch.Tensor) and value.layout is not torch.strided:
        entries = value.detach().to_sparse_coo().coalesce()
        yield from (entries.indices(), entries.values(), np.array(value.shape))
    elif isinstance(value, torch.Tensor | np.ndarray):
        yield value
    elif hasattr(value, "tocoo") and not isinstance(value, type):
        entries = value.tocoo()
        yield from (entries.row, entries.col, entries.data, np.array(value.shape))


def _buffers(module: Any) -> list[Any]:
    return [part for name, part in module.named_buffers(recurse=False) if name in module._non_persistent_buffers_set]


def _modules(model: Any) -> Iterator[tuple[str, str]]:
    for name, module in model.named_modules():
        own, told = sorted((key, _plain(value)) for key, value in vars(module).items()), module.extra_repr()
        words = [told, *(f"{key}={value!r}" for key, value in own if _is_plain(key, value) and f"{key}=" not in told)]
        words += [_settings(value) for key, value in own if not key.startswith("_")]
        text = re.sub(r" at 0x[0-9a-f]+", "", ", ".join(filter(None, words)))
        yield name, f"{type(module).__name__}({text})"


def _settings(value: Any) -> str:
    """The plain fields of a dataclass, such as the configuration of a model."""
    if not is_dataclass(value) or isinstance(value, type):
        return ""
    found = ((field.name, _plain(getattr(value, field.name))) for field in fields(value))
    return ", ".join(f"{key}={part!r}" for key, part in found if _is_plain(key, part))


def _is_plain(name: str, value: Any) -> bool:
    if name.startswith("_") or name in _ELSEWHERE:
        return False
    parts = value if isinstance(value, list | tuple) else (value,)
    return all(isinstance(part, _PLAIN) for part in parts)


def _plain(value: Any) -> Any:
    """Numbers of NumPy as Python's, alone or in a list."""
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value)) if type(value) in (list, tuple) else value
    return value.item() if isinstance(value, np.generic) else value


def _group(group: Mapping[str, Any]) -> str:
    plain = ", ".join(f"{key}={group[key]!r}" for key in ("lr", "weight_decay") if key in group)
    return f"{len(group['params'])} parameters with {plain}"


def _fingerprint(array: Any) -> str:
    if array is None:
        return "none"
    made: NDArray[Any] = unmasked("data", array)
    return of_array(made) if made.dtype.kind in "iufb" else f"{made.dtype} {made.shape}"


def _words(kind: str, name: str, told: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    there, here = (str(part.get(name, "not there")) for part in (told, own))
    if kind == "data":
        return f"other {name}"
    what = f"the module {name!r}" if kind == "modules" else f"group {name} of the parameters"
    return f"another model: {what} was {there:.200}, and is {here:.200}"
