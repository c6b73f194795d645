"""Generated features as an operand of products: made when they are multiplied, in memory that is used again.

A draw is a product with a wide output, a sigmoid, a sum per row, dropout, and a product with a narrow output. On fresh
memory for every n x F result, most of the time goes into page faults. Rows are kept for the backward pass while they
are few, and made again where they would be many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..nodes.dropout import drop_into

if TYPE_CHECKING:
    from collections.abc import Callable

    from .cvae import ConditionalVAE

_BLOCK_BYTES = 1 << 25  # of rows that are made at once, at most
_KEPT_BYTES = 160 << 20  # of rows that wait for their backward pass, at most


class Pool:
    """Memory of one generator's draws.

    Attributes
    ----------
    rows : list of Tensor (n, F)
        Taken by products that need a gradient, put back by their backward pass; `_KEPT_BYTES` of them at most.
    taken : int
        How many are out.
    scratch : list of Tensor
        Taken and put back by one pass over rows.
    """

    def __init__(self) -> None:
        self.rows: list[Tensor] = []
        self.taken = 0
        self.scratch: list[Tensor] = []

    def take(self, shape: tuple[int, int], dtype: torch.dtype, device: torch.device) -> Kept | None:
        """Memory for rows that are kept, or None: they are made again."""
        if (self.taken + 1) * shape[0] * shape[1] * dtype.itemsize > _KEPT_BYTES:
            return None
        return Kept(self, self.rows.pop() if self.rows else torch.empty(shape, dtype=dtype, device=device))


class Kept:
    """Rows that are out of a pool, back in it when they are done with or nobody knows them any more."""

    def __init__(self, pool: Pool, rows: Tensor) -> None:
        self.pool, self.rows = pool, rows
        pool.taken += 1

    def __del__(self) -> None:
        self.pool.taken -= 1
        self.pool.rows.append(self.rows)


class Draw:
    """One draw as an operand: `draw @ W` and its gradient for W, `draw.dropped(p)`, `draw.dense()`.

    Parameters
    ----------
    z, condition : Tensor (n, latent), (n, hidden)
        Codes, and what `model.condition` gave; what the decoder's last layer reads is made of them some rows at a time.
    model : ConditionalVAE
        Its weights must not change between a product and its backward pass.
    dtype : torch.dtype
        float32 or bfloat16, of the rows.
    normalize : bool
        Whether rows are divided by their sum.
    pool : Pool
    """

    is_draw = True

    def __init__(
        self, z: Tensor, condition: Tensor, model: ConditionalVAE, dtype: torch.dtype, normalize: bool, pool: Pool
    ) -> None:
        self.z, self.condition, self.model, self.dtype = z, condition, model, dtype
        self.normalize, self.pool = normalize, pool
        self.p, self.key = 0.0, 0
        self._held: tuple[Tensor, Tensor] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(n, F)."""
        return int(self.z.shape[0]), int(self.model.output.weight.shape[0])

    def dropped(self, p: float) -> Draw:
        """The same with entries dropped, each with probability p, by a number from torch's generator."""
        made = self._copy()
        made.p, made.key, made._held = p, int(torch.randint(1 << 61, (1,))), self._held
        return made

    def held(self) -> Draw:
        """The same with its rows made once, for what multiplies it again and again: n F numbers."""
        made = self._copy()
        rows = self._empty(self.shape)
        made._held = rows, made.rows(rows)
        return made

    def _copy(self) -> Draw:
        return Draw(self.z, self.condition, self.model, self.dtype, self.normalize, self.pool)

    def _empty(self, shape: tuple[int, int]) -> Tensor:
        return self.z.new_empty(shape, dtype=self.dtype)

    def _hidden(self, part: slice) -> Tensor:
        """What the decoder's last layer reads of some rows."""
        code = self.model.decode_code
        made = nn.functional.linear(self.z[part], code.weight, code.bias)
        return made.add_(self.condition[part]).relu_().to(self.dtype)

    def __matmul__(self, weight: Tensor) -> Tensor:
        if torch.is_grad_enabled() and weight.requires_grad:
            found: Tensor = _Product.apply(self, weight)
            return found
        return self.product(weight.detach(), None)[0]

    def product(self, weight: Tensor, rows: Tensor | None) -> tuple[Tensor, Tensor]:
        """The product (n, k) and the factors of rows; what was multiplied is left in `rows` where there is such."""
        given = weight.to(self.dtype)
        found = given.new_empty((self.shape[0], weight.shape[1]))

        def multiply(part: slice, made: Tensor) -> None:
            torch.mm(made, given, out=found[part])

        scale = self.rows(rows, multiply).unsqueeze(1)
        return found.to(weight.dtype) * scale, scale

    def dense(self) -> Tensor:
        """The matrix (n, F), float32."""
        rows = self._empty(self.shape)
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
        weight, bias = self.model.output.weight.to(self.dtype).t(), self.model.output.bias.to(self.dtype)
        size = min(count, max(32, _BLOCK_BYTES // (4 * width) // 32 * 32))
        block = self.pool.scratch.pop() if self.pool.scratch else self._empty((size, width))
        scale = self.z.new_ones(count, dtype=torch.float32)
        for at in range(0, count, size):
            part = slice(at, min(at + size, count))
            made = torch.addmm(bias, self._hidden(part), weight, out=block[: part.stop - at])
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
    """draw @ W; the rows of the forward pass are kept for the backward pass or made again, to the same bits."""

    @staticmethod
    def forward(context: Any, draw: Draw, weight: Tensor) -> Tensor:
        context.draw = draw
        context.kept = draw.pool.take(draw.shape, draw.dtype, draw.z.device)
        found, context.scale = draw.product(weight, None if context.kept is None else context.kept.rows)
        return found

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        draw: Draw = context.draw
        scaled = (gradients[0] * context.scale).to(draw.dtype)
        if context.kept is not None:
            found = scaled.t() @ context.kept.rows
            context.kept = None  # a second backward pass makes them again
        else:
            found = scaled.new_zeros((scaled.shape[1], draw.shape[1]), dtype=torch.float32)

            def add(part: slice, made: Tensor) -> None:
                found.add_(scaled[part].t() @ made)

            draw.rows(None, add)
        return None, found.t().to(gradients[0].dtype)
