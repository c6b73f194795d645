"""The parameters of a GraphVite run: both tables, their moments, and the checkpoint file they are kept in."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import IndexMismatch, StoreCorrupt, StoreMissing
from ..skipgram.rows_cpu import aligned_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUM_MOMENTS = {"sgd": 0, "momentum": 1, "adagrad": 1, "adam": 2}
_FORMAT = 1


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
    """Where a run stands: `done` samples trained, and `pools` pools used up."""

    done: int
    pools: int


def save_checkpoint(path: str | os.PathLike[str], tables: Tables, state: RunState, about: dict[str, Any]) -> None:
    """Write one `.npz` file; the name holds the old file or the new one at every moment.

    Its entry "about" is JSON text: the format, the state, the graph's digest and the parameters of the run.
    """
    target = Path(path)
    text = json.dumps({"format": _FORMAT, "done": state.done, "pools": state.pools, **about})
    temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            np.savez(stream, about=np.frombuffer(text.encode(), np.uint8), **tables.named())  # type: ignore[arg-type]
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def load_checkpoint(path: str | os.PathLike[str], tables: Tables, about: dict[str, Any]) -> RunState:
    """Fill `tables` from a checkpoint of the same graph and the same parameters, and return where its run stood.

    Raises
    ------
    StoreMissing, StoreCorrupt
        There is no such file, or it is not a whole checkpoint.
    IndexMismatch
        It belongs to another graph or to other parameters; the message names the first that differs.
    """
    try:
        archive = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise StoreMissing(f"there is no checkpoint at {os.fspath(path)!r}") from error
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise StoreCorrupt(f"{os.fspath(path)} is not a checkpoint: {error}") from error
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise StoreCorrupt(f"{os.fspath(path)} is a single array, not a checkpoint")
    with archive:
        try:
            found = json.loads(bytes(archive["about"]).decode())
            if not isinstance(found, dict):
                raise ValueError("its entry 'about' is not an object")
            done, pools = int(found["done"]), int(found["pools"])
            if done < 0 or pools < 0:
                raise ValueError(f"done={done}, pools={pools}")
            if found["format"] != _FORMAT:
                raise IndexMismatch(f"{os.fspath(path)} has checkpoint format {found['format']!r}, not {_FORMAT}")
            _check_same(path, found, about)
            for name, table in tables.named().items():
                stored = archive[name]
                if stored.dtype != table.dtype or stored.shape != table.shape:
                    raise ValueError(f"{name} is {stored.dtype} {stored.shape}, not {table.dtype} {table.shape}")
                table[:] = stored
        except IndexMismatch:
            raise
        except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile, RecursionError) as error:
            raise StoreCorrupt(f"{os.fspath(path)} is not a whole checkpoint: {error}") from error
    return RunState(done, pools)


def _check_same(path: str | os.PathLike[str], found: dict[str, Any], about: dict[str, Any]) -> None:
    if found["graph"] != about["graph"]:
        raise IndexMismatch(
            f"{os.fspath(path)} is a checkpoint of another graph ({found['nodes']} nodes; this one has "
            f"{about['nodes']}); resume with the store it was trained on"
        )
    for name, value in about["parameters"].items():
        stored = found["parameters"].get(name)
        if stored != value:
            raise IndexMismatch(
                f"{os.fspath(path)} was trained with {name}={stored!r}, this model has {name}={value!r}; resume with "
                "the same parameters (device, threads and what is reported may differ)"
            )
