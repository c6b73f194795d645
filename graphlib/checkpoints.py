"""Checkpoints of training: arrays and JSON facts in one `.npz` file, replaced at once; nothing is pickled.

A model that resumes reads the whole file, compares it with what it expects, and only then changes anything.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .disk.replacing import replacing_stream
from .errors import NearhopError, StoreCorrupt, StoreMissing
from .guarded import Npz, guarded, read_numpy
from .scalars import plain_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

FACTS = "facts.json"


def save_checkpoint(
    path: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any], *, entry: str = FACTS
) -> None:
    """Write one file: its name holds the old one or the new one at every moment.

    Parameters
    ----------
    path : path of the `.npz` file
    arrays : mapping from name to array
    facts : mapping that JSON can hold
    entry : str
        Under which name the facts stand among the arrays.

    Raises
    ------
    StoreWriteFailed
        The disk is full or failed; the old file is whole and nothing else is left.

    Examples
    --------
    >>> import numpy as np
    >>> from nearhop.graphlib.checkpoints import load_checkpoint, save_checkpoint
    >>> save_checkpoint("run.npz", {"weights": np.ones(3)}, {"epoch": 2})
    >>> arrays, facts = load_checkpoint("run.npz")
    >>> arrays["weights"].tolist(), facts
    ([1.0, 1.0, 1.0], {'epoch': 2})
    """
    text = np.frombuffer(json.dumps(dict(facts), default=plain_number).encode(), np.uint8)
    with replacing_stream(Path(path)) as stream:
        np.savez(stream, allow_pickle=False, **{entry: text, **arrays})


def load_checkpoint(
    path: str | os.PathLike[str], *, entry: str = FACTS
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays and the facts of a checkpoint, all of it read and its checksums compared.

    Raises
    ------
    StoreMissing
        There is no such file.
    StoreCorrupt
        It is not a checkpoint, or a byte of it is damaged.
    """
    archive, facts = open_checkpoint(path, entry=entry)
    with _named(path, "a whole checkpoint"):
        return {name: archive[name] for name in archive if name != entry}, facts


def open_checkpoint(path: str | os.PathLike[str], *, entry: str = FACTS) -> tuple[Npz, dict[str, Any]]:
    """As `load_checkpoint`, with arrays that are read when they are asked for, for tables that fill the memory."""
    target = Path(path)
    if not target.exists():
        raise StoreMissing(f"there is no checkpoint at {os.fspath(path)!r}")
    with _named(path, "a checkpoint"):
        archive = read_numpy(target)
        if not isinstance(archive, Npz):
            raise StoreCorrupt("it is a single array")
    with _named(path, "a whole checkpoint"):
        (text,) = archive.take(entry)
    with guarded(target, "a whole checkpoint"):
        found = json.loads(text.tobytes().decode())
        if not isinstance(found, dict):
            raise ValueError(f"its entry {entry!r} is not an object")
    return archive, found


@contextlib.contextmanager
def _named(path: str | os.PathLike[str], what: str) -> Iterator[None]:
    try:
        yield
    except NearhopError as error:
        raise StoreCorrupt(f"{os.fspath(path)} is not {what}, or is damaged: {error}") from error


def check_arrays(path: object, found: Mapping[str, NDArray[Any]], wanted: Mapping[str, NDArray[Any]]) -> None:
    """Refuse a checkpoint whose arrays differ from `wanted` in names, dtypes or shapes; values are not compared."""
    for name in [*wanted, *found]:
        if name not in found or name not in wanted:
            state = "lacks" if name not in found else "has an unknown"
            raise StoreCorrupt(f"{path} is not a whole checkpoint of this model: it {state} array {name!r}")
        given, here = found[name], wanted[name]
        if given.dtype != here.dtype or given.shape != here.shape:
            raise StoreCorrupt(
                f"{path} is not a whole checkpoint of this model: {name} is {given.dtype} {given.shape}, "
                f"not {here.dtype} {here.shape}"
            )


def whole_fact(path: object, facts: Mapping[str, Any], name: str, low: int, high: int) -> int:
    """An integer among the facts, within [low, high]."""
    value = facts.get(name)
    if type(value) is not int or not low <= value <= high:
        raise StoreCorrupt(
            f"{path} is not a whole checkpoint: its {name} must be an integer in [{low}, {high}]; it is {value!r:.80}"
        )
    return value


def prefixed(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    """The arrays whose name begins with `prefix`, without it."""
    return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
