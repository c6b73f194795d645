"""Messages reduced into the nodes they end at, and features handed out to edges, with gradients by compiled kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...graphlib.errors import InvalidInput

if TYPE_CHECKING:
    from .plan import Slice

REDUCES = ("sum", "mean", "max", "gated")
_LARGE = 1 << 15  # numbers from which threads pay


def segment_reduce(messages: Tensor, piece: Slice, how: str) -> Tensor:
    """Reduce messages into rows.

    Parameters
    ----------
    messages : float32 or float64 (num_edges, d)
        In the order of a slice's edges.
    piece : Slice
        Every one of its rows has at least one message.
    how : "sum", "mean", "max" or "gated"
        "gated" takes columns (g, a, b) of widths 1, c and c, and gives the sum of sigmoid(g) * a beside the largest of
        sigmoid(g) * b, column by column (Guo et al., DAC 2022, doi:10.1145/3489517.3530597).

    Returns
    -------
    Tensor (num_rows, d), or (num_rows, d - 1) for "gated"

    Notes
    -----
    Each row is reduced by one thread in the order of its edges: the same bits at any thread count. The gradient of a
    maximum goes to the first edge that has it. There are no second derivatives.
    """
    if how not in REDUCES:
        raise InvalidInput(f"reduce must be one of {', '.join(REDUCES)}; got {how!r}")
    if messages.dim() != 2 or messages.shape[0] != piece.num_edges:
        raise InvalidInput(f"messages must have shape ({piece.num_edges}, d); got {tuple(messages.shape)}")
    if how == "gated" and messages.shape[1] % 2 == 0:
        raise InvalidInput(
            f'reduce="gated" needs an odd number of columns, a gate and two halves; messages have {messages.shape[1]}'
        )
    if not (messages.requires_grad and torch.is_grad_enabled()):
        return _reduced(messages.contiguous(), piece, how)[0]
    result: Tensor = _Reduce.apply(messages.contiguous(), piece, how)
    return result


def spread(x: Tensor, piece: Slice) -> Tensor:
    """Each row's features at every one of its edges: (num_rows, d) -> (num_edges, d)."""
    if not (x.requires_grad and torch.is_grad_enabled()):
        return x.index_select(0, piece.row_of)
    result: Tensor = _Spread.apply(x, piece)
    return result


def take_sources(x: Tensor, piece: Slice) -> Tensor:
    """The features of every edge's source: (num_nodes, d) in level order -> (num_edges, d)."""
    result: Tensor = _TakeSources.apply(x, piece)
    return result


def add_to_sources(out: Tensor, grad: Tensor, piece: Slice) -> None:
    """`out[src[e]] += grad[e]` for every edge of a slice, in place, in one order."""
    _run("add_to_sources", (grad.contiguous(), piece.source_edges, piece.source_indptr, piece.sources, out))


def _reduced(messages: Tensor, piece: Slice, how: str) -> tuple[Tensor, Tensor | None]:
    """The rows, and for maxima which message won each column."""
    rows, width = piece.num_rows, messages.shape[1]
    if how in ("sum", "mean"):
        out = messages.new_empty((rows, width))
        _run("add_rows", (messages, piece.indptr, how == "mean", out))
        return out, None
    out = messages.new_empty((rows, width if how == "max" else width - 1))
    winners = piece.src.new_empty((rows, width if how == "max" else width // 2))
    _run(f"{how}_rows", (messages, piece.indptr, out, winners))
    return out, winners


class _Reduce(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, messages: Tensor, piece: Slice, how: str) -> Tensor:
        out, winners = _reduced(messages, piece, how)
        ctx.piece, ctx.how, ctx.width = piece, how, messages.shape[1]
        if winners is not None:
            ctx.save_for_backward(winners, *([messages] if how == "gated" else []))
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        piece, grad = ctx.piece, grad.contiguous()
        out = grad.new_empty((piece.num_edges, ctx.width))
        if ctx.how in ("sum", "mean"):
            _run("add_rows_gradient", (grad, piece.indptr, ctx.how == "mean", out))
        elif ctx.how == "max":
            _run("max_rows_gradient", (grad, *ctx.saved_tensors, piece.indptr, out))
        else:
            winners, messages = ctx.saved_tensors
            _run("gated_rows_gradient", (grad, messages, winners, piece.indptr, out))
        return out, None, None


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, piece: Slice) -> Tensor:
        ctx.piece = piece
        return x.index_select(0, piece.row_of)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        out = grad.new_empty((ctx.piece.num_rows, grad.shape[1]))
        _run("add_rows", (grad.contiguous(), ctx.piece.indptr, False, out))
        return out, None


class _TakeSources(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, piece: Slice) -> Tensor:
        ctx.piece, ctx.count = piece, x.shape[0]
        return x.index_select(0, piece.src)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        out = grad.new_zeros((ctx.count, grad.shape[1]))
        add_to_sources(out, grad, ctx.piece)
        return out, None


def _run(name: str, arguments: tuple[Any, ...]) -> None:
    """Run a kernel where its tensors lie: one thread for a few rows, as many as torch has for many."""
    grid = arguments[0]
    if grid.device.type == "cuda":
        from . import reduce_cuda

        reduce_cuda.launch(name, arguments)
        return
    from ...graphlib.compute.jit import threads_in_use
    from . import reduce_cpu

    arrays = [part.detach().numpy() if isinstance(part, Tensor) else part for part in arguments]
    kernel = getattr(reduce_cpu, name)
    if grid.numel() < _LARGE:  # a narrow level, of which there are many: no more than the call itself
        kernel.ranged(0, _num_rows(name, arrays), 0, *arrays)
        return
    with threads_in_use(torch.get_num_threads()):
        kernel(*arrays)


def _num_rows(name: str, arrays: list[Any]) -> int:
    """The turns of a kernel's loop: rows, or sources."""
    offsets = {"add_to_sources": 2, "max_rows_gradient": 2, "gated_rows_gradient": 3}.get(name, 1)
    return int(arrays[offsets].shape[0]) - 1
