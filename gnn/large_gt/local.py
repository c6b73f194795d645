"""The local module of LargeGT: attention among the tokens of a node, and their readout."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, scaled_dot_product_attention

from .fused import NO_DROP, Drop, Merged, local_attention


class LocalAttention(nn.Module):
    """What a node learns from its own tokens (B, heads * width).

    With r the projected tokens after their ReLU and dropout, z = lin(project(r)); y = skip(z) +
    dropout(attention(norm(z))) with heads of full width; n = out_norm(y); a_j = softmax over j >= 1 of readout([n_0,
    n_j]); n_0 + sum_j a_j n_j. There is no feed-forward network and no positional encoding.

    Parameters
    ----------
    width : int
        H, the width of a token and of each head.
    heads : int
    token_dropout : float
        Of r.
    dropout : float
        Of what attention gives.
    """

    def __init__(self, width: int, heads: int, *, token_dropout: float = 0.5, dropout: float = 0.3) -> None:
        super().__init__()
        self.width, self.heads = width, heads
        self.token_dropout, self.dropout = token_dropout, dropout
        wide = heads * width
        self.project = nn.Linear(width, width)
        self.lin = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.query, self.value = nn.Linear(width, wide), nn.Linear(width, wide)
        self.key = nn.Linear(width, wide, bias=False)
        self.output = nn.Linear(wide, wide)
        self.skip = nn.Linear(width, wide)
        self.out_norm = nn.LayerNorm(wide)
        self.readout = nn.Linear(wide, 1, bias=False)

    def forward(self, table: Tensor, index: Tensor, *, plain: bool = False) -> Tensor:
        """From rows (kinds, U, H) after the ReLU, and sets (B, K) of them.

        On the processor in float32 the fused way is taken, unless `plain` says otherwise: the same function, with
        dropout from bits of its own.
        """
        if plain or table.device.type != "cpu" or table.dtype != torch.float32:
            return self.in_torch(table, index)
        drop = Drop.of(self.token_dropout, self.dropout) if self.training else NO_DROP
        normalised = local_attention(table, index, self.merged(), drop)
        read = 1 if table.shape[0] * index.shape[1] == 1 else 2  # the token itself, and the mean of the others
        return normalised * self.out_norm.weight + read * self.out_norm.bias

    def merged(self) -> Merged:
        """The weights with those multiplied that meet nothing but each other; gradients go through."""
        width, heads = self.width, self.heads
        gain, shift = self.norm.weight, self.norm.bias
        query, key = (layer.weight.view(heads, width, width) for layer in (self.query, self.key))
        value = self.value.weight.view(heads, width, width)
        scale = 1 / math.sqrt(width)
        # q_i . k_j = (n_i to_q + q_bias) . n_j + what is the same for all j and leaves the softmax as it is
        meet = torch.bmm(query.transpose(1, 2), key) * scale
        forms = gain[:, None] * meet * gain
        q_bias = gain * (shift @ meet + torch.bmm(self.query.bias.view(heads, 1, width), key)[:, 0] * scale)
        outputs = self.output.weight.view(-1, heads, width).permute(1, 2, 0)  # (heads, width, wide)
        to_y = torch.bmm(value.transpose(1, 2), outputs)
        carried = (value @ shift + self.value.bias.view(heads, width)).reshape(-1)
        return Merged(
            to_z=self.lin.weight @ self.project.weight,
            z_bias=self.lin.weight @ self.project.bias + self.lin.bias,
            to_q=forms.permute(1, 0, 2).reshape(width, -1),
            q_bias=q_bias.reshape(-1),
            to_y=(gain[:, None] * to_y).reshape(heads * width, -1),
            y_bias=self.output.weight @ carried + self.output.bias,
            skip=self.skip.weight,
            skip_bias=self.skip.bias,
            w=self.readout.weight[0] * self.out_norm.weight,
        )

    def in_torch(self, table: Tensor, index: Tensor) -> Tensor:
        """As the formulas stand, in torch's operations."""
        count, places = index.shape
        tokens = table.shape[0] * places
        r = table[:, index].transpose(0, 1).reshape(count, tokens, -1)
        z = self.lin(self.project(dropout(r, self.token_dropout, self.training)))
        n = self.norm(z)
        q, k, v = (
            layer(n).view(count, tokens, self.heads, self.width).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        attended = scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(count, tokens, -1)
        y = self.out_norm(self.skip(z) + dropout(self.output(attended), self.dropout, self.training))
        shares = torch.softmax(self.readout(y[:, 1:]), 1)
        return y[:, 0] + (shares * y[:, 1:]).sum(1)


__all__ = ["LocalAttention"]
