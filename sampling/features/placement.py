"""Where a feature table goes: host memory, a file map, pinned memory, the GPU, or split between GPU and host."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import unmasked
from ...graphlib.errors import InvalidInput, InvalidType

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

PLACEMENTS = ("auto", "host", "mmap", "pinned", "cuda", "split")
_SHARE_OF_FREE = 0.5  # of the free GPU memory goes to features unless told otherwise; the rest is the model's


@dataclass(frozen=True)
class Placement:
    """A decision and why it was made."""

    name: str
    reason: str


def choose(
    wanted: str, table: NDArray[Any], *, cuda: Any = None, gpu_bytes: int | None = None, ranked: bool = False
) -> Placement:
    """The placement that `wanted` means for this table on this machine.

    Parameters
    ----------
    wanted : one of `PLACEMENTS`
    table : array
    cuda : module, optional
        `torch.cuda` where there is a GPU, else None.
    gpu_bytes : int, optional
        How much GPU memory the table may take; half of what is free by default.
    ranked : bool
        Whether scores of the rows are known, so that "split" can choose the hot ones.
    """
    if wanted not in PLACEMENTS:
        raise InvalidInput(f"placement must be one of {', '.join(PLACEMENTS)}; got {wanted!r}")
    mapped = is_mapped(table)
    if wanted == "mmap" and not mapped:
        raise InvalidInput(
            'placement="mmap" needs a table that is mapped from a file: a column of a store opened from disk, or '
            'np.load(path, mmap_mode="r"); this one is in memory, so use "host" or "auto"'
        )
    if wanted in ("pinned", "cuda") and cuda is None:
        raise InvalidInput(f'placement="{wanted}" needs a CUDA device that torch can use; use "auto", "host" or "mmap"')
    if wanted == "split" and not ranked:
        raise InvalidInput('placement="split" needs hot=: a score per row, such as degrees or counted visits')
    if wanted != "auto":
        return Placement(wanted, "asked for")
    if cuda is None:
        where = "mmap" if mapped else "host"
        return Placement(where, f"no CUDA device; the table is {'a file map' if mapped else 'in memory'}")
    budget = gpu_budget(cuda, gpu_bytes)
    if table.nbytes <= budget:
        return Placement("cuda", f"{table.nbytes:,} bytes fit the GPU budget of {budget:,}")
    if ranked and budget > 0:
        return Placement("split", f"{table.nbytes:,} bytes exceed the GPU budget of {budget:,}; the hottest rows fit")
    return Placement("pinned", f"{table.nbytes:,} bytes exceed the GPU budget of {budget:,}")


def gpu_budget(cuda: Any, gpu_bytes: int | None) -> int:
    """Bytes of GPU memory that a table may take."""
    return int(cuda.mem_get_info()[0] * _SHARE_OF_FREE) if gpu_bytes is None else gpu_bytes


def is_mapped(array: NDArray[Any]) -> bool:
    """Whether the array's memory is a map of a file."""
    owner: Any = array
    while owner is not None:
        if isinstance(owner, np.memmap | mmap.mmap):
            return True
        owner = getattr(owner, "obj", None) if isinstance(owner, memoryview) else getattr(owner, "base", None)
    return False


def hottest(scores: ArrayLike, rows: int, count: int) -> NDArray[np.int64]:
    """The `count` rows of highest score, ascending; ties go to the lower row."""
    given: NDArray[Any] = unmasked("hot", scores)
    if given.dtype.kind not in "iuf":
        raise InvalidType(f"hot must hold numbers; got dtype {given.dtype}")
    if given.shape != (rows,):
        raise InvalidInput(f"hot must have shape ({rows},), one score per row; got {given.shape}")
    if given.dtype.kind == "f" and np.isnan(given).any():
        raise InvalidInput(f"hot[{int(np.argmax(np.isnan(given)))}] is NaN")
    order = np.argsort(-given.astype(np.float64), kind="stable")[: max(0, min(rows, count))]
    return np.sort(order)
