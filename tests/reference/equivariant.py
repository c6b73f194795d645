"""Every basis map between features of ego networks, computed by itself and stacked: one block (number, m, m, C)."""

from __future__ import annotations

import torch


def basis(x, order_in, order_out):
    """The basis maps of a block, last axis before the channels: (..., basis, C); sums over m nodes are divided by m."""
    m = x.shape[1]
    eye = torch.eye(m, dtype=x.dtype)[None, :, :, None]
    if order_in == 2:
        d = torch.diagonal(x, dim1=1, dim2=2).permute(0, 2, 1)
        vectors = [d, x.sum(2) / m, x.sum(1) / m]
        scalars = [d.sum(1) / m, x.sum((1, 2)) / m**2]
    else:
        vectors, scalars = [x], [x.sum(1) / m]
    if order_out == 0:
        return torch.stack(scalars, -2)
    if order_out == 1:
        return torch.stack([*vectors, *(s[:, None].expand_as(vectors[0]) for s in scalars)], -2)
    n, _, c = vectors[0].shape
    found = []
    for v in vectors:
        found += [v[:, :, None] * eye, v[:, :, None].expand(n, m, m, c), v[:, None].expand(n, m, m, c)]
    for s in scalars:
        found += [s[:, None, None] * eye, s[:, None, None].expand(n, m, m, c)]
    if order_in == 2:
        found += [x, x.transpose(1, 2)]
    return torch.stack(found, -2)


def apply(x, weight, bias, order_in, order_out):
    """One block through a map of one class: weight (basis, C_in, C_out); bias (C_out), or (2 C_out): diagonal, all."""
    out = torch.einsum("...bc,bcd->...d", basis(x, order_in, order_out), weight)
    if order_out == 2:
        width = weight.shape[2]
        eye = torch.eye(x.shape[1], dtype=x.dtype)[None, :, :, None]
        return out + bias[width:] + eye * bias[:width]
    return out + bias
