"""The parameters of a GraphVite run: both tables, their moments, and the checkpoint file they are kept in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...graphlib.checkpoints import check_arrays, open_checkpoint, save_checkpoint, whole_fact
from ...graphlib.errors import IndexMismatch, StoreCorrupt
from ..skipgram.rows_cpu import aligned_table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NUM_MOMENTS = {"sgd": 0, "momentum": 1, "adagrad": 1, "adam": 2}
_ENTRY = "about"
_FORMAT, _WITHIN_A_POOL = 1, 2  # the second has "turn" and "on" beside the first's entries


@dataclass(eq=False)
class Tables:
    """Rows in the order of the grid, padded to whole vectors.

    Attributes
    ----------
    vertex, context : float32 (n, padded dim)
    vertex_moments, context_moments : tuple of arrays of the same shape, as many as the optimizer has
    """

    vertex: NDArray[np.float32]
    context: NDArray[np.float32]
    vertex_moments: tuple[NDArray[np.float32], ...]
    context_moments: tuple[NDArray[np.float32], ...]

    @classmethod
    def new(cls, vertex: NDArray[np.float32], optimizer: str) -> Tables:
        """`vertex` as given, everything else zero."""
        n, columns = vertex.shape
        moments = NUM_MOMENTS[optimizer]
        zeros = [aligned_table(n, columns) for _ in range(1 + 2 * moments)]
        return cls(vertex, zeros[0], tuple(zeros[1 : 1 + moments]), tuple(zeros[1 + moments :]))

    def named(self) -> dict[str, NDArray[np.float32]]:
        """Every table by the name it has in a checkpoint."""
        found = {"vertex": self.vertex, "context": self.context}
        for side, moments in (("vertex", self.vertex_moments), ("context", self.context_moments)):
            found.update({f"{side}_moment_{i}": table for i, table in enumerate(moments)})
        return found


@dataclass(frozen=True)
class RunState:
    """Where a run stands: `done` samples trained, and `pools` pools used up.

    A run that was interrupted within a pool has trained its first `turn` turns as well, as a trainer `on` "cpu" or
    "cuda" counts them.
    """

    done: int
    pools: int
    turn: int = 0
    on: str = "cpu"


def save_run(path: str | os.PathLike[str], tables: Tables, state: RunState, about: dict[str, Any]) -> None:
    """Write one `.npz` file; the name holds the old file or the new one at every moment.

    Its entry "about" is JSON text: the format, the state, the graph's digest and the parameters of the run.
    """
    facts: dict[str, Any] = {"format": _FORMAT, "done": state.done, "pools": state.pools, **about}
    if state.turn:
        facts |= {"format": _WITHIN_A_POOL, "turn": state.turn, "on": state.on}
    save_checkpoint(path, tables.named(), facts, entry=_ENTRY)


def load_run(path: str | os.PathLike[str], tables: Tables, about: dict[str, Any]) -> RunState:
    """Fill `tables` from a checkpoint of the same graph and the same parameters, and return where its run stood.

    Raises
    ------
    StoreMissing, StoreCorrupt
        There is no such file, or it is not a whole checkpoint; `tables` may hold part of it.
    IndexMismatch
        It belongs to another graph or to other parameters; the message names the first that differs.
    """
    archive, found = open_checkpoint(path, entry=_ENTRY)
    done, pools = (whole_fact(path, found, name, 0, 1 << 62) for name in ("done", "pools"))
    if found.get("format") not in (_FORMAT, _WITHIN_A_POOL):
        raise IndexMismatch(
            f"{os.fspath(path)} has checkpoint format {found.get('format')!r}, not {_FORMAT} or {_WITHIN_A_POOL}"
        )
    turn = whole_fact(path, found, "turn", 0, 1 << 62) if "turn" in found else 0
    _check_same(path, found, about)
    for name, table in tables.named().items():
        stored = {name: archive[name]} if name in archive else {}
        check_arrays(path, stored, {name: table})
        table[:] = stored[name]
    return RunState(done, pools, turn, str(found.get("on", "cpu")))


def _check_same(path: str | os.PathLike[str], found: dict[str, Any], about: dict[str, Any]) -> None:
    if found.get("graph") != about["graph"]:
        raise IndexMismatch(
            f"{os.fspath(path)} is a checkpoint of another graph ({found.get('nodes')} nodes; this one has "
            f"{about['nodes']}); resume with the store it was trained on"
        )
    parameters = found.get("parameters")
    if not isinstance(parameters, dict):
        raise StoreCorrupt(f"{os.fspath(path)} is not a whole checkpoint: it does not say how it was trained")
    for name, value in about["parameters"].items():
        stored = parameters.get(name)
        if stored != value:
            raise IndexMismatch(
                f"{os.fspath(path)} was trained with {name}={stored!r}, this model has {name}={value!r}; resume with "
                "the same parameters (device, threads and what is reported may differ)"
            )
