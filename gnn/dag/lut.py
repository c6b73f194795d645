"""Attention over a cell's delay tables: a soft look-up whose place is asked for by a query."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...graphlib.errors import InvalidInput


class TableAttention(nn.Module):
    """Multi-head attention from one query per table to the table's grid points.

    A grid point's key is the product of its two coordinates and its value the table's value there, both plain numbers,
    as in PreRoutGNN. Written out, attention over numbers needs no matrices: a head's scores are its query's projection
    times the keys (a bias of the keys shifts all scores alike and falls out), and its output is the weighted mean of
    the values times a vector.

    Parameters
    ----------
    dim : int, default 32
        Width of queries and outputs.
    heads : int, default 4

    Examples
    --------
    >>> import torch
    >>> attention = TableAttention(8, heads=2)
    >>> keys, values = torch.rand(5, 3, 56), torch.rand(5, 3, 56)
    >>> attention(torch.rand(5, 3, 8), keys, values, torch.ones(5, 3)).shape
    torch.Size([5, 3, 8])
    """

    def __init__(self, dim: int = 32, heads: int = 4) -> None:
        super().__init__()
        if dim < 1 or heads < 1 or dim % heads:
            raise InvalidInput(f"TableAttention: dim must be a multiple of heads; got dim={dim}, heads={heads}")
        self.heads, self.width = heads, dim // heads
        self.query = nn.Linear(dim, dim)
        self.key = nn.Parameter(torch.randn(heads, self.width))
        self.value = nn.Parameter(torch.randn(heads, self.width))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.out = nn.Linear(dim, dim)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, valid: Tensor) -> Tensor:
        """Soft look-ups.

        Parameters
        ----------
        queries : (n, tables, dim)
        keys, values : (n, tables, points)
        valid : (n, tables)
            1 where the table exists; the output of others is 0.

        Returns
        -------
        Tensor (n, tables, dim)
        """
        asked = self.query(queries).unflatten(-1, (self.heads, self.width))
        scale = (asked * self.key).sum(-1) / self.width**0.5
        weights = torch.softmax(scale[..., None] * keys[..., None, :], dim=-1)
        found = (weights * values[..., None, :]).sum(-1)
        mixed = (found[..., None] * self.value).flatten(-2) + self.bias
        result: Tensor = self.out(mixed) * valid[..., None]
        return result
