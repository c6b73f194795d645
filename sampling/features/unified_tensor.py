"""One way to index a feature table, wherever it lies."""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import InvalidInput, InvalidType
from ...graphlib.extras import require
from ...graphlib.scalars import is_integer
from ..arguments import check_count
from ..prefetch import ForkedProcess
from . import placement as places
from .device_rows import DeviceRows
from .gather import check_index, check_rows, gather
from .registration import Pinned, RegistrationRefused

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_PIECE = 64 << 20

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PlacementReport:
    """Where a table lies, why, and what reading it has cost so far.

    Attributes
    ----------
    placement, reason, device : str
    host_bytes, mapped_bytes, pinned_bytes, gpu_bytes : int
        What the table takes of each kind of memory.
    gathers, rows, bytes : int
        Index operations, and the rows and bytes they returned.
    seconds : float
        Time in them on the calling threads. Work that a GPU finishes later is not in it.
    hot_rows : int
        Of the rows returned, those that a split table had on the GPU.
    """

    placement: str
    reason: str
    device: str
    host_bytes: int
    mapped_bytes: int
    pinned_bytes: int
    gpu_bytes: int
    gathers: int
    rows: int
    bytes: int
    seconds: float
    hot_rows: int

    def __str__(self) -> str:
        rate = self.bytes / self.seconds / 1e9 if self.seconds else 0.0
        return (
            f"{self.placement} ({self.reason}), results on {self.device}; {self.gathers:,} gathers of {self.rows:,} "
            f"rows, {self.bytes / 2**20:,.1f} MiB at {rate:.2f} GB/s"
        )


class UnifiedTensor:
    """A table of features that is indexed like a tensor and need not be one.

    Parameters
    ----------
    array : array or CPU tensor (num_rows, ...)
        Used in place, and not to be changed while this exists. A column of a store opened from disk is a file map.
    placement : {"auto", "host", "mmap", "pinned", "cuda", "split"}, default "auto"
        - "host": in memory (a file map is read into it); rows are gathered by the processor.
        - "mmap": a map of a file, gathered by the processor; only the pages touched are read.
        - "pinned": host memory that is registered in place, so that the GPU reads the rows it wants over the bus, by a
          kernel on a stream of its own.
        - "cuda": copied to the GPU.
        - "split": the rows of highest `hot` on the GPU, the others pinned, or on the host where pinning is refused.
        - "auto": "cuda" if it fits, else "split" with `hot`, else "pinned" and, if refused, "host" or "mmap". Without a
          GPU, "host" or "mmap".
    device : str or torch.device, optional
        Where results go. By default the GPU for the placements that use one, and the processor otherwise.
    hot : array (num_rows,), optional
        Scores for "split": degrees, or visits counted over an epoch.
    gpu_bytes : int, optional
        GPU memory that the table may take; half of what is free by default.
    threads : int, optional
        For gathering on the processor; all cores by default.
    max_threads : int, default 2**15
        Threads of the GPU that one read of pinned rows may take; the fewer, the more is left to training beside it.

    Raises
    ------
    InvalidInput
        An unknown placement, one that needs what is not there, an id out of range when indexing.
    MissingExtra
        torch is not installed.

    Notes
    -----
    `t[index]` is a new tensor. On a GPU ids are checked where they are used, and finding out waits for the read. A
    forked child can use "host" and "mmap" tables; the others must be made anew there.

    References
    ----------
    S. W. Min et al., "PyTorch-Direct: Enabling GPU centric data access for very large graph neural network training",
    arXiv:2101.07956, section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from nearhop.sampling.features.unified_tensor import UnifiedTensor
    >>> t = UnifiedTensor(np.arange(8, dtype=np.float32).reshape(4, 2), placement="host")
    >>> t[[3, 0]].tolist()
    [[6.0, 7.0], [0.0, 1.0]]
    """

    def __init__(
        self,
        array: Any,
        *,
        placement: str = "auto",
        device: Any = None,
        hot: ArrayLike | None = None,
        gpu_bytes: int | None = None,
        threads: int | None = None,
        max_threads: int = 1 << 15,
    ) -> None:
        self._torch = torch = require("torch", "UnifiedTensor")
        table, self.dtype = _as_rows(torch, array)
        if gpu_bytes is not None and (not is_integer(gpu_bytes) or gpu_bytes < 0):
            raise InvalidInput(f"gpu_bytes must be an integer >= 0; got {gpu_bytes!r}")
        self._max_threads = check_count("max_threads", max_threads, 1)
        cuda = torch.cuda if torch.cuda.is_available() else None
        where = None if cuda is None or device is None else torch.device(device)
        there = nullcontext() if where is None or where.type != "cuda" else torch.cuda.device(where)
        with there:  # memory is free or not on the device that is meant
            chosen = places.choose(placement, table, cuda=cuda, gpu_bytes=gpu_bytes, ranked=hot is not None)
        if chosen.name == "host" and places.is_mapped(table):
            table = np.array(table)
        self._threads = threads
        self._host: NDArray[Any] | None = table
        self._pinned: Pinned | None = None
        self._over_bus: DeviceRows | None = None  # over the pinned memory and, of a split table, the hot rows
        self._on_gpu: Any = None  # the whole table, or the hot rows
        self._slots: Any = None  # row -> place among the hot rows, or -1
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._counts = [0, 0, 0.0, 0]
        self.shape = torch.Size(table.shape)
        self._row_bytes = int(np.prod(table.shape[1:], dtype=np.int64)) * table.dtype.itemsize
        uses_gpu = cuda is not None and chosen.name in ("pinned", "cuda", "split")
        self.device = torch.device(device if device is not None else "cuda" if uses_gpu else "cpu")
        if self.device.type == "cuda" and self.device.index is None and cuda is not None:
            self.device = torch.device("cuda", torch.cuda.current_device())
        if chosen.name == "cuda":
            self._on_gpu = self._copy_to_gpu(table)
            self._host = None
        elif chosen.name == "split":
            self._place_hot(hot, cuda, gpu_bytes)
        if chosen.name in ("pinned", "split") and cuda is not None:
            chosen = self._pin(chosen, wanted=placement)
        self._chosen = chosen

    def _copy_to_gpu(self, table: NDArray[Any]) -> Any:
        """The table on `self.device`, copied piece by piece."""
        copied = self._torch.empty(self.shape, dtype=self.dtype, device=self.device)
        step = max(1, _PIECE // max(1, self._row_bytes))
        for start in range(0, len(self), step):
            piece = np.array(table[start : start + step])  # torch warns of read-only memory
            copied[start : start + step] = self._torch.from_numpy(piece).view(self.dtype)
        return copied

    def _place_hot(self, hot: ArrayLike | None, cuda: Any, gpu_bytes: int | None) -> None:
        """Copy the hottest rows to `self.device`."""
        torch, table = self._torch, self._host
        if hot is None or table is None:
            raise InvalidInput('placement="split" needs hot=: a score per row')
        if cuda is None and gpu_bytes is None:
            raise InvalidInput('placement="split" without a CUDA device needs gpu_bytes=')
        with torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext():
            count = places.gpu_budget(cuda, gpu_bytes) // max(1, self._row_bytes)
        rows = places.hottest(hot, table.shape[0], count)
        slots = np.full(table.shape[0], -1, np.int32 if rows.shape[0] < 2**31 else np.int64)
        slots[rows] = np.arange(rows.shape[0])
        self._slots = torch.as_tensor(slots, device=self.device)
        self._on_gpu = torch.from_numpy(gather(table, rows, threads=self._threads)).to(self.device).view(self.dtype)

    def _pin(self, chosen: places.Placement, *, wanted: str) -> places.Placement:
        table = self._host
        if table is None or not table.flags.c_contiguous or table.nbytes == 0:
            return places.Placement("host", "an empty or non-contiguous table cannot be pinned")
        try:
            self._pinned = Pinned(table, device=self.device)
            over_bus = self._pinned.tensor(self.device).view(self.dtype)
            self._over_bus = DeviceRows(over_bus, self._on_gpu, self._slots, max_threads=self._max_threads)
        except RegistrationRefused as error:
            self._pinned = None
            self._clear_error()
            if wanted == "pinned":
                raise
            log.warning("features stay unpinned: %s", error)
            if chosen.name == "split":
                return places.Placement("split", f"{chosen.reason}; the others are on the host: {error}")
            return places.Placement("mmap" if places.is_mapped(table) else "host", str(error))
        return chosen

    def _clear_error(self) -> None:
        """A refused registration is remembered by the runtime and would surface in the next kernel launch."""
        try:
            self._torch.zeros(1, device=self.device)
        except RuntimeError:
            log.debug("cleared the runtime's last error")

    def __len__(self) -> int:
        return int(self.shape[0])

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def placement(self) -> str:
        """Where the table lies; never "auto"."""
        return self._chosen.name

    @property
    def nbytes(self) -> int:
        return len(self) * self._row_bytes

    def __getitem__(self, index: Any) -> Any:
        """Rows by integer array or tensor, list, slice or boolean mask, as a tensor on `device`; one row by an int."""
        if is_integer(index):
            return self._rows([int(index)])[0]
        if isinstance(index, slice):
            return self._rows(np.arange(*index.indices(len(self))))
        if isinstance(index, tuple):
            raise InvalidType("index the rows only: t[index], then what is needed of the result")
        is_tensor = isinstance(index, self._torch.Tensor)
        if is_tensor and index.dtype != self._torch.bool:
            return self._rows(index)
        mask = index.cpu().numpy() if is_tensor else np.asarray(index)
        if mask.dtype != np.bool_:
            return self._rows(mask)
        if mask.shape != (len(self),):
            raise InvalidInput(f"a mask must have shape ({len(self)},), one entry per row; got {mask.shape}")
        return self._rows(np.flatnonzero(mask))

    def _rows(self, index: Any) -> Any:
        self._check_usable()
        begin = time.perf_counter()
        if self._on_gpu is None and self._over_bus is None:
            result, hot = self._from_host(index), 0
        else:
            result, hot = self._from_device(index)
        with self._lock:
            self._counts[0] += 1
            self._counts[1] += result.shape[0]
            self._counts[2] += time.perf_counter() - begin
            self._counts[3] += hot
        return result

    def _from_host(self, index: Any) -> Any:
        ids = index.cpu().numpy() if isinstance(index, self._torch.Tensor) else index
        rows = gather(self._host, ids, threads=self._threads)  # type: ignore[arg-type]
        return self._torch.from_numpy(rows).view(self.dtype).to(self.device, non_blocking=True)

    def _from_device(self, index: Any) -> tuple[Any, int]:
        torch = self._torch
        trusted = not isinstance(index, torch.Tensor) or index.device.type == "cpu"
        if trusted:
            host_ids = index.numpy() if isinstance(index, torch.Tensor) else index
            given = torch.from_numpy(check_index("index", host_ids, len(self)))
            # a copy of pinned memory goes on while the caller may change it; other memory is read before this returns
            ids = given.to(self.device, non_blocking=not given.is_pinned())
        else:
            ids = self._check_on_device(index)
        if self._slots is None and self._over_bus is None:
            return self._on_gpu.index_select(0, ids), 0
        out = torch.empty((ids.shape[0], *self.shape[1:]), dtype=self.dtype, device=self.device)
        if self._over_bus is not None:
            self._over_bus.read(ids, out, trusted=trusted)
            return out, 0
        slots = self._slots.index_select(0, ids)
        found = slots >= 0
        at = torch.nonzero(found).reshape(-1)
        away = torch.nonzero(~found).reshape(-1)
        out.index_copy_(0, at, self._on_gpu.index_select(0, slots.index_select(0, at)))
        out.index_copy_(0, away, self._from_host(ids.index_select(0, away)))
        return out, int(at.shape[0])

    def _check_on_device(self, index: Any) -> Any:
        """Ids outside the table would end the CUDA context: they are looked for first, or by the kernel that reads."""
        torch = self._torch
        if index.dtype not in (torch.int32, torch.int64):
            raise InvalidType(f"index must hold int32 or int64 row numbers; got {index.dtype}")
        if index.ndim != 1:
            raise InvalidInput(f"index must have one dimension; got shape {tuple(index.shape)}")
        if self._over_bus is not None:
            return index.to(self.device)
        outside = (index < 0) | (index >= len(self))
        if bool(outside.any()):
            where = int(outside.to(torch.uint8).argmax())
            raise InvalidInput(f"index[{where}] is {int(index[where])}, but the table has rows 0..{len(self) - 1}")
        return index.to(self.device)

    def _check_usable(self) -> None:
        if self._host is None and self._on_gpu is None:
            raise InvalidInput("this UnifiedTensor is closed")
        if self._process != os.getpid() and self._chosen.name in ("pinned", "cuda", "split"):
            raise ForkedProcess(
                f'a "{self._chosen.name}" table cannot be used in a forked child: a GPU context does not survive fork. '
                'Make the UnifiedTensor in the child, or start it with the "spawn" method'
            )

    def report(self) -> PlacementReport:
        """Where the table lies and what reading it has cost."""
        host = 0 if self._host is None else self.nbytes
        gathers, rows, seconds, hot = self._counts
        hot += 0 if self._over_bus is None else self._over_bus.hot_rows
        mapped = self._host is not None and places.is_mapped(self._host)
        pinned = 0 if self._pinned is None else self._pinned.registration.nbytes
        return PlacementReport(
            placement=self._chosen.name,
            reason=self._chosen.reason,
            device=str(self.device),
            host_bytes=0 if mapped or pinned else host,
            mapped_bytes=host if mapped else 0,
            pinned_bytes=pinned,
            gpu_bytes=0 if self._on_gpu is None else self._on_gpu.numel() * self._on_gpu.element_size(),
            gathers=int(gathers),
            rows=int(rows),
            bytes=int(rows) * self._row_bytes,
            seconds=float(seconds),
            hot_rows=int(hot),
        )

    def close(self) -> None:
        """Release what is pinned and what lies on the GPU; tensors returned before stay valid."""
        if self._pinned is not None:
            self._over_bus = None
            self._pinned.close()  # waits for gathers that are still reading
            self._pinned = None
        self._host = self._on_gpu = self._slots = None

    def __enter__(self) -> UnifiedTensor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"UnifiedTensor({list(self.shape)}, {self.dtype}, {self._chosen.name}, results on {self.device})"


def _as_rows(torch: Any, array: Any) -> tuple[NDArray[Any], Any]:
    """The table as NumPy rows of a dtype that torch can hold, and that torch dtype."""
    if isinstance(array, torch.Tensor):
        if array.device.type != "cpu":
            raise InvalidInput(f"the table is on {array.device} already; index it directly, or pass it on the CPU")
        dtype = array.dtype
        words = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}.get(dtype.itemsize)
        plain = array.detach()
        if words is not None and dtype != torch.bool:
            plain = plain.view(words)
        return check_rows("array", plain.numpy()), dtype
    table = check_rows("array", array)
    if not table.dtype.isnative:
        raise InvalidType(f"torch has no tensors of foreign byte order ({table.dtype}); convert with astype")
    try:
        return table, torch.from_numpy(np.empty(0, table.dtype)).dtype
    except TypeError as error:
        raise InvalidType(f"torch has no tensors of dtype {table.dtype}; keep such columns out of the table") from error
