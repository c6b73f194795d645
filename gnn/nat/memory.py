"""Where a NAT keeps its N-cache: in host memory, or in the memory of the GPU that runs the model."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from .device_layers import DenseJoint
from .layers import there

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from ...sampling.ncache.cache import NCache
    from ...sampling.ncache.cache_cuda import CudaNCache, CudaRead
    from ...sampling.ncache.read import CacheRead, JointRead

_log = logging.getLogger(__name__)


@dataclass
class Slots:
    """The slots that a batch reads, as tensors on the model's device; a slot that is not `live` holds zeros.

    Attributes
    ----------
    nodes : int64 array (n,)
    neighbours, row : int64 tensors (m,), (slots,)
        Slot i holds the key `neighbours[row[i]]`, or `neighbours[i]` where row is None.
    edge_id, time : int64, float64 tensors (slots,)
    value : float32 tensor (slots, F)
    live, far : bool tensors (slots,)
        Whether an event wrote the slot, and whether it is one of hop 2.
    own : int64 tensor (n,)
        Slots of the nodes themselves.
    read : CacheRead or CudaRead
    """

    nodes: NDArray[np.int64]
    neighbours: Tensor
    row: Tensor | None
    edge_id: Tensor
    time: Tensor
    value: Tensor
    live: Tensor
    far: Tensor
    own: Tensor
    read: CacheRead | CudaRead


class HostMemory:
    """The cache lies in host memory; what a batch reads is copied to the model's device.

    `like` is an `NCache` of the right shape whose contents may be old, `cache` one whose contents are not.
    """

    def __init__(self, cache: NCache, device: torch.device) -> None:
        self.cache = self.like = cache
        self.device = device

    def lookup(self, nodes: NDArray[np.int64]) -> Slots:
        """Read the occupied slots of distinct nodes."""
        read = self.cache.lookup(nodes)
        neighbours, row = self.cache.distinct(read.key)
        hop_2 = self.cache.starts[2] if len(self.cache.sizes) > 2 else np.iinfo(np.int16).max

        own = read.place[:, 0].astype(np.int64)
        columns: dict[str, NDArray[Any]] = {
            "neighbours": neighbours,
            "row": row,
            "edge_id": read.edge_id,
            "time": read.time,
            "value": read.value,
            "live": read.edge_id >= 0,
            "far": read.column >= hop_2,
            "own": own,
        }
        return Slots(nodes, read=read, **{name: there(column, self.device) for name, column in columns.items()})

    def stamps(self, nodes: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Edge ids and times of the nodes' own slots."""
        parts = self.cache.edge_ids[nodes, 0], self.cache.times[nodes, 0]
        return there(parts[0], self.device), there(parts[1], self.device)

    def join(self, slots: Slots, first: NDArray[np.int64], second: NDArray[np.int64]) -> JointRead:
        """Joint neighbourhoods of pairs of `slots.nodes`."""
        return slots.read.join(first, second)  # type: ignore[union-attr]

    def insert(self, src: ArrayLike, dst: ArrayLike, slots: Slots, values: Tensor, **stamps: Any) -> None:
        """Write a batch of events; `values` is what the values of `slots` have become."""
        new = values.detach().cpu().numpy()
        self.cache.insert(src, dst, read=slots.read, values=new, **stamps)  # type: ignore[arg-type]

    def reset(self) -> None:
        """Forget all events."""
        self.cache.reset()

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """As `NCache.snapshot`."""
        return self.cache.snapshot()

    def restore(self, snapshot: Mapping[str, NDArray[Any]]) -> None:
        """As `NCache.restore`."""
        self.cache.restore(snapshot)


class DeviceMemory:
    """The cache lies on the GPU; only node ids and times of a batch cross the bus. The interface is `HostMemory`'s.

    Reads are dense: every slot of a node, occupied or not.
    """

    def __init__(self, cache: NCache, device: torch.device) -> None:
        from ...sampling.ncache.cache_cuda import CudaNCache

        self.device = device
        self.like = cache
        self._cuda: CudaNCache = CudaNCache(cache, device=device)
        self._far = there(cache.hop_of == 2, device)

    @property
    def cache(self) -> NCache:
        """A copy in host memory."""
        return self._cuda.to_host()

    def lookup(self, nodes: NDArray[np.int64]) -> Slots:
        """Read all slots of distinct nodes."""
        read = self._cuda.lookup(nodes)
        key, edge_id, time, value = (
            _tensor(part, self.device) for part in (read.key, read.edge_id, read.time, read.value)
        )
        count, width = key.shape
        own = torch.arange(0, count * width, width, device=self.device)
        return Slots(
            nodes,
            neighbours=key.view(-1).long().clamp(min=0),
            row=None,
            edge_id=edge_id.view(-1),
            time=time.view(-1),
            value=value.view(count * width, -1),
            live=edge_id.view(-1) >= 0,
            far=self._far.repeat(count),
            own=own,
            read=read,
        )

    def stamps(self, nodes: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Edge ids and times of the nodes' own slots."""
        chosen = there(nodes, self.device)
        edge_ids, times = (_tensor(part, self.device) for part in (self._cuda.edge_ids, self._cuda.times))
        return edge_ids[chosen, 0], times[chosen, 0]

    def join(self, slots: Slots, first: NDArray[np.int64], second: NDArray[np.int64]) -> DenseJoint:
        """Joint neighbourhoods of pairs of `slots.nodes`."""
        read: Any = slots.read
        code, member = (_tensor(part, self.device) for part in self._cuda.join(read, first, second))
        return DenseJoint(code, member, slots.neighbours)

    def insert(self, src: ArrayLike, dst: ArrayLike, slots: Slots, values: Tensor, **stamps: Any) -> None:
        """Write a batch of events; `values` is what the values of `slots` have become."""
        read: Any = slots.read
        new = _array(values.detach().view(*read.key.shape, -1))
        self._cuda.insert(src, dst, read=read, values=new, **stamps)

    def reset(self) -> None:
        """Forget all events."""
        self.like.reset()
        self._cuda.from_host()

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """As `NCache.snapshot`."""
        return self.cache.snapshot()

    def restore(self, snapshot: Mapping[str, NDArray[Any]]) -> None:
        """As `NCache.restore`."""
        self.like.restore(snapshot)
        self._cuda.from_host()


def memory_on(cache: NCache, device: torch.device, *, host: bool) -> HostMemory | DeviceMemory:
    """Memory for a model on `device`: there too where it is a GPU that Numba can use, unless `host` is asked for."""
    if device.type == "cuda" and not host:
        from numba import cuda

        if cuda.is_available():
            return DeviceMemory(cache, device)
        _log.warning("numba-cuda finds no GPU, so the caches of this NAT stay in host memory")
    return HostMemory(cache, device)


def _tensor(array: Any, device: torch.device) -> Tensor:
    """A device array as a tensor over the same memory; a copy in Numba's simulator, whose arrays lie on the host."""
    if hasattr(array, "__cuda_array_interface__"):
        return torch.as_tensor(array, device=device)
    return torch.from_numpy(array.copy_to_host())


def _array(tensor: Tensor) -> Any:
    """The reverse of `_tensor`."""
    if tensor.is_cuda:
        return tensor
    from numba import cuda

    return cuda.to_device(tensor.numpy())
