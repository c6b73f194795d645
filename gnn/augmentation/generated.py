"""Generated features as an operand of products: made when they are multiplied, in memory that is used again.

A draw is a product with a wide output, a sigmoid, a sum per row, dropout, and a product with a narrow output. On fresh
memory for every n x F result, most of the time goes into page faults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..nodes.features import drop_into

if TYPE_CHECKING:
    from collections.abc import Callable

    from .cvae import ConditionalVAE

_BLOCK_BYTES = 1 << 25  # of rows that are made at once, at most


class Pool:
    """Memory of one generator's draws.

    Attributes
    ----------
    rows : list of Tensor (n, F)
        Taken by products that need a gradient, put back by their backward pass.
    scratch : list of Tensor
        Taken and put back by one pass over rows.
    """

    def __init__(self) -> None:
        self.rows: list[Tensor] = []
        self.scratch: list[Tensor] = []


class Draw:
    """One draw as an operand: `draw @ W` and its gradient for W, `draw.dropped(p)`, `draw.dense()`.

    Parameters
    ----------
    hidden : Tensor (n, hidden), float32 or bfloat16
        What the decoder's last layer reads.
    model : ConditionalVAE
    normalize : bool
        Whether rows are divided by their sum.
    pool : Pool
    """

    is_draw = True

    def __init__(self, hidden: Tensor, model: ConditionalVAE, normalize: bool, pool: Pool) -> None:
        self.hidden, self.model, self.normalize, self.pool = hidden, model, normalize, pool
        self.p, self.key = 0.0, 0
        self._held: tuple[Tensor, Tensor] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(n, F)."""
        return int(self.hidden.shape[0]), int(self.model.output.weight.shape[0])

    def dropped(self, p: float) -> Draw:
        """The same with entries dropped, each with probability p, by a number from torch's generator."""
        made = Draw(self.hidden, self.model, self.normalize, self.pool)
        made.p, made.key, made._held = p, int(torch.randint(1 << 61, (1,))), self._held
        return made

    def held(self) -> Draw:
        """The same with its rows made once, for what multiplies it again and again: n F numbers of `hidden`'s type."""
        made = Draw(self.hidden, self.model, self.normalize, self.pool)
        rows = self.hidden.new_empty(self.shape)
        made._held = rows, made.rows(rows)
        return made

    def __matmul__(self, weight: Tensor) -> Tensor:
        if torch.is_grad_enabled() and weight.requires_grad:
            found: Tensor = _Product.apply(self, weight)
            return found
        return self.product(weight.detach(), None)[0]

    def product(self, weight: Tensor, rows: Tensor | None) -> tuple[Tensor, Tensor]:
        """The product (n, k) and the factors of rows; what was multiplied is left in `rows` where there is such."""
        given = weight.to(self.hidden.dtype)
        found = given.new_empty((self.shape[0], weight.shape[1]))

        def multiply(part: slice, made: Tensor) -> None:
            torch.mm(made, given, out=found[part])

        scale = self.rows(rows, multiply).unsqueeze(1)
        return found.to(weight.dtype) * scale, scale

    def dense(self) -> Tensor:
        """The matrix (n, F), float32."""
        rows = self.hidden.new_empty(self.shape)
        scale = self.rows(rows)
        return rows.float().mul_(scale.unsqueeze(1))

    @torch.no_grad()
    def rows(self, out: Tensor | None, use: Callable[[slice, Tensor], object] | None = None) -> Tensor:
        """Make the rows, a part at a time, dropped but not scaled, into `out` where it is given; and tell `use`.

        Returns
        -------
        Tensor (n,)
            What rows are to be multiplied with: 1 / (1 - p), and 1 / their sum before dropout (0 where that is 0).
        """
        if self._held is not None:
            return self._from_held(*self._held, out, use)
        count, width = self.shape
        dtype = self.hidden.dtype
        weight, bias = self.model.output.weight.to(dtype).t(), self.model.output.bias.to(dtype)
        size = min(count, max(32, _BLOCK_BYTES // (4 * width) // 32 * 32))
        block = self.pool.scratch.pop() if self.pool.scratch else self.hidden.new_empty((size, width))
        scale = self.hidden.new_ones(count, dtype=torch.float32)
        for at in range(0, count, size):
            part = slice(at, min(at + size, count))
            made = torch.addmm(bias, self.hidden[part], weight, out=block[: part.stop - at])
            if self.model.decoder == "bernoulli":
                made.sigmoid_()
            if self.normalize:
                scale[part] = made.sum(1)
            target = made if out is None else out[part]
            self._drop(made, target, at)
            if use is not None:
                use(part, target)
        self.pool.scratch.append(block)
        return torch.where(scale == 0, 0.0, 1 / ((1 - self.p) * scale))

    def _from_held(
        self, held: Tensor, scale: Tensor, out: Tensor | None, use: Callable[[slice, Tensor], object] | None
    ) -> Tensor:
        whole = slice(0, held.shape[0])
        if self.p > 0 or out is not None:
            target = self.pool.rows.pop() if out is None and self.pool.rows else out
            target = torch.empty_like(held) if target is None else target
            self._drop(held, target, 0)
        else:
            target = held
        if use is not None:
            use(whole, target)
        if out is None and target is not held:
            self.pool.rows.append(target)
        return scale / (1 - self.p)

    def _drop(self, made: Tensor, target: Tensor, at: int) -> None:
        if self.p == 0:
            if target is not made:
                target.copy_(made)
        elif made.device.type == "cpu":
            drop_into(made, target, self.p, self.key + at)
        else:
            generator = torch.Generator(made.device).manual_seed(self.key + at)
            torch.mul(made, torch.empty_like(made).bernoulli_(1 - self.p, generator=generator), out=target)


class _Product(torch.autograd.Function):
    """draw @ W; the rows of the forward pass are kept for the backward pass."""

    @staticmethod
    def forward(context: Any, draw: Draw, weight: Tensor) -> Tensor:
        context.pool = draw.pool
        context.rows = draw.pool.rows.pop() if draw.pool.rows else draw.hidden.new_empty(draw.shape)
        found, context.scale = draw.product(weight, context.rows)
        return found

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        rows: Tensor = context.rows
        scaled = (gradients[0] * context.scale).to(rows.dtype)
        found = (scaled.t() @ rows).t().to(gradients[0].dtype)
        context.pool.rows.append(rows)
        context.rows = None
        return None, found


def hidden_of(model: ConditionalVAE, z: Tensor, condition: Tensor, dtype: torch.dtype) -> Tensor:
    """What the decoder's last layer reads, for codes z (n, latent) and what `model.condition` gave."""
    return nn.functional.linear(z, model.decode_code.weight, model.decode_code.bias).add_(condition).relu_().to(dtype)
