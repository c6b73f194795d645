"""The first layer of tokens on the processor: blocks of rows on threads of the pool."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...graphlib.compute.threads import Loop
from ..threads import kernel_threads, steady

_BLOCK = 512  # rows of a turn: fixed, so that sums have one order
_SPANS = 8  # sums of the weight's size per table


def first_layer(tables: tuple[Tensor, ...], weight: Tensor, bias: Tensor) -> Tensor:
    """relu(table weight^T + bias) of every table: (kinds, U, H) from float16 or float32 tables (U, D).

    No gradient goes to the tables. The same bits at any thread count, on the processor.
    """
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        return torch.stack(
            [torch.relu(torch.nn.functional.linear(part.to(weight.dtype), weight, bias)) for part in tables]
        )
    out: Tensor = _FirstLayer.apply(weight, bias, *tables)
    return out


def in_turns(work: Any, turns: int) -> None:
    """`work(turn)` for every turn on threads of the pool, each with products on one thread and without gradients."""

    def some(first: int, last: int, worker: int) -> None:
        if torch.get_num_threads() != 1:
            torch.set_num_threads(1)
        with torch.no_grad():
            for turn in range(first, last):
                work(turn)

    with steady():
        Loop(some, turns, kernel_threads()).run()


class _FirstLayer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor, *tables: Tensor) -> Tensor:
        rows = tables[0].shape[0]
        out = torch.empty(len(tables), rows, weight.shape[0])
        blocks = -(-rows // _BLOCK)

        def work(turn: int) -> None:
            kind, at = turn // blocks, turn % blocks * _BLOCK
            to = out[kind, at : at + _BLOCK]
            torch.addmm(bias, tables[kind][at : at + _BLOCK].float(), weight.t(), out=to).relu_()

        in_turns(work, blocks * len(tables))
        ctx.save_for_backward(out, *tables)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        out, *tables = ctx.saved_tensors
        blocks = -(-tables[0].shape[0] // _BLOCK)
        spans = max(1, min(blocks, _SPANS))
        each = -(-blocks // spans)
        sums: list[tuple[Tensor, Tensor]] = [(torch.empty(0), torch.empty(0))] * (len(tables) * spans)

        def work(turn: int) -> None:
            kind, span = turn // spans, turn % spans
            d_weight, d_bias = torch.zeros(out.shape[2], tables[0].shape[1]), torch.zeros(out.shape[2])
            for block in range(span * each, min((span + 1) * each, blocks)):
                part = slice(block * _BLOCK, (block + 1) * _BLOCK)
                back = grad[kind, part] * (out[kind, part] > 0)
                d_weight.addmm_(back.t(), tables[kind][part].float())
                d_bias += back.sum(0)
            sums[turn] = d_weight, d_bias

        in_turns(work, len(sums))
        d_weight, d_bias = sums[0]
        for more, extra in sums[1:]:
            d_weight += more
            d_bias += extra
        return (d_weight, d_bias, *(None for _ in tables))
