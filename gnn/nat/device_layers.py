"""NAT's layers on a GPU as functions with gradients, over the kernels of `layers_cuda`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.amp import custom_bwd, custom_fwd

_forward: Any = custom_fwd(device_type="cuda", cast_inputs=torch.float32)  # the kernels' type, also under autocast


def _backward(function: Any) -> Any:
    return torch.autograd.function.once_differentiable(custom_bwd(device_type="cuda")(function))


def by_kernels(tensor: Tensor) -> bool:
    """Whether a tensor lies on a GPU that Numba can use too."""
    return tensor.is_cuda and _available()


@cache
def _available() -> bool:
    from numba import cuda

    return bool(cuda.is_available())


@dataclass(frozen=True, eq=False)
class DenseJoint:
    """Joint neighbourhoods of pairs as the caches on a GPU give them: every place, with a row or without.

    Attributes
    ----------
    code : uint8 tensor (pairs, places)
        The distance encoding of the row, 0 where there is none.
    member : int32 tensor (pairs, places, 2 hops)
        Slots that hold the row's key, or -1.
    key : int64 tensor (slots,)
        What each slot holds.
    """

    code: Tensor
    member: Tensor
    key: Tensor


class DeviceStep(torch.autograd.Function):
    """The recurrent step: one product of matrices and one kernel, each way; as `layers.slot_step`."""

    @staticmethod
    @_forward
    def forward(ctx: Any, table: Tensor, row: Tensor, extra: Tensor, old: Tensor, live: Tensor, w: Tensor, b: Tensor):
        from . import layers_cuda

        hidden = torch.addmm(b, old, w.t())
        table, extra = table.contiguous(), extra.contiguous()
        out = layers_cuda.update(table, row, extra, hidden, old, live)
        ctx.save_for_backward(table, row, extra, hidden, old, live)
        return out

    @staticmethod
    @_backward
    def backward(ctx: Any, grad: Tensor) -> Any:
        from . import layers_cuda

        *gates, old, live = ctx.saved_tensors
        d_in, d_own = layers_cuda.update_gradient(gates, old, live, grad.contiguous())
        table, row = gates[:2]
        d_table = torch.zeros_like(table).index_add_(0, row, d_in) if row.shape[0] else d_in
        return d_table, None, d_in.t(), None, None, d_own.t() @ old, d_own.sum(0)


class DeviceAttend(torch.autograd.Function):
    """The attention over dense joint neighbourhoods: one kernel, each way."""

    @staticmethod
    @_forward
    def forward(ctx: Any, joint: DenseJoint, value: Tensor, codes: Tensor, w_value: Tensor, w_score: Tensor):
        from . import layers_cuda

        weights = codes.contiguous(), w_value.contiguous(), w_score
        given = layers_cuda.Joint(joint.code, joint.member)
        found = layers_cuda.pool(given, value.contiguous(), layers_cuda.Weights(*weights))
        ctx.slots = value.shape[0]
        ctx.save_for_backward(joint.code, joint.member, *weights, *found)
        return found.out

    @staticmethod
    @_backward
    def backward(ctx: Any, grad: Tensor) -> Any:
        from . import layers_cuda as kernels

        saved = ctx.saved_tensors
        given = kernels.Joint(*saved[:2]), kernels.Weights(*saved[2:5]), kernels.Pooled(*saved[5:])
        return None, *kernels.pool_gradient(*given, grad.contiguous(), ctx.slots)


class DeviceDrop(torch.autograd.Function):
    """Dropout whose draws are made where they are needed, again for the gradient: nothing is kept but the stream's
    key."""

    @staticmethod
    @_forward
    def forward(ctx: Any, x: Tensor, key: int, probability: float):
        from . import layers_cuda

        ctx.given = key, probability
        return layers_cuda.dropped(x.contiguous(), key, probability)

    @staticmethod
    @_backward
    def backward(ctx: Any, grad: Tensor) -> Any:
        from . import layers_cuda

        return layers_cuda.dropped(grad.contiguous(), *ctx.given), None, None


__all__ = ["DenseJoint", "DeviceAttend", "DeviceDrop", "DeviceStep", "by_kernels"]
