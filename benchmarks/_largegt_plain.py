"""LargeGT as one writes it in PyTorch: dense tokens, a module per formula, scores of the whole batch or SDPA."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention


class PlainLargeGT(nn.Module):
    """The full model on dense tokens (B, T, D), features of the nodes (B, D) and their encodings (B, g)."""

    mu: Any
    n: Any
    m: Any
    counts: Any

    def __init__(self, width, classes, config, fused):
        super().__init__()
        H, h, g = config.hidden, config.heads, config.global_dim
        W, self.H, self.h, self.g, self.fused = h * H, H, h, g, fused
        half = nn.Dropout(config.dropout)
        self.tokens = nn.Sequential(nn.Linear(width, H), nn.ReLU(), half, nn.Linear(H, H), nn.Linear(H, H))
        self.norm, self.out_norm = nn.LayerNorm(H), nn.LayerNorm(W)
        self.q, self.k, self.v = (nn.Linear(H, W) for _ in range(3))
        self.o, self.skip, self.read = nn.Linear(W, W), nn.Linear(H, W), nn.Linear(2 * W, 1)
        self.drop = nn.Dropout(config.attention_dropout)
        self.nodes = nn.Sequential(nn.Linear(width, H), nn.BatchNorm1d(H), nn.ReLU(), half, nn.Linear(H, H))
        self.project, self.gq, self.gk, self.gv = (
            nn.Linear(H, g),
            *(nn.Linear(2 * g, W) for _ in range(2)),
            nn.Linear(g, W),
        )
        self.head = nn.Sequential(
            *(nn.Linear(2 * W, W), nn.BatchNorm1d(W), nn.ReLU(), half),
            *(nn.Linear(W, H), nn.BatchNorm1d(H), nn.ReLU(), half, nn.Linear(H, classes)),
        )
        self.bn: Any = nn.BatchNorm1d(2 * g, affine=False)
        C = config.num_centroids
        self.register_buffer("mu", torch.randn(C, 2 * g))
        self.register_buffer("n", torch.ones(C))
        self.register_buffer("m", self.mu.clone())
        self.register_buffer("counts", torch.zeros(C))

    def attention(self, q, k, v, bias=None):
        if self.fused:
            return scaled_dot_product_attention(q, k, v, attn_mask=bias)
        scores = q @ k.transpose(-2, -1) / self.H**0.5
        return torch.softmax(scores if bias is None else scores + bias, -1) @ v

    def forward(self, tokens, x, position):
        B, T, _ = tokens.shape
        z = self.tokens(tokens)
        n = self.norm(z)
        q, k, v = (layer(n).view(B, T, self.h, self.H).transpose(1, 2) for layer in (self.q, self.k, self.v))
        y = self.o(self.attention(q, k, v).transpose(1, 2).reshape(B, T, -1))
        y = self.out_norm(self.skip(z) + self.drop(y))
        first = y[:, :1]
        shares = torch.softmax(self.read(torch.cat([first.expand(-1, T - 1, -1), y[:, 1:]], -1)), 1)
        local = first[:, 0] + (shares * y[:, 1:]).sum(1)
        given = torch.cat([self.project(self.nodes(x)), position], 1)
        mu = self.mu * torch.sqrt(self.bn.running_var + self.bn.eps) + self.bn.running_mean
        q, k, v = (
            layer(part).view(-1, self.h, self.H).transpose(0, 1)
            for layer, part in ((self.gq, given), (self.gk, mu), (self.gv, mu[:, : self.g]))
        )
        bias = torch.log(self.counts) if self.counts.sum() > 0 else torch.zeros_like(self.counts)
        bias = bias.expand(self.h, B, -1)
        far = self.attention(q, k, v, bias).transpose(0, 1).reshape(B, -1)
        if self.training:
            self.update(given.detach())
        return self.head(torch.cat([local, far], 1))

    @torch.no_grad()
    def update(self, given):
        moved = self.bn(given)
        near = torch.cdist(moved, self.mu).argmin(1)
        one_hot = torch.nn.functional.one_hot(near, self.mu.shape[0]).float()
        self.n.mul_(0.99).add_(0.01 * one_hot.sum(0))
        self.m.mul_(0.99).add_(0.01 * one_hot.T @ moved)
        whole = self.n.sum()
        self.mu.copy_(self.m / ((self.n + 1e-5) / (whole + len(self.n) * 1e-5) * whole)[:, None])
        self.counts += one_hot.sum(0)

    def take(self, model):
        """The weights of a `nearhop.gnn.large_gt.LargeGT`."""
        far, near, W = model.attend, model.local, self.h * self.H
        pairs: list[Any] = [
            (self.tokens[0], model.token_input), (self.tokens[3], near.project), (self.tokens[4], near.lin),
            (self.norm, near.norm), (self.out_norm, near.out_norm), (self.q, near.query), (self.v, near.value),
            (self.o, near.output), (self.skip, near.skip), (self.nodes, model.node_input), (self.head, model.head),
            (self.project, far.project), (self.gq, far.query), (self.gk, far.key), (self.gv, far.value),
            (self.bn, far.codebook.norm),
        ]  # fmt: skip
        for to, source in pairs:
            to.load_state_dict(source.state_dict())
        self.k.weight.data = near.key.weight.data.clone()
        self.read.weight.data[0, W:] = near.readout.weight.data[0]
        for to, name in ((self.mu, "centroids"), (self.n, "counts"), (self.m, "sums"), (self.counts, "node_counts")):
            to.copy_(getattr(far.codebook, name))
