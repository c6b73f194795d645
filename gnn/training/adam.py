"""The state of Adam as arrays, and back: torch's fused step trusts what it is given with memory, so all is checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checkpoints import check_arrays, prefixed
from ...graphlib.errors import StoreCorrupt
from ...graphlib.tensors import to_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOMENTS = ("exp_avg", "exp_avg_sq")


def adam_arrays(optimizer: Any) -> dict[str, NDArray[Any]]:
    """Moments and step counts, named `adam.<number of the parameter>.<name>`."""
    return {
        f"adam.{number}.{name}": to_array(part, name)
        for number, held in optimizer.state_dict()["state"].items()
        for name, part in held.items()
    }


def read_adam(path: object, arrays: Mapping[str, NDArray[Any]], optimizer: Any) -> dict[int, dict[str, Any]]:
    """The state by the number of the parameter, as torch takes it, from arrays named without `adam.`.

    Raises
    ------
    StoreCorrupt
        Arrays that do not belong to a parameter, are not of its shape, or a count of steps that cannot be.
    """
    import torch

    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    numbers = set()
    for name in arrays:
        found = re.fullmatch(r"(\d{1,9})\.\w+", name)
        if found is None or int(found[1]) >= len(parameters):
            raise StoreCorrupt(f"{path} is not a whole checkpoint: it has an unknown array {'adam.' + name!r}")
        numbers.add(int(found[1]))
    held: dict[int, dict[str, Any]] = {}
    for number in sorted(numbers):
        like = to_array(torch.empty_like(parameters[number]), "moments")
        given = prefixed(arrays, f"{number}.")
        check_arrays(path, given, {"step": np.empty((), np.float32), **dict.fromkeys(_MOMENTS, like)})
        if not given["step"] >= 0 or not np.isfinite(given["step"]):
            raise StoreCorrupt(f"{path} is not a whole checkpoint: the optimizer made {given['step']} steps")
        held[number] = {name: torch.from_numpy(array.copy()) for name, array in given.items()}
    return held
