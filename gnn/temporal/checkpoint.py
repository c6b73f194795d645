"""Checkpoints of training: arrays and JSON facts in one `.npz` file, replaced at once; nothing is pickled."""

from __future__ import annotations

import json
import os
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import StoreCorrupt, StoreMissing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_FACTS = "facts.json"


def save(path: str, arrays: Mapping[str, NDArray[Any]], facts: dict[str, Any]) -> None:
    """Write beside, flush, rename: a crash leaves the file that was there."""
    text = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    beside = f"{path}.writing"
    with open(beside, "wb") as file:
        np.savez(file, allow_pickle=False, **{**arrays, _FACTS: text})
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def load(path: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays and facts of a checkpoint."""
    if not os.path.exists(path):
        raise StoreMissing(f"there is no checkpoint at {path}")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        facts = json.loads(arrays.pop(_FACTS).tobytes())
    except (ValueError, KeyError, OSError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise StoreCorrupt(f"{path}: is not a checkpoint, or is damaged ({error})") from error
    return arrays, facts


def part(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    """The arrays whose name begins with `prefix`, without it."""
    return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
