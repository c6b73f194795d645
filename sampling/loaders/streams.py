"""CUDA streams of a loader's own: its threads gather and copy beside what the caller has queued, not behind it.

The current stream of a thread that a loader starts is the default one, which is mostly the one that training runs on.
Work that is queued there waits for training, and training waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

from ...graphlib.extras import require


class SideStreams:
    """A stream on every GPU that tables give rows to.

    Parameters
    ----------
    devices : iterable of torch.device
        Of GPUs. What the caller has queued there so far, such as the tables' own contents, is waited for.
    """

    def __init__(self, devices: Iterable[Any]) -> None:
        self._torch: Any = require("torch", "loaders")
        self._streams = [self._torch.cuda.Stream(device=device) for device in devices]
        for stream in self._streams:
            stream.wait_stream(self._torch.cuda.current_stream(stream.device))

    @classmethod
    def of(cls, tables: Iterable[Any]) -> SideStreams | None:
        """Streams for `UnifiedTensor`s; None where none of them gives rows to a GPU."""
        devices = {table.device for table in tables if table.device.type == "cuda"}
        return cls(sorted(devices, key=str)) if devices else None

    def queued(self, make: Callable[[], Any]) -> tuple[Any, list[Any]]:
        """What `make` returns, its work queued on these streams, and marks that tell when it is done."""
        with ExitStack() as stack:
            for stream in self._streams:
                stack.enter_context(self._torch.cuda.stream(stream))
            made = make()
        return made, [stream.record_event() for stream in self._streams]

    def handed_over(
        self, batches: Iterator[tuple[Any, list[Any]]], tensors_of: Callable[[Any], Iterable[Any]] | None = None
    ) -> Iterator[Any]:
        """Batches that `queued` made, each for the stream that is the caller's current one at its turn.

        `tensors_of` gives a batch's tensors; by default those of a `Data` or `HeteroData`.

        What the caller queues waits for the batch's own work there, on the device; the caller does not wait. The
        memory of the batch is not given to another one before the caller's work is done with it.
        """
        try:
            for made, marks in batches:
                for stream, mark in zip(self._streams, marks, strict=True):
                    self._torch.cuda.current_stream(stream.device).wait_event(mark)
                for tensor in (tensors_of or _tensors)(made):
                    if tensor.is_cuda:
                        tensor.record_stream(self._torch.cuda.current_stream(tensor.device))
                yield made
        finally:
            batches.close()  # type: ignore[attr-defined]


def _tensors(data: Any) -> Iterator[Any]:
    """The tensors of a `Data` or `HeteroData`."""
    for store in data.stores:
        yield from (value for value in store.values() if hasattr(value, "record_stream"))


__all__ = ["SideStreams"]
