"""LargeGT's local module on the processor: a few nodes at a time, so that what is between products stays in cache.

Weights that meet nothing but each other are multiplied first. With n the normalised tokens, head i scores q . n /
sqrt(H) where q = n (Wq^T Wk) + ..., so that keys, and likewise values, are n itself for every head: two projections of
every token fall away, and the output is sum_i (P_i n) M_i with M_i = (Wo_i Wv_i)^T. Scores exist for a few nodes at a
time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...graphlib.compute.grouping import places_of
from ...graphlib.compute.jit import plain_view
from ...graphlib.errors import InvalidInput
from ..threads import kernel_threads
from . import fused_cpu as kernels
from .inputs import in_turns

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROWS, _PER_TURN = 640, 32  # tokens worked on at a time, and nodes per turn of a thread
EPS = 1e-5


class Merged(NamedTuple):
    """Weights of the local module as the fused way takes them; H is the width, h the heads, W = h H.

    z = r to_z^T + z_bias; q = n to_q + q_bias (both scaled by 1 / sqrt(H)); y = dropout(O to_y + y_bias) +
    z skip^T + skip_bias; the readout's logits are w . normalised(y).
    """

    to_z: Tensor
    z_bias: Tensor
    to_q: Tensor
    q_bias: Tensor
    to_y: Tensor
    y_bias: Tensor
    skip: Tensor
    skip_bias: Tensor
    w: Tensor


class Drop(NamedTuple):
    """Dropout of tokens and of what attention gives: the key of the bits, and two limits out of 65,536 kept."""

    key: int
    token: int
    out: int

    @classmethod
    def of(cls, token: float, out: float) -> Drop:
        """From probabilities of dropping, with a key from torch's generator."""
        key = int(torch.randint(0, 1 << 62, (1,)))
        return cls(key, round((1 - token) * 65536), round((1 - out) * 65536))


NO_DROP = Drop(0, 65536, 65536)


def local_attention(table: Tensor, index: Tensor, merged: Merged, drop: Drop = NO_DROP) -> Tensor:
    """n_0 + sum_j a_j n_j of every node (B, W), n the normalised outputs of its tokens.

    Parameters
    ----------
    table : float32 (kinds, U, H)
        What is known of U distinct nodes in kinds ways: features and their contexts, projected, after the ReLU.
    index : int64 (B, K)
        The nodes of each set, as rows of the table; the first is the node itself, and its first kind is token 0.
    merged : Merged
    drop : Drop
        Each of the B * kinds * K tokens has its own.

    Raises
    ------
    InvalidInput
        An index outside the table.

    Notes
    -----
    O(B * T * (T + W) * W) for T = kinds * K. Beside the result, what `backward` needs is kept where a gradient is
    wanted: 4 (2 H + 3 W + h T) bytes per token; else nothing that grows with B. The same bits at any thread count.
    """
    if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < table.shape[1]:
        raise InvalidInput(
            f"index holds {int(index.min())}..{int(index.max())}, but the table has rows 0..{table.shape[1] - 1}"
        )
    given = (table.contiguous(), index.contiguous(), drop, *merged)
    if torch.is_grad_enabled() and any(isinstance(part, Tensor) and part.requires_grad for part in given):
        out: Tensor = _Local.apply(*given)
        return out
    out, _ = _forward(given[0], given[1], drop, Merged(*(part.detach() for part in merged)), keep=False)
    return out


def cut(tokens: int) -> tuple[int, int]:
    """Nodes worked on at a time and per turn: functions of the tokens per node alone, so that sums have one order."""
    nodes = max(1, min(_PER_TURN, _ROWS // tokens))
    return nodes, _PER_TURN // nodes * nodes


class _Kept(NamedTuple):
    z: Tensor
    n: Tensor
    n_inverse: NDArray[np.float32]
    q: Tensor
    shares: Tensor
    o: Tensor
    y: Tensor
    y_inverse: NDArray[np.float32]
    read: NDArray[np.float32]


def _forward(
    table: Tensor, index: Tensor, drop: Drop, merged: Merged, *, keep: bool
) -> tuple[Tensor, list[list[_Kept]]]:
    count = index.shape[0]
    out = torch.empty(count, merged.w.shape[0])
    step, per_turn = cut(table.shape[0] * index.shape[1])
    turns = -(-count // per_turn)
    kept: list[list[_Kept]] = [[] for _ in range(turns)]
    rows, picks, answer = _view(table), _view(index), out.numpy()

    def work(turn: int) -> None:
        for a in range(turn * per_turn, min((turn + 1) * per_turn, count), step):
            b = min(a + step, (turn + 1) * per_turn, count)
            made = _some(rows, picks[a:b], a, drop, merged, answer[a:b])
            if keep:
                kept[turn].append(made)

    in_turns(work, turns)
    return out, kept


def _some(table: NDArray[Any], index: NDArray[Any], first: int, drop: Drop, merged: Merged, out: NDArray[Any]) -> _Kept:
    """The outputs of a few nodes, and what is known on the way."""
    count, tokens = index.shape[0], table.shape[0] * index.shape[1]
    width, wide = table.shape[2], merged.w.shape[0]
    r = _tokens(table, index, first, drop)
    z = torch.addmm(merged.z_bias, r, merged.to_z.t())
    n = z.clone()
    n_inverse = np.empty(n.shape[0], np.float32)
    kernels.normalise(n.numpy(), EPS, n_inverse)
    q = torch.addmm(merged.q_bias, n, merged.to_q)
    keys = n.view(count, tokens, width)
    queries = q.view(count, tokens * (wide // width), width)  # of a node, token by token, head by head
    shares = torch.softmax(torch.bmm(queries, keys.transpose(1, 2)), -1)
    o = torch.bmm(shares, keys).view(count * tokens, wide)
    y = torch.addmm(merged.skip_bias, z, merged.skip.t())
    attended = torch.addmm(merged.y_bias, o, merged.to_y)
    scale = np.float32(65536 / drop.out)
    kernels.drop_and_add(attended.numpy(), y.numpy(), first * tokens, ~drop.key, drop.out, scale)
    y_inverse = np.empty(y.shape[0], np.float32)
    kernels.normalise(y.numpy(), EPS, y_inverse)
    read = np.empty((count, tokens), np.float32)
    kernels.read_out(y.numpy(), tokens, _view(merged.w), read, out)
    return _Kept(z, n, n_inverse, q, shares, o, y, y_inverse, read)


def _tokens(table: NDArray[Any], index: NDArray[Any], first: int, drop: Drop) -> Tensor:
    r = torch.empty(index.shape[0] * table.shape[0] * index.shape[1], table.shape[2])
    kernels.take_tokens(table, index, first, drop.key, drop.token, np.float32(65536 / drop.token), r.numpy())
    return r


class _Local(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, index: Tensor, drop: Drop, *weights: Tensor) -> Tensor:
        merged = Merged(*weights)
        out, ctx.kept = _forward(table, index, drop, merged, keep=True)
        ctx.drop = drop
        ctx.save_for_backward(table, index, *weights)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        table, index, *weights = ctx.saved_tensors
        merged, kept, drop = Merged(*weights), ctx.kept, ctx.drop
        ctx.kept = None
        count, turns = index.shape[0], len(kept)
        step, per_turn = cut(table.shape[0] * index.shape[1])
        rows, picks, given = _view(table), _view(index), grad.contiguous().numpy()
        d_tokens = torch.empty(count * table.shape[0] * index.shape[1], table.shape[2])
        sums: list[list[Tensor]] = [[] for _ in range(turns)]

        def work(turn: int) -> None:
            sums[turn] = [torch.zeros_like(part) for part in weights]
            for number, made in enumerate(kept[turn]):
                a = turn * per_turn + number * step
                b = a + made.read.shape[0]
                _some_back(rows, picks[a:b], a, drop, merged, made, given[a:b], d_tokens, Merged(*sums[turn]))
            kept[turn].clear()

        in_turns(work, turns)
        totals = [sums[0][part] for part in range(len(weights))] if turns else [torch.zeros_like(w) for w in weights]
        for turn in range(1, turns):
            for total, part in zip(totals, sums[turn], strict=True):
                total += part
        d_table = _to_table(table, index, d_tokens)
        return (d_table, None, None, *totals)


def _some_back(
    table: NDArray[Any],
    index: NDArray[Any],
    first: int,
    drop: Drop,
    merged: Merged,
    made: _Kept,
    grad: NDArray[Any],
    d_tokens: Tensor,
    sums: Merged,
) -> None:
    """Add what a few nodes give to the gradients of the weights, and write those of their tokens."""
    count, tokens = made.read.shape
    width, wide = table.shape[2], merged.w.shape[0]
    dy = torch.empty_like(made.y)
    kernels.read_out_back(
        grad, made.y.numpy(), tokens, _view(merged.w), made.read, made.y_inverse, dy.numpy(), sums.w.numpy()
    )
    sums.skip_bias.add_(dy.sum(0))
    sums.skip.addmm_(dy.t(), made.z)
    dz = dy @ merged.skip
    scale = np.float32(65536 / drop.out)
    kernels.drop_rows(dy.numpy(), first * tokens, ~drop.key, drop.out, scale)
    sums.y_bias.add_(dy.sum(0))
    sums.to_y.addmm_(made.o.t(), dy)
    do = (dy @ merged.to_y.t()).view(count, -1, width)
    keys, queries = made.n.view(count, tokens, width), made.q.view(count, -1, width)
    d_shares = torch.bmm(do, keys.transpose(1, 2))
    kernels.softmax_back(made.shares.view(-1, tokens).numpy(), d_shares.view(-1, tokens).numpy())
    dn = torch.bmm(made.shares.transpose(1, 2), do)
    dn.baddbmm_(d_shares.transpose(1, 2), queries)
    dq = torch.bmm(d_shares, keys).view(count * tokens, wide)
    sums.q_bias.add_(dq.sum(0))
    sums.to_q.addmm_(made.n.t(), dq)
    flat = dn.view(count * tokens, width)
    flat.addmm_(dq, merged.to_q.t())
    kernels.normalise_back(flat.numpy(), made.n.numpy(), made.n_inverse, dz.numpy())
    sums.z_bias.add_(dz.sum(0))
    sums.to_z.addmm_(dz.t(), _tokens(table, index, first, drop))
    d_r = d_tokens[first * tokens : (first + count) * tokens]
    torch.mm(dz, merged.to_z, out=d_r)
    kernels.drop_rows(d_r.numpy(), first * tokens, drop.key, drop.token, np.float32(65536 / drop.token))


def _to_table(table: Tensor, index: Tensor, d_tokens: Tensor) -> Tensor:
    """Gradients of tokens added up for the rows that they copy."""
    from ...graphlib.compute.jit import threads_in_use

    ptr, occurrences = places_of(index.reshape(-1).numpy(), table.shape[1])
    out = torch.empty_like(table)
    with threads_in_use(kernel_threads()):
        kernels.sum_tokens(ptr, occurrences, index.shape[1], table.shape[0], d_tokens.numpy(), out.numpy())
    return out


def _view(tensor: Tensor) -> NDArray[Any]:
    return plain_view(tensor.detach().numpy())
