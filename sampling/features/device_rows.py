"""Rows of a table that a GPU reads where it lies: pinned host memory, or that and a copy of the hottest rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...graphlib.errors import InvalidInput
from ...graphlib.extras import require

if TYPE_CHECKING:
    import torch

_SORT_FROM_BYTES = 1 << 30
_SORT_FROM_PICKS = 100_000


class DeviceRows:
    """Reads rows with the kernels of `gather_cuda`, on a stream of its own, so that training can go on beside it.

    Parameters
    ----------
    table : tensor (num_rows, ...)
        Over the pinned memory; contiguous.
    hot : tensor (num_hot, ...), optional
        The rows that lie on the GPU.
    slots : int tensor (num_rows,), optional
        Where a row lies in `hot`, or -1.
    max_threads : int, default 2**15
        The most that one read may start. The bus is full long before the GPU is.

    Notes
    -----
    Many ids of a large table are sorted first, and rows are written to where they belong: neighbours in the table share
    pages, whose addresses need not be translated again. In Numba's CUDA simulator, tensors of the processor do.
    """

    def __init__(
        self,
        table: torch.Tensor,
        hot: torch.Tensor | None = None,
        slots: torch.Tensor | None = None,
        *,
        max_threads: int = 1 << 15,
    ) -> None:
        self._torch: Any = require("torch", "reading rows from a GPU")
        self._bytes = table.numel() * table.element_size()
        self._word = self._widest_word(table)
        self._table = self._words(table)
        self._hot = None if hot is None else self._words(hot)
        self._slots = slots
        self._max_threads = max_threads
        self._stream: Any = None
        self._met: Any = None  # hot rows so far, on the device

    @property
    def hot_rows(self) -> int:
        """How many of the rows read so far were hot; waits for the reads."""
        if self._met is None:
            return 0
        if self._met.is_cuda:
            self._torch.cuda.synchronize(self._met.device)
        return int(self._met)

    def read(self, ids: torch.Tensor, out: torch.Tensor, *, trusted: bool = False) -> None:
        """Write the rows `ids` to `out`, both on the GPU.

        Ids that the caller has checked are `trusted`: nothing is waited for. For others the read is, and `InvalidInput`
        names the first that is outside the table.
        """
        from ...graphlib.compute.launch_cuda import launching
        from . import gather_cuda

        torch = self._torch
        if out.numel() == 0:
            return
        device = ids.device
        order = None
        notes = torch.zeros(2, dtype=torch.int64, device=device)
        if self._bytes >= _SORT_FROM_BYTES and ids.shape[0] >= _SORT_FROM_PICKS:
            ids, order = torch.sort(ids)
        arrays = (self._table, ids, self._words(out), notes)
        options: dict[str, Any] = {
            "order": order,
            "hot": self._hot,
            "slots": self._slots,
            "max_threads": self._max_threads,
        }
        if device.type != "cuda":
            with launching() as place:
                gather_cuda.launch(place, *arrays, **options)
        else:
            with torch.cuda.device(device):
                self._launch_beside(arrays, options)
        if self._slots is not None:
            self._met = notes[1] if self._met is None else self._met + notes[1]
        outside = 0 if trusted else int(notes[0])
        if outside:
            where = int(ids.shape[0] - outside)
            row = ids[where] if order is None else ids[torch.nonzero(order == where)[0, 0]]
            raise InvalidInput(f"index[{where}] is {int(row)}, but the table has rows 0..{self._table.shape[0] - 1}")

    def _launch_beside(self, arrays: tuple[Any, ...], options: dict[str, Any]) -> None:
        """On the own stream: after what the caller's has queued so far, and before what it queues from now on."""
        from ...graphlib.compute.launch_cuda import launching
        from . import gather_cuda

        cuda = self._torch.cuda
        if self._stream is None:
            self._stream = cuda.Stream()
        current = cuda.current_stream()
        self._stream.wait_stream(current)
        with cuda.stream(self._stream), launching(self._stream.device_index) as place:
            gather_cuda.launch(place, *arrays, **options)
        current.wait_stream(self._stream)

    def _widest_word(self, table: torch.Tensor) -> Any:
        """The widest integer that rows are made of and at a multiple of whose size they begin."""
        torch = self._torch
        row_bytes = self._bytes // max(1, table.shape[0])
        for dtype in (torch.int64, torch.int32, torch.int16):
            if row_bytes % dtype.itemsize == 0 == table.data_ptr() % dtype.itemsize:
                return dtype
        return torch.uint8

    def _words(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows as a table of words, in place."""
        torch = self._torch
        flat = rows.reshape(rows.shape[0], -1)
        return flat.view(torch.uint8).view(self._word) if rows.dtype == torch.bool else flat.view(self._word)
