"""CUDA streams of a loader's own: its threads gather and copy beside what the caller has queued, not behind it.

The current stream of a thread that a loader starts is the default one, which is mostly the one that training runs on.
Work that is queued there waits for training, and training waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import fields, is_dataclass
from typing import Any

from ...graphlib.extras import require
from ..prefetch import Stopwatch, prefetched


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

    def queued(self, make: Callable[[], Any]) -> tuple[Any, list[Any]]:
        """What `make` returns, its work queued on these streams, and marks that tell when it is done."""
        with ExitStack() as stack:
            for stream in self._streams:
                stack.enter_context(self._torch.cuda.stream(stream))
            made = make()
        return made, [stream.record_event() for stream in self._streams]

    def handed_over(self, batches: Iterator[tuple[Any, list[Any]]]) -> Iterator[Any]:
        """Batches that `queued` made, each for the stream that is the caller's current one at its turn.

        What the caller queues waits for the batch's own work there, on the device; the caller does not wait. The
        memory of the batch is not given to another one before the caller's work is done with it.
        """
        try:
            for made, marks in batches:
                for stream, mark in zip(self._streams, marks, strict=True):
                    self._torch.cuda.current_stream(stream.device).wait_event(mark)
                for tensor in tensors_in(made):
                    if tensor.is_cuda:
                        tensor.record_stream(self._torch.cuda.current_stream(tensor.device))
                yield made
        finally:
            batches.close()  # type: ignore[attr-defined]


def tensors_in(batch: Any) -> Iterator[Any]:
    """The tensors of a batch: a tensor, a `Data` or `HeteroData`, a dataclass, or a collection of such."""
    if hasattr(batch, "record_stream") and not hasattr(batch, "stores"):
        yield batch
        return
    parts: Iterable[Any] = ()
    if hasattr(batch, "stores"):
        parts = (value for store in batch.stores for value in store.values())
    elif is_dataclass(batch):
        parts = (getattr(batch, field.name) for field in fields(batch))
    elif isinstance(batch, Mapping):
        parts = batch.values()
    elif isinstance(batch, (tuple, list)):
        parts = batch
    for part in parts:
        yield from tensors_in(part)


def ahead(
    make: Callable[[Any], Any], items: Iterable[Any], *, devices: Iterable[Any], workers: int, watch: Stopwatch
) -> Iterator[Any]:
    """`prefetched(make, items)`, with what its threads queue on those of `devices` that are GPUs on streams of its
    own."""
    gpus = sorted({device for device in devices if device.type == "cuda"}, key=str) if workers else []
    if not gpus:
        return prefetched(make, items, workers=workers, watch=watch)
    beside = SideStreams(gpus)
    return beside.handed_over(
        prefetched(lambda item: beside.queued(lambda: make(item)), items, workers=workers, watch=watch)
    )


__all__ = ["SideStreams", "ahead", "tensors_in"]
