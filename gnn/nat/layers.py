"""NAT's layers: encoded times, the recurrent update of cache slots, and the readout of joint neighbourhoods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ...sampling.ncache.read import JointRead
from ..threads import kernel_threads
from . import device_layers
from .device_layers import DenseJoint, DeviceAttend, DeviceDrop, DeviceStep

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNKS = 4  # parts of a gradient; fixed, so that sums do not depend on the number of threads
_MANY = 4096  # slots from which threads pay
_WIDE = 16  # values wider than this go through matrix products


class TimeEncoding(nn.Module):
    """cos(w_i t + b_i) for learned frequencies w, which begin at 10^-0 .. 10^-9.

    Differences from the paper: one cosine with a learned phase instead of a cosine and a sine, as in the released code.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        exponents = torch.linspace(0, 9, dim, dtype=torch.float64) if dim > 1 else torch.zeros(dim, dtype=torch.float64)
        self.frequency = nn.Parameter((10.0**-exponents).float())
        self.phase = nn.Parameter(torch.zeros(dim))

    def forward(self, times: Tensor) -> Tensor:
        """times (n,) -> (dim, n): a row per frequency."""
        return torch.cos(torch.addcmul(self.phase[:, None], self.frequency[:, None], times[None, :]))


def _arrays(*tensors: Tensor) -> list[NDArray[Any]]:
    return [tensor.detach().numpy() for tensor in tensors]


def _rows(joint: JointRead) -> Any:
    from . import layers_cpu as nat_cpu

    return nat_cpu.Rows(joint.indptr, joint.code, joint.member_indptr, joint.slot, joint.row)


class _SlotStep(torch.autograd.Function):
    """The compiled recurrent step; see `nat_cpu.update_slots`."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, row: Tensor, extra: Tensor, old: Tensor, live: Tensor, w: Tensor, b: Tensor):
        from ...graphlib.compute.jit import threads_in_use
        from . import layers_cpu as nat_cpu

        out = torch.empty_like(old)
        slots = nat_cpu.Slots(*_arrays(table, row, extra, old, live))
        with threads_in_use(_threads(old.shape[0])):
            nat_cpu.update_slots(slots, nat_cpu.Cell(*_arrays(w, b)), CHUNKS, out.numpy())
        ctx.save_for_backward(table, row, extra, old, live, w, b)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        from ...graphlib.compute.jit import threads_in_use
        from . import layers_cpu as nat_cpu

        table, _, extra, _, _, w, b = saved = ctx.saved_tensors
        d_table, d_w, d_b = (torch.empty((CHUNKS, *part.shape)) for part in (table, w, b))
        d_extra = torch.empty_like(extra)
        slots, cell = nat_cpu.Slots(*_arrays(*saved[:5])), nat_cpu.Cell(*_arrays(w, b))
        with threads_in_use(_threads(saved[3].shape[0])):
            nat_cpu.update_slots_gradient(slots, cell, *_arrays(grads[0].contiguous(), d_table, d_extra, d_w, d_b))
        return d_table.sum(0), None, d_extra, None, None, d_w.sum(0), d_b.sum(0)


class _RowStep(torch.autograd.Function):
    """The recurrent step of wide values: matrix products by torch, the rest compiled; see `nat_cpu.update_rows`."""

    @staticmethod
    def forward(ctx: Any, given: Tensor, old: Tensor, live: Tensor, w: Tensor, b: Tensor):
        from ...graphlib.compute.jit import threads_in_use
        from . import layers_cpu as nat_cpu

        hidden, out = torch.addmm(b, old, w.t()), torch.empty_like(old)
        with threads_in_use(_threads(old.numel())):
            nat_cpu.update_rows(*_arrays(given, hidden, old, live, out))
        ctx.save_for_backward(given, hidden, old, live)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        from ...graphlib.compute.jit import threads_in_use
        from . import layers_cpu as nat_cpu

        saved = ctx.saved_tensors
        d_given, d_hidden = torch.empty_like(saved[0]), torch.empty_like(saved[0])
        with threads_in_use(_threads(saved[2].numel())):
            nat_cpu.update_rows_gradient(*_arrays(*saved, grads[0].contiguous(), d_given, d_hidden))
        return d_given, None, None, d_hidden.t() @ saved[2], d_hidden.sum(0)


class SlotUpdate(nn.Module):
    """value' = GRU(W [self_rep(neighbour); T(time); edge features], value), for cache slots or for nodes.

    Only the weights are learned through it: what is stored enters detached, as in the paper.
    """

    def __init__(self, self_dim: int, time_dim: int, edge_dim: int, dim: int) -> None:
        super().__init__()
        self.message = nn.Linear(self_dim + time_dim + edge_dim, dim, bias=False)
        self.cell = nn.GRUCell(dim, dim)
        self.widths = (self_dim, time_dim, edge_dim)

    def forward(self, reps: Tensor, row: Tensor | None, times: Tensor, edges: Tensor | None, old: Tensor, live: Tensor):
        """reps (k, self_dim); slot i meets reps[row[i]] with encoded time times[:, i]; zero where not `live`.

        Without `row`, slot i meets reps[i].
        """
        cell = self.cell
        parts = (cell.weight_ih @ self.message.weight).split(self.widths, dim=1)
        table = torch.addmm(cell.bias_ih, reps, parts[0].t())
        extra = parts[1] @ times
        if edges is not None:
            extra = extra + parts[2] @ edges.t()
        if device_layers.by_kernels(old):
            places = live.new_empty(0, dtype=torch.int64) if row is None else row
            return DeviceStep.apply(table, places, extra, old, live, cell.weight_hh, cell.bias_hh)
        if row is None:
            row = torch.arange(old.shape[0], device=old.device)
        if old.device.type == "cpu" and old.shape[1] > _WIDE:
            return _RowStep.apply(table.index_select(0, row) + extra.t(), old, live, cell.weight_hh, cell.bias_hh)
        if old.device.type == "cpu":
            return _SlotStep.apply(table, row, extra, old, live, cell.weight_hh, cell.bias_hh)
        return slot_step(table, row, extra, old, live, cell.weight_hh, cell.bias_hh)


def slot_step(table: Tensor, row: Tensor, extra: Tensor, old: Tensor, live: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """The recurrent step in plain torch, for any device."""
    from_input = (table.index_select(0, row) + extra.t()).chunk(3, dim=1)
    from_hidden = torch.addmm(b, old, w.t()).chunk(3, dim=1)
    reset = torch.sigmoid(from_input[0] + from_hidden[0])
    update = torch.sigmoid(from_input[1] + from_hidden[1])
    fresh = torch.tanh(from_input[2] + reset * from_hidden[2])
    return (fresh + update * (old - fresh)) * live[:, None]


@dataclass(frozen=True, eq=False)
class RaggedJoint:
    """Joint neighbourhoods of pairs as tensors on one device, for layers in plain torch; rows as in `JointRead`.

    Attributes
    ----------
    pair : int64 tensor (rows,), in rising order; pairs : int
    key, code : int64 tensors (rows,)
    slot, row : int64 tensors (members,)
    """

    pair: Tensor
    pairs: int
    key: Tensor
    code: Tensor
    slot: Tensor
    row: Tensor

    @classmethod
    def of(cls, joint: JointRead, device: torch.device) -> RaggedJoint:
        """A host's join, copied to a device."""
        key, code, slot, row = (there(part, device).long() for part in (joint.key, joint.code, joint.slot, joint.row))
        pair = torch.repeat_interleave(there(joint.indptr[1:] - joint.indptr[:-1], device))
        return cls(pair, joint.indptr.shape[0] - 1, key, code, slot, row)

    @classmethod
    def of_dense(cls, joint: DenseJoint) -> RaggedJoint:
        """The rows that there are; waits for their number."""
        used = joint.code.view(-1).nonzero()[:, 0]
        member = joint.member.view(-1, joint.member.shape[2])[used]
        held = member >= 0
        return cls(
            pair=used // joint.code.shape[1],
            pairs=joint.code.shape[0],
            key=joint.key[member.amax(dim=1).long()],
            code=joint.code.view(-1)[used].long(),
            slot=member[held].long(),
            row=held.nonzero()[:, 0],
        )


class _Attend(torch.autograd.Function):
    """The compiled attention over rows; see `nat_cpu.attend`."""

    @staticmethod
    def forward(ctx: Any, joint: JointRead, value: Tensor, codes: Tensor, w_value: Tensor, w_score: Tensor):
        from ...graphlib.compute.jit import threads_in_use
        from . import layers_cpu as nat_cpu

        pairs = joint.indptr.shape[0] - 1
        total, share = torch.empty((len(joint), value.shape[1])), torch.empty(len(joint))
        out = torch.empty((pairs, w_score.shape[0]))
        weights = nat_cpu.Weights(*_arrays(codes, w_value, w_score))
        with threads_in_use(_threads(joint.row.shape[0])):
            nat_cpu.attend(_rows(joint), *_arrays(value), weights, CHUNKS, *_arrays(total, share, out))
        ctx.joint, ctx.slots = joint, value.shape[0]
        ctx.save_for_backward(codes, w_value, w_score, total, share, out)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        from ...graphlib.compute.jit import threads_in_use
        from . import layers_cpu as nat_cpu

        codes, w_value, w_score, total, share, out = ctx.saved_tensors
        d_value = torch.empty((CHUNKS, ctx.slots, total.shape[1]))
        others = [torch.empty((CHUNKS, *part.shape)) for part in (codes, w_value, w_score)]
        weights = nat_cpu.Weights(*_arrays(codes, w_value, w_score))
        arrays = _arrays(total, share, out, grads[0].contiguous(), d_value, *others)
        with threads_in_use(_threads(ctx.joint.row.shape[0])):
            nat_cpu.attend_gradient(_rows(ctx.joint), weights, *arrays)
        return None, d_value.sum(0), *(part.sum(0) for part in others)


class PairReadout(nn.Module):
    """One vector per pair from the rows of its joint neighbourhood, [DE(a); Q(a); features(a)] for each key a.

    kind "attention": sum_a softmax_a(s . h_a) h_a with h_a = relu(W [DE; Q; x] + b), the paper's equation 3 with one
    hidden layer shared by the score and the summand (the layer after the sum belongs to the classifier that follows).
    kind "sum": sum_a W [DE; Q; x] + b with dropout on both sides, which is what the released code computes; the mean
    over its heads is the same as one head.
    """

    def __init__(self, value_dim: int, code_dim: int, feature_dim: int, hidden: int, kind: str, dropout: float) -> None:
        super().__init__()
        self.codes = nn.Embedding(64, code_dim) if code_dim else None
        self.project = nn.Linear(code_dim + value_dim + feature_dim, hidden)
        self.score = nn.Parameter(torch.randn(hidden) / hidden**0.5) if kind == "attention" else None
        self.widths = (code_dim, value_dim, feature_dim)
        self.dropout = dropout

    def forward(
        self,
        joint: JointRead | RaggedJoint | DenseJoint,
        value: Tensor,
        node_features: Tensor | None,
        generator: torch.Generator | None,
    ) -> Tensor:
        """value (slots, F) -> (pairs, hidden)."""
        parts = self.project.weight.split(self.widths, dim=1)
        if self.codes is None:
            codes = self.project.bias.expand(64, -1)
        else:
            codes = torch.addmm(self.project.bias, self.codes.weight, parts[0].t())
        if isinstance(joint, DenseJoint):
            if self.score is not None and node_features is None and device_layers.by_kernels(value):
                return DeviceAttend.apply(joint, value, codes, parts[1].t(), self.score)
            joint = RaggedJoint.of_dense(joint)
        if isinstance(joint, JointRead):
            if self.score is not None and node_features is None and value.device.type == "cpu":
                return _Attend.apply(joint, value, codes.contiguous(), parts[1].t().contiguous(), self.score)
            joint = RaggedJoint.of(joint, value.device)
        features = None if node_features is None else node_features.index_select(0, joint.key)
        totals = value.new_zeros((joint.code.shape[0], value.shape[1])).index_add(
            0, joint.row, value.index_select(0, joint.slot)
        )
        if self.score is None:
            return self._sum(joint, totals, features, generator)
        rows = codes.index_select(0, joint.code) + totals @ parts[1].t()
        if features is not None:
            rows = rows + features @ parts[2].t()
        return softmax_pool(rows.relu(), self.score, joint.pair, joint.pairs)

    def _sum(self, joint: RaggedJoint, totals: Tensor, features: Tensor | None, generator: torch.Generator | None):
        parts = [totals]
        if self.codes is not None:
            parts.insert(0, self.codes(joint.code))
        if features is not None:
            parts.append(features)
        rows = drop(torch.cat(parts, dim=1), self.dropout, self.training, generator)
        rows = drop(rows @ self.project.weight.t(), self.dropout, self.training, generator)
        return self.project.bias.expand(joint.pairs, -1).index_add(0, joint.pair, rows)


def softmax_pool(rows: Tensor, score: Tensor, pair: Tensor, pairs: int) -> Tensor:
    """Per pair, its rows weighted by the softmax of their scores, in plain torch."""
    scores = rows @ score
    top = scores.new_full((pairs,), float("-inf")).scatter_reduce(0, pair, scores.detach(), "amax")
    weight = torch.exp(scores - top.index_select(0, pair))
    whole = weight.new_zeros(pairs).index_add(0, pair, weight)
    return rows.new_zeros((pairs, rows.shape[1])).index_add(
        0, pair, (weight / whole.index_select(0, pair))[:, None] * rows
    )


def there(array: NDArray[Any], device: torch.device) -> Tensor:
    """A host array as a tensor on a device; from memory that is not pinned, it has been read when this returns."""
    return torch.from_numpy(array).to(device, non_blocking=True)


def drop(x: Tensor, probability: float, training: bool, generator: torch.Generator | None) -> Tensor:
    """Dropout whose draws come from `generator`, so that a run can be resumed exactly.

    On a GPU the generator names a stream of draws, which are made there.
    """
    if not training or probability == 0:
        return x
    if device_layers.by_kernels(x):
        return DeviceDrop.apply(x, int(torch.randint(0, 1 << 62, (1,), generator=generator)), probability)
    keep = torch.rand(x.shape, generator=generator).to(x.device) >= probability
    return x * keep / (1 - probability)


def _threads(items: int) -> int:
    """Threads for a step over `items`, as many as torch may use at most."""
    from ...sampling.arguments import threads_for

    return threads_for(kernel_threads(), items, _MANY)


def keep_torch_threads() -> None:
    """Start Numba's threads now and keep torch's number: both may share an OpenMP whose number the start raises."""
    from ...graphlib.compute.jit import threads_in_use

    before = torch.get_num_threads()
    with threads_in_use(1):
        torch.set_num_threads(before)
